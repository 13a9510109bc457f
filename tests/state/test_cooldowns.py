"""Rests: how long, for whom, and what ends them."""

from __future__ import annotations

import math

from omniroute.state.cooldowns import Cooldowns


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_transient_rest_doubles_and_has_a_ceiling() -> None:
    clock = Clock()
    rests = Cooldowns(clock)
    lengths = []
    for _ in range(9):
        rest = rests.rest("a", "id", pace="transient", reason="x", seconds=None, began=clock.now)
        lengths.append(rest.until - clock.now)
        clock.now = rest.until + 1
    assert lengths == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_what_the_upstream_says_counts_up_to_a_week() -> None:
    clock = Clock()
    rests = Cooldowns(clock)
    said = rests.rest("a", "id", pace="limited", reason="x", seconds=17, began=clock.now)
    assert said.until == 1017
    long = rests.rest("b", "id", pace="limited", reason="x", seconds=1e9, began=clock.now)
    assert long.until == 1000 + 7 * 86400


def test_failures_together_count_once() -> None:
    clock = Clock()
    rests = Cooldowns(clock)
    for _ in range(50):
        rests.rest("a", "id", pace="transient", reason="x", seconds=None, began=990.0)
    assert rests.all()["a"].level == 1
    clock.now = 1001.0
    assert rests.rest("a", "id", pace="transient", reason="x", seconds=None, began=1000.5).level == 2


def test_a_success_forgets_and_a_new_identity_starts_afresh() -> None:
    clock = Clock()
    rests = Cooldowns(clock)
    rests.rest("a", "key-1", pace="permanent", reason="refused", seconds=None, began=clock.now)
    found = rests.resting("a", "key-1")
    assert found is not None and math.isinf(found.until)
    assert rests.resting("a", "key-2") is None
    rests.heal("a")
    assert rests.resting("a", "key-1") is None


def test_reset_by_prefix() -> None:
    rests = Cooldowns(Clock())
    for name in ("glm/a", "glm/a/m", "openai/a"):
        rests.rest(name, "id", pace="transient", reason="x", seconds=None, began=0)
    assert rests.reset("glm/") == 2
    assert list(rests.all()) == ["openai/a"]


def test_an_older_success_does_not_end_a_rest() -> None:
    """A request that was under way when the limit was told says nothing about it."""
    clock = Clock()
    rests = Cooldowns(clock)
    rests.rest("a", "id", pace="limited", reason="x", seconds=3600, began=999.0)
    rests.heal("a", 998.0)
    assert rests.resting("a", "id") is not None
    rests.heal("a", 1001.0)
    assert rests.resting("a", "id") is None


def test_rests_do_not_grow_without_end() -> None:
    clock = Clock()
    rests = Cooldowns(clock)
    for number in range(Cooldowns.LARGEST + 500):
        clock.now += 0.001
        rests.rest(f"a/{number}", "id", pace="fixed", reason="x", seconds=600, began=clock.now)
    assert len(rests.all()) == Cooldowns.LARGEST
    assert rests.resting(f"a/{Cooldowns.LARGEST + 499}", "id") is not None
