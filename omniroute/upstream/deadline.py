"""The ends of waits, for the path that every request takes.

`asyncio.timeout` makes and cancels a timer each time. Most waits are of few different lengths, and of one length those
that begin first end first: so they stand in a queue, and one timer a length looks at its head.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType


class Deadlines:
    """All waits of one event loop that are under way."""

    __slots__ = ("_queues", "now")

    def __init__(self) -> None:
        self._queues: dict[float, _Queue] = {}
        self.now: Callable[[], float] = self._first_now
        """The time of the loop in seconds."""

    def _first_now(self) -> float:
        self.now = asyncio.get_running_loop().time
        return self.now()

    def within(self, seconds: float) -> Deadline:
        """`with deadlines.within(seconds):` around awaits of the current task raises `TimeoutError` when they take
        longer."""
        queue = self._queues.get(seconds)
        if queue is None:
            if len(self._queues) > MOST_LENGTHS:
                self._queues = {s: q for s, q in self._queues.items() if q.waiting}
            queue = self._queues[seconds] = _Queue(seconds)
        return Deadline(queue)


MOST_LENGTHS = 100
"""Different lengths after which those are forgotten that nobody waits for."""


class Deadline:
    """One wait. Like `asyncio.timeout`, it tells its own cancellation from that of others."""

    __slots__ = ("_queue", "due", "expired", "task")

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self.expired = False

    def __enter__(self) -> None:
        queue = self._queue
        self.task: asyncio.Task[object] | None = asyncio.current_task(queue.loop)
        self.due = queue.loop.time() + queue.seconds
        queue.waiting[self] = None
        if queue.timer is None:
            queue.look_at(self.due)

    def expire(self) -> None:
        self.expired = True
        if self.task is not None:
            self.task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.expired:
            del self._queue.waiting[self]
            return
        # Somebody else may have cancelled the task in the same moment: that comes first.
        if self.task is not None and self.task.uncancel() <= 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error


class _Queue:
    """Waits of one length, in the order in which they end."""

    __slots__ = ("loop", "seconds", "timer", "waiting")

    def __init__(self, seconds: float) -> None:
        # Asked for once: to find out costs a call of the system each time (CPython 3.11).
        self.loop = asyncio.get_running_loop()
        self.seconds = seconds
        self.waiting: dict[Deadline, None] = {}
        self.timer: asyncio.TimerHandle | None = None

    def look_at(self, due: float) -> None:
        self.timer = self.loop.call_at(due, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        self.timer = None
        for deadline in list(self.waiting):
            if deadline.due > now:
                self.look_at(deadline.due)
                return
            del self.waiting[deadline]
            deadline.expire()
