"""Who is resting, and until when: accounts, and single models of an account.

Kept by name, so that it survives a reload, together with the identity of what it is about (URL, credential,
proxy): when that changes, the rest ends. Times are epoch seconds, from the clock that is handed in.

Processes that share a store tell each other: of two rests of one name the longer one counts, and who heals one heals
it for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from omniroute.state.shared import Heard, Local, Shared

PREFIX = "cooldown/"
REMEMBERED = 86400.0
"""Seconds for which the others remember how often in a row it was, after a rest is over."""
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
    """The rests that one process knows of."""

    LARGEST = 10_000
    """Rests kept."""

    def __init__(self, clock: Callable[[], float], shared: Shared | None = None) -> None:
        self._clock = clock
        self._shared: Shared = shared if shared is not None else Local(clock)
        self.rests: dict[str, Rest] = {}
        """Those that rest, by name, and perhaps some that no longer do: whoever finds it empty need not ask."""
        self._shared.watch(PREFIX, self._heard)

    def resting(self, name: str, identity: str) -> Rest | None:
        """The rest of `name` that is still on, or None."""
        if not self.rests:
            return None
        rest = self.rests.get(name)
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
        before = self.rests.get(name)
        if before is not None and before.identity != identity:
            before = None
        together = before is not None and began <= before.since
        level = before.level if before is not None else 0
        level = level if together else level + 1
        until = now + _length(pace, level, seconds)
        if together and before is not None:
            until = max(until, before.until)
        rest = Rest(identity, until, level, reason, before.since if together and before else now)
        self._keep(name, rest)
        self._tell(name, rest)
        return rest

    def heal(self, name: str, began: float = math.inf) -> bool:
        """A success of an attempt that `began` then: all is forgotten, but for a failure that came after it began.
        Whether there was something to forget."""
        rest = self.rests.get(name)
        if rest is None or rest.since > began:
            return False
        self._forget(name)
        return True

    def _forget(self, name: str) -> None:
        del self.rests[name]
        self._shared.drop(PREFIX + name)

    def _keep(self, name: str, rest: Rest) -> None:
        self.rests.pop(name, None)
        self.rests[name] = rest
        if len(self.rests) > self.LARGEST:
            self._forget_oldest()

    def _tell(self, name: str, rest: Rest) -> None:
        ttl = None if math.isinf(rest.until) else rest.until - self._clock() + REMEMBERED
        self._shared.put(PREFIX + name, msgspec.msgpack.encode(rest), ttl)

    def _heard(self, heard: Heard) -> None:
        """Another process sent a name to rest, or healed it."""
        name = heard.key.removeprefix(PREFIX)
        if heard.verb == "drop":
            self.rests.pop(name, None)
        elif heard.verb == "put":
            theirs = msgspec.msgpack.decode(heard.value, type=Rest)
            ours = self.rests.get(name)
            merged = theirs if ours is None else _merged(ours, theirs)
            self._keep(name, merged)
            if merged.until > theirs.until:
                self._tell(name, merged)

    def _forget_oldest(self) -> None:
        """Models of open lists are named by clients: those that rested first go, above all those that are back."""
        now = self._clock()
        self.rests = {name: rest for name, rest in self.rests.items() if rest.until > now}
        for name in list(self.rests)[: max(0, len(self.rests) - self.LARGEST)]:
            del self.rests[name]

    def reset(self, prefix: str = "") -> int:
        """Forget the rests of all names that start so; how many there were."""
        names = [name for name in self.rests if name.startswith(prefix)]
        for name in names:
            self._forget(name)
        return len(names)

    def all(self) -> dict[str, Rest]:
        """Those that are on now, by name."""
        now = self._clock()
        return {name: rest for name, rest in sorted(self.rests.items()) if rest.until > now}


def _merged(ours: Rest, theirs: Rest) -> Rest:
    """The longer one; of different identities (a credential was changed) the newer one."""
    if ours.identity != theirs.identity:
        return max(theirs, ours, key=lambda rest: rest.since)
    longer = max(theirs, ours, key=lambda rest: rest.until)
    return Rest(
        longer.identity,
        longer.until,
        max(ours.level, theirs.level),
        longer.reason,
        max(ours.since, theirs.since),
    )


def _length(pace: Pace, level: int, seconds: float | None) -> float:
    if pace == "permanent":
        return math.inf
    if seconds is not None:
        return min(max(seconds, 0.0), LIMITED_MOST)
    first, most = (TRANSIENT_FIRST, TRANSIENT_MOST) if pace == "transient" else (LIMITED_FIRST, LIMITED_MOST)
    return min(first * 2.0 ** min(level - 1, 30), most)
