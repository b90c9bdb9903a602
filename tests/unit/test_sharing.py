"""What a notebook tells of itself: its title, its picture, its datasets, what it ran in."""

from __future__ import annotations

import json
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from shared_notebooks import chunk, code, encoded, ipynb, markdown, png, shown

from panneuro_hub.catalog.data_references import (
    NotebookReferences,
    find_references,
    resolve_references,
)
from panneuro_hub.catalog.json_fields import MalformedRecordError, find_text_problem
from panneuro_hub.catalog.notebook_file import NotebookFile
from panneuro_hub.catalog.notebook_records import (
    LARGEST_NOTEBOOK,
    LARGEST_PREVIEW,
    find_notebook_problem,
)
from panneuro_hub.catalog.png import strip_png
from panneuro_hub.client import notebook_sharing
from panneuro_hub.client.command import USAGE, main
from panneuro_hub.client.environment import describe_environment, list_packages
from panneuro_hub.client.transfer_errors import FileConflictError, LocalFileError, WrongNameError

PREFIXES = {"nav": "s3://lab/nav/", "stimuli": "s3://lab/stimuli/"}
KNOWN = {"nav": {"session-12", "2026/session-1"}, "stimuli": {"all"}}
SESSION = {
    "PANNEURO_PROJECT": "nav",
    "PANNEURO_IMAGE": "neuro",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
}
PYTHON = platform.python_version()


def found(*sources: str, scratch: str | None = None) -> NotebookReferences:
    notebook = NotebookFile.decode(ipynb(*map(code, sources)))
    return resolve_references(
        find_references(notebook), PREFIXES, lambda project: KNOWN[project], scratch
    )


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("text\n\n# Tuning curves #\n# Other", "Tuning curves"),
        ("### Of *some* `x` and [a link](http://x.example)", "Of some x and a link"),
        ("Tuning\n======\n", "Tuning"),
        ("```\n# no heading\n```\n## One", "One"),
        ("~~~\n```\n# no heading\n~~~\n# One", "One"),
        ("#no heading", ""),
        ("# \n#\n# x", "x"),
        ("# a\x1b[31m\u202eb", "a[31mb"),
        ("# <script>alert(1)</script>", "alert(1)"),
        ("# " + "x" * 500, "x" * 200),
        ("---\n\n- x\n---", "- x"),
        ("", ""),
    ],
)
def test_the_title_is_the_first_heading(source: str, title: str) -> None:
    notebook = NotebookFile.decode(
        ipynb(code("# no heading"), markdown("only text"), markdown(source))
    )
    assert notebook.title == title


@given(st.text())
def test_a_title_can_always_be_recorded(source: str) -> None:
    title = NotebookFile.decode(ipynb(markdown(source))).title
    assert find_text_problem(title, 200) is None


def test_the_first_picture_that_fits_is_the_preview() -> None:
    fitting = png(5, 5)
    wide, broken = png(20_000, 1), png()[:-6]
    large = png(3, 2, (b"tEXt", b"x" * (4 * LARGEST_PREVIEW)))
    outputs = [
        shown(text_plain="x"),
        *(shown(image_png=encoded(one)) for one in (wide, broken, b"GIF89a", large)),
        shown(image_png="no base64 ☃"),
        shown(image_png={"x": 1}),
        {"output_type": "display_data", "data": [1]},
        {"output_type": "stream", "name": "stdout", "text": "x"},
        shown(image_png=[encoded(fitting)[:8] + "\n", encoded(fitting)[8:]]),
        shown(image_png=encoded(png(6, 6))),
    ]
    assert NotebookFile.decode(ipynb(code("x", *outputs))).picture() == fitting
    assert NotebookFile.decode(ipynb(markdown("x"), code("x"))).picture() is None


def test_a_picture_loses_what_is_no_picture_in_it() -> None:
    told = png(3, 2, (b"tEXt", b"Author\0Ada"), (b"eXIf", b"where"), (b"tIME", b"x" * 7))
    assert strip_png(told, 10_000) == png(3, 2)
    assert strip_png(told + b"<script>alert(1)</script>", 10_000) == png(3, 2)
    assert strip_png(png(3, 2), len(png(3, 2)) - 1) is None
    for wrong in (
        b"",
        png()[:20],
        png().replace(b"IDATx", b"IDATy"),
        png().replace(b"IHDR", b"IHDS"),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**32 - 1) + b"IHDR" + b"x" * 40,
        png(3, 2, (b"IHDR", b"x" * 13)),
    ):
        assert strip_png(wrong, 10_000) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_pictures(data: bytes) -> None:
    assert strip_png(b"\x89PNG\r\n\x1a\n" + data, 10_000) is None


@pytest.mark.parametrize(
    ("source", "datasets"),
    [
        ("lab.open('nav/session-12')", {"nav/session-12"}),
        ("lab.open('nav/session-12/sub/x.nwb')", {"nav/session-12"}),
        ("x = lab.open_zarr(path='nav/2026/session-1/x')", {"nav/2026/session-1"}),
        ("import panneuro_hub.lab as l\nl.file('nav/raw/x.csv')", {"nav/raw/x.csv"}),
        ("from panneuro_hub import lab as l\nl.store('human/x')", {"human/x"}),
        ("from panneuro_hub.lab import open as o\nwith o('human/x') as f: pass", {"human/x"}),
        ("import panneuro_hub.lab\npanneuro_hub.lab.open('human/x')", {"human/x"}),
        ("open('human/x')\nother.open('nav/x')\npd.read_csv('nav/x')", set()),
        ("lab.open('nav')\nlab.open('')\nlab.open('/etc/passwd')\nlab.open(3)", set()),
        ("for name in ['nav/session-12', 'nav/other']:\n    lab.open(name)", {"nav/session-12"}),
        ("p = 's3://lab/nav/session-12/x'", {"nav/session-12"}),
        ("p = 's3://lab/navy/session-12/x'\nq = 's3://other/nav/x'", set()),
        ("lab.open(f'nav/session-12/{x}.nwb')", {"nav/session-12"}),
        ("lab.open('nav/session-12/' + x)", {"nav/session-12"}),
        ("lab.open(f'nav/session-{x}')", set()),
        ("lab.open(f's3://lab/nav/session-12{x}')", set()),
        ("lab.open('s3://lab/nav/session-12' + x)", set()),
        ("%time lab.open('x')\ny = !ls\nlab.open('nav/session-12')", {"nav/session-12"}),
        ("%%time\nlab.open('nav/session-12')", {"nav/session-12"}),
        ("lab.open?\n?lab\n!aws s3 ls s3://lab/stimuli/all/x", {"stimuli/all"}),
        ("%%bash\naws s3 cp s3://lab/stimuli/all/x .", {"stimuli/all"}),
        ("def (:\n  lab.open('nav/session-12'", {"nav/session-12"}),
        ("'''about nav/session-12'''\n# lab.open('nav/session-12')", set()),
        ("lab.open('nav/../human/x')\nlab.open('nav//x')", set()),
        ("'\\d'; lab.open('nav/session-12')", {"nav/session-12"}),
    ],
)
def test_datasets_are_found_in_the_code(source: str, datasets: set[str]) -> None:
    assert set(found(source).datasets) == datasets


def test_what_cannot_be_found_is_said() -> None:
    said = found("lab.open(f'nav/session-{x}')", "lab.open('scratch/x')", "lab.open(name)")
    assert said == NotebookReferences((), ("nav/session-",), scratch=True)
    assert found("x = 's3://lab/scratch/ada/x'", scratch="s3://lab/scratch/ada/").scratch
    assert not found("print('scratch/x')").scratch
    assert found("from panneuro_hub.lab import open as o", "o('human/x')").datasets == ("human/x",)


@given(st.lists(st.text(max_size=80), max_size=4))
def test_no_code_breaks_the_search(sources: list[str]) -> None:
    assert all(project_and_name(one) for one in found(*sources).datasets)


def project_and_name(dataset: str) -> bool:
    project, slash, name = dataset.partition("/")
    return bool(project and slash and name)


def test_deep_code_is_passed_over() -> None:
    assert found("(" * 5000 + ")" * 5000, "-" * 100_000 + "1") == NotebookReferences(
        (), (), scratch=False
    )


def test_long_chains_of_code_are_passed_over() -> None:
    added = "x = " + " + ".join(["'nav/session-12'"] * 1500)
    assert found(added).datasets == ("nav/session-12",)
    assert found("x" + ".a" * 1500 + ".open('nav/session-12')").datasets == ("nav/session-12",)


def test_a_server_of_the_hub_knows_what_runs_in_it() -> None:
    for language in ({}, {"version": PYTHON}):
        named = {"name": "python", **language}
        notebook = NotebookFile.decode(ipynb(code("1"), language_info=named))
        environment, note = describe_environment(notebook, SESSION)
        assert note is None
        assert (environment.image, environment.language) == ("neuro", "python")
        assert environment.language_version == PYTHON
        assert environment.packages == list_packages()


def test_what_ran_elsewhere_is_not_said_to_have_run_here() -> None:
    notebook = NotebookFile.decode(
        ipynb(code("1"), language_info={"name": "python", "version": "3.4.0"})
    )
    for variables, words in ((SESSION, "it ran in python 3.4.0"), ({}, "no server of the hub")):
        environment, note = describe_environment(notebook, variables)
        assert words in (note or "")
        assert environment.packages == ()
        assert environment.language_version == "3.4.0"
    julia = NotebookFile.decode(ipynb(code("1"), language="julia"))
    environment, note = describe_environment(julia, SESSION)
    assert (environment.language, environment.packages) == ("julia", ())
    assert "it ran in julia 3.12.4" in (note or "")


def test_the_packages_are_those_of_this_process() -> None:
    packages = list_packages()
    assert list(packages) == sorted(set(packages), key=str.lower)
    assert any(one.startswith("pytest==") for one in packages)


def test_a_notebook_has_a_largest_size() -> None:
    with pytest.raises(MalformedRecordError, match="clear outputs that are large"):
        NotebookFile.decode(b" " * (LARGEST_NOTEBOOK + 1))


GOOD = json.loads(ipynb(code("1")))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (ipynb().decode().encode("utf-16"), "is in UTF-16, and must be in UTF-8"),
        (ipynb().decode().encode("utf-16-le"), "is in UTF-16, and must be in UTF-8"),
        (b"\xef\xbb\xbf" + ipynb(), "begins with a byte order mark"),
        (ipynb(name="x").replace(b"x", b"\xe9"), "is not in UTF-8"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"", "is not JSON"),
        (json.dumps({**GOOD, "nbformat": 3}).encode(), "nbformat must be 4"),
        (json.dumps({**GOOD, "cells": {}}).encode(), "cells must be a list"),
        (json.dumps({**GOOD, "cells": [1]}).encode(), "at position 1 that is not a cell"),
        (json.dumps({**GOOD, "metadata": None}).encode(), "it has no metadata"),
        (json.dumps({**GOOD, "nbformat_minor": "5"}).encode(), "nbformat_minor is not a whole"),
        (ipynb(code("1", metadata=[])), "cell 1 has no metadata"),
        (ipynb({"cell_type": "markdown", "source": ""}), "cell 1 has no metadata"),
        (ipynb(code("1"), code("2", outputs="x")), "the outputs of cell 2 are not"),
        (ipynb(code("1", outputs=[1])), "the outputs of cell 1 are not"),
        (ipynb(code("1", metadata={"x": float("nan")})), "the number NaN"),
        (ipynb(code("\ud800")), "half of a character"),
    ],
)
def test_a_notebook_that_nobody_could_open_is_refused_by_name(
    tmp_path: Path, data: bytes, why: str
) -> None:
    place = tmp_path / "bad.ipynb"
    place.write_bytes(data)
    with pytest.raises(LocalFileError) as refusal:
        notebook_sharing.share_notebook(place, "nav/x")
    assert str(refusal.value).startswith(f"{place}: ")
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Tuning curves.ipynb", "Tuning-curves"),
        ("é ☃ x@2.ipynb", "x-2"),
        (".hidden.ipynb", "hidden"),
        ("plain", "plain"),
        ("x" * 300 + ".ipynb", "x" * 100),
    ],
)
def test_a_file_s_name_becomes_a_name(file: str, name: str) -> None:
    assert notebook_sharing._derive_name(Path(file)) == name


@given(st.text(min_size=1).filter(lambda text: "/" not in text))
def test_any_file_s_name_becomes_one_that_is_right_or_none(file: str) -> None:
    with suppress(WrongNameError):
        assert find_notebook_problem(notebook_sharing._derive_name(Path(file))) is None


def test_a_copy_takes_a_free_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert notebook_sharing._write_copy(b"1", "a", None) == Path("a.ipynb")
    assert notebook_sharing._write_copy(b"2", "a", None) == Path("a-1.ipynb")
    (tmp_path / "a-2.ipynb").symlink_to("nowhere")
    assert notebook_sharing._write_copy(b"3", "a", tmp_path) == tmp_path / "a-3.ipynb"
    assert (tmp_path / "a.ipynb").read_bytes() == b"1"
    with pytest.raises(FileConflictError, match=r"a\.ipynb is there already, and stays as it is"):
        notebook_sharing._write_copy(b"4", "a", tmp_path / "a.ipynb")
    with pytest.raises(LocalFileError, match="no such file or directory"):
        notebook_sharing._write_copy(b"4", "a", tmp_path / "no" / "a.ipynb")
    monkeypatch.setattr(notebook_sharing, "_MOST_COPIES", 2)
    with pytest.raises(FileConflictError, match="2 copies of a here already"):
        notebook_sharing._write_copy(b"4", "a", None)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["share", "folder", "nav/x"], 1, "it is a folder; name one notebook"),
        (["share", "missing.ipynb", "nav/x"], 1, "missing.ipynb: no such file or directory"),
        (["share", "fifo", "nav/x"], 1, "neither a file nor a folder"),
        (["share", "bad.ipynb", "nav/x"], 1, "the notebook is not JSON"),
        (["share", "good.ipynb"], USAGE, "name the project, such as"),
        (["share", "good.ipynb", "Nav/x"], USAGE, "'Nav' cannot be a project"),
        (["share", "good.ipynb", "nav/../x"], USAGE, "no dot at its beginning"),
        (["share", "good.ipynb", "nav/x@2"], USAGE, "has an '@' in it"),
        (["share", "good.ipynb", "nav", "--dataset", "nav"], USAGE, "'nav' names no dataset"),
        (["share", "large.ipynb", "nav/x"], 1, "clear its large outputs"),
        (["share", "good.ipynb", "nav/x"], 3, "you are not logged in"),
        (["copy", "nav"], USAGE, "'nav' names no notebook"),
        (["copy", "nav/x@y"], USAGE, "has an '@' in it"),
        (["copy", "nav/x"], 3, "you are not logged in"),
        (["notebooks", "nav/x"], USAGE, "'nav/x' cannot be a project"),
        (["notebooks"], 3, "you are not logged in"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bad.ipynb").write_bytes(b"<html>")
    (tmp_path / "good.ipynb").write_bytes(ipynb(markdown("# x")))
    with (tmp_path / "large.ipynb").open("wb") as large:
        large.truncate(LARGEST_NOTEBOOK + 1)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.splitlines()) == 1
    again = CliRunner().invoke(main, [*arguments, "--json"])
    assert again.exit_code == code
    assert words in json.loads(again.output)["message"]
