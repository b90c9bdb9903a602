"""What the browser asks is data from outside: refused in words, no path leads away."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.client.transfer.dataset_transfer import DatasetDescription
from panneuro_hub.client.transfer_errors import DatasetEmbargoError, LocalFileError, WrongNameError
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.jupyter.panel_errors import BadRequestError
from panneuro_hub.jupyter.request_schemas import MOST_FILES, AnnouncedFile, UploadRequest
from panneuro_hub.jupyter.upload_spool import UploadSpool

FILE = {"path": "a.csv", "size": 3, "changed": 1_700_000_000_000}


def asked(files: Any = (FILE,), **more: Any) -> UploadRequest:
    document = {"dataset": "nav/day-1", "files": files, **more}
    return UploadRequest.parse(json.dumps(document).encode())


def test_what_was_filled_in_arrives() -> None:
    upload = asked(
        [FILE, {"path": "sub/é ☃.bin", "size": 0}],
        title=" Day one ",
        description="",
        license="CC0-1.0",
        embargo_until="",  # the empty field of a page from before
        update=True,
    )
    assert str(upload.name) == "nav/day-1"
    assert upload.said == DatasetDescription(title="Day one", license="CC0-1.0")
    assert upload.files == (
        AnnouncedFile("a.csv", 3, 1_700_000_000_000),
        AnnouncedFile("sub/é ☃.bin", 0, 0),
    )
    assert (upload.size, upload.update) == (3, True)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../up", "'..' part"),
        ("a/../../up", "'..' part"),
        ("/etc/passwd", "empty"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("", "empty"),
        (".", "'.'"),
        ("a\\b", "'\\'"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        (".panneuro/manifest.json", "catalog keeps"),
        ("\ud800", "not valid UTF-8"),
        ("x" * 256, "longer than 255 bytes"),
        ("é" * 128, "longer than 255 bytes"),
        ("/".join(["x" * 200] * 6), "longer than"),
    ],
)
def test_a_path_that_cannot_be_is_refused_by_name(path: str, why: str) -> None:
    with pytest.raises(LocalFileError) as refusal:
        asked([{**FILE, "path": path}])
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a", "a"], "a: it is there twice"),
        (["a", "a/b"], "a: it is a file and a folder"),
        (["a/b/c", "a/b"], "a/b: it is a file and a folder"),
    ],
)
def test_a_tree_that_no_disk_can_hold_is_refused(paths: list[str], why: str) -> None:
    with pytest.raises(LocalFileError, match=why):
        asked([{"path": path, "size": 1} for path in paths])


@pytest.mark.parametrize(
    "changed",
    [
        {"files": None},
        {"files": {}},
        {"files": []},
        {"files": [None]},
        {"files": [{"path": "a"}]},
        {"files": [{"path": "a", "size": -1}]},
        {"files": [{"path": "a", "size": True}]},
        {"files": [{"path": "a", "size": 1.5}]},
        {"files": [{"path": 1, "size": 1}]},
        {"files": [{"path": "a", "size": 1, "changed": "now"}]},
        {"files": [FILE] * (MOST_FILES + 1)},
        {"title": 1},
        {"title": "two\nlines"},
        {"title": "x" * 501},
        {"update": "yes"},
        {"dataset": None},
    ],
    ids=str,
)
def test_a_request_that_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        asked(**{"files": [FILE], **changed})


@pytest.mark.parametrize("day", ["2027-06-01", "soon", 2027, {"day": "2027-06-01"}], ids=str)
def test_an_embargo_that_nothing_enforces_is_refused(day: Any) -> None:
    """As a page sends it that was open before the field was taken away."""
    with pytest.raises(DatasetEmbargoError, match="everybody who can read the project") as refusal:
        asked(embargo_until=day)
    assert refusal.value.status == 400
    assert refusal.value.code == "dataset-embargo-not-enforced"


@pytest.mark.parametrize("name", ["nav", "", "nav/", "Nav/x", "nav/.x", "nav/a/b/c/d/e", "../x/y"])
def test_a_name_that_is_no_dataset_s_is_refused(name: str) -> None:
    with pytest.raises(WrongNameError):
        asked(dataset=name)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        UploadRequest.parse(body)


_PARTS = st.text(max_size=20) | st.sampled_from(["..", ".", "", "a", "/", "\\", "~", "C:"])


@given(st.lists(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), min_size=1, max_size=5))
def test_whatever_path_is_taken_lies_in_the_folder(paths: list[str]) -> None:
    files = [{"path": path, "size": 1} for path in paths]
    try:
        upload = asked(files)
    except PanNeuroError:
        return
    for file in upload.files:
        parts = PurePosixPath(file.path).parts
        assert parts
        assert not {"..", "/", "."} & set(parts)
        assert "/".join(parts) == file.path


def test_every_file_is_kept_where_it_was_announced(tmp_path: Path) -> None:
    upload = asked([FILE, {"path": "a b/é/c.bin", "size": 2}])
    spool = UploadSpool(tmp_path / "spool", upload.files)
    spool.take(0, 0, b"abc")
    spool.take(1, 0, b"de")
    assert (tmp_path / "spool" / "a b" / "é" / "c.bin").read_bytes() == b"de"
