"""Answers under way that several callers share: each is made once, kept while it is made, and read by all of them.

A reader gets what there is so far and then what comes. The maker waits only while every reader is behind, so that a
slow one slows nobody; one that falls further behind than is kept loses the answer. In flight means in this process:
what other processes do is not seen here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from omniroute.errors import Problem, UpstreamError

log = logging.getLogger("omniroute")

AHEAD = 256 * 1024
"""Bytes that the maker may be ahead of the fastest reader."""
MOST_OF_ONE = 16 * 2**20
"""Bytes that are kept of one answer; of a longer one its end, and nobody can join it any more."""
MOST_OF_ALL = 128 * 2**20
"""Bytes that are kept of all answers together; past that they count as longer than that."""

LOST = Problem(
    kind="server",
    code="joined_too_slow",
    message="This reader fell too far behind the answer that it had joined.",
)
BROKEN = Problem(
    kind="server", code="internal_error", message="The gateway failed in the middle of this answer."
)

Head = TypeVar("Head")
Make = Callable[["Flight[Head]"], Coroutine[Any, Any, None]]


class Keeping:
    """What all flights of a process keep together, in bytes."""

    __slots__ = ("ahead", "most", "most_of_one", "size")

    def __init__(self, most: int = MOST_OF_ALL, most_of_one: int = MOST_OF_ONE, ahead: int = AHEAD) -> None:
        self.ahead = ahead
        self.most = most
        self.most_of_one = most_of_one
        self.size = 0


class Flight(Generic[Head]):
    """One answer. `digest` says of which request.

    `head` is what there is to say of it beside its chunks, complete as soon as it is `known`. `whole` stays true as
    long as nothing of it was given up.
    """

    def __init__(self, digest: bytes, head: Head, keeping: Keeping) -> None:
        self.digest = digest
        self.head = head
        self.known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.readers: list[Reader[Head]] = []
        self.payer: Reader[Head] | None = None
        """Who answers for what it cost: the first of those who were there when it was over."""
        self.whole = True
        self.over = False
        self._keeping = keeping
        self._chunks: list[bytes] = []
        self._given_up = 0
        self._written = 0
        self._kept = 0
        self._room: asyncio.Future[None] | None = None
        self._maker: asyncio.Task[None] | None = None
        self._broken = False
        self._held = False
        self._pause: Callable[[], None] = _nothing
        self._resume: Callable[[], None] = _nothing

    # the maker's side ───────────────────────────────────────────────────────────────────────────

    def start(self, making: Coroutine[Any, Any, None], ended: Callable[[asyncio.Task[None]], None]) -> None:
        """Make it in a task that lives as long as somebody reads; `ended` is told in every case."""
        self._maker = asyncio.get_running_loop().create_task(making, name="flight")
        self._maker.add_done_callback(ended)

    def tell(self) -> None:
        """The head is complete."""
        if not self.known.done():
            self.known.set_result(None)

    @property
    def full(self) -> bool:
        """Whether even the fastest reader is behind."""
        return bool(self.readers) and self._written - max(r.read for r in self.readers) > self._keeping.ahead

    def write(self, chunk: bytes) -> None:
        """The next piece. Who writes looks whether it is `full`, or has said what to call then."""
        self._chunks.append(chunk)
        self._written += len(chunk)
        self._keep(len(chunk))
        self._wake()
        if not self._held and self.full:
            self._held = True
            self._pause()

    def flush(self) -> None:
        """Nothing waits here."""

    async def drained(self) -> None:
        """Until a reader has room for more."""
        while self.full:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def watch(self, full: Callable[[], None], free: Callable[[], None]) -> None:
        """Call these when it gets `full`, and when it is no longer."""
        self._pause, self._resume = full, free

    def land(self) -> None:
        """All has been written, or will never be."""
        if self.over:
            return
        self.over = True
        if self.payer is None and self.readers:
            self.payer = self.readers[0]
        self._wake()

    def content(self) -> bytes | None:
        """All that was written, or None when the beginning is gone."""
        return b"".join(self._chunks) if self.whole else None

    def close(self, error: BaseException | None) -> None:
        """The maker is gone, maybe with an error: tell those who wait, and keep what the readers still need."""
        if not self.known.done():
            self._fail(error)
        elif error is not None:
            log.error("an answer that is shared failed inside the gateway", exc_info=error)
            self._broken = True
        self.land()
        self.whole = False
        self._trim()

    def _fail(self, error: BaseException | None) -> None:
        if error is None:
            self.known.cancel()
            return
        self.known.set_exception(error)
        self.known.exception()  # who waits is told; that nobody may wait is no news

    def _keep(self, size: int) -> None:
        self._kept += size
        self._keeping.size += size
        if self._kept > self._keeping.most_of_one or self._keeping.size > self._keeping.most:
            self.whole = False
        if not self.whole:
            self._trim()

    def _trim(self) -> None:
        """Give up what all have read; and past the bound, what only the slower ones have not."""
        end = self._given_up + len(self._chunks)
        slowest = min((r.next for r in self.readers), default=end)
        fastest = max((r.next for r in self.readers), default=end)
        gone = 0
        for chunk in self._chunks:
            needed = fastest if self._kept > self._keeping.most_of_one else slowest
            if self._given_up + gone >= needed:
                break
            gone += 1
            self._kept -= len(chunk)
            self._keeping.size -= len(chunk)
        del self._chunks[:gone]
        self._given_up += gone

    def _wake(self) -> None:
        for reader in self.readers:
            reader.wake()

    # the readers' side ──────────────────────────────────────────────────────────────────────────

    def join(self) -> Reader[Head]:
        """Read from the beginning; only while it is `whole`."""
        reader = Reader(self)
        self.readers.append(reader)
        return reader

    async def leave(self, reader: Reader[Head]) -> None:
        """One reader less. The last one to go ends the making, and has paid for it."""
        if reader not in self.readers:
            return
        self.readers.remove(reader)
        self.has_read()
        if self.readers or self.over:
            return
        self.payer = reader
        self.whole = False
        if self._maker is not None:
            self._maker.cancel()
            await asyncio.wait([self._maker])

    def at(self, index: int) -> bytes | None:
        """The chunk with this number, or None when it is not there yet.

        Raises `UpstreamError` when it was given up, or will never come though it should."""
        index -= self._given_up
        if index < 0:
            raise UpstreamError(LOST)
        if index < len(self._chunks):
            return self._chunks[index]
        if self._broken:
            raise UpstreamError(BROKEN)
        return None

    def has_read(self) -> None:
        """Somebody made progress."""
        if not self.whole:
            self._trim()
        if self.full:
            return
        if self._held:
            self._held = False
            self._resume()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


def _nothing() -> None:
    """Who writes asks by itself."""


class Reader(Generic[Head]):
    """One caller's way through a flight: an iterator over its chunks. Closing it is leaving."""

    __slots__ = ("_flight", "_waiting", "next", "read")

    def __init__(self, flight: Flight[Head]) -> None:
        self._flight = flight
        self._waiting: asyncio.Future[None] | None = None
        self.next = 0
        """The number of the chunk to read next."""
        self.read = 0
        """Bytes read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        flight = self._flight
        while True:
            chunk = flight.at(self.next)
            if chunk is not None:
                self.next += 1
                self.read += len(chunk)
                flight.has_read()
                return chunk
            if flight.over:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    async def aclose(self) -> None:
        await self._flight.leave(self)

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Flights(Generic[Head]):
    """The flights of one process, by what they are joined by."""

    def __init__(self, keeping: Keeping | None = None) -> None:
        self._keeping = keeping if keeping is not None else Keeping()
        self._by_key: dict[bytes, Flight[Head]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def kept(self) -> int:
        """Bytes kept now."""
        return self._keeping.size

    def find(self, key: bytes) -> Flight[Head] | None:
        """The one to join; None when there is none, or it is too far on to be read from its beginning."""
        flight = self._by_key.get(key)
        return flight if flight is not None and flight.whole else None

    def begin(self, key: bytes, digest: bytes, head: Head, make: Make[Head]) -> Flight[Head]:
        """A new flight, made by `make` in a task of its own."""
        flight = Flight(digest, head, self._keeping)
        self._by_key[key] = flight

        def ended(task: asyncio.Task[None]) -> None:
            flight.close(None if task.cancelled() else task.exception())
            if self._by_key.get(key) is flight:
                del self._by_key[key]

        flight.start(make(flight), ended)
        return flight
