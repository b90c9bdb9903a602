from __future__ import annotations

from datetime import datetime

import pytest
from collaborations import changed

from panneuro_hub.access import Access, Person, check_path, decide_access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.wire import Reason

BUCKET = "s3://learning-circuits/"
PROJECT = "nhp-navigation"
HUMAN = "human-intracranial"


@pytest.fixture
def access(example: Collaboration, now: datetime) -> Access:
    person = Person.of("ann", ["navigation-lab", "human-lab"])
    return decide_access(example, person, "nhp-navigation", now)


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
    verdict = check_path(example, access, BUCKET + key)
    assert (verdict.read, verdict.write) == (read, write)


@pytest.mark.parametrize(
    ("uri", "reasons"),
    [
        (
            f"{BUCKET}nhp-navigation/x",
            [
                Reason("granted", PROJECT, level="write", place=f"{BUCKET}nhp-navigation/"),
                Reason("team-has-level", PROJECT, teams=("navigation-lab",), level="manage"),
            ],
        ),
        (
            f"{BUCKET}human-intracranial/x",
            [
                Reason("belongs-to", HUMAN, place=f"{BUCKET}human-intracranial/x"),
                Reason("not-read-here", PROJECT, other=HUMAN),
                Reason("not-in-required-team", HUMAN, teams=("human-subjects-trained",)),
            ],
        ),
        (
            f"{BUCKET}scratch/nhp-navigation/bob/x",
            [Reason("scratch-of-another", PROJECT, place=f"{BUCKET}scratch/nhp-navigation/bob/x")],
        ),
        (
            f"{BUCKET}scratch/shared-stimuli/ann/x",
            [
                Reason(
                    "scratch-of-project",
                    "shared-stimuli",
                    other=PROJECT,
                    place=f"{BUCKET}scratch/shared-stimuli/ann/x",
                )
            ],
        ),
        (f"{BUCKET}scratch/", [Reason("scratch-root", place=f"{BUCKET}scratch/")]),
        (
            f"{BUCKET}elsewhere/x",
            [
                Reason(
                    "outside-projects",
                    place=f"{BUCKET}elsewhere/x",
                    collaboration="learning-circuits",
                )
            ],
        ),
        *(
            (
                uri,
                [
                    Reason(
                        "not-a-store",
                        place=uri,
                        names=(BUCKET,),
                        collaboration="learning-circuits",
                    )
                ],
            )
            for uri in ("s3://other/nhp-navigation/x", "gs://learning-circuits/nhp-navigation/x")
        ),
    ],
)
def test_reasons(example: Collaboration, access: Access, uri: str, reasons: list[Reason]) -> None:
    assert check_path(example, access, uri).reasons == tuple(reasons)


def test_the_project_where_it_would_go_is_named(example: Collaboration, now: datetime) -> None:
    person = Person.of("ann", ["navigation-lab", "categorization-lab"])
    access = decide_access(example, person, "nhp-navigation", now)
    uri = f"{BUCKET}nhp-categorization/x"
    assert check_path(example, access, uri).reasons == (
        Reason("belongs-to", "nhp-categorization", place=uri),
        Reason("not-read-here", PROJECT, other="nhp-categorization"),
        Reason("open-elsewhere", "nhp-categorization", level="manage"),
    )


def test_the_longest_grant_decides(example: Collaboration, now: datetime) -> None:
    person = Person.of("ann", ["human-lab", "human-subjects-trained"])
    access = decide_access(example, person, "human-intracranial", now)
    verdict = check_path(example, access, f"{BUCKET}human-intracranial/release-2026/a/b")
    assert (verdict.read, verdict.write) == (True, False)
    assert Reason("frozen", HUMAN) in verdict.reasons
    near = check_path(example, access, f"{BUCKET}human-intracranial/release-2026-b/a")
    assert (near.read, near.write) == (True, True)


def test_without_access_the_reason_is_why(example: Collaboration, now: datetime) -> None:
    access = decide_access(example, Person.of("ann", ["human-lab"]), "human-intracranial", now)
    verdict = check_path(example, access, f"{BUCKET}human-intracranial/x")
    assert (verdict.read, verdict.write) == (False, False)
    assert verdict.reasons == (
        Reason("belongs-to", HUMAN, place=f"{BUCKET}human-intracranial/x"),
        Reason("not-in-required-team", HUMAN, teams=("human-subjects-trained",)),
    )


def test_a_denied_reads_is_explained(example: Collaboration, now: datetime) -> None:
    def read_human(document: dict) -> None:
        document["projects"]["nhp-navigation"]["reads"] = ["human-intracranial"]

    collaboration = changed(example, read_human)
    access = decide_access(
        collaboration, Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    reasons = check_path(collaboration, access, f"{BUCKET}human-intracranial/x").reasons
    codes = [reason.code for reason in reasons]
    assert codes[:3] == ["belongs-to", "project-reads", "not-in-required-team"]


def test_a_session_of_a_project_that_is_gone(example: Collaboration, now: datetime) -> None:
    access = decide_access(example, Person.of("ann", ["navigation-lab"]), "gone", now)
    verdict = check_path(example, access, f"{BUCKET}nhp-navigation/x")
    assert (verdict.read, verdict.write) == (False, False)
    assert verdict.reasons[-1] == Reason("open-elsewhere", PROJECT, level="manage")


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
    access = decide_access(
        collaboration, Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    reason, *_ = check_path(collaboration, access, f"{BUCKET}nhp-categorization/x").reasons
    assert (reason.code, reason.project) == ("belongs-to", "nhp-categorization")


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
    verdict = check_path(example, access, uri)
    assert (verdict.read, verdict.write) == (False, False)
    [reason] = verdict.reasons
    assert (reason.code, reason.place) == ("invalid-path", uri)
