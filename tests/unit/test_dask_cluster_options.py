"""What a person may choose for a cluster, through the very steps that the gateway takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dask_gateway.options
import pytest
from collaborations import changed
from dask_gateway_server.options import Options
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.dask.cluster_config import CHOICE_KEY
from panneuro_hub.dask.cluster_options import check_environment, make_cluster_options
from panneuro_hub.dask.session_user import SessionUser
from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError, PanNeuroError
from panneuro_hub.wire.cluster_reports import GatewayUser

ADA = SessionUser(GatewayUser("ada", ("navigation-lab",)))
STUDENT = SessionUser(GatewayUser("sam", ()))
STIMULI = {"project": "shared-stimuli"}
Ask = Callable[..., Any]


@pytest.fixture
def offered(example: Collaboration, now: datetime) -> Ask:
    async def options(user: SessionUser, collaboration: Collaboration = example) -> Options:
        return await make_cluster_options(lambda: collaboration, lambda: now)(user)

    return options


@pytest.fixture
def ask(offered: Ask) -> Ask:
    """What comes of a request, as dask-gateway's backends work it out."""

    async def answer(request: Any, user: SessionUser = ADA, **more: Any) -> dict[str, Any]:
        options = await offered(user, **more)
        return options.get_configuration(options.parse_options(request), user)

    return answer


async def test_what_is_offered(offered: Ask) -> None:
    spec = (await offered(ADA)).get_specification()
    assert {field["field"]: (field["default"], field["spec"]) for field in spec} == {
        "project": ("", {"type": "select", "options": ["", "nhp-navigation", "shared-stimuli"]}),
        "profile": ("standard", {"type": "select", "options": ["standard"]}),
        "image": ("neuro", {"type": "select", "options": ["neuro"]}),
        "environment": ({}, {"type": "mapping"}),
    }
    assert dict(dask_gateway.options.Options._from_spec(spec))["project"] == ""


async def test_nothing_is_offered_to_who_has_nothing(offered: Ask) -> None:
    spec = json.loads(json.dumps((await offered(STUDENT)).get_specification()))
    assert dict(dask_gateway.options.Options._from_spec(spec)) == {
        "project": "", "profile": "", "image": "", "environment": {},
    }  # fmt: skip


async def test_a_choice(ask: Ask) -> None:
    assert await ask({**STIMULI, "environment": {"OMP_NUM_THREADS": "1"}}) == {
        CHOICE_KEY: {"project": "shared-stimuli", "profile": "standard", "image": "neuro"},
        "environment": {"OMP_NUM_THREADS": "1"},
    }


async def test_the_only_project_is_taken_and_none_is_invented(
    ask: Ask, example: Collaboration
) -> None:
    with pytest.raises(
        InvalidChoiceError, match="choose a project; yours are nhp-navigation and shared-stimuli"
    ):
        await ask({})

    def close(document: dict[str, Any]) -> None:
        document["projects"]["shared-stimuli"]["teams"] = {"data-science-core": "manage"}

    taken = await ask({}, collaboration=changed(example, close))
    assert taken[CHOICE_KEY]["project"] == "nhp-navigation"


def in_session(project: str, image: str | None = None) -> SessionUser:
    """Return Ada as the token of a session of hers shows her."""
    return SessionUser(GatewayUser("ada", ("navigation-lab",), project, image))


@pytest.mark.parametrize("project", ["nhp-navigation", "shared-stimuli"])
async def test_a_session_is_offered_its_own_project_and_gets_it_unasked(
    offered: Ask, ask: Ask, project: str
) -> None:
    user = in_session(project)
    spec = (await offered(user)).get_specification()
    assert dict(dask_gateway.options.Options._from_spec(spec))["project"] == project
    for request in ({}, {"project": ""}, {"project": None}, {"project": project}):
        assert (await ask(request, user))[CHOICE_KEY]["project"] == project


@pytest.mark.parametrize(
    "other",
    ["shared-stimuli", "human-intracranial", "no-such", "nhp-navigation/", "NHP-navigation"],
)
async def test_a_session_gets_no_cluster_of_another_project(ask: Ask, other: str) -> None:
    with pytest.raises(AccessDeniedError, match="this session works in nhp-navigation, and so do"):
        await ask({"project": other}, in_session("nhp-navigation"))


async def test_a_session_of_a_project_that_its_person_has_lost_gets_none(ask: Ask) -> None:
    user = SessionUser(GatewayUser("sam", (), "nhp-navigation"))
    with pytest.raises(AccessDeniedError, match="you have no access to nhp-navigation"):
        await ask({}, user)
    with pytest.raises(AccessDeniedError, match="there is no project 'gone'"):
        await ask({}, in_session("gone"))


async def test_a_cluster_runs_what_its_session_runs(ask: Ask, example: Collaboration) -> None:
    def add(document: dict[str, Any]) -> None:
        document["images"]["second"] = {"title": "Second", "image": "registry.example/second:1"}

    more = changed(example, add)

    async def image(request: Any, user: SessionUser) -> str:
        return str((await ask(request, user, collaboration=more))[CHOICE_KEY]["image"])

    assert await image({}, in_session("shared-stimuli")) == "neuro"
    assert await image({}, in_session("shared-stimuli", "second")) == "second"
    assert await image({"image": "neuro"}, in_session("shared-stimuli", "second")) == "neuro"
    assert await image({}, in_session("shared-stimuli", "taken-away")) == "neuro"


FORGED: dict[str, tuple[Any, type[PanNeuroError], str]] = {
    "another's project": (
        {"project": "human-intracranial"},
        AccessDeniedError,
        "you have no access to human-intracranial: you are not in human-subjects-trained",
    ),
    "no project": (
        {"project": "nhp"},
        AccessDeniedError,
        "there is no project 'nhp'; you have access to nhp-navigation and shared-stimuli",
    ),
    "no profile": (
        {**STIMULI, "profile": "huge"},
        AccessDeniedError,
        "worker profile 'huge' may not be used in shared-stimuli: shared-stimuli offers",
    ),
    "a server's profile": ({**STIMULI, "profile": "large"}, AccessDeniedError, "may not be used"),
    "an image": (
        {**STIMULI, "image": "evil.example/root:latest"},
        AccessDeniedError,
        "image 'evil.example/root:latest' may not be used in shared-stimuli: shared-",
    ),
    "an unknown option": (
        {**STIMULI, "worker_cores": 99},
        InvalidChoiceError,
        "unknown option 'worker_cores'; a cluster takes project, profile, image and environment",
    ),
    "the gateway's own": (
        {**STIMULI, CHOICE_KEY: {}},
        InvalidChoiceError,
        "unknown option 'panneuro'",
    ),
    "a list": ({"project": ["shared-stimuli"]}, InvalidChoiceError, "project must be one name"),
    "a number": ({**STIMULI, "image": 7}, InvalidChoiceError, "image must be one name, as text"),
    "truth": ({**STIMULI, "profile": True}, InvalidChoiceError, "profile must be one name"),
    "endless text": ({"project": "x" * 9999}, InvalidChoiceError, "project must be one name"),
    "no options": ([], InvalidChoiceError, "a cluster's options are project, profile, image and"),
    "environment as text": (
        {**STIMULI, "environment": "A=1"},
        InvalidChoiceError,
        "environment must",
    ),
}


@pytest.mark.parametrize("case", FORGED.values(), ids=FORGED)
async def test_forged_options_are_refused_with_the_reason(
    ask: Ask, case: tuple[Any, type[PanNeuroError], str]
) -> None:
    request, kind, words = case
    with pytest.raises(kind) as refused:
        await ask(request)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 600


async def test_who_is_in_no_team_is_told_so(ask: Ask) -> None:
    with pytest.raises(AccessDeniedError, match="you have access to no project"):
        await ask({}, STUDENT)


async def test_nothing_is_taken_for_left_open_but_nothing(ask: Ask) -> None:
    wanted = await ask(STIMULI)
    assert await ask({**STIMULI, "profile": "", "image": None, "environment": None}) == wanted


@pytest.mark.parametrize(
    "name",
    [
        *("PANNEURO_TICKET_FILE", "AWS_ACCESS_KEY_ID", "aws_profile", "AWS_ENDPOINT_URL_S3"),
        *("AWS_ANYTHING_NEW", "DASK_GATEWAY_API_URL", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        *("DASK_distributed__comm__require_encryption", "DASK_DISTRIBUTED", "JUPYTERHUB_API_TOKEN"),
        *("DASK_INTERNAL_INHERIT_CONFIG", "", "A B", "A=B", "1A", "Ä", "A" * 129, "A\n"),
    ],
)
def test_variables_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidChoiceError, match="environment"):
        check_environment({name: "x"})


@pytest.mark.parametrize("value", [1, None, ["a"], "x" * 4097, "a\0b", "\ud800"])
def test_values_that_are_refused(value: Any) -> None:
    with pytest.raises(InvalidChoiceError, match="environment: A "):
        check_environment({"A": value})


def test_an_environment_is_bounded() -> None:
    with pytest.raises(InvalidChoiceError, match="65 variables; a cluster takes 64"):
        check_environment({f"A{number}": "" for number in range(65)})
    with pytest.raises(InvalidChoiceError, match="bytes; a cluster takes 32768"):
        check_environment({f"A{number}": "x" * 4096 for number in range(9)})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
names = st.sampled_from(["project", "profile", "image", "environment"]) | st.text(max_size=9)
values = anything | st.sampled_from(["shared-stimuli", "nhp-navigation", "standard", "neuro"])


@pytest.fixture(scope="module")
def at() -> datetime:
    return datetime(2026, 11, 22, 12, tzinfo=UTC)


@given(request=anything | st.dictionaries(names, values))
async def test_whatever_is_sent_it_is_a_choice_of_theirs_or_it_is_refused_in_words(
    example: Collaboration, at: datetime, request: Any
) -> None:
    options = await make_cluster_options(lambda: example, lambda: at)(ADA)
    try:
        got = options.get_configuration(options.parse_options(request), ADA)
    except PanNeuroError:
        return  # and anything else fails this test
    assert got[CHOICE_KEY]["project"] in ("nhp-navigation", "shared-stimuli")
    assert (got[CHOICE_KEY]["profile"], got[CHOICE_KEY]["image"]) == ("standard", "neuro")
    json.dumps(got).encode()
