"""The demo's collaboration: the example's, with this machine's store and the demo's people."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from panneuro_hub.access import (
    Person,
    decide_all_accesses,
    find_active_teams,
    is_hub_admin,
    map_groups_to_teams,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import load_collaboration
from panneuro_hub.devstack.samples.collaboration_file import StoreAddress, write_collaboration
from panneuro_hub.devstack.samples.people import MEMBERSHIPS_THAT_ENDED, PEOPLE, find_person

ADDRESS = StoreAddress(
    endpoint_url="http://127.0.0.1:8333",
    bucket="a-bucket",
    region="us-east-1",
    role_arn="arn:aws:iam::000000000000:role/demo",
)
NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def collaboration(tmp_path: Path) -> Collaboration:
    write_collaboration(tmp_path / "collaboration.yaml", ADDRESS, MEMBERSHIPS_THAT_ENDED)
    return load_collaboration(tmp_path / "collaboration.yaml")


def levels(collaboration: Collaboration, name: str) -> dict[str, str]:
    teams = map_groups_to_teams(collaboration, find_person(name).groups)
    accesses = decide_all_accesses(collaboration, Person.of(name, teams), NOW)
    return {project: access.level for project, access in accesses.items() if access.level}


def test_template_is_the_example(example_file: Path) -> None:
    template = resources.files("panneuro_hub.devstack.samples") / "collaboration.yaml"

    assert template.read_text() == example_file.read_text()


def test_only_the_store_and_the_ended_memberships_differ(
    collaboration: Collaboration, example_file: Path
) -> None:
    example = load_collaboration(example_file).model_dump()
    example["stores"]["main"].update(
        endpoint_url="http://127.0.0.1:8333",
        bucket="a-bucket",
        region="us-east-1",
        role_arn="arn:aws:iam::000000000000:role/demo",
    )
    written = collaboration.model_dump()
    noors = written["teams"]["categorization-lab"]["expires"].pop("noor")

    assert noors < NOW.date()
    assert written == example


def test_comments_stay(tmp_path: Path) -> None:
    write_collaboration(tmp_path / "collaboration.yaml", ADDRESS, MEMBERSHIPS_THAT_ENDED)

    assert "# what live keys can outlast" in (tmp_path / "collaboration.yaml").read_text()


def test_every_group_of_the_people_is_of_a_team(collaboration: Collaboration) -> None:
    for someone in PEOPLE:
        for group in someone.groups:
            assert map_groups_to_teams(collaboration, [group]), f"{someone.name}: {group}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ada", {"nhp-navigation": "manage", "shared-stimuli": "read"}),
        ("grace", {"human-intracranial": "manage", "shared-stimuli": "read"}),
        ("hugo", {"shared-stimuli": "read"}),
        ("tomas", {"nhp-navigation": "read", "shared-stimuli": "read"}),
        (
            "mina",
            {
                "nhp-navigation": "write",
                "nhp-categorization": "write",
                "human-intracranial": "read",
                "shared-stimuli": "manage",
            },
        ),
        ("noor", {"nhp-navigation": "manage", "shared-stimuli": "read"}),
        ("pat", {"shared-stimuli": "read"}),
        ("zoe", {}),
    ],
)
def test_people_can_do_what_is_said_of_them(
    collaboration: Collaboration, name: str, expected: dict[str, str]
) -> None:
    assert levels(collaboration, name) == expected


def test_only_pat_is_an_admin(collaboration: Collaboration) -> None:
    admins = [
        someone.name
        for someone in PEOPLE
        if is_hub_admin(
            collaboration,
            Person.of(someone.name, map_groups_to_teams(collaboration, someone.groups)),
            NOW,
        )
    ]

    assert admins == ["pat"]


def test_noors_rotation_is_over(collaboration: Collaboration) -> None:
    teams = map_groups_to_teams(collaboration, find_person("noor").groups)

    assert teams == {"navigation-lab", "categorization-lab"}
    assert find_active_teams(collaboration, Person.of("noor", teams), NOW) == {"navigation-lab"}
