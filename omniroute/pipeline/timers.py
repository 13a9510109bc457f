"""Timers of which nearly none ever goes off: each stream has two.

A timer of the loop is a thing of its own in the kernel's and libuv's books. Here they are rows of a heap, and the loop
has one timer, for the first of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import count

FEW = 100
"""Cancelled timers that may stay in the heap until their time, however few others there are."""


class Timer:
    """A call that is to be made; it can be called off."""

    __slots__ = ("_timers", "callback")

    def __init__(self, timers: Timers, callback: Callable[[], None]) -> None:
        self._timers = timers
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Safe to call twice, and after it went off."""
        if self.callback is not None:
            self.callback = None
            self._timers.cancelled()


class Timers:
    """All timers of one loop."""

    __slots__ = ("_armed", "_cancelled", "_due", "_heap", "_loop", "_number")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = count()
        self._cancelled = 0
        self._armed: asyncio.TimerHandle | None = None
        self._due = float("inf")

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` at that time of the loop, in seconds. What it raises goes to the loop's exception handler."""
        timer = Timer(self, callback)
        heappush(self._heap, (when, next(self._number), timer))
        if when < self._due:
            self._arm(when)
        return timer

    def cancelled(self) -> None:
        """One was called off. Its row goes when its time comes, or when most of the rows are such."""
        self._cancelled += 1
        if self._cancelled > FEW and self._cancelled * 2 > len(self._heap):
            self._heap = [row for row in self._heap if row[2].callback is not None]
            heapify(self._heap)
            self._cancelled = 0

    def _arm(self, when: float) -> None:
        if self._armed is not None:
            self._armed.cancel()
        self._due = when
        self._armed = self._loop.call_at(when, self._go_off)

    def _go_off(self) -> None:
        self._armed, self._due = None, float("inf")
        now = self._loop.time()
        try:
            while self._heap and self._heap[0][0] <= now:
                _, _, timer = heappop(self._heap)
                callback, timer.callback = timer.callback, None
                if callback is None:
                    self._cancelled -= 1
                else:
                    callback()
        finally:
            # Also when one of them raised: the others are not its affair.
            if self._heap and self._heap[0][0] < self._due:
                self._arm(self._heap[0][0])


@lru_cache(maxsize=8)
def timers_of(loop: asyncio.AbstractEventLoop) -> Timers:
    """The timers of a loop. A process has one loop, a test may have some."""
    return Timers(loop)
