"""When a breaker opens, for how long, and what closes it."""

from __future__ import annotations

import pytest

from omniroute.state.breaker import BreakerRules, Breakers
from omniroute.state.shared import Local
from omniroute.state.transitions import Transitions

RULES = BreakerRules()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def breakers(clock: Clock) -> Breakers:
    return Breakers(clock, Local(clock), Transitions(clock))


def attempt(found: Breakers, clock: Clock, *, ok: bool, rules: BreakerRules = RULES) -> bool:
    """One attempt that takes a second; whether the breaker let it through."""
    if not found.enter("p", "id"):
        return False
    began = clock.now
    clock.now += 1
    if ok:
        found.succeeded("p", "id", rules, began)
    else:
        found.failed("p", "id", rules, "it broke", began)
    return True


@pytest.mark.parametrize(
    "history, phase",
    [
        ("....", "closed"),
        ("xxxx.", "closed"),  # never five in a row
        ("xxxxx", "open"),
        ("xxxx.xxxx.x", "open"),  # nine of eleven
        (".x.x.x.x.", "closed"),  # too few to count the share
        (".x.x.x.x.x", "open"),  # half of ten
        ("..x..x..x..x", "closed"),
    ],
)
def test_what_opens_it(history: str, phase: str) -> None:
    clock = Clock()
    found = breakers(clock)
    for each in history:
        attempt(found, clock, ok=each == ".")
    shown = found.all()
    assert (shown["p"].phase(clock.now) if shown else "closed") == phase


def test_old_failures_are_forgotten() -> None:
    clock = Clock()
    found = breakers(clock)
    for each in ".x.x.x.x.":
        attempt(found, clock, ok=each == ".")
    clock.now += 61
    attempt(found, clock, ok=False)
    assert found.all() == {}


def test_half_open_lets_one_probe_through_and_opens_for_twice_as_long() -> None:
    clock = Clock()
    found = breakers(clock)
    lengths = []
    for _ in range(5):
        attempt(found, clock, ok=False)
    for _ in range(6):
        breaker = found.all()["p"]
        lengths.append(round(breaker.until - clock.now))
        assert not found.enter("p", "id")
        clock.now = breaker.until
        assert found.blocked("p", "id", clock.now) is None
        assert found.enter("p", "id")
        assert not found.enter("p", "id"), "one probe at a time"
        found.failed("p", "id", RULES, "still broken", clock.now)
    assert lengths == [30, 60, 120, 240, 480, 480]


def test_a_good_probe_closes_it_and_it_starts_afresh() -> None:
    clock = Clock()
    found = breakers(clock)
    for _ in range(5):
        attempt(found, clock, ok=False)
    clock.now = found.all()["p"].until
    assert attempt(found, clock, ok=True)
    assert found.all() == {}
    for _ in range(5):
        assert attempt(found, clock, ok=False)
    assert round(found.all()["p"].until - clock.now) == 30


def test_a_probe_that_says_nothing_makes_room_for_the_next() -> None:
    clock = Clock()
    found = breakers(clock)
    for _ in range(5):
        attempt(found, clock, ok=False)
    clock.now = found.all()["p"].until
    assert found.enter("p", "id")
    found.leave("p")
    assert found.enter("p", "id")


def test_failures_that_began_before_it_opened_do_not_prolong_it() -> None:
    clock = Clock()
    found = breakers(clock)
    for _ in range(20):
        found.failed("p", "id", RULES, "all at once", 1000.0)
    assert (found.all()["p"].level, found.all()["p"].until) == (1, 1030.0)


def test_another_identity_starts_afresh() -> None:
    clock = Clock()
    found = breakers(clock)
    for _ in range(5):
        attempt(found, clock, ok=False)
    assert found.blocked("p", "id", clock.now) is not None
    assert found.blocked("p", "another address", clock.now) is None


def test_a_reset_closes_one_or_all() -> None:
    clock = Clock()
    found = breakers(clock)
    for name in ("p", "q"):
        for _ in range(5):
            found.failed(name, "id", RULES, "x", clock.now)
    assert (found.reset("p"), list(found.all())) == (1, ["q"])
    assert (found.reset(), found.all()) == (1, {})
