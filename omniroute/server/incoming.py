"""A request of a client as the handler sees it, and the way to answer it (HTTP/1.1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from multidict import CIMultiDict

from omniroute.pipeline.turns import LARGE, together
from omniroute.upstream.coding import Decoder, Oversized, decoder

if TYPE_CHECKING:
    from omniroute.server.connection import ClientConnection

BODY_IDLE = 60.0
"""Seconds that a client may be silent in the middle of its body."""
SMALL_BODY = 16 * 1024
"""Bytes of an answer that are copied behind its head rather than written by themselves."""
READ_AHEAD = 256 * 1024
"""Bytes of a body that are read before a handler asks for them."""

CODED = 16 * 1024
"""Bytes of a compressed body that are undone at once: they may be a thousand times as many."""

BODILESS = (204, 304)


class TooLarge(Exception):
    """The body is larger than it may be."""


class Slow(Exception):
    """The client stopped sending its body."""


class Answer:
    """A plain answer. `headers` go out as they are, with what says how long the body is."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers if headers is not None else {}


Handler = Callable[["Incoming"], Awaitable[Answer | None]]
"""Answers a request; None when it has done so itself, by `begin` and `finish`."""


class Incoming:
    """A request, and the way to answer it. Header look-ups ignore case."""

    __slots__ = (
        "_chunked",
        "_complete",
        "_connection",
        "_error",
        "_head",
        "_parts",
        "_size",
        "_waiter",
        "begun",
        "header_size",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "remote",
        "version",
    )

    def __init__(
        self,
        connection: ClientConnection,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        header_size: int,
        version: str,
        keep_alive: bool,
    ) -> None:
        self.method = method
        self.path, query = _split(target)
        self.query: Mapping[str, str] = _parameters(query) if query else _NONE
        """The parameters of the target; of a repeated one the first."""
        self.headers = headers
        self.header_size = header_size
        self.version = version
        self.keep_alive = keep_alive
        self.remote = connection.remote
        self.begun = False
        """An answer has begun: a second one would be read as a part of it."""
        self._connection: ClientConnection | None = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._complete = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._chunked = False
        self._head = b""

    # ── the body ─────────────────────────────────────────────────────────────────────────────────

    def at_hand(self, most: int) -> bytes | None:
        """The body, where all of it has come and nothing is left to do: mostly it is there with the head."""
        if not self._complete or self._size > most or "content-encoding" in self.headers:
            return None
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def body(self, most: int) -> bytes:
        """All of it, its content coding undone. Raises `TooLarge` as soon as that is certain, `Slow`, `Garbled`."""
        length = self.headers.get("content-length") if not self._complete else None
        if length is not None and int(length) > most:
            raise TooLarge
        if not self._complete and self.headers.get("expect", "").lower() == "100-continue":
            self._raw(b"HTTP/1.1 100 Continue\r\n\r\n")
        while True:
            if self._size > most:
                raise TooLarge
            if self._error is not None:
                raise self._error
            if self._complete:
                break
            await self._more()
        parts, self._parts = self._parts, []
        body = await together(parts)
        coding = self.headers.get("content-encoding")
        return await _decoded(coding, body, most) if coding is not None and body else body

    async def _more(self) -> None:
        if self._connection is None:
            raise ConnectionResetError
        self._connection.resume()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(BODY_IDLE):
                await self._waiter
        except TimeoutError as error:
            raise Slow from error
        finally:
            self._waiter = None

    def arrived(self, data: bytes) -> None:
        if self.begun:
            # Answered without its body: what still comes of it is of no interest.
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size > READ_AHEAD and self._connection is not None:
            # Who reads it asks for the rest; others have their turn in between.
            self._connection.pause()
        if self._waiter is not None:
            self._wake()

    def ended(self, error: Exception | None = None) -> None:
        """The body is complete, or will never be."""
        self._complete = error is None
        self._error = error
        if self._size > READ_AHEAD and self._connection is not None:
            # Whether the client is still there has to be heard of, too.
            self._connection.resume()
        if self._waiter is not None:
            self._wake()

    @property
    def complete(self) -> bool:
        return self._complete or self._error is not None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ── the answer ───────────────────────────────────────────────────────────────────────────────

    def send(self, answer: Answer) -> None:
        """The whole answer."""
        head = self._head_of(answer.status, answer.headers)
        self.begun = True
        body = answer.body
        if answer.status in BODILESS:
            self._raw(head + b"\r\n")
            return
        head += b"Content-Length: %d\r\n\r\n" % len(body)
        if self.method == "HEAD":
            body = b""
        if len(body) <= SMALL_BODY:
            self._raw(head + body)
        elif self._connection is not None:
            self._connection.write_both(head, body)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer whose length is not known. It leaves with its first bytes, or at `flush`."""
        head = self._head_of(status, headers)
        self.begun = True
        self._chunked = self.version == "1.1"
        if not self._chunked:
            self.keep_alive = False
        self._head = head + (b"Transfer-Encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")

    def write(self, chunk: bytes) -> None:
        """Some of the body. It never waits: `full` says when the client is behind, `drained` when no more."""
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        if self._head:
            chunk = self._head + chunk
            self._head = b""
        if self._connection is not None:
            self._connection.write(chunk)

    def flush(self) -> None:
        """Send the head, if it waits for the first bytes."""
        if self._head:
            head, self._head = self._head, b""
            self._raw(head)

    def finish(self) -> None:
        """There is no more."""
        self.flush()
        if self._chunked:
            self._raw(b"0\r\n\r\n")

    @property
    def full(self) -> bool:
        return self._connection is not None and self._connection.full

    async def drained(self) -> None:
        """Until the client has read enough of what was written. Raises `ConnectionResetError` when it left."""
        if self._connection is None:
            raise ConnectionResetError
        await self._connection.drained()

    def watch(self, full: Callable[[], None], free: Callable[[], None]) -> None:
        """Call these when the client falls behind, and when it has caught up."""
        if self._connection is not None:
            self._connection.watch(full, free)

    def abort(self) -> None:
        """Close the connection at once: what was begun cannot be ended well."""
        if self._connection is not None:
            self._connection.abort()

    def let_go(self) -> None:
        """The connection is another request's now, or nobody's."""
        self._connection = None

    def _head_of(self, status: int, headers: Mapping[str, str]) -> bytes:
        """Raises `ValueError` for a value that would begin a line of its own."""
        text = _lines_of(tuple(headers)) % tuple(headers.values())
        if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
            raise ValueError("a header holds a line break")
        if self.keep_alive and headers.get("Connection") == "close":
            self.keep_alive = False
        elif not self.keep_alive and "Connection" not in headers:
            text += "Connection: close\r\n"
        elif self.version == "1.0" and self.keep_alive:
            text += "Connection: keep-alive\r\n"
        return _status_line(status) + _date(int(time.time())) + text.encode("utf-8", "surrogateescape")

    def _raw(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.write(data)


_NONE: Mapping[str, str] = MappingProxyType({})


def _parameters(query: str) -> dict[str, str]:
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))


@lru_cache(maxsize=512)
def _split(target: str) -> tuple[str, str]:
    """Path, decoded, and query of a target."""
    target = target.partition("#")[0]
    path, _, query = target.partition("?")
    return (unquote(path, errors="surrogateescape") if "%" in path else path), query


@lru_cache(maxsize=256)
def _lines_of(names: tuple[str, ...]) -> str:
    """The lines of these headers, with places for their values: most answers have the same ones."""
    return "".join([f"{name.replace('%', '%%')}: %s\r\n" for name in names])


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()


async def _decoded(coding: str, body: bytes, most: int) -> bytes:
    """A little of it at once; where much comes out, beside the loop. Raises `Garbled` and `TooLarge`."""
    undo = decoder(coding)
    if undo is None:
        return body
    plain: list[bytes] = []
    try:
        done = _undo(undo, body, plain, min(most, LARGE), most)
        if done < len(body):
            await asyncio.to_thread(_undo, undo, memoryview(body)[done:], plain, most, most)
    except Oversized as error:
        raise TooLarge from error
    undo.end()
    return await together(plain)


def _undo(undo: Decoder, coded: bytes | memoryview, plain: list[bytes], enough: int, most: int) -> int:
    """Decode until there are more than `enough` bytes; gives how many were read. zlib lets go of the interpreter lock
    while it works, and no step between is long. Raises `Oversized` when there are more than `most`."""
    at, size = 0, sum(map(len, plain))
    while at < len(coded) and size <= enough:
        plain.append(undo.feed(bytes(coded[at : at + CODED]), most - size))
        size += len(plain[-1])
        at += CODED
    return at
