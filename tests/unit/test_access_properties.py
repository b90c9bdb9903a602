"""What must hold for any collaboration, person, team set, project and moment."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations

from collaborations import (
    PROJECTS,
    TEAMS,
    collaborations,
    moments,
    people,
    problems,
    team_sets,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from panneuro_hub.access import (
    Access,
    Person,
    build_session_view,
    check_path,
    decide_access,
    decide_all_accesses,
    find_active_teams,
)
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.names import make_slug
from panneuro_hub.policy import build_session_policy
from panneuro_hub.policy.policy_size import find_longest_grants
from panneuro_hub.wire import SessionView
from panneuro_hub.wording import describe_denial, describe_reasons, view_document

projects = st.sampled_from(list(PROJECTS)) | st.text(max_size=8)
RANK = {None: 0, "read": 1, "write": 2, "manage": 3}


def places(collaboration: Collaboration) -> list[str]:
    """URIs in and around every place of the collaboration."""
    keys = ["scratch/", "scratch/one/ann/x", "elsewhere/x"]
    for project in collaboration.projects.values():
        for prefix in (project.prefix, *project.frozen):
            keys += [prefix, f"{prefix}x/y", prefix[:-1], f"{prefix[:-1]}b/x", f"{prefix[:-2]}/x"]
    return [f"s3://lab/{key}" for key in dict.fromkeys(keys)]


def reach(collaboration: Collaboration, access: Access) -> dict[str, int]:
    """0, 1 or 2 by URI: nothing, read, read and write."""
    verdicts = {uri: check_path(collaboration, access, uri) for uri in places(collaboration)}
    assert all(verdict.read or not verdict.write for verdict in verdicts.values())
    return {uri: verdict.read + verdict.write for uri, verdict in verdicts.items()}


@given(collaborations())
def test_the_collaborations_of_these_tests_are_ones_that_load(collaboration: Collaboration) -> None:
    # What has no say in access is left to chance: an embargo that holds nothing back.
    found = [
        message
        for message in problems(collaboration)
        if "embargo holds nothing back" not in message
    ]
    assert found == []


@given(collaborations(), people, projects, moments)
def test_decide_answers_with_reasons_whatever_is_asked(
    collaboration: Collaboration, person: Person, project: str, now: datetime
) -> None:
    access = decide_access(collaboration, person, project, now)
    assert describe_reasons(access.reasons)
    for thing in (*access.grants, *access.denied, *access.profiles, *access.images):
        assert describe_reasons(thing.reasons)
    if access.level is None:
        assert access.denied
        assert (access.grants, access.profiles, access.images, access.dask) == ((), (), (), None)
    else:
        assert access.grants
        assert access.dask
        assert describe_reasons(access.dask.reasons)
    assert all(map(describe_denial, access.denied))
    for uri in places(collaboration):
        assert describe_reasons(check_path(collaboration, access, uri).reasons)
    view = build_session_view(
        collaboration, access, decide_all_accesses(collaboration, person, now)
    )
    assert SessionView.from_json(view.to_json()) == view
    assert SessionView.from_json(view_document(view)) == view


@given(collaborations(), people, st.sampled_from(list(PROJECTS)), moments)
def test_grants_stay_inside_the_project_its_reads_and_the_own_scratch(
    collaboration: Collaboration, person: Person, name: str, now: datetime
) -> None:
    project = collaboration.projects[name]
    own = [f"s3://lab/{project.prefix}", f"s3://lab/scratch/{name}/{make_slug(person.name)}/"]
    others = [f"s3://lab/{collaboration.projects[other].prefix}" for other in project.reads]
    frozen = tuple(f"s3://lab/{prefix}" for prefix in project.frozen)
    for grant in decide_access(collaboration, person, name, now).grants:
        if grant.mode == "write":
            assert grant.prefix in own
            assert not grant.prefix.startswith(frozen)
        else:
            assert grant.prefix in (own[0], *others, *frozen)


@given(collaborations(), people, st.sampled_from(list(PROJECTS)), moments)
def test_nobody_writes_in_frozen_places_or_in_other_projects(
    collaboration: Collaboration, person: Person, name: str, now: datetime
) -> None:
    access = decide_access(collaboration, person, name, now)
    for other, project in collaboration.projects.items():
        closed = [*project.frozen] if other == name else [project.prefix]
        for prefix in closed:
            assert not check_path(collaboration, access, f"s3://lab/{prefix}x").write


@given(collaborations(), people, moments)
def test_who_is_in_no_active_team_has_nothing(
    collaboration: Collaboration, person: Person, now: datetime
) -> None:
    if not find_active_teams(collaboration, person, now):
        accesses = decide_all_accesses(collaboration, person, now).values()
        assert [access for access in accesses if access.level or access.grants] == []


@given(collaborations(), st.sampled_from(list(PROJECTS)), people, team_sets, moments)
def test_more_teams_never_take_anything_away(
    collaboration: Collaboration, project: str, person: Person, more: frozenset[str], now: datetime
) -> None:
    fewer = decide_access(collaboration, person, project, now)
    wider = decide_access(collaboration, Person(person.name, person.teams | more), project, now)
    assert RANK[fewer.level] <= RANK[wider.level]
    before, after = reach(collaboration, fewer), reach(collaboration, wider)
    assert [uri for uri in before if before[uri] > after[uri]] == []
    assert {offer.name for offer in fewer.profiles} <= {offer.name for offer in wider.profiles}
    assert {offer.name for offer in fewer.images} <= {offer.name for offer in wider.images}


@given(collaborations(), st.sampled_from(list(PROJECTS)), people, moments)
def test_a_project_is_read_through_another_only_by_who_may_read_it(
    collaboration: Collaboration, project: str, person: Person, now: datetime
) -> None:
    levels = {
        name: access.level
        for name, access in decide_all_accesses(collaboration, person, now).items()
    }
    access = decide_access(collaboration, person, project, now)
    reads = {
        grant.project
        for grant in access.grants
        if grant.mode == "read" and grant.project != project
    }
    may = {other for other in collaboration.projects[project].reads if levels[other]}
    assert reads == (may if levels[project] else set())


@settings(max_examples=40)
@given(collaborations(), st.sampled_from(list(PROJECTS)), moments)
def test_nobodys_policy_is_longer_than_the_one_that_is_reviewed(
    collaboration: Collaboration, project: str, now: datetime
) -> None:
    longest = len(build_session_policy(find_longest_grants(collaboration, project)))
    for size in range(1, len(TEAMS) + 1):
        for teams in combinations(TEAMS, size):
            access = decide_access(collaboration, Person.of("Ann " * 20, teams), project, now)
            assert len(build_session_policy(access.grants)) <= longest
