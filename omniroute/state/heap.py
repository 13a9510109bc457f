"""Values in memory, bounded in number, bytes and age; those that were not asked for longest go first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

MOST = 20_000
MOST_BYTES = 128 * 2**20


class Heap:
    """A value that is larger than a tenth of the whole is not kept."""

    def __init__(self, clock: Callable[[], float], *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most = most
        self._most_bytes = most_bytes
        self._values: dict[str, tuple[bytes, float]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def widen(self, most: int, most_bytes: int) -> None:
        """Make room for so many more, and so much more."""
        self._most += most
        self._most_bytes += most_bytes

    def get(self, key: str) -> bytes | None:
        found = self._values.pop(key, None)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._bytes -= len(found[0])
            return None
        self._values[key] = found
        return found[0]

    def put(self, key: str, value: bytes, ttl: float) -> None:
        self.drop(key)
        if len(value) > self._most_bytes // 10:
            return
        self._values[key] = (value, self._clock() + ttl)
        self._bytes += len(value)
        while len(self._values) > self._most or self._bytes > self._most_bytes:
            self.drop(next(iter(self._values)))

    def drop(self, key: str) -> bool:
        """Whether there was one."""
        found = self._values.pop(key, None)
        if found is None:
            return False
        self._bytes -= len(found[0])
        return found[1] > self._clock()

    def all(self) -> Iterator[tuple[str, bytes, float]]:
        """Key, value and the seconds it has left."""
        now = self._clock()
        return ((key, value, end - now) for key, (value, end) in list(self._values.items()) if end > now)
