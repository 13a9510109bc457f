"""A copy of what a store holds, here at once and for reading without a wait; what changes is sent on in batches.

Nothing here waits or fails: `state/link.py` carries changes to and fro. Without a store it is plain memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice
from math import inf
from typing import Literal
from uuid import uuid4

import msgspec

from omniroute.state.counter import Counter, Part
from omniroute.state.shared import Heard, Listener
from omniroute.state.store import Change

log = logging.getLogger("omniroute")

LARGEST = 200_000
"""Records kept, and counters; the oldest go first."""
OUTBOX = 2 * LARGEST
"""Changes that wait for the store; the oldest go."""
FIRST_SWEEP = 1_000
SIGNAL_KEPT = 60.0
"""Seconds that a signal waits for a store that is away; after that nobody needs it."""

Kind = Literal["drop", "put", "count"]


class Replica:
    """A `Shared`. What is changed here waits in an outbox, once for each key, until the store has it."""

    def __init__(self, clock: Callable[[], float], origin: str | None = None) -> None:
        self.origin = origin if origin is not None else uuid4().hex
        """Who we are among those who share the store. A restart is somebody else."""
        self._clock = clock
        self._records: dict[str, tuple[bytes, float]] = {}
        self._counters: dict[str, Counter] = {}
        self._listeners: list[tuple[str, Listener]] = []
        self._sharing = False
        self._wake: Callable[[], None] = lambda: None
        self._outbox: dict[tuple[Kind, str], None] = {}
        self._signals: dict[str, tuple[float, float]] = {}
        """What is to be told, and since when."""
        self._version = 0
        self._sweep_records_at = self._sweep_counters_at = FIRST_SWEEP

    # ── the verbs of `Shared` ────────────────────────────────────────────────────────────────────

    def put(self, key: str, value: bytes, ttl: float | None) -> None:
        self._keep(key, value, _end(ttl, self._clock()))
        self._changed("put", key)

    def get(self, key: str) -> bytes | None:
        found = self._records.get(key)
        return found[0] if found is not None and found[1] > self._clock() else None

    def drop(self, key: str) -> None:
        self._records.pop(key, None)
        self._counters.pop(key, None)
        self._outbox.pop(("put", key), None)
        self._outbox.pop(("count", key), None)
        self._changed("drop", key)

    def add(self, key: str, amount: float, ttl: float | None) -> float:
        total = self._counter(key).add(amount, ttl, self._clock())
        self._changed("count", key)
        return total

    def total(self, key: str) -> float:
        found = self._counters.get(key)
        return found.value(self._clock()) if found is not None else 0.0

    def signal(self, key: str, amount: float) -> None:
        if not self._sharing:
            return
        before, since = self._signals.get(key, (0.0, self._clock()))
        self._signals[key] = (before + amount, since)
        if len(self._signals) == 1:
            self._wake()

    def watch(self, prefix: str, listener: Listener) -> None:
        self._listeners.append((prefix, listener))

    # ── the outbox ───────────────────────────────────────────────────────────────────────────────

    def share(self, wake: Callable[[], None]) -> None:
        """From now on there is somebody to tell; `wake` is called when there is something to send."""
        self._sharing, self._wake = True, wake
        self.tell_all()

    @property
    def behind(self) -> int:
        """How many changes wait to be sent."""
        return len(self._outbox) + len(self._signals)

    def take(self, most: int) -> list[Change]:
        """The next changes to send, out of the outbox: give them back, or acknowledge them."""
        now = self._clock()
        keys = list(islice(self._outbox, most))
        for entry in keys:
            del self._outbox[entry]
        changes = [change for kind, key in keys if (change := self._change(kind, key, now)) is not None]
        for key in list(islice(self._signals, most - len(keys))):
            amount, since = self._signals.pop(key)
            if since + SIGNAL_KEPT > now:
                changes.append(Change("signal", key, amount=amount))
        return changes

    def give_back(self, changes: Iterable[Change]) -> None:
        """They were not sent, or nobody knows. Signals are not repeated: the others may have heard them."""
        for change in changes:
            if change.verb != "signal":
                self._outbox.setdefault((change.verb, change.key))
                if change.verb == "drop" and ("put", change.key) in self._outbox:
                    # What was put after the drop has to be sent after it.
                    del self._outbox["put", change.key]
                    self._outbox["put", change.key] = None

    def acknowledge(self, changes: Iterable[Change], dropped: set[str]) -> None:
        """The store has them. `dropped` are counters that others dropped at about the same time."""
        for change in changes:
            if change.verb != "count":
                continue
            if change.key in dropped:
                # The store may hold what we contributed before the drop: tell it what is left, be it nothing.
                counter = self._counter(change.key)
                counter.end = min(counter.end, _end(change.ttl, self._clock()))
                self._changed("count", change.key)
                continue
            known = self._counters.get(change.key)
            if known is not None and known.sent == change.version:
                known.told = change.amount

    def tell_all(self) -> None:
        """Everything of our own is to be sent (again)."""
        now = self._clock()
        for key, counter in self._counters.items():
            if counter.own != 0.0 and counter.end > now:
                self._changed("count", key)

    def known(self) -> Iterator[Change]:
        """All that lives, for a store that may have lost it: records where it has none, and what others contributed.
        May be read bit by bit, while things change."""
        for key in list(self._records):
            value, end = self._records.get(key, (b"", 0.0))
            if end > (now := self._clock()):
                yield Change("put", key, value, ttl=_left(end, now), absent=True)
        for key in list(self._counters):
            counter = self._counters.get(key)
            for origin, part in list(counter.others.items()) if counter is not None else ():
                if part.end > (now := self._clock()):
                    yield Change("count", key, b"", part.amount, origin, part.version, _left(part.end, now))

    def _change(self, kind: Kind, key: str, now: float) -> Change | None:
        """The change that an entry of the outbox stands for; None when it has become pointless."""
        if kind == "drop":
            return Change("drop", key)
        if kind == "put":
            found = self._records.get(key)
            if found is None or found[1] <= now:
                return None
            return Change("put", key, found[0], ttl=_left(found[1], now))
        counter = self._counters.get(key)
        if counter is None or counter.end <= now:
            return None
        self._version += 1
        counter.sent = self._version
        return Change("count", key, b"", counter.own, self.origin, self._version, _left(counter.end, now))

    def _changed(self, kind: Kind, key: str) -> None:
        if not self._sharing:
            return
        if not self._outbox:
            self._wake()
        self._outbox[kind, key] = None
        if len(self._outbox) > OUTBOX:
            del self._outbox[next(iter(self._outbox))]

    # ── what others did ──────────────────────────────────────────────────────────────────────────

    def hear(self, changes: Iterable[Change]) -> set[str]:
        """Take over what others changed, and tell those who watch. The keys that were dropped."""
        now = self._clock()
        dropped: set[str] = set()
        for change in changes:
            if change.verb == "drop":
                dropped.add(change.key)
            heard = self._take_over(change, now)
            if heard is not None:
                self._tell(heard)
        return dropped

    def hear_rest(self, held: Set[str]) -> None:
        """What a store does not hold, and is not on its way there, has been dropped by others."""
        for key in [*self._records, *self._counters]:
            if key not in held and not self._is_pending(key):
                self.hear([Change("drop", key)])

    def _is_pending(self, key: str) -> bool:
        return any((kind, key) in self._outbox for kind in ("drop", "put", "count"))

    def _take_over(self, change: Change, now: float) -> Heard | None:
        key, end = change.key, _end(change.ttl, now)
        match change.verb:
            case "put":
                if ("put", key) not in self._outbox and ("drop", key) not in self._outbox:
                    # Else ours is the later one: it is still to be sent.
                    self._keep(key, change.value, end)
                return Heard("put", key, value=change.value, ttl=change.ttl)
            case "drop":
                return self._hear_drop(key)
            case "count":
                if change.origin == self.origin:
                    return None
                part = Part(change.amount, change.version, end)
                counter = self._counter(key)
                return (
                    Heard("add", key, amount=counter.total)
                    if counter.hear(change.origin, part, now)
                    else None
                )
            case "signal":
                return Heard("signal", key, amount=change.amount)

    def _hear_drop(self, key: str) -> Heard | None:
        counter = self._counters.get(key)
        if counter is not None:
            counter.clear()
            if counter.own:
                self._changed("count", key)
            else:
                del self._counters[key]
        if ("put", key) in self._outbox:
            return None
        self._records.pop(key, None)
        return Heard("drop", key)

    def _tell(self, heard: Heard) -> None:
        for prefix, listener in self._listeners:
            if not heard.key.startswith(prefix):
                continue
            try:
                listener(heard)
            except (ValueError, msgspec.MsgspecError) as error:
                # Another version of the gateway may write what this one does not read.
                log.warning("what another process says of %s cannot be read: %s", heard.key, error)

    # ── the copy ─────────────────────────────────────────────────────────────────────────────────

    def _keep(self, key: str, value: bytes, end: float) -> None:
        self._records.pop(key, None)
        self._records[key] = (value, end)
        if len(self._records) > self._sweep_records_at:
            self._sweep_records()

    def _counter(self, key: str) -> Counter:
        found = self._counters.get(key)
        if found is None:
            found = self._counters[key] = Counter()
            if len(self._counters) > self._sweep_counters_at:
                self._sweep_counters()
        return found

    def _sweep_records(self) -> None:
        """What is over goes, and if that is not enough a tenth of the rest."""
        now = self._clock()
        self._records = {key: kept for key, kept in self._records.items() if kept[1] > now}
        for key in list(self._records)[: max(0, len(self._records) - LARGEST * 9 // 10)]:
            del self._records[key]
        self._sweep_records_at = _next_sweep(len(self._records))

    def _sweep_counters(self) -> None:
        now = self._clock()
        newest = next(reversed(self._counters))
        self._counters = {
            key: counter
            for key, counter in self._counters.items()
            if key == newest or not counter.is_over(now)
        }
        for key in list(self._counters)[: max(0, len(self._counters) - LARGEST * 9 // 10)]:
            del self._counters[key]
        self._sweep_counters_at = _next_sweep(len(self._counters))


def _next_sweep(kept: int) -> int:
    """At which size to look again: sweeps stay rare, however many are kept."""
    return min(max(kept * 2, FIRST_SWEEP), LARGEST)


def _end(ttl: float | None, now: float) -> float:
    return inf if ttl is None else now + ttl


def _left(end: float, now: float) -> float | None:
    return None if end == inf else max(end - now, 0.001)
