"""The one pump: chunks in, taps, chunks out, closes always."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from omniroute.errors import MalformedStream, Problem, Refused, UpstreamError

log = logging.getLogger("omniroute")

Write = Callable[[bytes], Awaitable[None]]

KEEP_ALIVE_AFTER = 15.0
"""Seconds without a byte after which a streaming client hears from us."""


class Tap(Protocol):
    """A plain function on the chunks of a stream, with a say at its end."""

    def feed(self, chunk: bytes) -> bytes:
        """What becomes of a chunk; possibly nothing, for now."""
        ...

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        """The last bytes; and the problem again, or None when these bytes tell the client about it."""
        ...


class Stream:
    """A streamed answer on its way to the client.

    `problem` is set at the end when the answer was cut after it had begun.
    """

    __slots__ = ("closed", "event_ends", "keep_alive", "problem", "source", "taps", "written")

    def __init__(self, source: AsyncIterator[bytes], keep_alive: bytes = b"") -> None:
        self.source = source
        self.taps: tuple[Tap, ...] = ()
        self.keep_alive = keep_alive
        self.event_ends: tuple[bytes, ...] = (b"\n\n", b"\r\n\r\n")
        self.problem: Problem | None = None
        self.written = 0
        self.closed = False

    def tap(self, tap: Tap) -> None:
        """Add a tap after those that are there."""
        self.taps = (*self.taps, tap)

    async def pump(self, write: Write, every: float = KEEP_ALIVE_AFTER) -> None:
        """Send everything to `write`, which pushes back by not returning. Ends legally whatever the upstream does.

        Raises only what `write` raises, and cancellation; the upstream is closed in every case.
        """
        heart = _Heart(self.keep_alive, self.event_ends, write, every) if self.keep_alive else None
        try:
            self.problem = await self._flow(write, heart)
            tail = self._end(self.problem)
            if heart is not None:
                heart.stop()
            if tail:
                self.written += len(tail)
                await write(tail)
        finally:
            if heart is not None:
                heart.stop()
            await self.close()

    async def _flow(self, write: Write, heart: _Heart | None) -> Problem | None:
        taps = self.taps
        try:
            async for chunk in self.source:
                for tap in taps:
                    chunk = tap.feed(chunk)
                if chunk:
                    self.written += len(chunk)
                    if heart is not None:
                        heart.beat(chunk)
                    await write(chunk)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            return _problem_of(error)
        return None

    def _end(self, problem: Problem | None) -> bytes:
        tail = b""
        for tap in self.taps:
            try:
                tail = tap.feed(tail) if tail else b""
            except Exception as error:
                tail = b""
                problem = problem or _problem_of(error)
            try:
                more, problem = tap.end(problem)
            except Exception as error:
                more, problem = b"", problem or _problem_of(error)
            tail += more
            self.problem = self.problem or problem
        return tail

    async def close(self) -> None:
        """Let go of the upstream; safe to call twice."""
        if self.closed:
            return
        self.closed = True
        aclose = getattr(self.source, "aclose", None)
        if aclose is not None:
            await aclose()


def _problem_of(error: Exception) -> Problem:
    """What broke a stream. A codec or plugin may meet what it did not expect: the client still gets a legal end."""
    match error:
        case UpstreamError() | Refused():
            return error.problem
        case MalformedStream():
            return Problem(
                kind="bad_gateway", code="malformed_stream", message=f"The upstream's stream broke: {error}"
            )
    log.error("a stream failed inside the gateway", exc_info=error)
    return Problem(
        kind="server", code="internal_error", message="The gateway failed in the middle of this answer."
    )


class _Heart:
    """Writes a keep-alive when nothing was written for a while, and only between two events."""

    __slots__ = ("_boundary", "_bytes", "_ends", "_every", "_handle", "_last", "_loop", "_task", "_write")

    def __init__(self, keep_alive: bytes, ends: tuple[bytes, ...], write: Write, every: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._bytes = keep_alive
        self._ends = ends
        self._write = write
        self._every = every
        self._last = self._loop.time()
        self._boundary = True
        self._task: asyncio.Task[None] | None = None
        self._handle = self._loop.call_later(every, self._tick)

    def beat(self, chunk: bytes) -> None:
        self._last = self._loop.time()
        self._boundary = chunk.endswith(self._ends)

    def stop(self) -> None:
        self._handle.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        waiting = self._task is not None and not self._task.done()
        if self._boundary and not waiting and now - self._last >= self._every:
            self._last = now
            self._task = self._loop.create_task(self._send(), name="keep-alive")
        self._handle = self._loop.call_later(max(0.05, self._every - (now - self._last)), self._tick)

    async def _send(self) -> None:
        try:
            await self._write(self._bytes)
        except OSError:
            # The client is gone; the pump's own write finds that out and ends the stream.
            self._handle.cancel()
