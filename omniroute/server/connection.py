"""HTTP/1.1 for clients: an asyncio protocol on llhttp.

What a request may look like is what aiohttp's server, too, lets pass; `tests/server/test_connection.py` holds both against
each other. Of a request that is refused here nothing reaches a handler.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httptools
from multidict import CIMultiDict

from omniroute.server.incoming import Incoming
from omniroute.upstream.coding import Garbled
from omniroute.upstream.write_buffer import send_at_once

if TYPE_CHECKING:
    from omniroute.server.listener import Listener

log = logging.getLogger("omniroute")

LONGEST_LINE = 16 * 1024
LONGEST_FIELD = 64 * 1024
MOST_HEADERS = 128
"""Bytes of a request's target and of a header, and how many headers: beyond them a request is none."""
USUAL_NAME = 64
"""Bytes of a header's name that is remembered: anybody may make up long ones."""
LINGER = 10.0
"""Seconds in which a body that nobody wanted may still come, so that its sender gets to read the answer."""

SINGLE = frozenset(
    [
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
        "server",
        "etag",
        "content-location",
        "content-range",
        "max-forwards",
    ]
)
"""Headers that may stand there once. Two of a kind are how requests are smuggled past a proxy that takes the other."""


class ClientConnection(asyncio.Protocol):
    """One connection of a client: requests one after the other, answered in their order."""

    __slots__ = (
        "_current",
        "_drained",
        "_fields",
        "_full_told",
        "_incoming",
        "_linger",
        "_listener",
        "_loop",
        "_made_up",
        "_parser",
        "_paused",
        "_poison",
        "_queue",
        "_size",
        "_target",
        "_task",
        "_transport",
        "_upgrading",
        "full",
        "head_since",
        "idle_since",
        "remote",
    )

    def __init__(self, listener: Listener) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._fields: list[tuple[str, str]] = []
        self._size = 0
        """Bytes of the headers so far."""
        self._target = b""
        self._incoming: Incoming | None = None
        """Whose body is being read."""
        self._current: Incoming | None = None
        """Who is being answered."""
        self._queue: deque[Incoming] = deque()
        self._task: asyncio.Task[None] | None = None
        self._poison: str | None = None
        self._paused = False
        self._upgrading = False
        self._made_up = False
        self._linger: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._full_told: tuple[Callable[[], None], Callable[[], None]] | None = None
        self.full = False
        self.remote = ""
        self.idle_since = self._loop.time()
        self.head_since = 0.0

    # ── of asyncio ───────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport, as it always is here
        send_at_once(transport)
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._poison is not None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(error)
        self._serve()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._listener.connections.discard(self)
        for incoming in (*self._queue, self._current, self._incoming):
            if incoming is not None:
                incoming.let_go()
        self._queue.clear()
        if self._linger is not None:
            self._linger.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError())
            # Whoever waited for it is cancelled now: nobody may be left to ask.
            self._drained.exception()
        self._full_told = None
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self.full = True
        if self._full_told is not None:
            self._full_told[0]()

    def resume_writing(self) -> None:
        self.full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._full_told is not None:
            self._full_told[1]()

    # ── of the parser ────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        self.head_since = self._loop.time()
        self._target = b""
        self._fields = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > LONGEST_LINE:
            raise ValueError("the target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        fields, size = self._fields, len(name) + len(value)
        if len(fields) >= MOST_HEADERS or size > LONGEST_FIELD:
            raise ValueError("too many headers, or one that is too long")
        if b"\0" in value:
            raise ValueError("a header holds a NUL")
        self._size += size
        known = _known_name(name) if len(name) <= USUAL_NAME else _name_of(name)
        fields.append((known, value.rstrip(b" \t").decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        if self._made_up:
            # The head that `_after_upgrade` wrote, to get at the body.
            self._made_up = False
            self._fields = []
            self.head_since = 0.0
            return
        parser = self._parser
        fields, self._fields = self._fields, []
        headers = _headers(fields)
        version = parser.get_http_version()
        if version == "1.1" and "host" not in headers:
            raise ValueError("there is no Host")
        method = parser.get_method().decode("ascii")
        target = _target(method, self._target)
        # A parser that saw an upgrade takes it that no body follows; see `_after_upgrade`.
        self._upgrading = parser.should_upgrade() and (
            "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        )
        incoming = Incoming(
            self,
            method,
            target,
            headers,
            self._size,
            version,
            parser.should_keep_alive() and method != "CONNECT",
        )
        self.head_since = 0.0
        self._incoming = incoming
        self._queue.append(incoming)

    def on_body(self, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.arrived(data)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.ended()
            if self._linger is not None:
                self._over(incoming)

    def _after_upgrade(self, rest: bytes) -> None:
        """Go on behind a request that would have liked to change to another protocol (RFC 9110 7.8 lets us ignore it;
        Java's client asks for HTTP/2 with every first request). Its parser is done with: a new one reads the body."""
        incoming = self._incoming
        self._parser = httptools.HttpRequestParser(self)
        if self._upgrading and incoming is not None:
            self._upgrading, self._made_up = False, True
            rest = _head_again(incoming.headers) + rest
        elif self._queue and self._queue[-1].method == "CONNECT":
            # What follows is of a protocol that nobody here speaks.
            return
        if rest:
            self.data_received(rest)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    def _serve(self) -> None:
        """See to it that somebody works on what is there."""
        if self._task is None and (self._queue or self._poison is not None) and self._transport is not None:
            if self._linger is None:
                self._task = self._loop.create_task(self._run(), name="client")
        elif len(self._queue) > 1 or (self._queue and self._current is not None):
            # The client does not wait for its answers: it is read no further until they are out.
            self.pause()

    async def _run(self) -> None:
        handler = self._listener.handler
        try:
            while self._queue and self._transport is not None:
                incoming = self._current = self._queue.popleft()
                answer = await handler(incoming)
                if answer is not None:
                    incoming.send(answer)
                self._current = None
                if not self._may_go_on(incoming):
                    return
                if not self._queue:
                    self.resume()
            if self._poison is not None:
                self._refuse(self._poison)
        except ConnectionError:
            self.abort()
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception:
            log.exception("a connection failed inside the gateway")
            self.abort()
        finally:
            self._task = None
            self._current = None
            self.idle_since = self._loop.time()

    def _may_go_on(self, incoming: Incoming) -> bool:
        """After an answer: whether the next request of this connection may be looked at."""
        self._full_told = None
        if not incoming.complete and incoming is self._incoming:
            # The rest of the body has to go somewhere before the connection can be used, or closed without a reset.
            self._linger = self._loop.call_later(LINGER, self.abort)
            self.resume()
            return False
        incoming.let_go()
        if incoming.keep_alive and not self._listener.closing:
            return True
        self.close()
        return False

    def _over(self, incoming: Incoming) -> None:
        """The body that nobody wanted has come."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        incoming.let_go()
        if not incoming.keep_alive or self._listener.closing:
            self.close()

    def _malformed(self, error: Exception) -> None:
        self._poison = str(error.__context__ or error)
        incoming, self._incoming = self._incoming, None
        if incoming is not None and not incoming.complete:
            incoming.keep_alive = False
            incoming.ended(Garbled(self._poison))
        if self._linger is not None:
            self.abort()

    def _refuse(self, why: str) -> None:
        log.info("400 a request of %s is not HTTP: %s", self.remote or "a local client", why)
        self.write(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Connection: close\r\nContent-Length: 16\r\n\r\n400: Bad Request"
        )
        self.close()

    # ── the transport ────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write_both(self, head: bytes, body: bytes) -> None:
        if self._transport is not None:
            self._transport.writelines((head, body))

    def pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def watch(self, full: Callable[[], None], free: Callable[[], None]) -> None:
        self._full_told = (full, free)
        if self.full:
            full()

    async def drained(self) -> None:
        while self.full:
            if self._transport is None:
                raise ConnectionResetError
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    @property
    def busy(self) -> bool:
        return self._task is not None or self._linger is not None

    @property
    def idle(self) -> bool:
        """Nothing of a request is there."""
        return not self.busy and not self.head_since and self._incoming is None

    def close(self) -> None:
        """After what was written has gone out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _headers(fields: list[tuple[str, str]]) -> CIMultiDict[str]:
    """Raises `ValueError` for what could be understood in two ways."""
    if len(dict(fields)) < len(fields):
        seen: set[str] = set()
        for name, _ in fields:
            if name in seen and name in SINGLE:
                raise ValueError(f"there are two headers {name}")
            seen.add(name)
    return CIMultiDict(fields)


def _name_of(raw: bytes) -> str:
    """The name of a header in lower case. Raises `ValueError`."""
    name = raw.lower().decode("latin-1")
    if name == "sec-websocket-key1":
        raise ValueError("the old websockets are not spoken")
    return name


_known_name = lru_cache(maxsize=1024)(_name_of)


def _head_again(headers: CIMultiDict[str]) -> bytes:
    """As much of a head as tells a parser how long the body is."""
    named = [(n, headers[n]) for n in ("content-length", "transfer-encoding") if n in headers]
    lines = "".join([f"{name}: {value}\r\n" for name, value in named])
    return f"POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("utf-8", "surrogateescape")


def _target(method: str, raw: bytes) -> str:
    """A request's target in origin form (RFC 9112 3.2). Raises `ValueError`."""
    target = raw.decode("utf-8", "surrogateescape")
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return target
    if method == "CONNECT":
        if not urlsplit(f"//{target}").hostname:
            raise ValueError("CONNECT to nowhere")
        return ""
    parts = urlsplit(target)
    if not parts.scheme or not parts.hostname:
        raise ValueError("the target is no path")
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
