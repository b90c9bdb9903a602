"""Every reason has a sentence, and what crosses processes keeps its fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from collaborations import changed
from hypothesis import given
from hypothesis import strategies as st
from reason_examples import DENIALS, REASONS

from panneuro_hub.access import Person, decide_access
from panneuro_hub.catalog.dataset_records import CatalogListing
from panneuro_hub.catalog.dataset_rows import make_dataset_rows
from panneuro_hub.catalog.manifest import UploadNote
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import Denial, Grant, Reason
from panneuro_hub.wire.access import Action, TargetKind
from panneuro_hub.wire.reason import REASON_CODES
from panneuro_hub.wording import (
    denial_document,
    denied,
    describe_denial,
    describe_reason,
    describe_reasons,
    describe_target,
    documents,
    grant_document,
)

names = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1, max_size=8)
days = st.none() | st.dates(date(2026, 1, 1), date(2030, 1, 1))
reasons = st.builds(
    Reason,
    st.sampled_from(REASON_CODES),
    project=names | st.just(""),
    other=names | st.just(""),
    teams=st.lists(names, max_size=3).map(tuple),
    level=st.sampled_from(["read", "write", "manage"]),
    ended=days,
    embargo=days,
    kind=st.sampled_from(["profile", "image"]),
    names=st.lists(names, max_size=3).map(tuple),
    place=names,
    collaboration=names | st.just(""),
    detail=names,
)
denials = st.builds(
    Denial,
    st.sampled_from(get_args(Action)),
    st.sampled_from(get_args(TargetKind)),
    names,
    names,
    st.lists(reasons, min_size=1, max_size=4).map(tuple),
)


def test_every_code_has_an_example() -> None:
    assert {reason.code for reason in REASONS} == set(REASON_CODES)
    assert {denial.action for denial in DENIALS} == set(get_args(Action))
    assert {denial.kind for denial in DENIALS} == set(get_args(TargetKind))


def test_the_sentences(golden: Callable[[str, str], None]) -> None:
    lines = [f"{reason.code}: {describe_reason(reason)}" for reason in REASONS]
    lines += [f"[{describe_target(denial)}] {describe_denial(denial)}" for denial in DENIALS]
    golden("sentences.txt", "\n".join([*lines, ""]))


@given(st.lists(reasons, min_size=1, max_size=4))
def test_every_reason_has_a_sentence_of_one_line(given_reasons: list[Reason]) -> None:
    sentence = describe_reasons(given_reasons)
    assert sentence
    assert sentence.isprintable()
    assert "None" not in sentence


@given(reasons)
def test_a_reason_survives_the_wire(reason: Reason) -> None:
    assert Reason.from_json(json.loads(json.dumps(reason.to_json()))) == reason
    [document] = documents([reason])
    assert Reason.from_json(document) == reason


@given(denials)
def test_a_denial_survives_the_wire_and_has_a_sentence(denial: Denial) -> None:
    document = json.loads(json.dumps(denial_document(denial)))
    assert Denial.from_json(document) == denial
    assert describe_denial(denial)
    assert describe_target(denial)
    error = denied(denial)
    assert error.reason_codes == denial.codes


def test_a_reason_of_a_newer_version_keeps_its_sentence() -> None:
    document = {"code": "from-tomorrow", "moon": "full", "message": "the moon is full"}
    reason = Reason.from_json(document)
    assert (reason.code, describe_reason(reason)) == ("other", "the moon is full")


def test_what_an_earlier_version_wrote_keeps_its_sentence() -> None:
    grant = Grant.from_json(
        {"prefix": "s3://b/p/", "mode": "read", "reason": "you are in lab", "project": "p"}
    )
    denial = Denial.from_json({"what": "profile gpu", "reason": "it is frozen in p"})
    assert describe_reasons(grant.reasons) == "you are in lab"
    assert describe_target(denial) == "profile gpu"
    assert describe_reasons(denial.reasons) == "it is frozen in p"
    assert denial.codes == ("other",)


def test_an_earlier_version_finds_the_sentences() -> None:
    for denial in DENIALS:
        document = denial_document(denial)
        assert document["what"] == describe_target(denial)
        assert document["reason"] == describe_reasons(denial.reasons)
    grant = Grant("s3://b/p/", "read", REASONS[:1], "p")
    assert grant_document(grant)["reason"] == describe_reason(REASONS[0])


# A program that reads sentences takes names for reasons.


@pytest.fixture
def brains(example: Collaboration) -> Collaboration:
    """The project ``frozen-brains``, which the team ``frozen-tissue`` writes."""

    def add(document: dict[str, Any]) -> None:
        document["teams"]["frozen-tissue"] = {"title": "Frozen tissue", "groups": ["/frozen"]}
        project = document["projects"]["nhp-navigation"]
        document["projects"]["frozen-brains"] = {
            **project,
            "prefix": "frozen-brains/",
            "teams": {"frozen-tissue": "write", "theory-lab": "read"},
            "frozen": ["frozen-brains/release/"],
        }

    return changed(example, add)


@pytest.mark.parametrize(
    ("team", "frozen"),
    [
        ("theory-lab", {"frozen-brains/live": False, "frozen-brains/release": False}),
        ("frozen-tissue", {"frozen-brains/live": False, "frozen-brains/release": True}),
    ],
)
def test_a_name_with_frozen_in_it_freezes_no_dataset(
    brains: Collaboration, now: datetime, team: str, frozen: dict[str, bool]
) -> None:
    access = decide_access(brains, Person.of("ann", [team]), "frozen-brains", now)
    began = datetime(2026, 11, 1, tzinfo=UTC)
    uploads = tuple(
        UploadNote(dataset=dataset, by="ann", began=began, files_count=1, size=1)
        for dataset in ("live", "release")
    )
    prefix = "s3://learning-circuits/frozen-brains/"
    found = make_dataset_rows(
        "frozen-brains", prefix, CatalogListing((), uploads, ()), access.denied
    )
    assert {one.name: one.frozen for one in found} == frozen


def test_a_denial_covers_what_lies_below_it_alone() -> None:
    denial = Denial("write", "prefix", "s3://lab/nav/a/", "nav", (Reason("frozen", "nav"),))
    assert denial.covers("write", StorageLocation.parse("s3://lab/nav/a/x"))
    assert not denial.covers("read", StorageLocation.parse("s3://lab/nav/a/x"))
    assert not denial.covers("write", StorageLocation.parse("s3://lab/nav/ab/x"))
