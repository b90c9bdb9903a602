"""The validators' words become findings; whatever they do, nothing is raised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from panneuro_hub.catalog.validators import ValidatorFinding, validate_dataset
from panneuro_hub.devstack.samples.nwb_files import write_nwb
from panneuro_hub.devstack.samples.recordings import read_receptor

pytestmark = pytest.mark.slow

DESCRIBED = {
    "Name": "Example",
    "BIDSVersion": "1.10.0",
    "Authors": ["A. Lovelace", "B. Bee"],
    "License": "CC0",
    "GeneratedBy": [{"Name": "by hand"}],
}


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder = tmp_path / "bids"
    for subject in ("sub-01", "sub-02"):
        (folder / subject / "beh").mkdir(parents=True)
        table = folder / subject / "beh" / f"{subject}_task-rest_beh.tsv"
        table.write_text("trial\tresponse\n1\tleft\n")
    (folder / "dataset_description.json").write_text(json.dumps(DESCRIBED))
    (folder / "README").write_text("What was recorded, of whom and how. " * 10)
    return folder


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """Put a program in a validator's place."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(folder))


def test_bids_that_is_right_has_no_errors(bids: Path) -> None:
    assert [found for found in validate_dataset(bids, "bids") if found.severity == "error"] == []


def test_bids_that_is_wrong_is_told_by_file(bids: Path) -> None:
    for subject in ("sub-01", "sub-02"):
        (bids / subject / "beh" / "notes.doc").write_text("x")
    found = {one.code: one for one in validate_dataset(bids, "bids")}
    wrong = found["NOT_INCLUDED"]
    assert (wrong.severity, wrong.count) == ("error", 2)
    assert set(wrong.places) == {"sub-01/beh/notes.doc", "sub-02/beh/notes.doc"}
    assert "not part of BIDS" in wrong.message
    assert next(iter(found.values())).severity == "error"  # the worst comes first


def test_nwb_is_inspected(tmp_path: Path) -> None:
    from obstore.store import LocalStore

    slow = read_receptor(1)
    write_nwb(slow.stimulus, slow.rate, slow.spike_times, "receptor", LocalStore(tmp_path))
    (tmp_path / "broken.nwb").write_bytes(b"no HDF5")
    found = {one.code: one for one in validate_dataset(tmp_path, "nwb")}
    assert found["check_subject_exists"].severity == "error"
    assert found["check_subject_exists"].message == "Subject is missing."
    assert found["check_experimenter_exists"].severity == "note"
    unread = found[""]
    assert unread.places == ("broken.nwb",)
    assert "Traceback" not in unread.message


def test_nothing_is_said_of_what_is_left_out(tmp_path: Path) -> None:
    for place in ("a.nwb", ".git/annex/objects/1/key.nwb", ".github/b.nwb"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"no HDF5")
    assert ".git/" in " ".join(map(str, validate_dataset(tmp_path, "nwb")))
    found = " ".join(map(str, validate_dataset(tmp_path, "nwb", left_out=[".git"])))
    assert ".git/" not in found
    assert "a.nwb" in found
    assert ".github/b.nwb" in found


def test_other_formats_have_no_validator(tmp_path: Path) -> None:
    assert validate_dataset(tmp_path, "files") == validate_dataset(tmp_path, "zarr") == ()


def test_a_folder_that_is_gone_is_a_finding(tmp_path: Path) -> None:
    for kind in ("bids", "nwb"):
        (found,) = validate_dataset(tmp_path / "gone", kind)
        assert found.severity == "warning"
        assert "ended without a report" in found.message


def test_a_missing_validator_is_named_with_where_it_comes_from(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    for kind, program in (("bids", "bids-validator-deno"), ("nwb", "nwbinspector")):
        (found,) = validate_dataset(bids, kind)
        assert str(found) == (
            f"warning: not checked: {program} is not installed; "
            "it comes with panneuro-hub[validate]"
        )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sys.exit('boom')", "ended without a report (boom)"),
        ("print('x\\nKeyError: y\\nlater', file=sys.stderr)", "(KeyError: y)"),
        ("os.abort()", "ended without a report (status -6)"),
        ("open(sys.argv[3], 'w').write('{')", "cannot be used (JSONDecodeError)"),
        ("open(sys.argv[3], 'w').write('[' * 100000)", "cannot be used (RecursionError)"),
        ("open(sys.argv[3], 'wb').write(b'\\xff\\xfe\\x00')", "cannot be used (UnicodeDecodeErr"),
    ],
)
def test_a_validator_that_fails_is_a_finding(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    # Its own arguments: --format json --outfile FILE FOLDER.
    stand_in(
        tmp_path, monkeypatch, "bids-validator-deno", script.replace("sys.argv[3]", "sys.argv[4]")
    )
    (found,) = validate_dataset(bids, "bids")
    assert found.severity == "warning"
    assert words in found.message


@pytest.mark.parametrize(
    "report",
    ["[]", "{}", '{"issues": 1}', '{"issues": {"issues": [1, {}], "codeMessages": []}}'],
)
def test_a_strange_report_breaks_nothing(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    script = f"open(sys.argv[4], 'w').write({report!r})"
    stand_in(tmp_path, monkeypatch, "bids-validator-deno", script)
    assert all(isinstance(found, ValidatorFinding) for found in validate_dataset(bids, "bids"))


def test_what_it_says_is_shown_as_one_plain_line(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = {
        "code": "X\x1b[31m",
        "severity": "error",
        "location": "/a\nb",
        "issueMessage": "m" * 999,
    }
    script = f"open(sys.argv[4], 'w').write({json.dumps({'issues': {'issues': [issue] * 9}})!r})"
    stand_in(tmp_path, monkeypatch, "bids-validator-deno", script)
    (found,) = validate_dataset(bids, "bids")
    assert str(found).isprintable()
    assert len(str(found)) < 600
    assert str(found).endswith("(a b, a b, a b, a b, a b and 4 more)")


def test_a_validator_that_hangs_ends_with_its_children(
    bids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "child"
    script = (
        "child = os.fork()\n"
        f"if child: open({str(note)!r}, 'w').write(str(child))\n"
        "time.sleep(600)\n"
    )
    stand_in(tmp_path, monkeypatch, "bids-validator-deno", script)
    (found,) = validate_dataset(bids, "bids", timeout=1.5)
    assert "did not finish within 1.5 seconds" in found.message
    ran = subprocess.run(
        ["ps", "-o", "stat=", "-p", note.read_text()], capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip()[:1] in ("", "Z")
    assert os.path.exists(bids)
