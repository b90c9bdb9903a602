# From a fresh clone with Python 3.11 or newer and nothing else:
#   make demo         everything on this machine; Ctrl-C stops it
#   make demo-check   the demo does its whole main job by itself
#   make test         all tests
#   make check        style, types, rooms
#   make clean        remove the environment and the demo's files

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo demo-check test check clean
.DEFAULT_GOAL = demo

demo: $(VENV)/.has-demo
	@$(BIN)/panneuro-hub demo

demo-check: $(VENV)/.has-demo
	@$(BIN)/panneuro-hub demo --check

# Two files at a time: most tests start servers, and wait for them.
test: $(VENV)/.has-test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(VENV)/.has-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installed once, and again when what it needs has changed.
$(VENV)/.has-%: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 or newer found; name one: make PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .demo
