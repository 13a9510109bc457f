"""HTTP/1.1 over TCP and TLS, directly or through a proxy: who gets which connection."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

from omniroute.declare import Options, transport
from omniroute.errors import Problem, UpstreamError
from omniroute.routing.directory import OutboundProxy
from omniroute.upstream.coding import accepted
from omniroute.upstream.http_connection import NO_ANSWER, Connection, broken
from omniroute.upstream.http_dial import Place, dial, place_of, proxy_authorization
from omniroute.upstream.transport import Inbound, Outbound, Transport

KEEP_ALIVE = 60.0
"""Seconds for which an unused connection is kept."""
SWEEP = 5.0
"""Seconds between two looks for connections that were unused for so long."""
OURS = ("content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer")
"""Headers that say how a message is sent, which is our affair."""


@transport("http", example="http")
class Http(Options, frozen=True, kw_only=True):
    """Over the network: pooled keep-alive connections, TLS checked, redirects not followed."""

    def build(self) -> Transport:
        return HttpTransport()


class HttpTransport:
    """Sends requests over connections that it keeps, a list for each place."""

    def __init__(self) -> None:
        self._idle: dict[Place, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._head = lru_cache(maxsize=1024)(_head)

    async def send(self, outbound: Outbound) -> Inbound:
        proxy = _proxy_url(outbound) if outbound.proxy is not None else None
        place, host, target = place_of(outbound.url, proxy)
        of_proxy = _of_proxy(place) if proxy is not None else None
        head = self._head(outbound.method, host, target, tuple(outbound.headers.items()), of_proxy)
        head += _length(outbound)
        head_only = outbound.method == "HEAD"
        connection = self._kept(place)
        if connection is not None:
            inbound = await connection.ask(head, outbound.body, head_only=head_only)
            if inbound is not None:
                return inbound
        # None was kept, or one that was closed in the moment in which we wrote: a new one tells whether anybody is there.
        connection = await self._made(place, outbound.connect)
        inbound = await connection.ask(head, outbound.body, head_only=head_only)
        if inbound is None:
            raise UpstreamError(NO_ANSWER)
        return inbound

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()

    # ── connections ──────────────────────────────────────────────────────────────────────────────

    def _kept(self, place: Place) -> Connection | None:
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def _made(self, place: Place, seconds: float) -> Connection:
        try:
            async with asyncio.timeout(seconds):
                connection = await dial(self, place)
        except TimeoutError as error:
            raise UpstreamError(CONNECT_TIMEOUT) from error
        self._all.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
            return
        connection.idle_since = connection.loop.time()
        place: Place = connection.key  # type: ignore[assignment]  # we made it with a place
        self._idle.setdefault(place, []).append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(SWEEP, self._sweep)

    def forget(self, connection: Connection) -> None:
        # Among the idle ones it is passed over, until the next sweep: looking for it there could take long.
        self._all.discard(connection)

    def _sweep(self) -> None:
        """Close what was unused for long."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEP_ALIVE
        for place, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since < oldest:
                    connection.abort()
            self._idle[place] = [c for c in idle if c.usable]
            if not self._idle[place]:
                del self._idle[place]
        self._sweeper = loop.call_later(SWEEP, self._sweep) if self._idle else None


CONNECT_TIMEOUT = Problem(
    kind="timeout", code="connect_timeout", message="The upstream did not accept a connection in time."
)
BAD_HEADER = broken("invalid_header", "A header for the upstream holds a line break.")


def _head(
    method: str, host: str, target: str, headers: tuple[tuple[str, str], ...], of_proxy: str | None
) -> bytes:
    """A head but for its last line, the length of the body: most requests differ in nothing else.

    Raises `UpstreamError` for a value that would begin a line of its own.
    """
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in OURS]
    if "accept-encoding" not in names:
        lines.append(f"Accept-Encoding: {accepted()}")
    if of_proxy is not None:
        lines.append(f"Proxy-Authorization: {of_proxy}")
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise UpstreamError(BAD_HEADER)
    return "\r\n".join([*lines, ""]).encode("utf-8", "surrogateescape")


def _length(outbound: Outbound) -> bytes:
    """The end of a head. A request without a body says nothing of its length, unless its method expects one."""
    if not outbound.body and outbound.method in ("GET", "HEAD"):
        return b"\r\n"
    return b"Content-Length: %d\r\n\r\n" % len(outbound.body)


def _of_proxy(place: Place) -> str | None:
    """What the proxy is shown in the request itself; over a tunnel it has seen it before."""
    if place.proxy is None or place.scheme == "https" or place.proxy.startswith("socks"):
        return None
    return proxy_authorization(place.proxy)


def _proxy_url(outbound: Outbound) -> str | None:
    proxy = outbound.proxy
    if proxy is None or proxy.url is None or _bypasses(proxy, outbound.url):
        return None
    return proxy.url.reveal()


def _bypasses(proxy: OutboundProxy, url: str) -> bool:
    if not proxy.no_proxy:
        return False
    host = urlsplit(url).hostname or ""
    return any(
        fnmatchcase(host, pattern) or host.endswith("." + pattern.lstrip(".")) for pattern in proxy.no_proxy
    )
