from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.clocks import FakeClock
from testing.waiting import wait_until_async

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.errors import AccessDeniedError, VendingError
from panneuro_hub.vending import CredentialRequest, VendedCredential, Vending
from panneuro_hub.wire import Credential, Grant, Reason

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
STORE = S3Store(
    type="s3",
    bucket="lab",
    role_arn="arn:aws:iam::000000000000:role/data",
    credential_lifetime=timedelta(minutes=30),
)
REQUEST = CredentialRequest(
    session="ann/",
    person="ann",
    project="nhp",
    store=STORE,
    grants=(Grant("s3://lab/nhp/", "write", (), "nhp"),),
)


@dataclass
class Maker:
    """Makes numbered credentials, each when `gate` opens; fails with `errors` first."""

    clock: FakeClock
    lifetime: timedelta = timedelta(minutes=30)
    errors: list[Exception] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[CredentialRequest] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    closed: bool = False

    def rights(self, request: CredentialRequest) -> str:
        return " ".join(sorted(f"{grant.mode}:{grant.prefix}" for grant in request.grants))

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        self.calls.append(request)
        number = len(self.calls)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        if self.errors:
            raise self.errors.pop(0)
        expires = self.clock.now() + self.lifetime
        return Credential(f"AK{number}", f"secret{number}", f"token{number}", expires, expires)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def maker(clock: FakeClock) -> Maker:
    made = Maker(clock)
    made.gate.set()
    return made


def vending(maker: Maker, reuse_for: timedelta | None = None) -> Vending:
    return Vending(makers={"s3": maker}, reuse_for=reuse_for, clock=maker.clock.now)


async def test_a_thousand_at_once_cost_one_call_and_one_is_told_that_it_is_fresh(
    maker: Maker,
) -> None:
    maker.gate.clear()
    vends = vending(maker)
    waiting = [asyncio.create_task(vends.credential(REQUEST)) for _ in range(1000)]
    await wait_until_async(lambda: maker.at_once == 1)
    maker.gate.set()
    issued = await asyncio.gather(*waiting)
    assert len(maker.calls) == 1
    assert {one.credential.access_key_id for one in issued} == {"AK1"}
    assert sum(one.fresh for one in issued) == 1


OTHER_GRANTS = (
    Grant("s3://lab/nhp/", "read", (), "nhp"),
    Grant("s3://lab/scratch/nhp/ann/", "write", (), "nhp"),
)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(REQUEST, session="ann/second"), id="session"),
        pytest.param(replace(REQUEST, person="bob"), id="person"),
        pytest.param(replace(REQUEST, project="ecog"), id="project"),
        pytest.param(replace(REQUEST, grants=OTHER_GRANTS), id="grants"),
        pytest.param(
            replace(REQUEST, store=STORE.model_copy(update={"role_arn": "arn:another-role"})),
            id="role",
        ),
        pytest.param(
            replace(REQUEST, store=STORE.model_copy(update={"endpoint_url": "https://s3.example"})),
            id="store",
        ),
    ],
)
async def test_what_differs_in_anything_that_counts_never_shares_keys(
    maker: Maker, other: CredentialRequest
) -> None:
    maker.gate.clear()
    vends = vending(maker)
    tasks = [asyncio.create_task(vends.credential(one)) for one in (REQUEST, other, REQUEST)]
    await wait_until_async(lambda: maker.at_once == 2)
    maker.gate.set()
    first, second, third = await asyncio.gather(*tasks)
    assert maker.calls == [REQUEST, other]
    assert first.credential == third.credential != second.credential
    assert (await vends.credential(other)).credential == second.credential


async def test_other_reasons_for_the_same_rights_are_the_same_keys(maker: Maker) -> None:
    vends = vending(maker)
    first = await vends.credential(REQUEST)
    reworded = tuple(replace(grant, reasons=(Reason("frozen", "nhp"),)) for grant in REQUEST.grants)
    second = await vends.credential(replace(REQUEST, grants=reworded))
    assert second == VendedCredential(first.credential, fresh=False)


async def test_without_grants_no_store_is_asked(maker: Maker) -> None:
    with pytest.raises(AccessDeniedError, match="ann has no access to data in nhp"):
        await vending(maker).credential(replace(REQUEST, grants=()))
    assert maker.calls == []


async def test_a_type_of_store_that_nobody_knows_gives_no_keys(clock: FakeClock) -> None:
    with pytest.raises(VendingError, match="type 's3'") as caught:
        await Vending(makers={}, clock=clock.now).credential(REQUEST)
    assert caught.value.retry_after is None


async def test_a_waiter_who_leaves_takes_nothing_from_the_others(maker: Maker) -> None:
    maker.gate.clear()
    vends = vending(maker)
    first = asyncio.create_task(vends.credential(REQUEST))
    await wait_until_async(lambda: maker.at_once == 1)
    second = asyncio.create_task(vends.credential(REQUEST))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    maker.gate.set()
    # The ledger hears of it, though who asked first has left.
    assert (await second).fresh
    assert len(maker.calls) == 1


async def test_what_was_made_for_nobody_is_fresh_for_who_comes_next(maker: Maker) -> None:
    maker.gate.clear()
    vends = vending(maker)
    only = asyncio.create_task(vends.credential(REQUEST))
    await wait_until_async(lambda: maker.at_once == 1)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    maker.gate.set()
    await wait_until_async(lambda: maker.at_once == 0)
    await asyncio.sleep(0)
    assert [(await vends.credential(REQUEST)).fresh for _ in range(2)] == [True, False]
    assert len(maker.calls) == 1


async def test_an_error_reaches_everybody_who_waited_and_is_forgotten(maker: Maker) -> None:
    maker.gate.clear()
    maker.errors = [VendingError("the store is in trouble", retry_after=3.0)]
    vends = vending(maker)
    waiting = [asyncio.create_task(vends.credential(REQUEST)) for _ in range(50)]
    await wait_until_async(lambda: maker.at_once == 1)
    maker.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert len(maker.calls) == 1
    assert {str(one) for one in outcomes} == {"the store is in trouble"}
    assert {getattr(one, "retry_after", None) for one in outcomes} == {3.0}
    assert (await vends.credential(REQUEST)).credential.access_key_id == "AK2"


async def test_an_error_for_many_says_where_it_came_from_and_stays_short(maker: Maker) -> None:
    maker.gate.clear()
    maker.errors = [KeyError("a bug")]
    vends = vending(maker)
    waiting = [asyncio.create_task(vends.credential(REQUEST)) for _ in range(50)]
    await wait_until_async(lambda: maker.at_once == 1)
    maker.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    error = outcomes[-1]
    assert isinstance(error, KeyError)
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert "make" in frames
    assert len(frames) < 10


async def test_an_error_for_which_nobody_waits_is_no_warning(
    maker: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    maker.gate.clear()
    maker.errors = [VendingError("the store is in trouble")]
    vends = vending(maker)
    only = asyncio.create_task(vends.credential(REQUEST))
    await wait_until_async(lambda: maker.at_once == 1)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    maker.gate.set()
    await wait_until_async(lambda: maker.at_once == 0)
    await asyncio.sleep(0)
    assert (await vends.credential(REQUEST)).fresh
    assert caplog.records == []


async def test_reused_for_a_third_of_the_lifetime_and_then_made_anew(maker: Maker) -> None:
    vends = vending(maker)
    first = (await vends.credential(REQUEST)).credential
    assert first.renew_after == START + timedelta(minutes=10)
    assert first.expires == START + timedelta(minutes=30)
    maker.clock.wall_time = first.renew_after - timedelta(seconds=1)
    assert (await vends.credential(REQUEST)).credential == first
    # Exactly when it said.
    maker.clock.wall_time = first.renew_after
    second = await vends.credential(REQUEST)
    assert second.fresh
    assert second.credential.access_key_id == "AK2"
    assert second.credential.renew_after == START + timedelta(minutes=20)


async def test_the_time_to_renew_travels_without_loss(maker: Maker) -> None:
    maker.clock.wall_time = START + timedelta(microseconds=987_654)
    vends = vending(maker)
    sent = (await vends.credential(REQUEST)).credential.to_json()
    received = Credential.from_json(sent)
    maker.clock.wall_time = received.renew_after
    assert (await vends.credential(REQUEST)).fresh


async def test_never_reused_for_more_than_two_thirds_of_what_the_issuer_gave(maker: Maker) -> None:
    maker.lifetime = timedelta(seconds=90)  # less than was asked for
    vends = vending(maker, reuse_for=timedelta(hours=6))
    first = (await vends.credential(REQUEST)).credential
    assert first.renew_after == START + timedelta(seconds=60)
    maker.clock.advance(seconds=60)
    assert (await vends.credential(REQUEST)).credential.access_key_id == "AK2"


async def test_what_has_expired_when_it_comes_is_refused(maker: Maker) -> None:
    maker.lifetime = timedelta(seconds=-1)
    with pytest.raises(VendingError, match="clocks"):
        await vending(maker).credential(REQUEST)


async def test_what_is_handed_out_no_more_takes_no_memory(maker: Maker) -> None:
    vends = vending(maker)
    for number in range(100):
        await vends.credential(replace(REQUEST, session=f"session-{number}"))
    maker.clock.advance(minutes=11)
    await vends.credential(REQUEST)
    assert len(vends._cache) == 1


async def test_closing_sends_waiters_away_and_closes_the_makers(maker: Maker) -> None:
    maker.gate.clear()
    vends = vending(maker)
    waiting = asyncio.create_task(vends.credential(REQUEST))
    await wait_until_async(lambda: maker.at_once == 1)
    async with asyncio.timeout(10):
        await vends.close()
        with pytest.raises(VendingError, match="stopping") as caught:
            await waiting
        with pytest.raises(VendingError, match="stopping"):
            await vends.credential(REQUEST)
    assert caught.value.retry_after is not None
    assert maker.closed
    assert len(maker.calls) == 1


def test_no_secret_in_what_is_printed() -> None:
    issued = VendedCredential(Credential("AK", "s3cret", "t0ken", START, START), fresh=True)
    assert "s3cret" not in repr(issued)
    assert "t0ken" not in repr(issued)


SESSIONS = [replace(REQUEST, session=name) for name in "abc"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(range(3))),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("answer"), st.just(0)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 1500)),
        st.tuples(st.just("run"), st.just(0)),
    ),
    max_size=40,
)


@dataclass
class Play:
    """Anything that may happen, in any order, with what must hold all the time."""

    maker: Maker
    vends: Vending
    asked: list[tuple[CredentialRequest, datetime, asyncio.Task[VendedCredential]]] = field(
        default_factory=list
    )

    async def step(self, what: str, number: int) -> None:
        if what == "ask":
            request = SESSIONS[number]
            task = asyncio.create_task(self.vends.credential(request))
            self.asked.append((request, self.maker.clock.now(), task))
        elif what == "leave" and self.asked:
            self.asked[number % len(self.asked)][2].cancel()
        elif what == "fail":
            self.maker.errors.append(VendingError("trouble"))
        elif what == "wait":
            self.maker.clock.advance(seconds=number)
        elif what == "answer":
            self.maker.gate.set()
        await asyncio.sleep(0)
        if what in ("answer", "run"):
            for _ in range(5):
                await asyncio.sleep(0)
            self.maker.gate.clear()

    async def end(self) -> None:
        self.maker.gate.set()
        results = await asyncio.gather(*(task for _, _, task in self.asked), return_exceptions=True)
        fresh: list[str] = []
        sessions: dict[str, str] = {}
        for (request, when, _), result in zip(self.asked, results, strict=True):
            if isinstance(result, BaseException):
                assert isinstance(result, (VendingError, asyncio.CancelledError))
                continue
            credential = result.credential
            assert credential.expires > when
            assert credential.renew_after <= credential.expires
            assert sessions.setdefault(credential.access_key_id, request.session) == request.session
            fresh += [credential.access_key_id] if result.fresh else []
        assert len(fresh) == len(set(fresh))
        received = {r.credential.access_key_id for r in results if isinstance(r, VendedCredential)}
        assert received == set(fresh)
        assert self.maker.most_at_once <= len(SESSIONS)


@given(steps=STEPS)
def test_whatever_happens_in_whatever_order(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        maker = Maker(FakeClock(START))
        game = Play(maker, vending(maker))
        for what, number in steps:
            await game.step(what, number)
        await game.end()
        await game.vends.close()

    asyncio.run(play())


async def test_each_credential_is_recorded_once_before_anybody_gets_it(maker: Maker) -> None:
    maker.gate.clear()
    recorded: list[str] = []
    got: list[VendedCredential] = []

    async def record(credential: Credential) -> None:
        await asyncio.sleep(0)
        assert got == []
        recorded.append(credential.access_key_id)

    async def ask() -> None:
        got.append(await vends.credential(REQUEST, record))

    vends = vending(maker)
    waiting = [asyncio.create_task(ask()) for _ in range(20)]
    await wait_until_async(lambda: maker.at_once == 1)
    maker.gate.set()
    await asyncio.gather(*waiting)
    assert recorded == ["AK1"]
    assert len(got) == 20


async def test_what_cannot_be_recorded_is_handed_to_nobody(maker: Maker) -> None:
    async def record(credential: Credential) -> None:
        raise OSError("the ledger is out of reach")

    vends = vending(maker)
    with pytest.raises(OSError, match="ledger"):
        await vends.credential(REQUEST, record)
    assert (await vends.credential(REQUEST)).credential.access_key_id == "AK2"
