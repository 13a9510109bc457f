"""Long work on the loop, done a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

from omniroute.wire.bulk import joined

LARGE = 2**20
"""Bytes of a body that are copied at once."""

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


async def together(pieces: list[bytes]) -> bytes:
    """A body of its pieces. What is large is copied a little at a time."""
    if len(pieces) == 1:
        return pieces[0]
    if sum(map(len, pieces)) <= LARGE:
        return b"".join(pieces)
    return await in_turns(joined(pieces))
