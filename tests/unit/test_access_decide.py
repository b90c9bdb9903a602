"""Every rule of the example file, with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from collaborations import changed

from panneuro_hub.access import (
    Access,
    Person,
    WorkerLimits,
    decide_access,
    decide_all_accesses,
    decide_widest_access,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import make_slug
from panneuro_hub.wire import Denial, Reason

BUCKET = "s3://learning-circuits/"
EMBARGO = datetime(2027, 6, 1, tzinfo=UTC)


@pytest.fixture
def ask(example: Collaboration, now: datetime):
    def decide_for(project: str, *teams: str, name: str = "ann", at: datetime = now) -> Access:
        return decide_access(example, Person.of(name, teams), project, at)

    return decide_for


def modes(access: Access) -> dict[str, str]:
    return {grant.prefix.removeprefix(BUCKET): grant.mode for grant in access.grants}


def reasons(access: Access) -> dict[str, tuple[Reason, ...]]:
    return {grant.prefix.removeprefix(BUCKET): grant.reasons for grant in access.grants}


def not_in(team: str, level: str, project: str = "nhp-navigation") -> Reason:
    return Reason("not-in-team", project, teams=(team,), level=level)


def has(*teams: str, level: str, project: str = "nhp-navigation") -> Reason:
    return Reason("team-has-level", project, teams=teams, level=level)


def test_manage_in_the_own_project(ask) -> None:
    access = ask("nhp-navigation", "navigation-lab")
    assert access.level == "manage"
    assert access.reasons == (has("navigation-lab", level="manage"),)
    assert modes(access) == {
        "nhp-navigation/": "write",
        "shared-stimuli/": "read",
        "scratch/nhp-navigation/ann/": "write",
    }
    assert reasons(access)["shared-stimuli/"] == (
        Reason("project-reads", "nhp-navigation", other="shared-stimuli"),
        Reason(
            "every-team-has-level",
            "shared-stimuli",
            teams=("navigation-lab",),
            level="read",
            collaboration="learning-circuits",
        ),
    )
    assert reasons(access)["scratch/nhp-navigation/ann/"] == (
        Reason("own-scratch", "nhp-navigation", detail="30d"),
    )
    assert [grant.project for grant in access.grants] == [
        "nhp-navigation",
        "shared-stimuli",
        "nhp-navigation",
    ]


def test_read_level_reads_and_says_who_writes(ask) -> None:
    access = ask("nhp-navigation", "theory-lab")
    assert access.level == "read"
    assert modes(access)["nhp-navigation/"] == "read"
    needs = (not_in("navigation-lab", "manage"), not_in("data-science-core", "write"))
    assert [denial for denial in access.denied if denial.action == "write"] == [
        Denial("write", "prefix", f"{BUCKET}nhp-navigation/", "nhp-navigation", needs)
    ]


def test_the_highest_level_counts(ask) -> None:
    access = ask("nhp-navigation", "theory-lab", "data-science-core")
    assert access.level == "write"
    assert access.reasons == (has("data-science-core", level="write"),)


def test_all_teams_that_give_the_level_are_named(example: Collaboration, now: datetime) -> None:
    def raise_theory(document: dict) -> None:
        document["projects"]["nhp-navigation"]["teams"]["theory-lab"] = "write"

    person = Person.of("ann", ["theory-lab", "data-science-core"])
    access = decide_access(changed(example, raise_theory), person, "nhp-navigation", now)
    assert access.reasons == (has("data-science-core", "theory-lab", level="write"),)


def test_no_team_no_access(ask) -> None:
    access = ask("nhp-navigation")
    assert access.level is None
    assert (access.grants, access.profiles, access.images, access.dask) == ((), (), (), None)
    assert access.budget is None
    assert access.reasons == (
        Reason("in-no-team", "nhp-navigation", collaboration="learning-circuits"),
    )
    needs = (
        not_in("navigation-lab", "manage"),
        not_in("data-science-core", "write"),
        not_in("theory-lab", "read"),
    )
    prefix = f"{BUCKET}nhp-navigation/"
    assert access.denied == (Denial("read", "prefix", prefix, "nhp-navigation", needs),)


def test_the_wrong_team_is_told_the_right_ones(ask) -> None:
    assert ask("nhp-navigation", "human-lab").reasons == (
        not_in("navigation-lab", "manage"),
        not_in("data-science-core", "write"),
        not_in("theory-lab", "read"),
    )


def test_an_ended_membership_is_named_with_its_day(ask) -> None:
    name = "Rotating.Student@uni.example"
    end = datetime(2027, 1, 31, tzinfo=UTC)
    before = ask("nhp-navigation", "navigation-lab", name=name, at=end - timedelta(seconds=1))
    assert before.level == "manage"
    after = ask("nhp-navigation", "navigation-lab", name=name, at=end)
    assert after.level is None
    ended = replace(
        not_in("navigation-lab", "manage"), code="membership-ended", ended=date(2027, 1, 31)
    )
    assert after.reasons == (ended,)
    assert after.grants == ()


def test_requires_refuses_whatever_the_level(ask) -> None:
    access = ask("human-intracranial", "human-lab")
    assert access.level is None
    missing = Reason(
        "not-in-required-team", "human-intracranial", teams=("human-subjects-trained",)
    )
    assert access.reasons == (missing,)
    prefix = f"{BUCKET}human-intracranial/"
    assert access.denied == (Denial("read", "prefix", prefix, "human-intracranial", (missing,)),)


def test_requires_alone_gives_nothing(ask) -> None:
    access = ask("human-intracranial", "human-subjects-trained")
    assert access.level is None
    assert access.reasons == (
        not_in("human-lab", "manage", "human-intracranial"),
        not_in("data-science-core", "read", "human-intracranial"),
    )


def test_an_ended_required_membership(example: Collaboration, now: datetime) -> None:
    def expire(document: dict) -> None:
        document["teams"]["human-subjects-trained"]["expires"]["ann"] = "2026-11-22"

    person = Person.of("ann", ["human-lab", "human-subjects-trained"])
    access = decide_access(changed(example, expire), person, "human-intracranial", now)
    assert access.level is None
    assert access.reasons == (
        Reason(
            "required-membership-ended",
            "human-intracranial",
            teams=("human-subjects-trained",),
            ended=date(2026, 11, 22),
        ),
    )


def test_every_required_team_is_needed(example: Collaboration, now: datetime) -> None:
    def require(document: dict) -> None:
        document["projects"]["human-intracranial"]["requires"].append("theory-lab")

    person = Person.of("ann", ["human-lab", "human-subjects-trained"])
    access = decide_access(changed(example, require), person, "human-intracranial", now)
    assert access.level is None
    assert access.reasons == (
        Reason("not-in-required-team", "human-intracranial", teams=("theory-lab",)),
    )


def test_frozen_is_readable_and_not_writable(ask) -> None:
    access = ask("human-intracranial", "human-lab", "human-subjects-trained")
    assert access.level == "manage"
    assert access.reasons == (
        has("human-lab", level="manage", project="human-intracranial"),
        Reason("requirement-met", "human-intracranial", teams=("human-subjects-trained",)),
    )
    assert modes(access) == {
        "human-intracranial/": "write",
        "human-intracranial/release-2026/": "read",
        "scratch/human-intracranial/ann/": "write",
    }
    frozen = (Reason("frozen", "human-intracranial"),)
    prefix = f"{BUCKET}human-intracranial/release-2026/"
    assert Denial("write", "prefix", prefix, "human-intracranial", frozen) in access.denied


def test_frozen_needs_no_grant_of_its_own_for_readers(ask) -> None:
    access = ask("human-intracranial", "data-science-core", "human-subjects-trained")
    assert access.level == "read"
    assert modes(access) == {
        "human-intracranial/": "read",
        "scratch/human-intracranial/ann/": "write",
    }


def test_a_project_frozen_as_a_whole_is_read_only(example: Collaboration, now: datetime) -> None:
    def freeze(document: dict) -> None:
        document["projects"]["nhp-navigation"]["frozen"] = ["nhp-navigation/"]

    access = decide_access(
        changed(example, freeze), Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    own = [grant.mode for grant in access.grants if grant.prefix == f"{BUCKET}nhp-navigation/"]
    assert own == ["read"]


def test_every_team_reads_what_is_for_every_team(ask, example: Collaboration) -> None:
    for team in example.teams:
        access = ask("shared-stimuli", team)
        assert access.level == ("manage" if team == "data-science-core" else "read")
    [reason] = ask("shared-stimuli", "theory-lab").reasons
    assert (reason.code, reason.teams) == ("every-team-has-level", ("theory-lab",))
    assert ask("shared-stimuli").level is None
    assert ask("shared-stimuli", "unknown", "*").level is None


def test_the_embargo_ends_at_midnight_utc(ask) -> None:
    before = ask("nhp-categorization", "theory-lab", at=EMBARGO - timedelta(microseconds=1))
    assert before.level is None
    embargo = has("theory-lab", level="read", project="nhp-categorization")
    embargo = replace(embargo, embargo=EMBARGO.date())
    assert before.reasons == (replace(embargo, code="under-embargo"),)
    after = ask("nhp-categorization", "theory-lab", at=EMBARGO)
    assert after.level == "read"
    assert after.reasons == (embargo,)


def test_the_embargo_does_not_hold_the_teams_of_the_project(ask) -> None:
    assert ask("nhp-categorization", "categorization-lab").level == "manage"


def test_reads_obeys_the_other_projects_rules(example: Collaboration, now: datetime) -> None:
    def read_all(document: dict) -> None:
        document["projects"]["nhp-navigation"]["reads"] = [
            "human-intracranial",
            "nhp-categorization",
        ]

    collaboration = changed(example, read_all)
    teams = ["navigation-lab", "data-science-core", "theory-lab"]
    access = decide_access(collaboration, Person.of("ann", teams), "nhp-navigation", now)
    assert modes(access) == {
        "nhp-navigation/": "write",
        "nhp-categorization/": "read",
        "scratch/nhp-navigation/ann/": "write",
    }
    reasons = (
        Reason("project-reads", "nhp-navigation", other="human-intracranial"),
        Reason("not-in-required-team", "human-intracranial", teams=("human-subjects-trained",)),
    )
    prefix = f"{BUCKET}human-intracranial/"
    assert Denial("read", "prefix", prefix, "human-intracranial", reasons) in access.denied
    only_theory = Person.of("ann", ["theory-lab"])
    assert "nhp-categorization/" not in modes(
        decide_access(collaboration, only_theory, "nhp-navigation", now)
    )
    assert "nhp-categorization/" in modes(
        decide_access(collaboration, only_theory, "nhp-navigation", EMBARGO)
    )


def test_a_project_in_another_store_is_out_of_reach(example: Collaboration, now: datetime) -> None:
    def move(document: dict) -> None:
        document["stores"]["other"] = {**document["stores"]["main"], "bucket": "elsewhere"}
        document["projects"]["shared-stimuli"]["store"] = "other"

    access = decide_access(
        changed(example, move), Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    assert not [grant for grant in access.grants if "elsewhere" in grant.prefix]
    apart = Reason("other-store", "nhp-navigation", other="shared-stimuli", names=("other", "main"))
    prefix = "s3://elsewhere/shared-stimuli/"
    assert Denial("read", "prefix", prefix, "shared-stimuli", (apart,)) in access.denied


def test_no_scratch_where_the_store_has_none(example: Collaboration, now: datetime) -> None:
    def drop(document: dict) -> None:
        document["stores"]["main"]["scratch"] = None

    person = Person.of("ann", ["navigation-lab"])
    access = decide_access(changed(example, drop), person, "nhp-navigation", now)
    assert set(modes(access)) == {"nhp-navigation/", "shared-stimuli/"}


@pytest.mark.parametrize("name", ["../bob", "bob/", "*", "Bob", "${aws:username}", ""])
def test_a_name_from_outside_stays_in_its_own_scratch(ask, name: str) -> None:
    access = ask("nhp-navigation", "navigation-lab", name=name)
    prefix = f"{BUCKET}scratch/nhp-navigation/{make_slug(name)}/"
    assert [grant.prefix for grant in access.grants if "scratch" in grant.prefix] == [prefix]
    assert make_slug(name) not in ("bob", "..", "")


# Profiles, images and limits


def test_profiles_for_every_team_with_the_default_first(ask) -> None:
    access = ask("nhp-navigation", "navigation-lab")
    assert [offer.name for offer in access.profiles] == ["small", "large"]
    assert access.profiles[0].reasons == (
        Reason("offers-all", "nhp-navigation", kind="profile"),
        Reason("for-every-team", "nhp-navigation"),
    )
    teams = ("theory-lab", "data-science-core")
    not_yours = (Reason("not-in-using-team", "nhp-navigation", teams=teams),)
    assert Denial("use", "profile", "gpu", "nhp-navigation", not_yours) in access.denied


def test_a_profile_for_some_teams(ask) -> None:
    access = ask("nhp-navigation", "theory-lab")
    assert [offer.name for offer in access.profiles] == ["small", "large", "gpu"]
    assert access.profiles[2].reasons == (
        Reason("offers-all", "nhp-navigation", kind="profile"),
        Reason("team-may-use", "nhp-navigation", teams=("theory-lab",)),
    )


def test_a_project_offers_only_its_profiles(ask) -> None:
    access = ask("human-intracranial", "data-science-core", "human-subjects-trained")
    assert [offer.name for offer in access.profiles] == ["small", "large"]
    only = Reason("not-offered", "human-intracranial", kind="profile", names=("small", "large"))
    assert Denial("use", "profile", "gpu", "human-intracranial", (only,)) in access.denied


def test_an_ended_membership_takes_its_profile(example: Collaboration, now: datetime) -> None:
    def expire(document: dict) -> None:
        document["teams"]["theory-lab"]["expires"]["ann"] = "2026-01-01"

    person = Person.of("ann", ["navigation-lab", "theory-lab"])
    access = decide_access(changed(example, expire), person, "nhp-navigation", now)
    ended = Reason(
        "using-membership-ended",
        "nhp-navigation",
        teams=("theory-lab",),
        ended=date(2026, 1, 1),
    )
    assert Denial("use", "profile", "gpu", "nhp-navigation", (ended,)) in access.denied


def test_the_default_comes_first_wherever_it_stands(example: Collaboration, now: datetime) -> None:
    def swap(document: dict) -> None:
        document["profiles"]["small"]["default"] = False
        document["profiles"]["gpu"]["default"] = True

    collaboration = changed(example, swap)

    def names(team: str) -> list[str]:
        access = decide_access(collaboration, Person.of("ann", [team]), "nhp-navigation", now)
        return [offer.name for offer in access.profiles]

    assert names("theory-lab") == ["gpu", "small", "large"]
    assert names("navigation-lab") == ["small", "large"]


def test_no_profile_left_is_said(example: Collaboration, now: datetime) -> None:
    def only_gpu(document: dict) -> None:
        document["projects"]["nhp-navigation"]["profiles"] = ["gpu"]

    access = decide_access(
        changed(example, only_gpu), Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    assert access.profiles == ()
    assert access.level == "manage"
    none = Reason("none-offered", "nhp-navigation", kind="profile")
    assert Denial("start", "server", "", "nhp-navigation", (none,)) in access.denied


def test_images(ask, example: Collaboration, now: datetime) -> None:
    access = ask("nhp-navigation", "navigation-lab")
    assert [(offer.name, offer.reasons) for offer in access.images] == [
        ("neuro", (Reason("offers-all", "nhp-navigation", kind="image"),))
    ]

    def add(document: dict) -> None:
        document["images"]["other"] = {"title": "Other", "image": "other:1"}
        document["projects"]["nhp-navigation"]["images"] = ["other"]

    access = decide_access(
        changed(example, add), Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    assert [offer.name for offer in access.images] == ["other"]
    only = Reason("not-offered", "nhp-navigation", kind="image", names=("other",))
    assert Denial("use", "image", "neuro", "nhp-navigation", (only,)) in access.denied


def test_a_hub_without_images_misses_none(example: Collaboration, now: datetime) -> None:
    def drop(document: dict) -> None:
        document["images"] = {}

    access = decide_access(
        changed(example, drop), Person.of("ann", ["navigation-lab"]), "nhp-navigation", now
    )
    assert access.images == ()
    assert not [denial for denial in access.denied if denial.kind == "image"]


def test_dask_limits_of_the_collaboration(ask) -> None:
    limits = ask("nhp-navigation", "theory-lab").dask
    assert limits is not None
    assert (limits.max_workers, limits.max_cores, limits.max_memory) == (50, 200, 800 * 1024**3)
    assert limits.per_person == WorkerLimits()
    assert limits.worker_profiles == ("standard",)
    assert limits.idle_timeout == timedelta(minutes=30)
    assert limits.reasons == (
        Reason("collaboration-limits", "nhp-navigation", collaboration="learning-circuits"),
    )


def test_a_project_overrides_field_by_field(example: Collaboration, now: datetime) -> None:
    def override(document: dict) -> None:
        document["dask"]["max_cores"] = None
        document["projects"]["nhp-navigation"]["dask"] = {
            "max_workers": 0,
            "idle_timeout": "5m",
            "worker_profiles": [],
            "per_person": {"max_workers": 3},
        }
        document["dask"]["per_person"] = {"max_workers": 20, "max_cores": 80}

    limits = decide_access(
        changed(example, override), Person.of("ann", ["theory-lab"]), "nhp-navigation", now
    ).dask
    assert limits is not None
    assert (limits.max_workers, limits.max_cores, limits.max_memory) == (0, None, 800 * 1024**3)
    assert limits.worker_profiles == ()
    assert limits.idle_timeout == timedelta(minutes=5)
    own = ("idle_timeout", "max_workers", "per_person", "worker_profiles")
    assert limits.reasons[-1] == Reason("project-limits", "nhp-navigation", names=own)
    assert limits.pooled == WorkerLimits(0, None, 800 * 1024**3)
    assert limits.per_person == WorkerLimits(3, 80, None)


def test_the_budget(ask) -> None:
    budget = ask("nhp-navigation", "theory-lab").budget
    assert budget is not None
    assert (budget.usd_per_month, budget.when_spent) == (900, "warn")
    assert ask("shared-stimuli", "theory-lab").budget is None


# Around it


def test_a_project_that_there_is_not(ask) -> None:
    access = ask("no/such", "navigation-lab")
    assert access.level is None
    projects = (
        "nhp-navigation",
        "nhp-categorization",
        "human-intracranial",
        "shared-stimuli",
    )
    assert access.reasons == (Reason("unknown-project", "no/such", names=projects),)
    assert access.grants == ()
    assert access.denied == (Denial("open", "project", "no/such", "no/such", access.reasons),)


def test_a_naive_moment_is_refused(example: Collaboration) -> None:
    naive = datetime(2027, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        decide_access(example, Person("ann"), "nhp-navigation", naive)
    with pytest.raises(ValueError, match="no time zone"):
        decide_all_accesses(example, Person("ann"), naive)


def test_decide_all_is_decide_for_every_project(example: Collaboration, now: datetime) -> None:
    person = Person.of("ann", ["theory-lab"])
    assert decide_all_accesses(example, person, now) == {
        project: decide_access(example, person, project, now) for project in example.projects
    }


def test_two_accesses_that_differ_only_in_time_are_equal(
    example: Collaboration, now: datetime
) -> None:
    person = Person.of("ann", ["theory-lab"])
    later = decide_access(example, person, "nhp-navigation", now + timedelta(days=1))
    assert decide_access(example, person, "nhp-navigation", now) == later


def test_the_widest_access_has_every_grant(example: Collaboration) -> None:
    access = decide_widest_access(example, "nhp-categorization")
    assert access.level == "manage"
    assert len(make_slug(access.person.name)) == 63
    own = [grant.prefix for grant in access.grants if "scratch" in grant.prefix]
    assert own == [f"{BUCKET}scratch/nhp-categorization/{make_slug(access.person.name)}/"]
