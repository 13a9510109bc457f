"""Who is resting, and until when: accounts, and single models of an account.

Kept by name, so that it survives a reload, together with the identity of what it is about (URL, credential,
proxy): when that changes, the rest ends. Times are epoch seconds, from the clock that is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

TRANSIENT_FIRST = 5.0
TRANSIENT_MOST = 300.0
LIMITED_FIRST = 60.0
LIMITED_MOST = 7 * 86400.0

Pace = Literal["transient", "limited", "fixed", "permanent"]


@dataclass(slots=True)
class Rest:
    """`until` is infinite when only a changed credential ends it. `level` counts failures since the last success."""

    identity: str
    until: float
    level: int
    reason: str
    since: float


class Cooldowns:
    """The rests of one process."""

    LARGEST = 10_000
    """Rests kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rests: dict[str, Rest] = {}

    def resting(self, name: str, identity: str) -> Rest | None:
        """The rest of `name` that is still on, or None."""
        rest = self._rests.get(name)
        if rest is None or rest.identity != identity or rest.until <= self._clock():
            return None
        return rest

    def rest(
        self, name: str, identity: str, *, pace: Pace, reason: str, seconds: float | None, began: float
    ) -> Rest:
        """Send `name` to rest after a failure of an attempt that `began` then.

        `seconds` is what the upstream said (or the length of a `fixed` rest); without it the pace decides, doubling
        with each level. Failures of attempts that were under way together raise the level once.
        """
        now = self._clock()
        before = self._rests.get(name)
        if before is not None and before.identity != identity:
            before = None
        together = before is not None and began <= before.since
        level = before.level if before is not None else 0
        level = level if together else level + 1
        until = now + _length(pace, level, seconds)
        if together and before is not None:
            until = max(until, before.until)
        rest = Rest(identity, until, level, reason, before.since if together and before else now)
        self._rests.pop(name, None)
        self._rests[name] = rest
        if len(self._rests) > self.LARGEST:
            self._forget_oldest()
        return rest

    def heal(self, name: str, began: float = math.inf) -> None:
        """A success of an attempt that `began` then: all is forgotten, but for a failure that came after it began."""
        rest = self._rests.get(name)
        if rest is not None and rest.since <= began:
            del self._rests[name]

    def _forget_oldest(self) -> None:
        """Models of open lists are named by clients: those that rested first go, above all those that are back."""
        now = self._clock()
        self._rests = {name: rest for name, rest in self._rests.items() if rest.until > now}
        for name in list(self._rests)[: max(0, len(self._rests) - self.LARGEST)]:
            del self._rests[name]

    def reset(self, prefix: str = "") -> int:
        """Forget the rests of all names that start so; how many there were."""
        names = [name for name in self._rests if name.startswith(prefix)]
        for name in names:
            del self._rests[name]
        return len(names)

    def all(self) -> dict[str, Rest]:
        """Those that are on now, by name."""
        now = self._clock()
        return {name: rest for name, rest in sorted(self._rests.items()) if rest.until > now}


def _length(pace: Pace, level: int, seconds: float | None) -> float:
    if pace == "permanent":
        return math.inf
    if seconds is not None:
        return min(max(seconds, 0.0), LIMITED_MOST)
    first, most = (TRANSIENT_FIRST, TRANSIENT_MOST) if pace == "transient" else (LIMITED_FIRST, LIMITED_MOST)
    return min(first * 2.0 ** min(level - 1, 30), most)
