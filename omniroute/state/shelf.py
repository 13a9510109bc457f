"""Large values for whoever asks: in the store where there is one that others share, else in memory.

A store that is away, or slow, fails nobody: what is put then is held in memory and carried over later, and what is
looked for is not found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

from omniroute.state.heap import Heap
from omniroute.state.store import Blobs, StoreAway

DROPPED = 20_000
"""Keys remembered that the store has yet to drop; what is forgotten ends by itself."""
AT_ONCE = 100
"""Values carried over in one go."""
PATIENCE = 1.0
"""Seconds that a look-up may take before it counts as not found."""


class Shelf:
    """`State.blobs`. The verbs of `Blobs`, none of which ever raises."""

    def __init__(self, clock: Callable[[], float], heap: Heap | None = None) -> None:
        self._clock = clock
        self._heap = heap if heap is not None else Heap(clock)
        """All there is without a store; with one, what has not reached it yet."""
        self._store: Blobs | None = None
        self._here: Callable[[], bool] = lambda: False
        self._failed: Callable[[str], None] = lambda why: None
        self._due: Callable[[], None] = lambda: None
        self._reserved: dict[str, tuple[int, int]] = {}
        self._dropped: dict[str, None] = {}

    @property
    def shared(self) -> bool:
        """Whether others see what is put here."""
        return self._store is not None

    def attach(
        self,
        store: Blobs,
        *,
        here: Callable[[], bool],
        failed: Callable[[str], None],
        due: Callable[[], None],
    ) -> None:
        """Use a store from now on, while it is `here`. `failed` is told when a call shows that it is not, `due` when
        there is something to carry over."""
        self._store, self._here, self._failed, self._due = store, here, failed, due

    def detach(self) -> None:
        self._store = None

    def reserve(self, who: str, entries: int, bytes: int) -> None:
        """Have room in memory for so many values of somebody, and so many bytes; what was reserved before for the same
        one stays, if it is more."""
        before = self._reserved.get(who, (0, 0))
        wanted = (max(before[0], entries), max(before[1], bytes))
        self._heap.widen(wanted[0] - before[0], wanted[1] - before[1])
        self._reserved[who] = wanted

    async def get(self, key: str) -> bytes | None:
        found = self._heap.get(key)
        if found is not None or self._store is None or key in self._dropped or not self._here():
            return found
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._store.get(key)
        except (StoreAway, TimeoutError) as error:
            self._failed(str(error))
            return None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds, at the most."""
        if self._store is None or not self._here():
            return self.put_soon(key, value, ttl)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.put(key, value, ttl)
        except (StoreAway, TimeoutError) as error:
            self._failed(str(error))
            self.put_soon(key, value, ttl)
            return
        self._heap.drop(key)
        self._dropped.pop(key, None)

    async def drop(self, key: str) -> bool:
        """Whether there was one."""
        was_here = self._heap.drop(key)
        if self._store is None:
            return was_here
        if self._here():
            try:
                async with asyncio.timeout(PATIENCE):
                    return await self._store.drop(key) or was_here
            except (StoreAway, TimeoutError) as error:
                self._failed(str(error))
        self._dropped[key] = None
        if len(self._dropped) > DROPPED:
            del self._dropped[next(iter(self._dropped))]
        self._due()
        return was_here

    def put_soon(self, key: str, value: bytes, ttl: float) -> None:
        """The same without waiting: the store gets it a moment later."""
        self._heap.put(key, value, ttl)
        self._dropped.pop(key, None)
        self._due()

    @property
    def behind(self) -> int:
        """How many values the store has yet to hear of."""
        return len(self._heap) + len(self._dropped) if self._store is not None else 0

    async def carry_over(self) -> bool:
        """Give the store some of what it has yet to hear of; whether there is more. Raises `StoreAway`."""
        if self._store is None:
            return False
        for key, value, left in islice(self._heap.all(), AT_ONCE):
            await self._store.put(key, value, left)
            if self._heap.get(key) is value:
                self._heap.drop(key)
        for key in list(islice(self._dropped, AT_ONCE)):
            await self._store.drop(key)
            self._dropped.pop(key, None)
        return bool(self.behind)
