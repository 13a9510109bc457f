"""Time that passes by itself: an event loop that never sleeps but jumps to the next timer when nothing is ready.

A wait of an hour takes no time, and two timers fire in the order and at the distance that they were set:

    async def main() -> None:
        state = State(clock=virtual_time.clock)
        await asyncio.sleep(3600)                   # state.clock() is an hour later

    virtual_time.run(main(), start=1_700_000_000)

There is no network in it: what waits for a socket fails. Threads work as ever, and time stands still for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

RESOLUTION = 1e-6
"""Seconds within which two timers fire together: floats of a year of seconds are no finer than some nanoseconds."""


class Stuck(RuntimeError):
    """Everything waits and nothing is left that could wake it: a deadlock, found at once instead of by a timeout."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` counts from 0, `clock()` gives epoch seconds from `start` on. Needs no file descriptor."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self._clock_resolution = RESOLUTION
        self._start = start
        self._now = 0.0
        self._woken = threading.Event()
        self._outside = 0
        """Calls that run in threads."""
        self._selector = self
        """What the base class waits with."""

    def time(self) -> float:
        return self._now

    def clock(self) -> float:
        return self._start + self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Nothing is ready but timers: go to the next one. Called by the base class between two rounds."""
        if timeout is not None and timeout <= 0:
            return []
        if self._outside:
            self._woken.wait()
        elif not self._woken.is_set():
            if timeout is None:
                raise Stuck("everything waits, and no timer is set that could wake it")
            self._now += timeout
        self._woken.clear()
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no events of file descriptors."""

    def _write_to_self(self) -> None:
        self._woken.set()

    async def shutdown_default_executor(self, *given: Any) -> None:
        self._outside += 1
        try:
            await super().shutdown_default_executor(*given)
        finally:
            self._outside -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._back)
        return future

    def _back(self, future: asyncio.Future[Any]) -> None:
        self._outside -= 1


def clock() -> float:
    """Epoch seconds of the virtual loop that runs: the clock for a `State`. Raises `RuntimeError` outside of one."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise RuntimeError("no virtual time here: start with virtual_time.run(…)")
    return loop.clock()


def run(main: Coroutine[Any, Any, T], *, start: float = 0.0) -> T:
    """Run a coroutine in virtual time that begins at `start` (epoch seconds), to its result. Raises `Stuck`."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        return runner.run(main)
