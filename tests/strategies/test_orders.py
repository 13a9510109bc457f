"""The order that each strategy gives, over many requests."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from omniroute.config.settings import Price, Tier
from omniroute.routing.facts import Facts
from omniroute.routing.strategy import Candidate, Leaf, Strategy, Turn
from omniroute.state.health import Health
from omniroute.state.quota import Allowance
from omniroute.state.rotation import Rotation
from omniroute.state.state import State
from omniroute.state.windows import Window
from omniroute.strategies.cost_optimized import CostOptimized
from omniroute.strategies.fill_first import FillFirst
from omniroute.strategies.least_latency import LeastLatency
from omniroute.strategies.least_used import LeastUsed
from omniroute.strategies.p2c import P2c
from omniroute.strategies.race import Race
from omniroute.strategies.random import Random
from omniroute.strategies.round_robin import RoundRobin, Sticky
from omniroute.strategies.tiered import Tiered
from omniroute.strategies.weighted import Weighted


@dataclass
class One:
    """A candidate that is its own leaf, or stands for others, as a combo does."""

    name: str
    weight: float = 1
    priority: int = 0
    tier: Tier = "api_key"
    price: Price | None = None
    of: tuple[One, ...] = ()
    purses: tuple[tuple[Allowance, ...], ...] = ()

    @property
    def health_id(self) -> str:
        return self.name

    @property
    def leaves(self) -> tuple[One, ...]:
        return self.of or (self,)


class Table:
    """Turns of one scope, with one memory. `resting` names who cannot be used now."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 1_000_000.0
        self.rotation = Rotation(lambda: self.now)
        self.health = Health(lambda: self.now)
        self.ledger = State(clock=lambda: self.now).ledger
        self.dice = random.Random(seed)
        self.resting: set[str] = set()

    def turn(
        self, headers: dict[str, str] | None = None, ip: str = "", tokens: int = 0, stream: bool = True
    ) -> Turn:
        facts = Facts(
            model="m",
            wire="openai-chat",
            operation="chat",
            stream=stream,
            tokens=tokens,
            headers=headers or {},
            caller=None,
            document=dict,
            client_ip=ip,
        )
        return Turn(
            "combo/test", facts, self.rotation, self.health, self.ledger, self.dice, self.now, self.usable
        )

    def usable(self, candidate: Candidate) -> list[Leaf]:
        leaves: list[Any] = list(candidate.leaves)
        return [leaf for leaf in leaves if leaf.name not in self.resting]

    def used(self, name: str, *, times: int = 1, seconds: float = 0.0, ok: bool = True) -> None:
        """It served (or failed) so often, each time so slowly."""
        for _ in range(times):
            attempt = self.health.began(name, stream=True)
            self.now += seconds
            attempt.answered() if ok else attempt.failed()
            attempt.over()

    def order(self, strategy: Any, candidates: Sequence[One], **facts: Any) -> str:
        return "".join(c.name for c in strategy.order(candidates, self.turn(**facts)))

    def serve(self, strategy: Any, candidates: list[One], times: int, **facts: Any) -> list[str]:
        """Who serves each of so many requests, when the first is always well."""
        served = []
        for _ in range(times):
            turn = self.turn(**facts)
            first = strategy.order(candidates, turn)[0]
            strategy.taken(first.name, turn)
            served.append(first.name)
        return served


ABC = [One("a"), One("b"), One("c")]


def test_fill_first_goes_by_priority_then_as_written() -> None:
    mixed = [One("a", priority=2), One("b", priority=1), One("c", priority=1)]
    assert [c.name for c in FillFirst().order(mixed, Table().turn())] == ["b", "c", "a"]
    assert FillFirst().order(ABC, Table().turn()) == ABC


@pytest.mark.parametrize("limit, served", [(1, "abcabc"), (2, "aabbcc"), (3, "aaabbb")])
def test_round_robin_takes_turns(limit: int, served: str) -> None:
    assert "".join(Table().serve(RoundRobin(limit=limit), ABC, 6)) == served


def test_a_session_stays_until_it_is_silent_too_long() -> None:
    table = Table()
    strategy = RoundRobin(sticky=Sticky(by="header:x-session-id", ttl=100))  # type: ignore[arg-type]  # a number of seconds
    red, blue = {"x-session-id": "red"}, {"x-session-id": "blue"}
    assert table.serve(strategy, ABC, 3, headers=red) == ["a"] * 3
    assert table.serve(strategy, ABC, 3, headers=blue) == ["b"] * 3
    assert table.serve(strategy, ABC, 1, headers=red) == ["a"]
    table.now += 101
    assert table.serve(strategy, ABC, 1, headers=red) == ["c"]


def test_random_is_even() -> None:
    counts = Counter(Table().serve(Random(), ABC, 3000))
    assert all(900 < counts[name] < 1100 for name in "abc")


def test_weighted_goes_by_weight_and_zero_is_last() -> None:
    weights = [One("a", weight=3), One("b", weight=1), One("c", weight=0)]
    counts = Counter(Table().serve(Weighted(), weights, 4000))
    assert 2850 < counts["a"] < 3150
    assert counts["c"] == 0
    assert Weighted().order(weights, Table().turn())[-1].name == "c"


def inside(strategy: Strategy) -> Any:
    """What builds the strategies inside of another: always this one."""
    return lambda spec: strategy


# ── p2c ──────────────────────────────────────────────────────────────────────────────────────────


def test_p2c_spreads_when_all_are_alike() -> None:
    counts = Counter(Table().serve(P2c(), ABC, 3000))
    assert all(900 < counts[name] < 1100 for name in "abc")


@pytest.mark.parametrize(
    "about",
    [
        {"seconds": 5.0},
        {"ok": False, "times": 5},
    ],
    ids=["slow", "failing"],
)
def test_p2c_avoids_who_is_slow_or_fails(about: dict[str, Any]) -> None:
    table = Table()
    table.used("b", seconds=0.5)
    table.used("c", seconds=0.5)
    table.used("a", **{"seconds": 0.5, **about})
    counts = Counter(table.serve(P2c(), ABC, 3000))
    assert counts["a"] == 0


def test_p2c_goes_where_less_is_under_way_and_never_first_to_who_rests() -> None:
    table = Table()
    running = [table.health.began("a", stream=True) for _ in range(3)]
    table.resting = {"b"}
    assert set(table.serve(P2c(), ABC, 200)) == {"c"}
    for attempt in running:
        attempt.over()
    assert set(table.serve(P2c(), ABC, 200)) == {"a", "c"}


def test_p2c_spares_who_has_little_of_its_quota_left() -> None:
    table = Table()
    quotas = {name: Allowance("quota", f"account/{name}", "requests", 100, Window("daily")) for name in "ab"}
    candidates = [One("a", purses=((quotas["a"],),)), One("b", purses=((quotas["b"],), ()))]
    assert {table.order(P2c(), candidates) for _ in range(40)} == {"ab", "ba"}
    table.ledger.charge(quotas["a"], 60)
    table.ledger.charge(quotas["b"], 90)  # it has another account without a quota
    assert {table.order(P2c(), candidates) for _ in range(40)} == {"ba"}


# ── least-used, cost-optimized, least-latency ────────────────────────────────────────────────────


def test_least_used_evens_out_and_forgets_what_is_long_ago() -> None:
    table = Table()
    strategy = LeastUsed(window=60)  # type: ignore[arg-type]  # a number of seconds
    assert table.order(strategy, ABC) == "abc"
    table.used("a", times=3)
    table.used("b")
    assert table.order(strategy, ABC) == "cba"
    table.now += 200
    assert table.order(strategy, ABC) == "abc"


PRICED = [
    One("a", price=Price(input=3, output=15, cached=0.3)),
    One("b", price=Price(input=1, output=2)),
    One("c"),
    One("d", price=Price(input=0, output=0)),
    One("e", tier="free"),
]


@pytest.mark.parametrize(
    "tokens, cached, order",
    [
        (1000, {}, "debac"),
        (100_000, {"a": 1.0}, "deabc"),  # a tenth for what it has in its cache
        (1000, {"a": 1.0}, "debac"),  # but its answers cost more
    ],
)
def test_the_cheapest_for_this_request(tokens: int, cached: dict[str, float], order: str) -> None:
    table = Table()
    for name, share in cached.items():
        table.health.cached(name, share)
    assert table.order(CostOptimized(), PRICED, tokens=tokens) == order


def test_the_fastest_first_and_the_unmeasured_before() -> None:
    table = Table()
    table.used("a", seconds=2)
    table.used("b", seconds=1)
    assert table.order(LeastLatency(explore=0), ABC) == "cba"
    first = table.health.began("c", stream=True)
    more = [One("c"), One("d"), One("a")]
    assert table.order(LeastLatency(explore=0), more) == "dca"
    table.now += 9
    first.answered()
    assert table.order(LeastLatency(explore=0), ABC) == "bac"


def test_failures_count_against_who_is_fast() -> None:
    table = Table()
    table.used("a", seconds=1)
    table.used("b", seconds=1.5)
    assert table.order(LeastLatency(explore=0), ABC[:2]) == "ab"
    table.used("a", times=2, ok=False)
    assert table.order(LeastLatency(explore=0), ABC[:2]) == "ba"
    table.used("c", ok=False)
    assert table.order(LeastLatency(explore=0), ABC) == "bac"
    table.now += 300
    assert table.order(LeastLatency(explore=0), ABC) == "cab"


def test_who_keeps_clients_waiting_until_they_leave_is_not_taken_for_fast() -> None:
    table = Table()
    table.used("a", seconds=1)
    hanging = table.health.began("b", stream=True)
    table.now += 30
    hanging.abandoned()
    hanging.over()
    assert table.order(LeastLatency(explore=0), ABC[:2]) == "ab"
    for name in "ac":
        table.health.began(name, stream=True).abandoned()
    assert (table.health.of("a").latency(True), table.health.of("c").latency(True)) == (1, None)


def test_a_little_exploration_finds_who_became_faster() -> None:
    table = Table()
    for name, seconds in (("a", 1), ("b", 2), ("c", 3)):
        table.used(name, seconds=seconds)
    counts = Counter(table.serve(LeastLatency(explore=0.1), ABC, 3000))
    assert 2600 < counts["a"] < 2800
    assert counts["b"] > 100 and counts["c"] > 100
    table.resting = {"b", "c"}
    assert set(table.serve(LeastLatency(explore=1), ABC, 50)) == {"a"}


# ── strategies with another inside ───────────────────────────────────────────────────────────────

TIERS = [
    One("f", tier="free"),
    One("k", tier="api_key"),
    One("c", tier="cheap"),
    One("s", tier="subscription"),
    One("l", tier="api_key"),
]


def test_tiers_come_in_turn_in_whatever_order_they_are_written() -> None:
    table = Table()
    assert table.order(Tiered().build(inside(FillFirst())), TIERS) == "sklcf"
    strategy = Tiered().build(inside(RoundRobin()))
    api = [c for c in TIERS if c.tier in ("api_key", "free")]
    assert table.serve(strategy, api, 4) == ["k", "l", "k", "l"]


def test_race_asks_several_in_the_order_of_its_inner_strategy() -> None:
    strategy = Race(first=3).build(inside(FillFirst()))
    assert (strategy.at_once, FillFirst().at_once) == (3, 1)
    assert Table().order(strategy, ABC) == "abc"


NESTED = One("n", of=(One("x", tier="subscription", price=Price(input=9, output=9)), One("y", tier="free")))


@pytest.mark.parametrize(
    "strategy, usable, resting",
    [
        (Tiered().build(inside(FillFirst())), "na", "an"),
        (CostOptimized(), "na", "an"),
    ],
    ids=["tiered", "cost-optimized"],
)
def test_a_nested_combo_counts_as_its_best_usable_member(strategy: Any, usable: str, resting: str) -> None:
    table = Table()
    other = One("a", price=Price(input=1, output=1))
    assert table.order(strategy, [other, NESTED], tokens=100) == usable
    table.resting = {"y"} if isinstance(strategy, CostOptimized) else {"x"}
    assert table.order(strategy, [other, NESTED], tokens=100) == resting
    table.resting = {"x", "y"}
    assert table.order(strategy, [other, NESTED], tokens=100) == usable


ALL = [
    FillFirst(),
    RoundRobin(),
    Random(),
    Weighted(),
    P2c(),
    LeastUsed(),
    CostOptimized(),
    LeastLatency(),
    Tiered().build(inside(FillFirst())),
    Race().build(inside(FillFirst())),
]


@pytest.mark.parametrize("strategy", ALL, ids=lambda strategy: type(strategy).__name__)
@pytest.mark.parametrize("resting", ["", "a", "bc", "abc"])
def test_every_order_is_a_permutation_and_asking_counts_nothing(strategy: Any, resting: str) -> None:
    table = Table()
    table.resting = set(resting)
    for _ in range(5):
        ordered = strategy.order(ABC, table.turn())
        assert sorted(c.name for c in ordered) == ["a", "b", "c"]
        assert all(isinstance(strategy.why(c, table.turn()), str) for c in ordered)
    assert table.rotation.uses("combo/test") == 0
    assert table.health.all() == {}


@pytest.mark.parametrize("strategy", ALL, ids=lambda strategy: type(strategy).__name__)
def test_nobody_to_order_is_no_problem(strategy: Any) -> None:
    assert list(strategy.order([], Table().turn())) == []
    assert [c.name for c in strategy.order([One("a")], Table().turn())] == ["a"]
