from __future__ import annotations

from datetime import datetime

import pytest
from collaborations import changed

from panneuro_hub.access import Access, Person, decide, judge
from panneuro_hub.collaboration import Collaboration

BUCKET = "s3://learning-circuits/"


@pytest.fixture
def access(example: Collaboration, now: datetime) -> Access:
    person = Person.of("ann", ["navigation-lab", "human-lab"])
    return decide(example, person, "nhp-navigation", now)


@pytest.mark.parametrize(
    ("key", "read", "write"),
    [
        ("nhp-navigation/raw/day-1.zarr/0.0", True, True),
        ("nhp-navigation/", True, True),
        ("nhp-navigation/a*b?${x}", True, True),
        ("shared-stimuli/maze.py", True, False),
        ("scratch/nhp-navigation/ann/x", True, True),
        ("scratch/nhp-navigation/anna/x", False, False),
        ("scratch/nhp-navigation/bob/x", False, False),
        ("scratch/shared-stimuli/ann/x", False, False),
        ("nhp-navigation", False, False),
        ("nhp-navigation-2/x", False, False),
        ("NHP-navigation/x", False, False),
        ("human-intracranial/x", False, False),
    ],
)
def test_verdicts(
    example: Collaboration, access: Access, key: str, read: bool, write: bool
) -> None:
    verdict = judge(example, access, BUCKET + key)
    assert (verdict.read, verdict.write) == (read, write)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (
            f"{BUCKET}nhp-navigation/x",
            f"write on {BUCKET}nhp-navigation/: you are in navigation-lab, which has manage in "
            "nhp-navigation",
        ),
        (
            f"{BUCKET}human-intracranial/x",
            f"{BUCKET}human-intracranial/x belongs to human-intracranial, which nhp-navigation "
            "does not read; a session in human-intracranial would, but you have no access: you "
            "are not in human-subjects-trained, which human-intracranial requires",
        ),
        (
            f"{BUCKET}scratch/nhp-navigation/bob/x",
            f"{BUCKET}scratch/nhp-navigation/bob/x is the scratch of another person; each "
            "reaches only their own",
        ),
        (
            f"{BUCKET}scratch/shared-stimuli/ann/x",
            f"{BUCKET}scratch/shared-stimuli/ann/x is your scratch in shared-stimuli; sessions "
            "in shared-stimuli reach it, and this one is in nhp-navigation",
        ),
        (
            f"{BUCKET}scratch/",
            f"{BUCKET}scratch/ holds the scratch of every person; each reaches only their own",
        ),
        (
            f"{BUCKET}elsewhere/x",
            f"{BUCKET}elsewhere/x is outside every project of learning-circuits",
        ),
        (
            "s3://other/nhp-navigation/x",
            f"s3://other/ is no store of learning-circuits; its data is in {BUCKET}",
        ),
        (
            "gs://learning-circuits/nhp-navigation/x",
            "gs://learning-circuits/ is no store of learning-circuits; its data is in " + BUCKET,
        ),
    ],
)
def test_reasons(example: Collaboration, access: Access, uri: str, reason: str) -> None:
    assert judge(example, access, uri).reason == reason


def test_the_project_where_it_would_go_is_named(example: Collaboration, now: datetime) -> None:
    person = Person.of("ann", ["navigation-lab", "categorization-lab"])
    access = decide(example, person, "nhp-navigation", now)
    uri = f"{BUCKET}nhp-categorization/x"
    assert judge(example, access, uri).reason == (
        f"{uri} belongs to nhp-categorization, which nhp-navigation does not read; start a "
        "session in nhp-categorization, where you have manage"
    )


def test_the_longest_grant_decides(example: Collaboration, now: datetime) -> None:
    person = Person.of("ann", ["human-lab", "human-subjects-trained"])
    access = decide(example, person, "human-intracranial", now)
    verdict = judge(example, access, f"{BUCKET}human-intracranial/release-2026/a/b")
    assert (verdict.read, verdict.write) == (True, False)
    assert "frozen in human-intracranial: nobody writes there any more" in verdict.reason
    near = judge(example, access, f"{BUCKET}human-intracranial/release-2026-b/a")
    assert (near.read, near.write) == (True, True)


def test_without_access_the_reason_is_why(example: Collaboration, now: datetime) -> None:
    access = decide(example, Person.of("ann", ["human-lab"]), "human-intracranial", now)
    verdict = judge(example, access, f"{BUCKET}human-intracranial/x")
    assert (verdict.read, verdict.write) == (False, False)
    assert verdict.reason.endswith(
        "to which you have no access: you are not in human-subjects-trained, which "
        "human-intracranial requires"
    )


def test_a_denied_reads_is_explained(example: Collaboration, now: datetime) -> None:
    def read_human(document: dict) -> None:
        document["projects"]["nhp-navigation"]["reads"] = ["human-intracranial"]

    collaboration = changed(example, read_human)
    access = decide(collaboration, Person.of("ann", ["navigation-lab"]), "nhp-navigation", now)
    reason = judge(collaboration, access, f"{BUCKET}human-intracranial/x").reason
    assert "nhp-navigation reads human-intracranial, but you are not in" in reason


def test_a_session_of_a_project_that_is_gone(example: Collaboration, now: datetime) -> None:
    access = decide(example, Person.of("ann", ["navigation-lab"]), "gone", now)
    verdict = judge(example, access, f"{BUCKET}nhp-navigation/x")
    assert (verdict.read, verdict.write) == (False, False)
    assert "start a session in nhp-navigation, where you have manage" in verdict.reason


def test_two_stores_with_buckets_of_one_name(example: Collaboration, now: datetime) -> None:
    # At different services: a place is read as the session's store means it.
    def double(document: dict) -> None:
        other = {**document["stores"]["main"], "endpoint_url": "https://s3.example.org"}
        document["stores"] = {"other": other, **document["stores"]}
        document["projects"]["twin"] = {
            **document["projects"]["nhp-categorization"],
            "store": "other",
        }
        document["projects"] = dict(reversed(document["projects"].items()))

    collaboration = changed(example, double)
    access = decide(collaboration, Person.of("ann", ["navigation-lab"]), "nhp-navigation", now)
    reason = judge(collaboration, access, f"{BUCKET}nhp-categorization/x").reason
    assert "belongs to nhp-categorization" in reason


@pytest.mark.parametrize(
    "uri",
    [
        f"{BUCKET}nhp-navigation/../human-intracranial/x",
        f"{BUCKET}nhp-navigation/./x",
        f"{BUCKET}nhp-navigation//x",
        f"{BUCKET}nhp-navigation/\n",
        f"{BUCKET}/nhp-navigation/x",
        "nhp-navigation/x",
        "s3://learning-circuits",
        "",
    ],
)
def test_paths_that_programs_read_differently(
    example: Collaboration, access: Access, uri: str
) -> None:
    verdict = judge(example, access, uri)
    assert (verdict.read, verdict.write) == (False, False)
    assert verdict.reason
