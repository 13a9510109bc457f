"""Answers that are kept: values under keys with an end, bounded in number and bytes, and who is on the way to one.

The values themselves lie on the shelf for large values, which several replicas may share. What is counted here is what
this process has put there: the least recently used go first.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_bytes
from typing import Any

from omniroute.state.flights import Flights
from omniroute.state.shared import Shared
from omniroute.state.shelf import Shelf


class Index:
    """What this process has put under one kind of keys, the least recently used first."""

    __slots__ = ("_kind", "_shared", "bytes", "entries")

    def __init__(self, kind: str, shared: Shared) -> None:
        self._kind = kind
        self._shared = shared
        self.entries: dict[str, tuple[int, float]] = {}
        """Key → size and end (epoch seconds)."""
        self.bytes = 0

    def touch(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.entries[key] = entry

    def add(self, key: str, size: int, until: float) -> None:
        self.remove(key)
        self.entries[key] = (size, until)
        self.bytes += size

    def remove(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry[0]

    def name(self, key: bytes) -> str:
        """What a value is called on the shelf. After a forgetting all values have other names, for all who share the
        store."""
        age = self._shared.get(f"cache-age/{self._kind}") or b""
        return f"cache/{self._kind}/{age.hex()}/{key.hex()}"

    def forget(self) -> int:
        """Nothing that anybody has put is found any more; how many values of this process there were."""
        forgotten = len(self.entries)
        self._shared.put(f"cache-age/{self._kind}", token_bytes(8), None)
        self.entries.clear()
        self.bytes = 0
        return forgotten

    def over(self, entries: int, bytes: int, now: float) -> list[str]:
        """What has to go for so much to be left: what has ended, then what was not used for longest."""
        if len(self.entries) <= entries and self.bytes <= bytes:
            return []
        going = [key for key, (_, until) in self.entries.items() if until <= now]
        left, size = len(self.entries), self.bytes
        for key in going:
            left, size = left - 1, size - self.entries[key][0]
        for key, (weight, until) in self.entries.items():
            if left <= entries and size <= bytes:
                break
            if until > now:
                going.append(key)
                left, size = left - 1, size - weight
        return going


class Drawer:
    """One kind of kept answers, with the bounds of whoever uses it. Keys are digests."""

    __slots__ = ("_blobs", "_bytes", "_clock", "_entries", "_index")

    def __init__(
        self, index: Index, blobs: Shelf, clock: Callable[[], float], entries: int, bytes: int
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._clock = clock
        self._entries = entries
        self._bytes = bytes

    async def get(self, key: bytes) -> bytes | None:
        name = self._index.name(key)
        self._index.touch(name)
        return await self._blobs.get(name)

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep it for so many seconds, unless it is larger than the whole drawer."""
        if len(value) > self._bytes:
            return
        name, now = self._index.name(key), self._clock()
        self._index.add(name, len(value), now + ttl)
        for other in self._index.over(self._entries, self._bytes, now):
            self._index.remove(other)
            await self._blobs.drop(other)
        await self._blobs.put(name, value, ttl)


class Cache:
    """All kept answers of a gateway, and those under way."""

    def __init__(self, clock: Callable[[], float], blobs: Shelf, shared: Shared) -> None:
        self._clock = clock
        self._shared = shared
        self._blobs = blobs
        self._indexes: dict[str, Index] = {}
        self.flights: Flights[Any] = Flights()

    def drawer(self, kind: str, entries: int, bytes: int) -> Drawer:
        """A kind of kept answers, such as `exact`, for one who keeps at most so many and so large."""
        index = self._indexes.setdefault(kind, Index(kind, self._shared))
        self._blobs.reserve(kind, entries, bytes)
        return Drawer(index, self._blobs, self._clock, entries, bytes)

    def forget(self, prefix: str = "") -> int:
        """Forget the kinds whose names begin so; how many answers this process had of them."""
        return sum(index.forget() for kind, index in self._indexes.items() if kind.startswith(prefix))

    def sizes(self) -> dict[str, tuple[int, int]]:
        """How many answers of each kind this process keeps, and how many bytes."""
        return {kind: (len(index.entries), index.bytes) for kind, index in self._indexes.items()}

    def view(self) -> dict[str, Any]:
        """For people: what is kept, and what is shared while it is made."""
        kept = {kind: {"answers": count, "bytes": size} for kind, (count, size) in self.sizes().items()}
        return {"kept": kept, "under_way": {"answers": len(self.flights), "bytes": self.flights.kept}}
