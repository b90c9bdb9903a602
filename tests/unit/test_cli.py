"""The command line, run as people run it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from panneuro_hub.access import Person, decide_access
from panneuro_hub.cli import COMMANDS, main
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.policy import build_session_policy

BUCKET = "s3://learning-circuits/"
AT = ("--at", "2026-11-22")
HUMAN = ("--project", "human-intracranial", *AT)
NAVIGATION = ("--project", "nhp-navigation", *AT)
Run = Callable[..., Result]


@pytest.fixture
def run(example_file: Path) -> Run:
    """Run a command on the example file."""

    def invoke(command: str, *args: str) -> Result:
        result = CliRunner().invoke(main, [command, str(example_file), *args])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


@pytest.fixture
def broken(example_file: Path, tmp_path: Path) -> Path:
    """The example with two mistakes."""
    text = example_file.read_text(encoding="utf-8")
    path = tmp_path / "broken.yaml"
    path.write_text(
        text.replace("theory-lab: read}\n    reads", "theory-lap: read}\n    reads").replace(
            "store: main\n    prefix: shared-stimuli/", "store: mian\n    prefix: shared-stimuli/"
        ),
        encoding="utf-8",
    )
    return path


def explain(run: Run, *args: str) -> tuple[int, dict]:
    result = run("explain", "--json", "--user", "ann", *args)
    return result.exit_code, json.loads(result.stdout)


# check


def test_check_sums_up_in_one_line(run: Run, example_file: Path) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.stdout == (
        f"{example_file}: learning-circuits is good to use: "
        "4 projects, 7 teams, 1 store, 3 profiles, 1 image\n"
    )
    assert result.stderr == ""


def test_check_says_every_problem_on_a_line(broken: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(broken)])
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{broken}:") for line in lines)
    assert "theory-lap" in lines[0]
    assert "mian" in lines[1]


def test_check_finds_a_policy_that_is_too_long(example_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    text = example_file.read_text(encoding="utf-8")
    path.write_text(
        text.replace("prefix: nhp-navigation/", f"prefix: {'n' * 900}/"), encoding="utf-8"
    )
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 1
    assert "projects.nhp-navigation" in result.stderr
    assert "characters" in result.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "none.yaml" in result.stderr


# explain


def codes(document: dict) -> list[str]:
    return [reason["code"] for reason in document["reasons"]]


def test_explain_as_json(run: Run) -> None:
    code, document = explain(run, "--teams", " human-lab , human-subjects-trained", *HUMAN)
    assert code == 0
    assert list(document) == [
        "user",
        "project",
        "level",
        "reasons",
        "grants",
        "denied",
        "profiles",
        "dask",
    ]
    assert (document["user"], document["project"], document["level"]) == (
        "ann",
        "human-intracranial",
        "manage",
    )
    grant = document["grants"][1]
    assert codes(grant) == ["frozen", "team-has-level", "requirement-met"]
    assert "it is frozen in human-intracranial" in grant["reason"]
    assert (grant["prefix"], grant["mode"], grant["project"]) == (
        f"{BUCKET}human-intracranial/release-2026/",
        "read",
        "human-intracranial",
    )
    denial = document["denied"][0]
    assert codes(denial) == ["frozen"]
    assert denial["what"] == f"write {BUCKET}human-intracranial/release-2026/"
    assert (denial["action"], denial["kind"]) == ("write", "prefix")
    assert codes(document["profiles"][0]) == ["offers-these", "for-every-team"]
    assert codes(document["dask"]) == ["collaboration-limits"]
    for described in (document["profiles"][0], document["dask"]):
        del described["reasons"]
    assert document["profiles"][0] == {
        "name": "small",
        "title": "Small",
        "price_per_hour": 0.12,
        "cpu": 2.0,
        "memory": 8 * 1024**3,
        "gpu": 0,
        "reason": "human-intracranial offers small and large; every team may use it",
    }
    assert document["dask"] == {
        "max_workers": 50,
        "max_cores": 200.0,
        "max_memory": 800 * 1024**3,
        "per_person": {"max_workers": None, "max_cores": None, "max_memory": None},
        "worker_profiles": ["standard"],
        "idle_timeout": 1800.0,
        "reason": "the limits of learning-circuits, shared by all clusters of human-intracranial",
    }


def test_explain_says_what_each_person_may_have(tmp_path: Path, example_file: Path) -> None:
    file = tmp_path / "collaboration.yaml"
    limit = "  per_person: {max_workers: 20, max_memory: 320G}\n  idle_timeout"
    file.write_text(example_file.read_text().replace("  idle_timeout", limit))
    asked = ["explain", str(file), "--user", "ann", "--teams", "theory-lab", *NAVIGATION]
    assert (
        "  50 workers, 200 cores, 800G memory, of which each person 20 workers and 320G memory "
        "at most, idle for 30m at most"
    ) in CliRunner().invoke(main, asked).output


def test_explain_denied_is_exit_code_3(run: Run) -> None:
    code, document = explain(run, "--teams", "human-lab", *HUMAN)
    assert code == 3
    assert (document["level"], document["grants"], document["dask"]) == (None, [], None)
    [denial] = document["denied"]
    assert denial["what"] == f"read {BUCKET}human-intracranial/"
    assert codes(denial) == codes(document) == ["not-in-required-team"]
    assert denial["reason"] == (
        "you are not in human-subjects-trained, which human-intracranial requires"
    )


def test_no_team_is_allowed(run: Run) -> None:
    for teams in ("", " ", " , "):
        code, document = explain(run, "--teams", teams, *NAVIGATION)
        assert (code, document["level"]) == (3, None)


@pytest.mark.parametrize(
    ("path", "read", "write"),
    [
        ("human-intracranial/release-2026/x", True, False),
        ("human-intracranial/x", True, True),
        ("nhp-navigation/x", False, False),
        ("human-intracranial/../nhp-navigation/x", False, False),
        ("..", False, False),
    ],
)
def test_explain_judges_a_path(run: Run, path: str, read: bool, write: bool) -> None:
    teams = "human-lab,human-subjects-trained"
    code, document = explain(run, "--teams", teams, *HUMAN, "--path", BUCKET + path)
    assert code == 0
    verdict = document["path"]
    assert (verdict["read"], verdict["write"]) == (read, write)
    assert verdict["reason"]
    assert list(verdict) == ["read", "write", "reasons", "reason"]


@pytest.mark.parametrize(
    "path", ["nhp-navigation/x", "gs://a/b", "s3://a", "s3://a/", "s3:///a", ""]
)
def test_a_path_of_another_form_is_a_usage_error(run: Run, path: str) -> None:
    result = run("explain", "--user", "ann", "--teams", "", *HUMAN, "--path", path)
    assert result.exit_code == 2
    assert "s3://bucket/key" in result.stderr


def test_explain_for_people(run: Run) -> None:
    result = run(
        "explain",
        *("--user", "ann", "--teams", "theory-lab", *NAVIGATION),
        *("--path", f"{BUCKET}human-intracranial/x"),
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        "ann in nhp-navigation: read",
        "  you are in theory-lab, which has read in nhp-navigation",
    ]
    assert (
        f"  read   {BUCKET}shared-stimuli/              nhp-navigation reads shared-stimuli; every "
        "team of learning-circuits has read in shared-stimuli, and you are in theory-lab"
    ) in lines
    assert "  900 USD a month  the budget of nhp-navigation" in result.stdout
    assert "50 workers, 200 cores, 800G memory, idle for 30m at most" in result.stdout
    assert "you are not in navigation-lab (manage) or data-science-core (write)" in result.stdout
    assert lines[-1].startswith(
        f"  {BUCKET}human-intracranial/x  neither read nor write  "
        f"{BUCKET}human-intracranial/x belongs to human-intracranial"
    )
    assert "\x1b" not in result.stdout


def test_explain_for_people_when_denied(run: Run) -> None:
    result = run("explain", "--user", "ann", "--teams", "", *NAVIGATION)
    assert result.exit_code == 3
    assert result.stdout.startswith("ann in nhp-navigation: no access\n  you are in no team")


def test_nothing_from_outside_is_alive_in_a_terminal(run: Run) -> None:
    result = run("explain", "--user", "a\x1b[31m\n\u202eb", "--teams", "theory-lab", *NAVIGATION)
    assert result.stdout.splitlines()[0] == "a\\x1b[31m\\n\\u202eb in nhp-navigation: read"


@pytest.mark.parametrize(
    ("at", "level"),
    [
        ("2027-05-31", None),
        ("2027-06-01", "read"),
        ("2027-05-31T23:59:59Z", None),
        ("2027-06-01T01:59:59+02:00", None),
        ("2027-06-01T02:00:00+02:00", "read"),
    ],
)
def test_at(run: Run, at: str, level: str | None) -> None:
    _, document = explain(
        run, "--teams", "theory-lab", "--project", "nhp-categorization", "--at", at
    )
    assert document["level"] == level


@pytest.mark.parametrize("at", ["tomorrow", "2027-13-01", "2027-06-01T00:00:00", "20270601", ""])
def test_at_is_a_day_or_a_time_with_a_zone(run: Run, at: str) -> None:
    args = ("--user", "ann", "--teams", "", "--project", "nhp-navigation", "--at", at)
    result = run("explain", *args)
    assert result.exit_code == 2
    assert "2027-01-31T09:30:00Z" in result.stderr


def test_now_is_meant_without_at(run: Run) -> None:
    teams = ("--teams", "navigation-lab", "--project", "nhp-navigation")
    assert explain(run, *teams)[0] == 0


# Mistakes on the command line


@pytest.mark.parametrize("command", ["explain", "policy"])
def test_unknown_names_are_usage_errors_that_name_the_known(run: Run, command: str) -> None:
    result = run(command, "--user", "ann", "--teams", "theory-lab,nobody", *NAVIGATION)
    assert result.exit_code == 2
    assert "there is no team 'nobody'; the teams are navigation-lab, cat" in result.stderr
    result = run(command, "--user", "ann", "--teams", "*", *NAVIGATION)
    assert result.exit_code == 2
    result = run(command, "--user", "ann", "--teams", "", "--project", "x")
    assert result.exit_code == 2
    assert "there is no project 'x'; the projects are nhp-navigation, nhp-" in result.stderr
    result = run(command, "--user", " ", "--teams", "", *NAVIGATION)
    assert result.exit_code == 2
    assert "--user is empty" in result.stderr


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_broken_file_is_exit_code_1_everywhere(
    broken: Path, example_file: Path, extra: list[str]
) -> None:
    person = ["--user", "ann", "--teams", "", "--project", "nhp-navigation"]
    for args in (
        ["explain", str(broken), *person, *extra],
        ["diff", str(example_file), str(broken), *extra],
        ["diff", str(broken), str(example_file), *extra],
    ):
        result = CliRunner().invoke(main, args)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "theory-lap" in result.stderr
    assert CliRunner().invoke(main, ["policy", str(broken), *person]).exit_code == 1


# diff


@pytest.fixture
def other(example_file: Path, tmp_path: Path) -> Path:
    """The example with a team let in, an embargo prolonged and a price raised."""
    path = tmp_path / "new.yaml"
    text = example_file.read_text(encoding="utf-8")
    for old, new in (
        ("human-lab: manage, data-science-core: read}", "human-lab: manage, theory-lab: read}"),
        ("until: 2027-06-01", "until: 2027-09-01"),
        ("price_per_hour: 0.96", "price_per_hour: 1.2"),
        ("reads: [shared-stimuli]", "frozen: [nhp-navigation/2025/]"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def test_diff_of_equal_files(run: Run, example_file: Path) -> None:
    result = run("diff", str(example_file))
    assert (result.exit_code, result.stdout) == (0, "no difference in access\n")
    result = run("diff", str(example_file), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"differences": []})


def test_diff_for_people(run: Run, other: Path, golden: Callable[[str, str], None]) -> None:
    result = run("diff", str(other), *AT)
    assert result.exit_code == 0
    golden("diff.txt", result.stdout)


def test_diff_as_json(run: Run, other: Path) -> None:
    result = run("diff", str(other), *AT, "--json")
    assert result.exit_code == 0
    assert {
        "who": ["human-subjects-trained", "theory-lab"],
        "project": "human-intracranial",
        "kind": "level",
        "what": "human-intracranial",
        "before": None,
        "after": "read",
        "since": None,
        "until": None,
    } in json.loads(result.stdout)["differences"]


# policy


def test_policy_is_exactly_what_is_sent(run: Run, example: Collaboration) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    result = run("policy", "--user", "ann", "--teams", "theory-lab", *NAVIGATION)
    access = decide_access(example, Person.of("ann", ["theory-lab"]), "nhp-navigation", now)
    assert result.exit_code == 0
    assert result.stdout == build_session_policy(access.grants)
    assert result.stderr == ""


def test_no_policy_without_access(run: Run) -> None:
    result = run("policy", "--user", "ann", "--teams", "human-lab", *HUMAN)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr == (
        "ann has no access to human-intracranial: you are not in human-subjects-trained, which "
        "human-intracranial requires\n"
    )


# The program


def test_every_command_has_a_help_text() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"  {command} " in result.stdout
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
    assert "_PANNEURO_HUB_COMPLETE" in result.stdout


def test_version_and_unknown_commands() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout.startswith("panneuro-hub, version ")
    assert CliRunner().invoke(main, ["no-such"]).exit_code == 2


def test_the_version_is_told_without_loading_the_rooms() -> None:
    code = (
        "import sys; from panneuro_hub.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(name for name in sys.modules if name in ('pydantic', 'ruamel.yaml')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == [""]


def test_a_terminal_gets_colour_and_wrapped_lines(example_file: Path) -> None:
    terminal, stdout = pty.openpty()
    args = ["explain", str(example_file), "--user", "ann", "--teams", "theory-lab", *NAVIGATION]
    environment = {**os.environ, "COLUMNS": "60", "LINES": "24"}
    code = "import sys; from panneuro_hub.cli import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, *args], stdout=stdout, env=environment
    ) as process:
        os.close(stdout)
        text = b""
        while chunk := _read(terminal):
            text += chunk
        assert process.wait() == 0
    os.close(terminal)
    lines = text.decode().replace("\r\n", "\n").splitlines()
    assert lines[0] == "\x1b[1mann in nhp-navigation: read\x1b[0m"
    assert "      nhp-navigation reads shared-stimuli; every team of" in lines
    assert max(map(len, lines)) <= 75  # prefixes stand whole, prose is wrapped


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so at the end of a pseudoterminal
        return b""
