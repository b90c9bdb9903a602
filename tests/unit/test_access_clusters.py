"""What a cluster may be: a worker profile and an image of its project, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from collaborations import changed, collaborations, moments, people
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.access import ClusterChoice, Person, check_cluster_choice, decide_access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError

ADA = Person.of("ada", ["navigation-lab"])


def choose(
    collaboration: Collaboration,
    now: datetime,
    profile: str = "standard",
    image: str | None = "neuro",
    person: Person = ADA,
    project: str = "nhp-navigation",
) -> ClusterChoice:
    access = decide_access(collaboration, person, project, now)
    return check_cluster_choice(collaboration, access, profile, image)


def test_what_the_project_offers(example: Collaboration, now: datetime) -> None:
    assert choose(example, now) == ClusterChoice("nhp-navigation", "standard", "neuro")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"project": "human-intracranial"}, "not-in-required-team"),
        ({"project": "no-such"}, "unknown-project"),
        ({"person": Person.of("eve", [])}, "in-no-team"),
        ({"profile": "small"}, "not-offered"),
        ({"profile": ""}, "not-offered"),
        ({"profile": "x" * 10_000}, "not-offered"),
        ({"image": "other"}, "not-offered"),
        ({"image": ""}, "not-offered"),
        ({"image": "panneuro/notebook:2026.11"}, "not-offered"),
    ],
)
def test_what_it_does_not_offer(
    example: Collaboration, now: datetime, asked: dict[str, Any], code: str
) -> None:
    with pytest.raises(AccessDeniedError) as denied:
        choose(example, now, **asked)
    assert code in denied.value.reason_codes
    assert len(str(denied.value)) < 400


def test_an_image_is_chosen_where_there_are_images(example: Collaboration, now: datetime) -> None:
    with pytest.raises(InvalidChoiceError, match="choose an image; nhp-navigation offers neuro"):
        choose(example, now, image=None)
    without = changed(example, lambda document: document.update(images={}))
    assert choose(without, now, image=None).image is None
    with pytest.raises(InvalidChoiceError, match="lists no images"):
        choose(without, now)


def test_a_project_without_images_or_worker_profiles(example: Collaboration, now: datetime) -> None:
    def no_images(document: dict[str, Any]) -> None:
        document["projects"]["nhp-navigation"]["images"] = []

    for image in ("neuro", None):
        with pytest.raises(AccessDeniedError, match="no image remains") as denied:
            choose(changed(example, no_images), now, image=image)
        assert denied.value.reason_codes == ("none-offered",)

    def no_workers(document: dict[str, Any]) -> None:
        document["projects"]["nhp-navigation"]["dask"] = {"worker_profiles": []}

    with pytest.raises(AccessDeniedError, match="no worker profile remains"):
        choose(changed(example, no_workers), now)


NAMES = st.sampled_from(["standard", "neuro", "small", "gpu", ""]) | st.text(max_size=5)


@given(
    collaborations(),
    people,
    st.sampled_from(["one", "two", "no-such"]),
    moments,
    NAMES,
    st.none() | NAMES,
)
def test_nothing_is_chosen_that_access_does_not_offer(
    collaboration: Collaboration,
    person: Person,
    project: str,
    moment: datetime,
    profile: str,
    image: str | None,
) -> None:
    def with_workers(document: dict[str, Any]) -> None:
        worker = {"title": "Standard", "cpu": 1, "memory": "1G"}
        document["dask"] = {"worker_profiles": {"standard": worker}}

    collaboration = changed(collaboration, with_workers)
    access = decide_access(collaboration, person, project, moment)
    try:
        choice = check_cluster_choice(collaboration, access, profile, image)
    except (AccessDeniedError, InvalidChoiceError):
        return
    assert access.level is not None
    assert choice.project == project
    assert choice.profile in access.dask.worker_profiles  # type: ignore[union-attr]
    assert choice.image in {offer.name for offer in access.images} | {None}
    assert (choice.image is None) <= (not collaboration.images)
