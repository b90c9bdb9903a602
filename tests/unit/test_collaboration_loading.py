"""Loading: the example, files that are none, all problems at once, and what checks see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from panneuro_hub.collaboration import Collaboration, CollaborationCheck, load_file
from panneuro_hub.errors import CollaborationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "collaboration.yaml"


def refusal(file: Path, *checks: CollaborationCheck) -> list[str]:
    """What is said about `file`, without its name."""
    with pytest.raises(CollaborationError) as caught:
        load_file(file, checks)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    assert len(lines) == len(caught.value.problems)
    return [line.removeprefix(f"{file}:") for line in lines]


def test_example(example_file: Path) -> None:
    collaboration = load_file(example_file)
    project = collaboration.projects["nhp-navigation"]
    assert project.teams == {
        "navigation-lab": "manage",
        "data-science-core": "write",
        "theory-lab": "read",
    }
    assert project.reads == ("shared-stimuli",)
    store = collaboration.stores["main"]
    assert store.credential_lifetime == timedelta(minutes=30)
    assert store.scratch is not None
    assert store.scratch.expires_after == timedelta(days=30)
    assert collaboration.teams["navigation-lab"].expires == {
        "rotating.student@uni.example": date(2027, 1, 31)
    }
    assert collaboration.profiles["small"].memory == 8 * 1024**3
    assert collaboration.profiles["gpu"].teams == ("theory-lab", "data-science-core")
    assert collaboration.profiles["small"].teams is None
    assert collaboration.dask.max_workers == 50


def test_keys_of_digits_are_names(example_file: Path, file: Path) -> None:
    text = example_file.read_text(encoding="utf-8")
    file.write_text(text.replace("shared-stimuli", "2026"), encoding="utf-8")
    with pytest.raises(CollaborationError) as caught:
        load_file(file)
    # Only where the name is a value, and so could be a number, are quotes needed.
    assert [problem.key for problem in caught.value.problems] == [
        "projects.nhp-navigation.reads[0]"
    ]
    text = text.replace("reads: [shared-stimuli]", "reads: ['2026']")
    file.write_text(text.replace("shared-stimuli", "2026"), encoding="utf-8")
    assert "2026" in load_file(file).projects


def test_several_problems_in_the_order_of_the_file(example_file: Path, file: Path) -> None:
    text = example_file.read_text(encoding="utf-8")
    text = text.replace("gpu: 1\n", "gpu: many\n")
    text = text.replace("title: Stimuli and task code", "tilte: Stimuli and task code")
    text = text.replace("    type: s3\n", "    type: s3\n    type: s3\n")
    text = text.replace("region: us-west-2", "region:")
    file.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    found = refusal(file)
    assert [int(line.split(":")[0]) for line in found] == [
        lines.index("    type: s3", 7) + 1,
        lines.index("    region:") + 1,
        lines.index("  shared-stimuli:") + 1,
        lines.index("    tilte: Stimuli and task code") + 1,
        lines.index("    gpu: many") + 1,
    ]
    assert [line.split(": ")[1] for line in found] == [
        "stores.main.type",
        "stores.main.region",
        "projects.shared-stimuli.title",
        "projects.shared-stimuli.tilte",
        "profiles.gpu.gpu",
    ]


def test_what_is_inside_a_key_that_is_there_twice_waits(example_file: Path, file: Path) -> None:
    text = example_file.read_text(encoding="utf-8")
    once = "    budget: {usd_per_month: 900, when_spent: warn}\n"
    file.write_text(text.replace(once, "    budget: {usd: 9}\n" + once), encoding="utf-8")
    (line,) = refusal(file)
    assert "budget: this key is there twice" in line


def test_a_version_of_yaml_changes_nothing_and_is_refused(example_file: Path, file: Path) -> None:
    file.write_text("%YAML 1.1\n---\n" + example_file.read_text(encoding="utf-8"), encoding="utf-8")
    assert refusal(file) == ["1: take out the line that begins with '%'; it is not needed here"]


def test_problems_of_names_and_of_rules_come_together(example_file: Path, file: Path) -> None:
    text = example_file.read_text(encoding="utf-8")
    text = text.replace("reads: [shared-stimuli]", "reads: [shared]")
    text = text.replace("credential_lifetime: 30m", "credential_lifetime: 13h")
    text = text.replace("profiles: [small, large]", "profiles: [small, lrage]")
    file.write_text(text, encoding="utf-8")
    assert [line.split(": ")[1] for line in refusal(file)] == [
        "stores.main.credential_lifetime",
        "projects.nhp-navigation.reads[0]",
        "projects.human-intracranial.profiles[1]",
    ]


def test_what_a_check_finds_has_file_line_and_key(example_file: Path) -> None:
    def check(collaboration: Collaboration) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield ("projects", "shared-stimuli", "budget"), "there is none"
        yield ("teams", "navigation-lab", "groups", 1), f"not in {collaboration.name}"

    lines = example_file.read_text(encoding="utf-8").splitlines()
    groups = next(at for at, line in enumerate(lines, 1) if "/u19/labs/navigation" in line)
    project = lines.index("  shared-stimuli:") + 1
    assert refusal(example_file, check) == [
        f"{groups}: teams.navigation-lab.groups[1]: not in learning-circuits",
        f"{project}: projects.shared-stimuli.budget: there is none",
    ]


def test_checks_see_only_what_the_rules_pass(example_file: Path, file: Path) -> None:
    def check(collaboration: Collaboration) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for project in collaboration.projects.values():
            if collaboration.stores[project.store] is None:
                yield (), "never"

    text = example_file.read_text(encoding="utf-8")
    file.write_text(text.replace("store: main", "store: mian"), encoding="utf-8")
    assert len(refusal(file, check)) == text.count("store: main")
    assert load_file(example_file, [check]).name == "learning-circuits"


# Files that are none


def test_missing(file: Path) -> None:
    assert refusal(file) == ["1: cannot read this file: no such file or directory"]


def test_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == ["1: cannot read this file: is a directory"]


def test_no_file_name() -> None:
    with pytest.raises(CollaborationError, match="this is not a file name"):
        load_file("a\0b")


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"# nothing yet\n", b"---\n", b"~\n", b"\xef\xbb\xbf"]
)
def test_empty(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert refusal(file) == [
        "1: this file is empty; a collaboration needs name, title, stores, teams, projects and "
        "profiles"
    ]


@pytest.mark.parametrize("content", ["- name", "name", "5", "[]", "'x'", "2027-01-01"])
def test_no_mapping(content: str, file: Path) -> None:
    file.write_text(content, encoding="utf-8")
    assert refusal(file) == [
        "1: a collaboration file begins with a key and a colon, such as 'name: my-circuits'"
    ]


def test_empty_mapping_says_what_is_needed(file: Path) -> None:
    file.write_text("{}", encoding="utf-8")
    assert refusal(file) == [
        f"1: {key}: this key is missing, and is needed"
        for key in ("name", "profiles", "projects", "stores", "teams", "title")
    ]


def test_no_utf8(file: Path) -> None:
    file.write_bytes("name: x\ntitle: Übung\n".encode("latin-1"))
    assert refusal(file) == [
        "1: this file is not UTF-8 text, as its line 2 shows; save it as UTF-8"
    ]


def test_byte_order_mark(example_file: Path, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + example_file.read_bytes())
    assert load_file(file).name == "learning-circuits"


def test_too_large(file: Path) -> None:
    file.write_bytes(b"#" * ((1 << 20) + 1))
    assert refusal(file) == ["1: this file is larger than 1 MiB; a collaboration file is smaller"]


def test_endless_device() -> None:
    with pytest.raises(CollaborationError, match="larger than 1 MiB"):
        load_file("/dev/zero")


# Files that want to harm


def test_alias_bomb(file: Path) -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    file.write_text("\n".join(levels), encoding="utf-8")
    assert refusal(file) == ["1: l0: '&' begins an anchor, which is not used here; use quotes"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_deep(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")
    (line,) = refusal(file)
    assert (
        "there is more in this file" in line or "a key is one word" in line or "begins with" in line
    )


def test_many_values(file: Path) -> None:
    file.write_text("a:\n" + "- x\n" * 20_000, encoding="utf-8")
    (line,) = refusal(file)
    assert line.endswith("there is more in this file than a collaboration can have")


def test_endless_number(example_file: Path, file: Path) -> None:
    text = example_file.read_text(encoding="utf-8")
    file.write_text(text.replace("gpu: 1\n", f"gpu: {'9' * 100_000}\n"), encoding="utf-8")
    (line,) = refusal(file)
    assert "is longer than 4096 characters" in line
    assert len(line) < 300


def test_more_problems_than_anybody_reads(file: Path) -> None:
    file.write_text("".join(f"key{n}: 1\n" for n in range(500)), encoding="utf-8")
    found = refusal(file)
    assert len(found) == 101
    assert found[-1] == "95: and 406 more problems"  # six keys are missing besides
