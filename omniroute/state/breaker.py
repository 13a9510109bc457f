"""Leaves a provider that fails alone for a while: closed, open, half-open (Nygard, Release It!).

Only connect errors, timeouts and 5xx count, and that is for the caller to decide: an answer that refuses a request is
a sign of life. Kept by name with the identity of what it is about; when that changes, it starts afresh.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from omniroute.state.shared import Heard, Shared
from omniroute.state.transitions import Transitions

PROBE = 120.0
"""Seconds after which a probe that never came back is given up, and another one let through."""

SLICES = 12
"""Into so many parts a window is cut: the oldest goes as a whole."""

PREFIX = "breaker/"

Phase = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Opens after `failures` in a row, or when `ratio` of at least `least` attempts in `window` seconds failed; stays
    open for `open` seconds, doubling to `max_open`."""

    failures: int = 5
    ratio: float = 0.5
    least: int = 10
    window: float = 60.0
    open: float = 30.0
    max_open: float = 480.0


class Opened(msgspec.Struct, frozen=True):
    """What other processes are told of a breaker that opened. Times in epoch seconds."""

    identity: str
    until: float
    level: int
    reason: str
    since: float


@dataclass(slots=True)
class Breaker:
    """`slices` are [begin, successes, failures]. `level` counts openings since it was last closed."""

    identity: str
    streak: int = 0
    slices: deque[list[float]] = field(default_factory=deque)
    level: int = 0
    until: float = 0.0
    since: float = 0.0
    reason: str = ""
    probe_until: float = 0.0

    def phase(self, now: float) -> Phase:
        if self.level == 0:
            return "closed"
        return "open" if now < self.until else "half-open"

    def count(self, now: float, window: float, *, ok: bool) -> None:
        self.streak = 0 if ok else self.streak + 1
        length = window / SLICES
        if not self.slices or now - self.slices[-1][0] >= length:
            self.slices.append([now, 0, 0])
        self.slices[-1][1 if ok else 2] += 1
        while now - self.slices[0][0] > window:
            self.slices.popleft()

    def trips(self, rules: BreakerRules) -> bool:
        good = sum(s[1] for s in self.slices)
        bad = sum(s[2] for s in self.slices)
        if self.streak >= rules.failures:
            return True
        return good + bad >= rules.least and bad / (good + bad) >= rules.ratio


class Breakers:
    """All breakers of one process, by the name of a provider or a target."""

    LARGEST = 10_000
    """Breakers kept; targets of open model lists are named by clients."""

    def __init__(self, clock: Callable[[], float], shared: Shared, transitions: Transitions) -> None:
        self._clock = clock
        self._shared = shared
        self._transitions = transitions
        self._breakers: dict[str, Breaker] = {}
        shared.watch(PREFIX, self._heard)

    def blocked(self, name: str, identity: str, now: float) -> tuple[str, float] | None:
        """Why no attempt may be made now, and when one may; None when one may. Changes nothing."""
        breaker = self._breakers.get(name)
        if breaker is None or breaker.level == 0 or breaker.identity != identity:
            return None
        if now < breaker.until:
            return f"breaker open: {breaker.reason}", breaker.until
        if now < breaker.probe_until:
            return f"breaker half-open, a probe is under way: {breaker.reason}", breaker.probe_until
        return None

    def enter(self, name: str, identity: str) -> bool:
        """An attempt begins: whether it may. Of those that come while it is half-open, one may, the probe."""
        now = self._clock()
        if self.blocked(name, identity, now) is not None:
            return False
        breaker = self._breakers.get(name)
        if breaker is not None and breaker.level and breaker.identity == identity:
            breaker.probe_until = now + PROBE
            self._transitions.tell("breaker", name, "half-open", breaker.reason)
        return True

    def leave(self, name: str) -> None:
        """An attempt ended that says nothing: if it was the probe, the next one is."""
        breaker = self._breakers.get(name)
        if breaker is not None:
            breaker.probe_until = 0.0

    def succeeded(self, name: str, identity: str, rules: BreakerRules, began: float) -> None:
        breaker = self._of(name, identity)
        if breaker.level == 0:
            breaker.count(self._clock(), rules.window, ok=True)
        elif began >= breaker.until:
            self._close(name)

    def failed(self, name: str, identity: str, rules: BreakerRules, reason: str, began: float) -> None:
        """`began` is when the failed attempt did: one from before the breaker opened is no news."""
        now = self._clock()
        breaker = self._of(name, identity)
        if breaker.level and began < breaker.until:
            return
        breaker.count(now, rules.window, ok=False)
        if breaker.level or breaker.trips(rules):
            self._open(name, breaker, rules, reason, now)

    def reset(self, name: str | None = None) -> int:
        """Close the breaker of that name, or all; how many were not closed."""
        names = [n for n, b in self._breakers.items() if b.level and name in (None, n)]
        for each in names:
            self._close(each, "reset")
        if name is None:
            self._breakers.clear()
        else:
            self._breakers.pop(name, None)
        return len(names)

    def all(self) -> dict[str, Breaker]:
        """Those that are not closed, by name."""
        return {name: b for name, b in sorted(self._breakers.items()) if b.level}

    def _of(self, name: str, identity: str) -> Breaker:
        breaker = self._breakers.get(name)
        if breaker is None or breaker.identity != identity:
            breaker = self._breakers[name] = Breaker(identity)
            if len(self._breakers) > self.LARGEST:
                closed = next((n for n, b in self._breakers.items() if not b.level), name)
                del self._breakers[closed]
        return breaker

    def _open(self, name: str, breaker: Breaker, rules: BreakerRules, reason: str, now: float) -> None:
        breaker.level += 1
        breaker.since = now
        breaker.until = now + min(rules.open * 2.0 ** (breaker.level - 1), rules.max_open)
        breaker.reason = reason
        breaker.probe_until = 0.0
        breaker.streak = 0
        breaker.slices.clear()
        told = Opened(breaker.identity, breaker.until, breaker.level, reason, now)
        # Kept beyond its end: the level doubles the next time only if it is still known.
        self._shared.put(PREFIX + name, msgspec.json.encode(told), breaker.until - now + rules.max_open)
        self._transitions.tell("breaker", name, "open", reason, breaker.until)

    def _close(self, name: str, why: str = "") -> None:
        del self._breakers[name]
        self._shared.drop(PREFIX + name)
        self._transitions.tell("breaker", name, "closed", why)

    def _heard(self, heard: Heard) -> None:
        name = heard.key.removeprefix(PREFIX)
        if heard.verb == "drop":
            self._breakers.pop(name, None)
        elif heard.verb == "put":
            told = msgspec.json.decode(heard.value, type=Opened)
            breaker = self._of(name, told.identity)
            breaker.level, breaker.until, breaker.since = told.level, told.until, told.since
            breaker.reason, breaker.probe_until = told.reason, 0.0
