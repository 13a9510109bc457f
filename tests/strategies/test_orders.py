"""The order that each strategy gives, over many requests."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from omniroute.routing.facts import Facts
from omniroute.routing.strategy import Turn
from omniroute.state.rotation import Rotation
from omniroute.strategies.fill_first import FillFirst
from omniroute.strategies.random import Random
from omniroute.strategies.round_robin import RoundRobin, Sticky
from omniroute.strategies.weighted import Weighted


@dataclass
class One:
    name: str
    weight: float = 1
    priority: int = 0


class Table:
    """Turns of one scope, with one memory."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.rotation = Rotation(lambda: self.now)
        self.dice = random.Random(seed)

    def turn(self, headers: dict[str, str] | None = None, ip: str = "") -> Turn:
        facts = Facts(
            model="m",
            wire="openai-chat",
            operation="chat",
            stream=False,
            tokens=0,
            headers=headers or {},
            caller=None,
            document=dict,
            client_ip=ip,
        )
        return Turn("combo/test", facts, self.rotation, self.dice, self.now)

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
    table.now = 101
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


@pytest.mark.parametrize("strategy", [FillFirst(), RoundRobin(), Random(), Weighted()])
def test_every_order_is_a_permutation_and_asking_counts_nothing(strategy: Any) -> None:
    table = Table()
    for _ in range(5):
        assert sorted(c.name for c in strategy.order(ABC, table.turn())) == ["a", "b", "c"]
    assert table.rotation.uses("combo/test") == 0
