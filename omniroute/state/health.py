"""How targets and accounts have been doing: what is under way, how often they fail, how soon they answer, how much
they were used.

Kept by name and identity (`account/glm/main#3fa1…`), so that it survives a reload and begins anew when the thing behind
the name is another. What is old counts less and less. Known to this process alone: load that others put on a target
shows in its latency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

FORGET = 30.0
"""Seconds in which an error rate that nothing confirms falls to about a third."""
LEAST_SHARE = 0.2
"""What a new sample counts for at least; the older the average, the more it counts."""
TELLING = 0.1
"""Seconds in which nobody can be expected to answer: who was not waited for longer has shown nothing."""
HOUR = 3600.0
"""Seconds of the window in which uses are shown."""
MOST_WINDOWS = 8
"""Windows of different lengths in which uses of one thing are counted."""


class Average:
    """An exponentially weighted moving average of samples that come when they come."""

    __slots__ = ("at", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.at = -math.inf
        """When the latest sample came; minus infinity before the first."""

    @property
    def known(self) -> bool:
        return self.at > -math.inf

    def add(self, sample: float, now: float) -> None:
        if self.at == -math.inf:
            self.value = sample
        else:
            kept = min(math.exp((self.at - now) / FORGET), 1 - LEAST_SHARE)
            self.value = kept * self.value + (1 - kept) * sample
        self.at = now


class Tally:
    """How many uses in the last `window` seconds: those of the window before fade out evenly. One in the window that is
    counted now is an addition to `uses`; after its end comes a `turn` first."""

    __slots__ = ("_before", "_window", "begin", "end", "uses")

    def __init__(self, window: float) -> None:
        self._window = window
        self.begin = self.end = -math.inf
        self.uses = 0
        self._before = 0

    def count(self, now: float) -> float:
        if not self.begin <= now < self.end:
            self.turn(now)
        return self.uses + self._before * (1 - now % self._window / self._window)

    def turn(self, now: float) -> None:
        """Count the window that `now` is in."""
        begin = now // self._window * self._window
        self._before = self.uses if begin == self.end else 0
        self.uses = 0
        self.begin, self.end = begin, begin + self._window


class Vital:
    """The health of one target or account. Times in seconds."""

    __slots__ = ("_errors", "_first_content", "_tallies", "_whole", "cached", "running")

    def __init__(self) -> None:
        self.running = 0
        """Attempts that are under way; a stream is until its end."""
        self.cached = Average()
        """Share of the prompt that came from the provider's cache."""
        self._errors = Average()
        self._first_content = Average()
        self._whole = Average()
        self._tallies: dict[float, Tally] = {HOUR: Tally(HOUR)}

    def error_rate(self, now: float) -> float:
        """From 0 to 1. What did not fail lately is forgiven: else what is avoided would never get another chance."""
        errors = self._errors
        return errors.value * math.exp((errors.at - now) / FORGET) if errors.value else 0.0

    def latency(self, stream: bool) -> float | None:
        """Average time to the first content of a stream, or to a whole plain answer; None while it is not known."""
        average = self._first_content if stream else self._whole
        return average.value if average.known else None

    def uses(self, window: float, now: float) -> float:
        """Uses in the last `window` seconds, counted from the first time that somebody asks for such a window on."""
        tally = self._tallies.get(window)
        if tally is None:
            if len(self._tallies) >= MOST_WINDOWS:
                return self._tallies[HOUR].count(now)
            tally = self._tallies[window] = Tally(window)
        return tally.count(now)

    def began(self, now: float) -> None:
        self.running += 1
        for tally in self._tallies.values():
            if tally.begin <= now < tally.end:
                tally.uses += 1
            else:
                tally.turn(now)
                tally.uses = 1

    def answered(self, seconds: float, stream: bool, now: float) -> None:
        if self._errors.at > -math.inf:
            self._errors.add(0.0, now)
        (self._first_content if stream else self._whole).add(seconds, now)

    def abandoned(self, seconds: float, stream: bool, now: float) -> None:
        """Nobody waited for the end: it takes at least so long, which tells something only where that is long."""
        average = self._first_content if stream else self._whole
        if seconds >= TELLING and (not average.known or seconds > average.value):
            average.add(seconds, now)

    def failed(self, now: float) -> None:
        if not self._errors.known:
            self._errors.at = now
        self._errors.add(1.0, now)


class Attempt:
    """One attempt, as health sees it: `answered`, `failed`, `abandoned` or none of them, and in the end `over`."""

    __slots__ = ("_began", "_clock", "_stream", "_vitals")

    def __init__(self, vitals: Sequence[Vital], stream: bool, clock: Callable[[], float]) -> None:
        self._vitals = vitals
        self._stream = stream
        self._clock = clock
        self._began = now = clock()
        for vital in vitals:
            vital.began(now)

    def answered(self, at: float | None = None) -> None:
        """The first content of a stream, or a whole plain answer, is here, or was at that time."""
        now = self._clock() if at is None else at
        for vital in self._vitals:
            vital.answered(now - self._began, self._stream, now)

    def abandoned(self) -> None:
        """The client left, or another was faster, before there was an answer."""
        now = self._clock()
        for vital in self._vitals:
            vital.abandoned(now - self._began, self._stream, now)

    def failed(self) -> None:
        """The target, or its account, is at fault."""
        now = self._clock()
        for vital in self._vitals:
            vital.failed(now)

    def over(self) -> None:
        """It is no longer under way. Twice is once."""
        for vital in self._vitals:
            vital.running -= 1
        self._vitals = ()


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `/-/state` shows of one target or account. Latencies in seconds, uses of the last hour."""

    running: int
    uses: int
    error_rate: float
    first_content: float | None = None
    whole_answer: float | None = None
    cached_share: float | None = None


class Health:
    """The vitals of one process, by health id."""

    LARGEST = 10_000
    """Vitals kept: models of open lists are named by clients. Those that were used longest ago go first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._vitals: dict[str, Vital] = {}

    def of(self, id: str) -> Vital:
        """The vital of a target or account; one that nobody used is well."""
        vital = self._vitals.get(id)
        return vital if vital is not None else self._make(id)

    def began(self, *ids: str, stream: bool) -> Attempt:
        """An attempt begins at these: tell the result how it goes."""
        vitals = self._vitals
        return Attempt([vitals.get(id) or self._make(id) for id in ids], stream, self.clock)

    def cached(self, id: str, share: float) -> None:
        """So much of a prompt came from the provider's cache, from 0 to 1."""
        self.of(id).cached.add(share, self.clock())

    def _make(self, id: str) -> Vital:
        if len(self._vitals) >= self.LARGEST:
            self._forget()
        vital = self._vitals[id] = Vital()
        return vital

    def _forget(self) -> None:
        """Drop a tenth: the least used of those where nothing is under way."""
        now = self.clock()
        idle = sorted((v.uses(HOUR, now), id) for id, v in self._vitals.items() if not v.running)
        for _, id in idle[: max(1, self.LARGEST // 10)]:
            del self._vitals[id]

    def all(self) -> Mapping[str, Reading]:
        """Those that were used in the last hour or two, by name without identity."""
        now = self.clock()
        readings = ((id.partition("#")[0], _reading(v, now)) for id, v in sorted(self._vitals.items()))
        return {name: reading for name, reading in readings if reading.uses or reading.running}


def _reading(vital: Vital, now: float) -> Reading:
    first, whole = vital.latency(True), vital.latency(False)
    return Reading(
        running=vital.running,
        uses=math.ceil(vital.uses(HOUR, now)),
        error_rate=round(vital.error_rate(now), 3),
        first_content=None if first is None else round(first, 4),
        whole_answer=None if whole is None else round(whole, 4),
        cached_share=round(vital.cached.value, 3) if vital.cached.known else None,
    )
