"""Long work on the loop, done a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


async def in_turns(work: Generator[None, None, T]) -> T:
    """What the generator returns; at each of its `yield`s the others have their turn."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value
        await asyncio.sleep(0)
