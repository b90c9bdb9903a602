"""Limits pooled over a project's clusters: never more in sum, and words that say who has it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from testing.clocks import FakeClock

from panneuro_hub.access import DaskLimits, WorkerLimits
from panneuro_hub.dask.quota import (
    MAX_WORKERS,
    RESERVATION_SECONDS,
    ClusterAllocation,
    QuotaLedger,
    compute_largest_quota,
    compute_quota,
)

G = 1024**3
PEOPLE = ("alice", "bob", "carol")


def limits(
    workers: int | None = None,
    cores: float | None = None,
    memory: int | None = None,
    **person: Any,
) -> DaskLimits:
    return DaskLimits(workers, cores, memory, WorkerLimits(**person), (), None, "")


def holding(
    cluster: str,
    workers: int = 0,
    person: str = "alice",
    cores: float = 4,
    memory: int = 16 * G,
    **more: Any,
) -> ClusterAllocation:
    return ClusterAllocation(cluster, person, "nhp-navigation", cores, memory, workers, **more)


ALICE = holding("aaa3f2", 30)
BOB = holding("bbb9c1", person="bob")


# What is left


def test_what_all_clusters_may_have_counts_other_projects_and_names_nobody() -> None:
    other = ClusterAllocation("ccc111", "carol", "human-intracranial", 4, 16 * G, 3)
    assert compute_quota(limits(50), BOB, 2, [other, BOB], all_clusters=5).words is None
    got = compute_quota(limits(50), BOB, 12, [other, BOB], all_clusters=5)
    assert got.workers == 2
    assert got.words == (
        "all clusters of this hub together may have 5 workers at once, and 2 are free"
    )
    assert compute_largest_quota(limits(50), BOB, 5).words == (
        "all clusters of this hub together may have 5 workers at once"
    )
    assert compute_quota(limits(50), BOB, 12, [other] * 3, all_clusters=5).workers == 0


def test_all_that_is_asked_for_where_it_fits() -> None:
    assert compute_quota(limits(50, 200, 800 * G), BOB, 12, [ALICE, BOB]) == (
        compute_quota(limits(), BOB, 12, [])
    )
    assert compute_quota(limits(50), BOB, 12, [ALICE, BOB]).words is None


def test_what_is_left_and_who_has_the_rest() -> None:
    carol = holding("ccc001", 8, person="carol")
    got = compute_quota(limits(50), BOB, 40, [ALICE, carol, BOB])
    assert got.workers == 12
    assert got.words == (
        "nhp-navigation has 12 of its 50 workers free; alice's cluster 3f2 holds 30, "
        "carol's cluster 001 holds 8"
    )


def test_what_the_cluster_has_already_is_part_of_what_it_gets() -> None:
    bob = holding("bbb9c1", 8, person="bob")
    got = compute_quota(limits(50), bob, 40, [ALICE, bob])
    assert got.workers == 20
    assert got.words == (
        "nhp-navigation has 20 of its 50 workers free, with the 8 that this cluster has; "
        "alice's cluster 3f2 holds 30"
    )


def test_nobody_else_holds_any() -> None:
    got = compute_quota(limits(50), BOB, 60, [BOB])
    assert got.words == "nhp-navigation may have 50 workers at once"
    got = compute_quota(limits(90, max_workers=20), BOB, 60, [ALICE, BOB])
    assert (got.workers, got.words) == (20, (
        "each person in nhp-navigation may have 20 workers at once"
    ))  # fmt: skip


def test_cores_and_memory() -> None:
    got = compute_quota(limits(cores=200), BOB, 40, [ALICE])
    assert (got.workers, got.words) == (20, (
        "nhp-navigation has 80 of its 200 cores free, enough for 20 workers of 4; alice's "
        "cluster 3f2 holds 120"
    ))  # fmt: skip
    got = compute_quota(limits(memory=500 * G), BOB, 40, [ALICE])
    assert (got.workers, got.words) == (1, (
        "nhp-navigation has 20G of its 500G of memory free, enough for 1 worker of 16G; alice's "
        "cluster 3f2 holds 480G"
    ))  # fmt: skip


def test_a_persons_own_limit() -> None:
    other = holding("bbb777", 12, person="bob")
    got = compute_quota(limits(100, max_workers=20), BOB, 15, [ALICE, other, BOB])
    assert (got.workers, got.words) == (8, (
        "you have 8 of your 20 workers in nhp-navigation free; your cluster 777 holds 12"
    ))  # fmt: skip


def test_many_holders_are_summed_up() -> None:
    others = [holding(f"x{number:03}", 9 - number, person="dan") for number in range(5)]
    words = compute_quota(limits(40), BOB, 40, others).words
    assert words is not None
    assert words.endswith(
        "dan's cluster 000 holds 9, dan's cluster 001 holds 8, dan's cluster 002 holds 7, "
        "2 more clusters hold 11"
    )


def test_other_projects_do_not_count() -> None:
    elsewhere = ClusterAllocation("zzz", "alice", "shared-stimuli", 4, 16 * G, 50)
    assert compute_quota(limits(50), BOB, 50, [elsewhere]).workers == 50


def test_a_limit_that_was_lowered_gives_none_and_takes_no_part_of_a_worker() -> None:
    assert compute_quota(limits(10), BOB, 5, [ALICE]).workers == 0
    assert compute_quota(limits(cores=6), BOB, 5, []).workers == 1


def test_there_is_an_end_without_any_limit() -> None:
    got = compute_quota(limits(), BOB, MAX_WORKERS + 1, [])
    assert (got.workers, got.words) == (MAX_WORKERS, "a cluster may have 10000 workers at once")
    assert compute_quota(limits(), holding("a", max_workers=3), 5, []).workers == 3


def test_fractions_of_cores_are_exact() -> None:
    tenth = holding("a", cores=0.1)
    assert compute_quota(limits(cores=0.3), tenth, 9, []).workers == 3
    assert compute_quota(limits(cores=0.3), tenth, 9, [holding("b", 1, cores=0.2)]).workers == 1


def test_what_a_cluster_could_have_alone() -> None:
    assert compute_largest_quota(limits(50, max_workers=20), BOB).workers == 20


counts = st.integers(0, 60)
sizes = st.sampled_from([0.1, 0.25, 1 / 3, 1.0, 1.5, 4.0])
memories = st.sampled_from([1 << 20, 3 * G, 16 * G])
any_limits = st.builds(
    limits,
    st.none() | counts,
    st.none() | st.sampled_from([0.0, 0.3, 7.7, 100.0]),
    st.none() | st.sampled_from([1 << 20, 50 * G, 800 * G]),
    max_workers=st.none() | counts,
    max_cores=st.none() | st.sampled_from([0.0, 0.7, 20.0]),
    max_memory=st.none() | st.sampled_from([1 << 20, 40 * G]),
)


def within(pooled: DaskLimits, holdings: list[ClusterAllocation]) -> bool:
    """Whether no limit is exceeded, reckoned in another way than the pool does."""
    groups = [(pooled.pooled, holdings)] + [
        (pooled.per_person, [one for one in holdings if one.person == person]) for person in PEOPLE
    ]
    for bound, group in groups:
        workers = sum(one.workers for one in group)
        cores = sum(Fraction(repr(one.cores)) * one.workers for one in group)
        memory = sum(one.memory * one.workers for one in group)
        if bound.max_workers is not None and workers > bound.max_workers:
            return False
        if bound.max_cores is not None and cores > Fraction(repr(bound.max_cores)):
            return False
        if bound.max_memory is not None and memory > bound.max_memory:
            return False
    return True


@given(
    any_limits, st.lists(st.tuples(st.sampled_from(PEOPLE), sizes, memories, counts), max_size=8)
)
def test_in_whatever_order_they_ask_no_limit_is_exceeded_and_none_is_wasted(
    pooled: DaskLimits, asks: list[tuple[str, float, int, int]]
) -> None:
    holdings: list[ClusterAllocation] = []
    for number, (person, cores, memory, wanted) in enumerate(asks):
        asker = holding(f"c{number}", 0, person, cores, memory)
        got = compute_quota(pooled, asker, wanted, holdings)
        assert 0 <= got.workers <= wanted
        assert (got.words is None) == (got.workers == wanted)
        taken = holding(f"c{number}", got.workers, person, cores, memory)
        one_more = holding(f"c{number}", got.workers + 1, person, cores, memory)
        assert within(pooled, [*holdings, taken])
        if got.workers < wanted:
            assert not within(pooled, [*holdings, one_more])
        holdings.append(taken)


@given(any_limits, counts, counts)
def test_giving_back_lets_another_have_it(pooled: DaskLimits, first: int, second: int) -> None:
    a, b = holding("a", person="alice"), holding("b", person="alice")
    count_held = compute_quota(pooled, a, first, []).workers
    before = compute_quota(pooled, b, second, [holding("a", count_held)]).workers
    after = compute_quota(pooled, b, second, [holding("a", 0)]).workers
    assert before <= after == compute_quota(pooled, b, second, []).workers


# The quota_ledger


def test_a_promise_counts_until_the_scheduler_asks_or_a_minute_is_over() -> None:
    clock = FakeClock()
    quota_ledger = QuotaLedger(clock.steady)
    quota_ledger.reserve("a", 12)
    assert quota_ledger.count_held("a", 0, 0) == 12
    quota_ledger.allocate("a", 2, 2)  # what was under way before the promise
    assert quota_ledger.count_held("a", 0, 0) == 12
    quota_ledger.allocate("a", 12, 12)
    quota_ledger.allocate("a", 5, 5)
    assert quota_ledger.count_held("a", 0, 0) == 5
    quota_ledger.reserve("a", 40)
    clock.advance(RESERVATION_SECONDS)
    assert quota_ledger.count_held("a", 0, 0) == 5
    quota_ledger.reserve("a", 40)
    quota_ledger.cancel_reservation("a")
    assert quota_ledger.count_held("a", 0, 0) == 5


def test_after_a_restart_the_records_count() -> None:
    assert QuotaLedger(FakeClock().steady).count_held("a", 7, 3) == 7
    quota_ledger = QuotaLedger(FakeClock().steady)
    quota_ledger.allocate("a", 2, 2)
    assert quota_ledger.count_held("a", 7, 0) == 2


def test_workers_that_have_not_gone_yet_count() -> None:
    quota_ledger = QuotaLedger(FakeClock().steady)
    quota_ledger.allocate("a", 0, 0)
    assert quota_ledger.count_held("a", 0, 30) == 30


def test_who_waits_keeps_the_place_in_the_row() -> None:
    quota_ledger = QuotaLedger(FakeClock().steady)
    quota_ledger.allocate("a", 9, 3)
    quota_ledger.allocate("b", 9, 3)
    quota_ledger.allocate("a", 8, 4)
    assert quota_ledger.list_waiting() == [("a", 8), ("b", 9)]
    quota_ledger.allocate("a", 4, 4)
    assert quota_ledger.list_waiting() == [("b", 9)]
    quota_ledger.keep_only({"a"})
    assert quota_ledger.list_waiting() == []
    assert quota_ledger.count_held("b", 0, 0) == 0


class Gateway(RuleBasedStateMachine):
    """Clusters that ask, get, give back, wait and die in any order; the gateway restarts."""

    pooled = limits(20, 50.0, max_workers=12)

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.quota_ledger = QuotaLedger(self.clock.steady)
        self.kept: dict[str, int] = {}
        self.live: dict[str, int] = {}

    def holdings(self) -> list[ClusterAllocation]:
        return [
            holding(
                name,
                self.quota_ledger.count_held(name, self.kept.get(name, 0), self.live.get(name, 0)),
                PEOPLE[int(name) % 2],
                cores=2.5 if int(name) % 3 else 1,
            )
            for name in {*self.kept, *self.live}
        ]

    def asks(self, name: str, wanted: int) -> int:
        self.kept.setdefault(name, 0)
        asker = next(one for one in self.holdings() if one.cluster == name)
        return compute_quota(self.pooled, asker, wanted, self.holdings()).workers

    names = st.sampled_from("01234")

    @rule(name=names, wanted=st.integers(0, 30))
    def scale(self, name: str, wanted: int) -> None:
        self.quota_ledger.reserve(name, self.asks(name, wanted))

    @rule(name=names, wanted=st.integers(0, 30))
    def heartbeat(self, name: str, wanted: int) -> None:
        got = self.asks(name, wanted)
        self.quota_ledger.allocate(name, wanted, got)
        self.kept[name] = got

    @rule(name=names)
    def workers_start(self, name: str) -> None:
        if name in self.kept:
            self.live[name] = max(self.live.get(name, 0), self.kept[name])

    @rule(name=names)
    def workers_end(self, name: str) -> None:
        if name in self.kept:
            self.live[name] = min(self.live.get(name, 0), self.kept[name])

    @rule(name=names)
    def dies(self, name: str) -> None:
        self.kept.pop(name, None)
        self.live.pop(name, None)
        self.quota_ledger.keep_only(self.kept)

    @rule()
    def gateway_restarts(self) -> None:
        self.quota_ledger = QuotaLedger(self.clock.steady)

    @rule(seconds=st.sampled_from([1.0, RESERVATION_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def give_to_who_waits(self) -> None:
        for name, wanted in self.quota_ledger.list_waiting():
            got = self.asks(name, wanted)
            self.quota_ledger.allocate(name, wanted, got)
            self.kept[name] = got

    @invariant()
    def never_more_than_a_limit(self) -> None:
        real = [
            holding(one.cluster, max(self.live.get(one.cluster, 0), self.kept.get(one.cluster, 0)),
                    one.person, one.cores)
            for one in self.holdings()
        ]  # fmt: skip
        assert within(self.pooled, real)


TestGateway = Gateway.TestCase
