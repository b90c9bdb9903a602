"""Our errors in a notebook: one line in a real kernel, and everybody else's errors in full."""

from __future__ import annotations

from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

pytestmark = pytest.mark.slow

IMPORT = "import panneuro_hub.lab as lab\nfrom panneuro_hub.errors import AccessDeniedError"
HOSTILE = 'raise AccessDeniedError("no:\\n  \\x1b[31mred, \\u202e and")'
WRAPPED = (
    "try:\n    raise AccessDeniedError('no')\nexcept AccessDeniedError as no:\n"
    "    raise OSError('x') from no"
)
LATER = "async def later():\n    raise AccessDeniedError('later')\n\n\nawait later()"
CELLS = {
    "import": IMPORT,
    "outside": "lab.open('nav/day-1')",
    "outside, in full": "%tb",
    "argument": "lab.cluster(workers=-1)",
    "reader": "raise lab.NoReader('no reader')",
    "file": "raise lab.NothingThere('not there')",
    "hostile": HOSTILE,
    "later": LATER,
    "timed": "%%time\nraise AccessDeniedError('timed')",
    "wrapped": WRAPPED,
    "other": "def divide():\n    return 1 / 0\n\n\ndivide()",
}


@pytest.fixture(scope="module")
def shown() -> dict[str, list[str]]:
    """The lines of the error that each cell shows."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS.values()])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120).execute()
    return {name: lines(cell) for name, cell in zip(CELLS, notebook.cells, strict=True)}


def lines(cell: Any) -> list[str]:
    errors = [output for output in cell.outputs if output.output_type == "error"]
    # The magic %tb prints what it shows.
    errors += [
        new_output("error", traceback=[output.text])
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]
    return [line for error in errors for part in error.traceback for line in part.splitlines()]


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("outside", "NotInSessionError: this process is not in a session of the hub"),
        ("argument", "InvalidArgumentError: a cluster of 0 to -1 workers cannot be"),
        ("reader", "UnknownFormatError: no reader"),
        ("file", "PathNotFoundError: not there"),
        ("hostile", "AccessDeniedError: no:  [31mred,   and"),
        ("later", "AccessDeniedError: later"),
        ("timed", "AccessDeniedError: timed"),
    ],
)
def test_an_error_of_ours_takes_one_line(shown: dict[str, list[str]], cell: str, line: str) -> None:
    (only,) = shown[cell]
    assert only.startswith(line)


def test_the_whole_traceback_stays_available(shown: dict[str, list[str]]) -> None:
    whole = "\n".join(shown["outside, in full"])
    assert "NotInSession" in whole
    assert "Traceback" in whole
    assert "lab.open" in whole or "nav/day-1" in whole


@pytest.mark.parametrize("cell", ["wrapped", "other"])
def test_the_tracebacks_of_others_stay_as_they_are(shown: dict[str, list[str]], cell: str) -> None:
    assert len(shown[cell]) > 5
    assert any("Traceback (most recent call last)" in line for line in shown[cell])
