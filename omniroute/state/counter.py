"""A counter that several processes add to: the sum of what each has contributed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum, inf


@dataclass(slots=True)
class Part:
    """What another process has contributed so far. `end` is epoch seconds; infinite is for ever."""

    amount: float
    version: int
    end: float


@dataclass(slots=True)
class Counter:
    """`own` is what this process has contributed, `told` how much of it the store knows, `sent` the version of the
    latest news of it that is under way or there."""

    own: float = 0.0
    told: float = 0.0
    sent: int = 0
    end: float = inf
    """When `own` is over. What has nothing of its own has no end of its own."""
    others: dict[str, Part] = field(default_factory=dict)
    total: float = 0.0
    next_end: float = inf
    """When the first part is over and the total has to be added up anew."""

    def add(self, amount: float, ttl: float | None, now: float) -> float:
        """The total. The first one to add sets the end for all."""
        if self.next_end <= now:
            self._sweep(now)
        if self.own == 0.0 and self.told == 0.0:
            ends = [part.end for part in self.others.values()]
            self.end = min(ends) if ends else (inf if ttl is None else now + ttl)
        self.own += amount
        return self._sum_up()

    def hear(self, origin: str, part: Part, now: float) -> bool:
        """Whether that was news."""
        known = self.others.get(origin)
        if known is not None and known.version >= part.version:
            return False
        self.others[origin] = part
        self._sweep(now)
        return True

    def value(self, now: float) -> float:
        """The total as it is known here."""
        if self.next_end <= now:
            self._sweep(now)
        return self.total

    def clear(self) -> None:
        """Somebody dropped the counter: what the store did not know of it yet begins a new one."""
        self.others.clear()
        self.own, self.told, self.sent = self.own - self.told, 0.0, 0
        self._sum_up()

    def is_over(self, now: float) -> bool:
        if self.next_end <= now:
            self._sweep(now)
        return not self.others and self.own == 0.0 and self.told == 0.0

    def _sweep(self, now: float) -> None:
        if self.end <= now:
            self.own, self.told, self.sent, self.end = 0.0, 0.0, 0, inf
        if any(part.end <= now for part in self.others.values()):
            self.others = {origin: part for origin, part in self.others.items() if part.end > now}
        self._sum_up()

    def _sum_up(self) -> float:
        if not self.others:
            self.next_end = self.end if self.own != 0.0 or self.told != 0.0 else inf
            self.total = self.own
            return self.total
        self.next_end = min((part.end for part in self.others.values()), default=inf)
        if self.own != 0.0 or self.told != 0.0:
            self.next_end = min(self.next_end, self.end)
        # Rounded once at the end, so that all processes come to the same sum, in whatever order they add it up.
        self.total = fsum((self.own, *(part.amount for part in self.others.values())))
        return self.total
