"""What a part of the state sees of the store: a view that is always here, and never waits.

Breakers, quotas, limits, cooldowns and sticky sessions keep their own structures and are read without I/O. What
others must know of goes through a `Shared`: records (the last writer wins), counters (sums of what everyone added)
and signals (heard once, kept nowhere). Behind it stands this process alone, or a store that other processes read, too
(`state/replica.py`): writes are sent in batches, and what others wrote is heard soon after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Heard:
    """What another process did. `value` is the record of a `put` and `ttl` the seconds it has left, `amount` what a
    `signal` said or the total of an `add`."""

    verb: Literal["put", "drop", "add", "signal"]
    key: str
    value: bytes = b""
    amount: float = 0.0
    ttl: float | None = None


Listener = Callable[[Heard], None]


class Shared(Protocol):
    """All verbs act on the local view at once. `ttl` is in seconds; None is for ever."""

    def put(self, key: str, value: bytes, ttl: float | None) -> None:
        """A record: the last writer wins."""
        ...

    def get(self, key: str) -> bytes | None: ...

    def drop(self, key: str) -> None:
        """Forget a record or a counter."""
        ...

    def add(self, key: str, amount: float, ttl: float | None) -> float:
        """Add to a counter; its total, as far as it is known here. `ttl` counts from the first addition."""
        ...

    def total(self, key: str) -> float: ...

    def signal(self, key: str, amount: float) -> None:
        """Tell the others now; nothing is kept. Those of one key that come close together are heard as one, added up."""
        ...

    def watch(self, prefix: str, listener: Listener) -> None:
        """Hear what other processes do to keys that start so, and at the start what the store holds of them."""
        ...


class Local:
    """A `Shared` that nobody else shares: the store `memory`."""

    LARGEST = 200_000
    """Keys kept; the oldest go first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, tuple[bytes, float | None]] = {}
        self._totals: dict[str, tuple[float, float | None]] = {}

    def put(self, key: str, value: bytes, ttl: float | None) -> None:
        self._records.pop(key, None)
        self._records[key] = (value, self._end(ttl))
        if len(self._records) > self.LARGEST:
            del self._records[next(iter(self._records))]

    def get(self, key: str) -> bytes | None:
        found = self._records.get(key)
        return found[0] if found is not None and self._lives(found[1]) else None

    def drop(self, key: str) -> None:
        self._records.pop(key, None)
        self._totals.pop(key, None)

    def add(self, key: str, amount: float, ttl: float | None) -> float:
        before, end = self._totals.get(key, (0.0, None))
        if key not in self._totals or not self._lives(end):
            before, end = 0.0, self._end(ttl)
        self._totals[key] = (before + amount, end)
        if len(self._totals) > self.LARGEST:
            del self._totals[next(iter(self._totals))]
        return before + amount

    def total(self, key: str) -> float:
        amount, end = self._totals.get(key, (0.0, None))
        return amount if self._lives(end) else 0.0

    def signal(self, key: str, amount: float) -> None:
        """Nobody else is there to hear it."""

    def watch(self, prefix: str, listener: Listener) -> None:
        """Nobody else is there to be heard."""

    def _end(self, ttl: float | None) -> float | None:
        return None if ttl is None else self._clock() + ttl

    def _lives(self, end: float | None) -> bool:
        return end is None or end > self._clock()
