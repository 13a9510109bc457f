"""One connection to an upstream, and the answer that comes over it: HTTP/1.1 on an asyncio protocol and llhttp.

A connection carries one request at a time and goes back to its pool as soon as the answer is complete, whether it has
been read or not. Bytes go to the reader in one of two ways: it asks for them (`read`, `chunks`), or they are pushed
into a function as they arrive (`flow`), which costs no wake-up of a task for each event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import Protocol

import httptools

from omniroute.errors import Problem, UpstreamError
from omniroute.pipeline.turns import together
from omniroute.upstream.coding import Decoder, Garbled, Oversized, decoder
from omniroute.upstream.transport import LARGEST_ANSWER
from omniroute.upstream.write_buffer import send_at_once

LARGEST_HEAD = 128 * 1024
"""Bytes of a head beyond which it is refused."""
MOST_HEADERS = 256
READ_AHEAD = 256 * 1024
"""Bytes that are read ahead of a reader that is slow; then the upstream is held back."""
SLICE = 256 * 1024
"""Bytes of a larger body that are written at once: the next ones when these have gone. TLS encrypts all that it gets."""
SMALL_BODY = 16 * 1024
"""Bytes that are copied behind a head rather than written by themselves: a call of the system costs more."""
STALE_WITHIN = 2.0
"""Seconds in which a connection that was kept shows that the other side had closed it before our request came."""


class _Stale(Exception):
    """A kept connection was closed before a byte of the answer: the request never reached anybody."""


class Pool(Protocol):
    def give_back(self, connection: Connection) -> None:
        """It is free for the next request."""
        ...

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        ...


def broken(code: str, message: str) -> Problem:
    return Problem(kind="bad_gateway", code=code, message=message)


CUT = broken("cut", "The upstream closed the connection in mid-answer.")
NO_ANSWER = broken("disconnected", "The upstream closed the connection without an answer.")
NOT_HTTP = broken("malformed_http", "The upstream's answer is not HTTP/1.1.")
UNDECODABLE = broken("invalid_encoding", "The upstream's answer is not what its Content-Encoding says.")
TOO_LARGE = broken("answer_too_large", f"The upstream's answer is larger than {LARGEST_ANSWER} bytes.")


class Connection(asyncio.Protocol):
    """A protocol of asyncio with the parser's callbacks. `key` says where it leads."""

    __slots__ = (
        "_asked",
        "_chunked",
        "_complete",
        "_head_only",
        "_head_size",
        "_headers",
        "_inbound",
        "_keep",
        "_length",
        "_parser",
        "_paused",
        "_pieces",
        "_pool",
        "_status",
        "_stopped",
        "_transport",
        "_unsent",
        "idle_since",
        "key",
        "loop",
        "used",
    )

    def __init__(self, pool: Pool, key: object) -> None:
        self.loop = asyncio.get_running_loop()
        self._pool = pool
        self.key = key
        self.used = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._inbound: HttpInbound | None = None
        self._headers: list[tuple[str, str]] = []
        self._pieces: list[bytes] = []
        self._status = 0
        self._head_size = 0
        self._head_only = False
        self._complete = False
        self._keep = False
        self._chunked = False
        self._length = False
        self._paused = False
        self._stopped = False
        """The transport takes no more for now."""
        self._unsent: memoryview | None = None
        """What of a large request is still to be written."""
        self._asked = 0.0
        self._parser = httptools.HttpResponseParser(self)
        # The liberties that aiohttp's client takes: servers exist that need them, and none tells one answer from another.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    @property
    def usable(self) -> bool:
        """Whether a request may be sent over it."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, head: bytes, body: bytes, *, head_only: bool = False) -> HttpInbound | None:
        """Send a request and wait for the head of its answer. None when a kept connection turns out to be closed.

        Raises `UpstreamError`. Cancelling closes it.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return None
        inbound = self._inbound = HttpInbound(self)
        self._status = self._head_size = 0
        self._head_only = head_only
        self._complete = self._keep = self._chunked = self._length = False
        self._asked = self.loop.time()
        if len(body) <= SMALL_BODY:
            transport.write(head + body)
        elif len(body) <= SLICE:
            transport.writelines((head, body))
        else:
            self._unsent = memoryview(body)
            transport.write(head)
            self._write_on()
        try:
            await inbound.headed
        except _Stale:
            self.abort()
            return None
        except BaseException:
            self.abort()
            raise
        finally:
            self.used = True
        return inbound

    def pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _write_on(self) -> None:
        """A slice of the request. The next one follows when others had their turn and the transport takes more."""
        if self._unsent is None or self._stopped or self._transport is None:
            return
        now, rest = self._unsent[:SLICE], self._unsent[SLICE:]
        self._unsent = rest if rest else None
        self._transport.write(now)
        if not self._stopped:
            self.loop.call_soon(self._write_on)

    def abort(self) -> None:
        """Close at once; what is on its way is of no interest."""
        self._inbound = None
        self._unsent = None
        if self._transport is not None:
            self._transport.abort()

    # ── of asyncio ───────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport, as it always is here
        send_at_once(transport)

    def data_received(self, data: bytes) -> None:
        inbound = self._inbound
        if inbound is None:
            # Nobody has asked for these bytes: nothing that comes over this connection can be trusted.
            self.abort()
            return
        problem: Problem | None = None
        if not self._status:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            problem = NOT_HTTP
        if not self._status and self._head_size > LARGEST_HEAD:
            problem = NOT_HTTP
        pieces = self._pieces
        if pieces:
            self._pieces = []
            inbound.arrived(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if problem is not None and not self._complete:
            self.abort()
            inbound.broke(problem)
        elif self._complete:
            self._finish(inbound, keep=problem is None)

    def pause_writing(self) -> None:
        self._stopped = True

    def resume_writing(self) -> None:
        self._stopped = False
        self._write_on()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        inbound, self._inbound = self._inbound, None
        self._transport = self._unsent = None
        self._pool.forget(self)
        if inbound is None:
            return
        if not self._status:
            kept = self.used and not self._head_size and self.loop.time() - self._asked < STALE_WITHIN
            inbound.broke(NO_ANSWER, stale=kept)
        elif self._chunked or self._length or exc is not None:
            inbound.broke(CUT)
        else:
            inbound.finished()

    # ── of the parser ────────────────────────────────────────────────────────────────────────────

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if len(headers) >= MOST_HEADERS or b"\0" in value:
            raise ValueError("a head that is not one")
        headers.append((_lower(name), value.rstrip(b" \t").decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        if self._complete:
            raise ValueError("a second answer")
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        if status < 200:
            # An interim answer (100, 103): the real one follows.
            return
        self._status = status
        inbound = self._inbound
        if inbound is None:
            raise ValueError("an answer to nothing")
        named = _named(headers)
        self._chunked = "transfer-encoding" in named
        self._length = "content-length" in named
        inbound.began(status, named)
        if self._head_only:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._status and not self._complete:
            self._complete = True
            self._keep = self._parser.should_keep_alive()
        self._headers = []

    def _finish(self, inbound: HttpInbound, keep: bool) -> None:
        self._inbound = None
        self.resume()
        transport = self._transport
        sent = self._unsent is None and transport is not None and not transport.get_write_buffer_size()
        if keep and self._keep and sent:
            self._pool.give_back(self)
        else:
            # Also when it answered before it had all of the request: the rest would be read as the next one.
            self.abort()
        inbound.finished()


class HttpInbound:
    """An answer over HTTP. `headers` have lower-case names; a repeated one is a list with commas."""

    __slots__ = (
        "_connection",
        "_decoder",
        "_done",
        "_failed",
        "_feed",
        "_pieces",
        "_size",
        "_waiter",
        "_whole",
        "headed",
        "headers",
        "heard",
        "loop",
        "status",
    )

    def __init__(self, connection: Connection) -> None:
        self.loop = connection.loop
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.heard = 0.0
        self.headed: asyncio.Future[None] = self.loop.create_future()
        self._connection: Connection | None = connection
        self._decoder: Decoder | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole = False
        self._waiter: asyncio.Future[None] | None = None
        self._feed: Callable[[bytes], None] | None = None
        self._done = False
        self._failed: BaseException | None = None

    # ── what the reader does ─────────────────────────────────────────────────────────────────────

    async def read(self) -> bytes:
        """The whole body. Raises `UpstreamError` when it breaks off or is too large."""
        self._whole = True
        while not self._done:
            # It is held back after each piece of a large answer: others have their turn, and somebody reads it now.
            self.resume()
            await self._more()
        if self._failed is not None:
            raise self._failed
        pieces, self._pieces = self._pieces, []
        return await together(pieces)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `UpstreamError` when it breaks off."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._failed is not None:
                raise self._failed
            if self._done:
                raise StopAsyncIteration
            await self._more()
        return self._take()

    async def flow(self, feed: Callable[[bytes], None]) -> None:
        """Hand every piece to `feed` as it arrives, until the end; what `feed` raises ends it. `pause` and `resume`
        hold the upstream back. Raises `UpstreamError` when the body breaks off."""
        if self._pieces:
            feed(self._take())
        self._feed = feed
        try:
            while not self._done:
                await self._more()
        finally:
            self._feed = None
        if self._failed is not None:
            raise self._failed

    def pause(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def fail(self, problem: Problem) -> None:
        """End it from outside, as a deadline does: the connection is closed, and the reader is told."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self.broke(problem)

    async def close(self) -> None:
        """A finished answer has given its connection back already; an unfinished one is not read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None and not self._done:
            connection.abort()
            self.broke(CUT)

    def _take(self) -> bytes:
        if self._size > READ_AHEAD:
            self.resume()
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _more(self) -> None:
        connection = self._connection
        if connection is None:
            raise UpstreamError(CUT)
        self._waiter = connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # ── what the connection tells ────────────────────────────────────────────────────────────────

    def began(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        coding = headers.get("content-encoding")
        if coding is not None:
            self._decoder = decoder(coding)
        if not self.headed.done():
            self.headed.set_result(None)

    def arrived(self, chunk: bytes) -> None:
        connection = self._connection
        if self._done or connection is None:
            return
        self.heard = connection.loop.time()
        if self._decoder is not None:
            try:
                chunk = self._decoder.feed(chunk, LARGEST_ANSWER)
            except Garbled:
                self.fail(UNDECODABLE)
                return
            except Oversized:
                self.fail(TOO_LARGE)
                return
            if not chunk:
                return
        if self._feed is not None:
            try:
                self._feed(chunk)
            except Exception as error:
                # A tap does not like what it sees: the pump hears of it as if it had read it itself.
                connection.abort()
                self._end(error)
            return
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size > READ_AHEAD:
            if self._whole and self._size > LARGEST_ANSWER:
                self.fail(TOO_LARGE)
                return
            connection.pause()
            self._wake()
        elif not self._whole:
            self._wake()

    def finished(self) -> None:
        if self._done:
            return
        if self._decoder is not None:
            try:
                self._decoder.end()
            except Garbled:
                self.broke(UNDECODABLE)
                return
        self._end(None)

    def broke(self, problem: Problem, *, stale: bool = False) -> None:
        self._end(_Stale() if stale else UpstreamError(problem))

    def _end(self, error: BaseException | None) -> None:
        if self._done:
            return
        self._done = True
        self._failed = error
        self._connection = None if error is not None else self._connection
        if not self.headed.done() and error is not None:
            self.headed.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


@lru_cache(maxsize=256)
def _lower(name: bytes) -> str:
    """The name of a header: providers have the same ones all the time."""
    return name.decode("latin-1").lower()


def _named(headers: list[tuple[str, str]]) -> dict[str, str]:
    named = dict(headers)
    if len(named) < len(headers):
        named = {}
        for name, text in headers:
            named[name] = f"{named[name]}, {text}" if name in named else text
    return named
