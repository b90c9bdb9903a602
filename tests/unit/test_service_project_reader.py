"""What a page reads is read with keys of the person who looks, and no others."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from small_browser import SmallStore
from small_hub import SmallHub, member
from small_service import SECRET, SmallService, project_reader
from small_site import hub_of
from testing.stand_in_server import StandInResponse, StandInServer

from panneuro_hub.access import Access, decide_all_accesses, limit_to_reading
from panneuro_hub.collaboration import Collaboration, S3Store
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError, VendingError
from panneuro_hub.names import StorageLocation
from panneuro_hub.service.browse.project_reader import (
    ItemNotFoundError,
    ProjectReader,
    SingleFlightCache,
    open_project_store,
)
from panneuro_hub.vending.types import CredentialRequest
from panneuro_hub.wire import Credential, Grant
from panneuro_hub.wire.credential import parse_time

pytest_plugins = ["service_fixtures"]

NAVIGATION = "s3://learning-circuits/nhp-navigation/"


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    people = {"ada": ["navigation-lab"], "tomas": ["theory-lab"], "zoe": []}
    async with hub_of(people) as hub:
        yield hub


@pytest.fixture
def stored() -> SmallStore:
    return SmallStore()


@pytest.fixture
async def viewing(service: SmallService, stored: SmallStore) -> AsyncIterator[ProjectReader]:
    viewing = project_reader(service, open_store=stored.open)
    yield viewing
    await viewing.close()


async def access_of(
    service: SmallService, person: str, project: str = "nhp-navigation"
) -> tuple[Collaboration, Access]:
    """As a page decides it."""
    collaboration, accesses = await service.parts.accesses.decide_accesses(person)
    return collaboration, accesses[project]


async def test_it_reads_one_prefix_and_the_ledger_says_that_it_was_a_page(
    service: SmallService,
    viewing: ProjectReader,
    stored: SmallStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[CredentialRequest] = []
    rights = service.maker.rights
    monkeypatch.setattr(
        service.maker, "rights", lambda request: (asked.append(request), rights(request))[1]
    )
    stored.of("nhp-navigation").put("a.txt", b"data")
    found = await viewing.read_project(
        *(await access_of(service, "ada")), lambda store: bytes(store.get("a.txt").bytes())
    )
    assert found == b"data"
    # ada manages the project, reads another one and has scratch: a page needs none of that.
    assert [(grant.mode, grant.prefix) for grant in asked[0].grants] == [("read", NAVIGATION)]
    (row,) = await service.ledger.list_entries()
    assert (row.event, row.person, row.project) == ("issue", "ada", "nhp-navigation")
    assert row.session == "page"
    assert row.reason.startswith("page: you are in navigation-lab")
    assert row.grants == (("read", NAVIGATION),)
    assert SECRET not in str(row)


async def test_keys_are_kept_for_a_person_and_never_shared(
    service: SmallService, viewing: ProjectReader, stored: SmallStore
) -> None:
    for _ in range(3):
        for person in ("ada", "tomas"):
            await viewing.read_project(*(await access_of(service, person)), lambda store: None)
    assert service.maker.made == 2
    assert [uri for uri, _ in stored.opened] == [NAVIGATION, NAVIGATION]
    assert len({key for _, key in stored.opened}) == 2
    stimuli = await access_of(service, "ada", "shared-stimuli")
    await asyncio.gather(*(viewing.read_project(*stimuli, lambda store: None) for _ in range(20)))
    assert service.maker.made == 3


async def test_who_may_not_is_refused_with_the_reason_and_no_store_is_asked(
    service: SmallService, viewing: ProjectReader, stored: SmallStore
) -> None:
    for _ in range(2):
        with pytest.raises(
            AccessDeniedError, match="no access to nhp-navigation: you are in no team"
        ):
            await viewing.read_project(*(await access_of(service, "zoe")), lambda store: None)
    assert service.maker.made == 0
    assert stored.opened == []
    (row,) = await service.ledger.list_entries()
    assert (row.event, row.person, row.project) == ("refusal", "zoe", "nhp-navigation")
    assert row.reason.startswith("page: you have no access")


async def test_it_ends_with_access_though_keys_are_kept(
    service: SmallService, viewing: ProjectReader, hub: SmallHub
) -> None:
    await viewing.read_project(*(await access_of(service, "ada")), lambda store: None)
    hub.users["ada"] = member("ada")
    with pytest.raises(AccessDeniedError):
        await viewing.read_project(*(await access_of(service, "ada")), lambda store: None)


def test_nothing_but_reading_its_own_prefix_is_left(example: Collaboration, now: Any) -> None:
    from panneuro_hub.access import Person

    everything = Person.of("eve", example.teams)
    for project, access in decide_all_accesses(example, everything, now).items():
        (grant,) = limit_to_reading(example, access).grants
        own = f"s3://learning-circuits/{project}/"
        assert grant == Grant(own, "read", access.reasons, project)
    for access in decide_all_accesses(example, Person.of("eve", ()), now).values():
        assert limit_to_reading(example, access).grants == ()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (FileNotFoundError("secret-path"), "there is nothing of this name in nhp-navigation"),
        (GenericError("http://10.0.0.1/secret-path"), "cannot be read for now; try again soon"),
        (PermissionDeniedError("secret-path"), "cannot be read for now; try again soon"),
    ],
)
async def test_what_a_store_says_is_translated(
    service: SmallService, viewing: ProjectReader, fault: Exception, said: str
) -> None:
    def work(store: Any) -> None:
        raise fault

    with pytest.raises((ItemNotFoundError, ServiceUnavailableError), match=said) as raised:
        await viewing.read_project(*(await access_of(service, "ada")), work)
    assert "secret-path" not in str(raised.value)


async def test_no_key_that_a_store_repeats_comes_into_the_log(
    service: SmallService, viewing: ProjectReader, caplog: pytest.LogCaptureFixture
) -> None:
    def work(store: Any) -> None:
        raise GenericError("400: <Error><Code>ExpiredToken</Code><Token-0>secret</Token-0>")

    with pytest.raises(ServiceUnavailableError):
        await viewing.read_project(*(await access_of(service, "ada")), work)
    assert "ExpiredToken" in caplog.text
    assert "secret" not in caplog.text


async def test_no_keys_is_no_page(service: SmallService, viewing: ProjectReader) -> None:
    service.maker.fault = VendingError("the store made no credential", retry_after=3)
    with pytest.raises(VendingError):
        await viewing.read_project(*(await access_of(service, "ada")), lambda store: None)


async def test_reading_blocks_nobody_and_has_its_time(
    service: SmallService, stored: SmallStore
) -> None:
    viewing = ProjectReader(
        service.parts.vending, service.parts.refusals, read_seconds=0.05, open_store=stored.open
    )
    free, began = threading.Event(), threading.Event()

    def work(store: Any) -> None:
        began.set()
        free.wait(30)

    try:
        with pytest.raises(ServiceUnavailableError, match="slow to answer"):
            await viewing.read_project(*(await access_of(service, "ada")), work)
        assert began.is_set()  # and this went on meanwhile
    finally:
        free.set()
        await viewing.close()


async def test_a_bounded_number_waits(
    service: SmallService, stored: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panneuro_hub.service.browse.project_reader._MOST_WAITING", 3)
    viewing = project_reader(service, open_store=stored.open)
    free = threading.Event()
    given = await access_of(service, "ada")
    readings = [
        asyncio.create_task(viewing.read_project(*given, lambda store: free.wait(30)))
        for _ in range(4)
    ]
    try:
        done, _ = await asyncio.wait(readings, return_when=asyncio.FIRST_COMPLETED)
        assert "too many pages" in str(done.pop().exception())
    finally:
        free.set()
    answers = await asyncio.gather(*readings, return_exceptions=True)
    assert sum(answer is True for answer in answers) == 3
    # The turns are free again.
    assert await viewing.read_project(*given, lambda store: 1) == 1
    await viewing.close()


def test_the_platforms_own_keys_and_settings_are_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "PLATFORM",
        "AWS_SECRET_ACCESS_KEY": "platform-secret",
        "AWS_SESSION_TOKEN": "platform-token",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_REGION": "eu-north-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    expires = parse_time("2999-01-01T00:00:00Z")
    made = Credential("PAGE", "page-secret", "page-token", expires, expires)
    with StandInServer(lambda _: StandInResponse(404)) as listening:
        place = S3Store(
            type="s3",
            bucket="lab",
            role_arn="arn:aws:iam::000000000000:role/R",
            endpoint_url=listening.url,
        )
        with pytest.raises(FileNotFoundError):
            open_project_store(place, StorageLocation("lab", "nav/"), made).head("a")
    [request] = listening.requests
    assert request.method == "HEAD"
    headers = request.headers
    assert "Credential=PAGE/" in headers["authorization"]
    assert "/us-east-1/s3/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "page-token"
    assert "PLATFORM" not in json.dumps(dict(headers))
    assert "secret" not in repr(open_project_store(place, StorageLocation("lab", "nav/"), made))


class Counted:
    """Makes numbers, or fails."""

    def __init__(self) -> None:
        self.made = 0
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        await asyncio.sleep(0)
        if self.fault:
            raise self.fault
        return number


async def test_what_is_recent_is_made_once_for_all_and_not_for_long() -> None:
    now = [0.0]
    recent, make = SingleFlightCache(2, 10.0, clock=lambda: now[0]), Counted()
    assert await asyncio.gather(*(recent.get("a", make) for _ in range(5))) == [1] * 5
    now[0] = 10.0
    assert await recent.get("a", make) == 1
    now[0] = 10.1
    assert await recent.get("a", make) == 2
    # Two are kept: the one that nobody has asked for longest goes.
    await recent.get("b", make)
    await recent.get("a", make)
    await recent.get("c", make)
    assert await recent.get("a", make) == 2
    assert await recent.get("b", make) == 5


async def test_a_failure_goes_to_all_who_wait_and_is_not_kept() -> None:
    recent, make = SingleFlightCache(2, 10.0), Counted()
    make.fault = ServiceUnavailableError("no")
    failed = await asyncio.gather(
        *(recent.get("a", make) for _ in range(3)), return_exceptions=True
    )
    assert [str(one) for one in failed] == ["no"] * 3
    assert make.made == 1
    make.fault = None
    assert await recent.get("a", make) == 2


async def test_what_takes_long_is_made_once_all_the_same() -> None:
    now, free, made = [0.0], asyncio.Event(), 0
    recent = SingleFlightCache(2, 1.0, clock=lambda: now[0])

    async def make() -> int:
        nonlocal made
        made += 1
        await free.wait()
        return made

    first = asyncio.create_task(recent.get("a", make))
    await asyncio.sleep(0)
    now[0] = 100.0
    second = asyncio.create_task(recent.get("a", make))
    await asyncio.sleep(0)
    free.set()
    assert await asyncio.gather(first, second) == [1, 1]
