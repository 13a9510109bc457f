"""`store: memory`: nobody else sees it, and it ends with the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from uuid import uuid4

from omniroute.declare import Options, store
from omniroute.state.heap import Heap
from omniroute.state.store import Address, Change, News

LOG = 10_000
"""Changes remembered for those who come to ask."""
Ends = float | None


@store("memory", example="memory")
class Memory(Options, frozen=True, kw_only=True):
    """State ends with the process, and every worker has its own."""

    def lacks(self) -> str | None:
        return None

    def open(self, address: Address) -> MemoryStore:
        return MemoryStore(address.clock)


class MemoryStore:
    """A store in this process. Several replicas of one process may share it."""

    kind = "memory"
    alone = True
    pace = 0.05

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._life = uuid4().hex
        self._records: dict[str, tuple[bytes, Ends]] = {}
        self._counters: dict[str, dict[str, tuple[float, int, Ends]]] = {}
        self._log: deque[tuple[str, Change, Ends]] = deque(maxlen=LOG)
        self._told = 0
        self._heap = Heap(clock)

    async def load(self) -> News:
        records = [
            Change("put", key, value=value, ttl=self._left(end))
            for key, (value, end) in self._records.items()
            if self._lives(end)
        ]
        counts = [
            Change("count", key, amount=amount, origin=origin, version=version, ttl=self._left(end))
            for key, parts in self._counters.items()
            for origin, (amount, version, end) in parts.items()
            if self._lives(end)
        ]
        return News(self._life, self._told, [*records, *counts])

    async def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        for write in writes:
            if self._apply(write):
                end = None if write.ttl is None else self._clock() + write.ttl
                self._log.append((origin, write, end))
                self._told += 1
        first = self._told - len(self._log)
        if since < first or since > self._told:
            return News(self._life, self._told, gap=True)
        fresh = islice(self._log, since - first, None)
        changes = [self._retold(change, end) for author, change, end in fresh if author != origin]
        return News(self._life, self._told, changes)

    async def get(self, key: str) -> bytes | None:
        return self._heap.get(key)

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        self._heap.put(key, value, ttl)

    async def drop(self, key: str) -> bool:
        return self._heap.drop(key)

    async def close(self) -> None:
        """Nothing is open."""

    def _apply(self, write: Change) -> bool:
        """Whether it changed something that others should hear of."""
        key, end = write.key, None if write.ttl is None else self._clock() + write.ttl
        match write.verb:
            case "put":
                before = self._records.get(key)
                if write.absent and before is not None and self._lives(before[1]):
                    return False
                self._records[key] = (write.value, end)
            case "drop":
                self._records.pop(key, None)
                self._counters.pop(key, None)
            case "count":
                parts = self._counters.setdefault(key, {})
                known = parts.get(write.origin)
                if known is not None and known[1] >= write.version:
                    return False
                parts[write.origin] = (write.amount, write.version, end)
        return True

    def _retold(self, change: Change, end: Ends) -> Change:
        return Change(
            change.verb,
            change.key,
            change.value,
            change.amount,
            change.origin,
            change.version,
            self._left(end),
        )

    def _left(self, end: Ends) -> float | None:
        return None if end is None else max(end - self._clock(), 0.0)

    def _lives(self, end: Ends) -> bool:
        return end is None or end > self._clock()
