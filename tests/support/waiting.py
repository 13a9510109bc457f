"""Waiting for what comes about by itself: in another process, or behind a store."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(
    holds: Callable[[], object | Awaitable[object]], seconds: float = 30.0, every: float = 0.01
) -> None:
    """Until it is true. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(every)


def landed() -> bool:
    """Whether every shared answer is with its store: its client has the last byte a moment before."""
    return not any(task.get_name() == "flight" for task in asyncio.all_tasks())
