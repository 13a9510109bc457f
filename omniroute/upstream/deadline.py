"""The end of a wait. What `asyncio.timeout` does, for the path that every request takes: a third of its cost."""

from __future__ import annotations

import asyncio
from types import TracebackType


class deadline:  # reads like `asyncio.timeout`
    """`with deadline(seconds):` around awaits of the current task. Raises `TimeoutError` when they take longer."""

    __slots__ = ("_expired", "_handle", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = asyncio.current_task(loop)
        self._handle = loop.call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        if not self._expired or self._task is None:
            return
        # Somebody else may have cancelled the task in the same moment: that comes first.
        if self._task.uncancel() <= 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error
