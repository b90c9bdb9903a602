# From a fresh clone with Python 3.11 or newer and nothing else:
#   make demo         everything on this machine; Ctrl-C stops it
#   make demo-check   the demo does its whole main job by itself
#   make test         all tests
#   make quick        style, types, rooms, declared imports and the quick unit tests, in two minutes
#   make check        style, types, rooms, declared imports
#   make unit         all unit tests
#   make pictures     take the pictures of the documentation from a demo
#   make docs         build the documentation as a site, in .docs
#   make lock         renew all locks of Python packages, those of the images included
#   make release      build and try the distributions; with VERSION=…, set the version first
#   make newest       try the newest versions of all packages, and report the result
#   make clean        remove the environments and the demo's files

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= 3
PYTEST_OPTIONS ?=
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo demo-check test unit quick check docs pictures release lock newest clean
.DEFAULT_GOAL = demo

demo: $(VENV)/.has-demo
	@$(BIN)/panneuro-hub demo

demo-check: $(VENV)/.has-demo
	@$(BIN)/panneuro-hub demo --check

# More files at a time than there are cores, since most tests start servers and wait for them.
# Those with real servers take longest and come first; the short unit tests fill the end.
test: $(VENV)/.has-test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
		$(PYTEST_OPTIONS)

check: $(VENV)/.has-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHON=$(BIN)/python requirements/check
	$(BIN)/python -m pip check --disable-pip-version-check

unit: $(VENV)/.has-test
	$(BIN)/python -m pytest --numprocesses 2 tests/unit

# Not the files that start programs or take long, and fewer examples of each property.
quick: check
	$(BIN)/python -m pytest --numprocesses 2 -m 'not slow' --hypothesis-profile quick tests/unit

release: $(VENV)/.has-test
	$(BIN)/python tools/release $(VERSION)

# Every warning is an error: a broken link or anchor, a page that no index lists, an unknown term.
docs: $(VENV)/.has-test $(VENV)/.has-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky docs .docs

pictures: $(VENV)/.has-test
	$(BIN)/python tools/take_pictures.py

lock:
	requirements/lock

newest:
	requirements/newest

# Installed once, and again when the lock has changed. The lock names every package and its hashes,
# so pip has no versions to search for.
$(VENV)/.has-%: requirements/%.txt setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --no-deps --require-hashes --requirement $<
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 or newer found; name one: make PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .venv-newest .demo .docs docs/reference/generated
