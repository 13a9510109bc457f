"""The one pump: chunks in, taps, chunks out, closes always."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from omniroute.errors import MalformedStream, Problem, Refused, UpstreamError
from omniroute.pipeline.timers import Timer, timers_of

log = logging.getLogger("omniroute")


class Client(Protocol):
    """Who gets the bytes."""

    @property
    def full(self) -> bool:
        """Whether it is behind with its reading."""
        ...

    def write(self, chunk: bytes) -> None:
        """Never waits, never fails: who is gone is told by cancellation."""
        ...

    def flush(self) -> None:
        """Send what waits for the first bytes: the head of the answer."""
        ...

    async def drained(self) -> None:
        """Until it is no longer behind. Raises `ConnectionError` when it left."""
        ...

    def watch(self, full: Callable[[], None], free: Callable[[], None]) -> None:
        """Call these when it falls behind, and when it has caught up."""
        ...


class Pushing(Protocol):
    """A source that hands its chunks on by itself: none of them wakes a task up."""

    async def flow(self, feed: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        """Until the end; `begun` is called when what was there from the start is handed on. Raises what broke it, and
        what `feed` raises."""
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


KEEP_ALIVE_AFTER = 15.0
"""Seconds without a byte after which a streaming client hears from us."""


def _nothing() -> None:
    """Nobody waits to hear that it has begun."""


class Tap(Protocol):
    """A plain function on the chunks of a stream, with a say at its end. One that only looks, and gives every chunk back
    as it was, says so by `passive = True`."""

    def feed(self, chunk: bytes) -> bytes:
        """What becomes of a chunk; possibly nothing, for now."""
        ...

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        """The last bytes; and the problem again, or None when these bytes tell the client about it."""
        ...


class Stream:
    """A streamed answer on its way to the client. A source that is `Pushing`, too, is not asked for its chunks.

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

    async def pump(
        self, client: Client, every: float = KEEP_ALIVE_AFTER, begun: Callable[[], None] = _nothing
    ) -> None:
        """Send everything to `client`, and hold the upstream back when it is behind. Ends legally whatever the
        upstream does. `begun` is called once the first bytes are on their way, if ever.

        Raises only that the client left, and cancellation; the upstream is closed in every case.
        """
        heart = _Heart(self.keep_alive, self.event_ends, client, every) if self.keep_alive else None
        try:
            self.problem = await self._flow(client, heart, begun)
            tail = self._end(self.problem)
            if tail:
                self.written += len(tail)
                client.write(tail)
        finally:
            if heart is not None:
                heart.stop()
            await self.close()

    async def _flow(self, client: Client, heart: _Heart | None, begun: Callable[[], None]) -> Problem | None:
        feed = self._feeder(client, heart)
        source = self.source
        flow = getattr(source, "flow", None)
        try:
            if flow is not None:
                client.watch(source.pause, source.resume)  # type: ignore[attr-defined]  # who flows is `Pushing`
                await flow(feed, _then(heart, begun))
                return None
            if heart is not None:
                heart.start()
            async for chunk in source:
                feed(chunk)
                begun()
                if client.full:
                    await client.drained()
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            return _problem_of(error)
        return None

    def _feeder(self, client: Client, heart: _Heart | None) -> Callable[[bytes], None]:
        """What is done to a chunk. The taps are bound once a stream, not once a chunk; one that only looks at what
        comes in does so when the client has it."""
        feeds = [tap.feed for tap in self.taps]
        look = feeds.pop(0) if feeds and getattr(self.taps[0], "passive", False) else None
        write = client.write

        def feed(came: bytes) -> None:
            chunk = came
            for tap in feeds:
                chunk = tap(chunk)
            if chunk:
                self.written += len(chunk)
                write(chunk)
                if heart is not None:
                    heart.beat(chunk)
            else:
                client.flush()
            if look is not None:
                look(came)

        return feed

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


def _then(heart: _Heart | None, begun: Callable[[], None]) -> Callable[[], None]:
    """The heart begins to beat when the first bytes are on their way, for nobody waits for it until then."""
    if heart is None:
        return begun

    def both() -> None:
        heart.start()
        begun()

    return both


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
    """Writes a keep-alive when nothing was written for a while, and only between two events. Its one timer looks
    when the next could be due: a chunk only leaves word that it was there."""

    __slots__ = ("_bytes", "_chunk", "_client", "_ends", "_every", "_last", "_loop", "_timer")

    def __init__(self, keep_alive: bytes, ends: tuple[bytes, ...], client: Client, every: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._bytes = keep_alive
        self._ends = ends
        self._client = client
        self._every = every
        self._last = 0.0
        self._chunk = b""
        self._timer: Timer | None = None

    def start(self) -> None:
        self._last = now = self._loop.time()
        self._timer = timers_of(self._loop).call_at(now + self._every, self._tick)

    def beat(self, chunk: bytes) -> None:
        self._last = self._loop.time()
        self._chunk = chunk

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._last >= self._every and self._between_events() and not self._client.full:
            self._last = now
            self._client.write(self._bytes)
        again = max(0.05, self._every - (now - self._last))
        self._timer = timers_of(self._loop).call_at(now + again, self._tick)

    def _between_events(self) -> bool:
        return not self._chunk or self._chunk.endswith(self._ends)
