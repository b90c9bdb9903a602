from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fake_service import FakeService, said
from hypothesis import given
from hypothesis import strategies as st
from session_views import view_of

import panneuro_hub.lab as lab
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.lab.current_session import (
    CurrentSession,
    NotInSessionError,
    find_covering_grant,
    locate_path,
)
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import Denial, Grant, Reason, SessionView, Ticket
from panneuro_hub.wording import documents


def required(team: str, project: str) -> Reason:
    return Reason("not-in-required-team", project, teams=(team,))


LAB = Reason("team-has-level", "nav", teams=("navigation-lab",), level="write")
LEFT = Reason(
    "membership-ended", "nav", teams=("navigation-lab",), level="write", ended=date(2026, 1, 1)
)
FROZEN = Reason("frozen", "nav")
READS = Reason("project-reads", "nav", other="stimuli")
NOT_HUMAN = (
    Reason("project-reads", "nav", other="human-data"),
    required("human-lab", "human-data"),
)
READABLE = (Reason("session-reads", "nav", names=("nav", "stimuli", "scratch")),)
VIEW = view_of(
    title="Navigation in virtual reality",
    level="write",
    scratch="s3://lab/scratch/nav/ada/",
    endpoint_url="http://127.0.0.1:8333",
    prefixes={"nav": "s3://lab/nav/", "stimuli": "s3://lab/shared/stimuli/"},
    grants=(
        Grant("s3://lab/nav/", "write", (LAB,), "nav"),
        Grant("s3://lab/nav/2026/", "read", (FROZEN, LAB), "nav"),
        Grant(
            "s3://lab/shared/stimuli/",
            "read",
            (Reason("project-reads", "nav", other="stimuli"),),
            "stimuli",
        ),
        Grant("s3://lab/scratch/nav/ada/", "write", (Reason("own-scratch", "nav"),), "nav"),
    ),
    denied=(
        Denial("write", "prefix", "s3://lab/nav/2026/", "nav", (FROZEN,)),
        Denial("read", "prefix", "s3://lab/human/", "human-data", NOT_HUMAN),
        # A team and a profile have the names of projects.
        Denial("read", "prefix", "s3://lab/mice/", "mice", (required("human", "mice"),)),
        Denial("use", "profile", "mice", "nav", (Reason("not-offered", "nav", kind="profile"),)),
    ),
)
ENDED = replace(
    VIEW,
    level=None,
    scratch=None,
    prefixes={},
    grants=(),
    denied=(Denial("read", "prefix", "s3://lab/nav/", "nav", (LEFT,)),),
)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("", "s3://lab/nav/"),
        ("nav", "s3://lab/nav/"),
        ("nav/", "s3://lab/nav/"),
        ("nav/day1/spikes.zarr", "s3://lab/nav/day1/spikes.zarr"),
        ("nav/day1/", "s3://lab/nav/day1/"),
        ("stimuli/a b.zarr", "s3://lab/shared/stimuli/a b.zarr"),
        ("scratch", "s3://lab/scratch/nav/ada/"),
        ("scratch/fit.zarr", "s3://lab/scratch/nav/ada/fit.zarr"),
        ("s3://lab/nav/2026/x", "s3://lab/nav/2026/x"),
        ("s3://lab/shared/stimuli", "s3://lab/shared/stimuli/"),
        ("s3://lab/shared/stimuli/", "s3://lab/shared/stimuli/"),
    ],
)
def test_places_have_short_names(path: str, uri: str) -> None:
    assert locate_path(VIEW, path).uri == uri


@pytest.mark.parametrize(
    ("path", "reasons"),
    [
        ("human-data/x", NOT_HUMAN),
        ("s3://lab/human/x", NOT_HUMAN),
        ("mice/x", (required("human", "mice"),)),
        # Not the reasons of a project that a team of this name opens.
        ("human/x", READABLE),
        ("data/x", READABLE),
        ("Nav/x", READABLE),
        ("spikes.zarr", READABLE),
        ("s3://lab/navigation/x", READABLE),
        ("s3://lab/nav-b/x", READABLE),
        ("s3://other/nav/x", READABLE),
        ("gs://lab/nav/x", READABLE),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_own_reasons(
    path: str, reasons: tuple[Reason, ...]
) -> None:
    with pytest.raises(AccessDeniedError, match="cannot be read") as refusal:
        locate_path(VIEW, path)
    assert refusal.value.fields["reasons"] == documents(reasons)


@pytest.mark.parametrize("path", ["", "nav", "nav/x", "s3://lab/nav/x"])
def test_after_the_end_of_access_the_reason_is_said(path: str) -> None:
    with pytest.raises(AccessDeniedError) as refusal:
        locate_path(ENDED, path)
    assert refusal.value.fields["reasons"] == documents([LEFT])


def test_without_scratch_there_is_none() -> None:
    with pytest.raises(AccessDeniedError, match="no scratch for you in nav"):
        locate_path(replace(VIEW, scratch=None), "scratch/x")


@pytest.mark.parametrize(
    "path",
    ["/nav/x", "nav/../human/x", "nav//x", "nav/./x", "scratch/../../x", "nav/a\nb", "s3://lab"],
)
def test_a_path_that_no_grant_reaches_is_a_mistake(path: str) -> None:
    with pytest.raises(ValueError, match=r"starts with|segment|control|form"):
        locate_path(VIEW, path)


pieces = st.lists(
    st.sampled_from(["nav", "stimuli", "scratch", "human", "..", ".", "", "s3:", "lab", "x", "é"]),
    max_size=6,
).map("/".join)


@given(pieces | st.text())
def test_any_path_leads_into_a_grant_or_nowhere(path: str) -> None:
    try:
        place = locate_path(VIEW, path)
    except (AccessDeniedError, ValueError):
        return
    assert find_covering_grant(VIEW, place) is not None
    assert ".." not in place.key.split("/")


def test_the_longest_grant_decides() -> None:
    assert find_covering_grant(VIEW, StorageLocation.parse("s3://lab/nav/2026/x")) == VIEW.grants[1]
    assert find_covering_grant(VIEW, StorageLocation.parse("s3://lab/nav/2027/x")) == VIEW.grants[0]
    assert find_covering_grant(VIEW, StorageLocation.parse("s3://lab/nav2/x")) is None


def shown(view: SessionView, **more: object) -> str:
    return repr(CurrentSession(**{**vars(view), **more}))


def test_a_session_prints_as_plain_text() -> None:
    text = shown(VIEW, keys_until=datetime(2026, 11, 2, 9, 15, tzinfo=UTC))
    assert text == (
        "nav: Navigation in virtual reality\n"
        "ada, level write\n"
        "keys until 2026-11-02 09:15 UTC, renewed automatically\n"
        "You can\n"
        "  write s3://lab/nav/\n"
        "    you are in navigation-lab, which has write in nav\n"
        "  read s3://lab/nav/2026/\n"
        "    it is frozen in nav: nobody writes there any more; you are in navigation-lab, which "
        "has write in nav\n"
        "  read s3://lab/shared/stimuli/\n"
        "    nav reads stimuli\n"
        "  write s3://lab/scratch/nav/ada/\n"
        "    your own scratch in nav\n"
        "You cannot\n"
        "  write s3://lab/nav/2026/\n"
        "    it is frozen in nav: nobody writes there any more\n"
        "  read s3://lab/human/\n"
        "    nav reads human-data; you are not in human-lab, which human-data requires\n"
        "  read s3://lab/mice/\n"
        "    you are not in human, which mice requires\n"
        "  profile mice\n"
        "    nav offers no profile"
    )


def test_a_session_that_ended_says_so() -> None:
    assert shown(ENDED).splitlines()[1] == "ada, no access any more"
    assert "new keys do not come: down" in shown(VIEW, problem="down")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    (tmp_path / "ticket").write_text(Ticket.new("ada", "").encode())
    with FakeService((tmp_path / "ticket").read_text(), view=VIEW) as service:
        yield service


@pytest.fixture
def agent(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CredentialAgent]:
    agent = CredentialAgent(AgentSettings(service.url, tmp_path / "ticket"))
    agent.start()
    for name, value in agent.environment().items():
        monkeypatch.setenv(name, value)
    yield agent
    agent.stop()


def test_asks_the_agent(agent: CredentialAgent, service: FakeService) -> None:
    service.asked(1)
    session = lab.session()
    while session.keys_until is None:  # the answer is on its way from the service
        session = lab.session()
    assert session.keys_until == service.issued[0].expires
    assert session.problem is None
    assert (session.grants, session.denied) == (VIEW.grants, VIEW.denied)
    assert lab.resolve("stimuli/a.zarr") == "s3://lab/shared/stimuli/a.zarr"


def test_the_end_of_access_is_said_with_its_reason(
    agent: CredentialAgent, service: FakeService
) -> None:
    service.fault = said(403, "your membership of navigation-lab ended")
    with pytest.raises(AccessDeniedError, match="your membership of navigation-lab ended"):
        lab.session()


def test_an_outage_is_said(agent: CredentialAgent, service: FakeService) -> None:
    service.fault = said(503, "the hub restarts")
    with pytest.raises(ServiceUnavailableError, match="the hub restarts"):
        lab.session()


def test_an_agent_that_is_gone_is_said(agent: CredentialAgent) -> None:
    address = agent.environment()["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    agent.stop()
    with pytest.raises(ServiceUnavailableError, match=f"agent at {address} does not answer"):
        lab.session()


def test_outside_a_session_it_says_where_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    with pytest.raises(NotInSessionError, match="start a server from the hub"):
        lab.session()


def test_names_are_there_to_be_completed() -> None:
    assert {"session", "resolve", "store", "filesystem", "open_zarr", "cluster"} <= set(dir(lab))
    with pytest.raises(AttributeError, match="no attribute 'sesion'"):
        lab.sesion  # noqa: B018


@pytest.mark.parametrize(
    ("package", "function", "extra"),
    [("obstore", "store", "lab"), ("dask_gateway", "cluster", "cluster")],
)
def test_a_missing_package_is_named(package: str, function: str, extra: str) -> None:
    script = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "import panneuro_hub.lab as lab\n"
        "lab.session, lab.resolve\n"
        f"try:\n    lab.{function}\nexcept ImportError as problem:\n    print(problem)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"lab.{function} needs the package" in ran.stdout
    assert f"panneuro-hub[{extra}]" in ran.stdout
