"""How a connection to an upstream is made: TCP, TLS, a unix socket; directly or through a proxy."""

from __future__ import annotations

import asyncio
import importlib
import socket
import ssl
from base64 import b64encode
from functools import cache, lru_cache
from string import punctuation
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

import aiohappyeyeballs

from omniroute.errors import UpstreamError
from omniroute.upstream.http_connection import Connection, Pool, broken

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds after which the next address is tried beside the one that does not answer (RFC 8305)."""
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}
LONGEST_PROXY_HEAD = 16 * 1024

NO_PROXY = broken("proxy_error", "The outbound proxy could not be used.")
NO_SOCKS = broken(
    "proxy_error", "SOCKS proxies need a package that is not installed: pip install 'omniroute[socks]'."
)
NO_CONNECTION = broken("connect_error", "The upstream could not be reached.")
NO_TLS = broken("tls_error", "The upstream's TLS certificate or handshake was refused.")
NO_URL = broken("invalid_url", "The provider's base_url is not a URL.")


class Place(NamedTuple):
    """Where a connection leads: the key of the pool. `proxy` is a whole URL, with what it needs to be let in."""

    scheme: str
    host: str
    port: int
    proxy: str | None = None
    socket: str | None = None
    """The path of a unix socket, in the place of an address."""


@lru_cache(maxsize=4096)
def place_of(url: str, proxy: str | None) -> tuple[Place, str, str]:
    """Where a URL leads, the value of its `Host`, and the target of a request line. Raises `UpstreamError`.

    `unix:` stands before the path of a socket, which ends at the next colon: `http://unix:/run/x.sock:/v1`.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.netloc == "unix:":
            path, _, rest = parts.path.partition(":")
            target = _target(rest, parts.query)
            return Place(parts.scheme, "localhost", 0, None, path), "localhost", target
        host, port = _ascii(parts.hostname or ""), parts.port or PORTS.get(parts.scheme)
    except ValueError as error:
        raise UpstreamError(NO_URL) from error
    if parts.scheme not in ("http", "https") or not host or port is None:
        raise UpstreamError(NO_URL)
    place = Place(parts.scheme, host, port, proxy)
    shown = f"[{host}]" if ":" in host else host
    named = shown if port == PORTS[parts.scheme] else f"{shown}:{port}"
    target = _target(parts.path, parts.query)
    if proxy is not None and parts.scheme == "http" and not proxy.startswith("socks"):
        target = f"http://{named}{target}"
    return place, named, target


async def dial(pool: Pool, place: Place) -> Connection:
    """A connection to a place. Raises `UpstreamError`."""
    if place.proxy is None:
        return await _direct(pool, place)
    if place.proxy.startswith("socks"):
        return await _through_socks(pool, place, place.proxy)
    return await _through_http(pool, place, urlsplit(place.proxy))


def proxy_authorization(proxy: str) -> str | None:
    """What a proxy with a name and a password in its URL is to be shown."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode()


async def _direct(pool: Pool, place: Place) -> Connection:
    loop = asyncio.get_running_loop()
    context = _tls() if place.scheme == "https" else None
    try:
        if place.socket is not None:
            _, made = await loop.create_unix_connection(
                lambda: Connection(pool, place),
                place.socket,
                ssl=context,
                server_hostname=place.host if context is not None else None,
            )
            return made
        sock = await _socket(place.host, place.port)
        return await _over(sock, pool, place, context)
    except (ssl.SSLError, ssl.CertificateError) as error:
        raise UpstreamError(NO_TLS) from error
    except (OSError, UnicodeError) as error:
        raise UpstreamError(NO_CONNECTION) from error


async def _over(sock: socket.socket, pool: Pool, place: Place, context: ssl.SSLContext | None) -> Connection:
    loop = asyncio.get_running_loop()
    try:
        _, made = await loop.create_connection(
            lambda: Connection(pool, place),
            sock=sock,
            ssl=context,
            server_hostname=place.host if context is not None else None,
        )
    except BaseException:
        sock.close()
        raise
    return made


async def _socket(host: str, port: int) -> socket.socket:
    """A connected socket: all addresses of the host are tried, the next beside the last that is slow."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    connected = await aiohappyeyeballs.start_connection(
        found, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY, interleave=1, loop=loop
    )
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


async def _through_socks(pool: Pool, place: Place, proxy: str) -> Connection:
    try:
        socks = importlib.import_module("python_socks.async_.asyncio")
    except ImportError as error:
        raise UpstreamError(NO_SOCKS) from error
    # `socks5h` lets the proxy resolve names, which this package does anyway.
    url = proxy.replace("socks5h://", "socks5://", 1).replace("socks4a://", "socks4://", 1)
    try:
        sock = await socks.Proxy.from_url(url).connect(dest_host=place.host, dest_port=place.port)
    except (OSError, ValueError) as error:
        raise UpstreamError(NO_PROXY) from error
    except Exception as error:
        if not type(error).__module__.startswith("python_socks"):
            raise
        raise UpstreamError(NO_PROXY) from error
    try:
        return await _over(sock, pool, place, _tls() if place.scheme == "https" else None)
    except (ssl.SSLError, ssl.CertificateError) as error:
        raise UpstreamError(NO_TLS) from error
    except OSError as error:
        raise UpstreamError(NO_CONNECTION) from error


async def _through_http(pool: Pool, place: Place, proxy: SplitResult) -> Connection:
    """Plain requests are sent to the proxy itself; for TLS it opens a tunnel (RFC 9110 9.3.6)."""
    host, port = proxy.hostname or "", proxy.port or PORTS[proxy.scheme]
    at_proxy = Place(proxy.scheme, host, port)
    context = _tls() if proxy.scheme == "https" else None
    try:
        sock = await _socket(host, port)
        if place.scheme == "http":
            return await _over_named(sock, pool, place, context, host)
        return await _tunnel(sock, pool, place, at_proxy, context)
    except (ssl.SSLError, ssl.CertificateError) as error:
        raise UpstreamError(NO_TLS) from error
    except OSError as error:
        raise UpstreamError(NO_PROXY) from error


async def _over_named(
    sock: socket.socket, pool: Pool, place: Place, context: ssl.SSLContext | None, name: str
) -> Connection:
    """A connection to a proxy, kept for a place behind it."""
    loop = asyncio.get_running_loop()
    try:
        _, made = await loop.create_connection(
            lambda: Connection(pool, place),
            sock=sock,
            ssl=context,
            server_hostname=name if context is not None else None,
        )
    except BaseException:
        sock.close()
        raise
    return made


class _Opening(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT, byte for byte no further than its head."""

    def __init__(self) -> None:
        self._head = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(self._head) <= LONGEST_PROXY_HEAD:
            return
        status = head.split(b"\r\n", 1)[0].split(b" ")
        # A tunnel says nothing before the client does: bytes that follow are none of the other side's.
        opened = len(status) >= 2 and status[0].startswith(b"HTTP/1.") and status[1].startswith(b"2")
        self._ended(None if opened and end and not rest else ConnectionError("the proxy opens no tunnel"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc if exc is not None else ConnectionError("the proxy closed the connection"))

    def _ended(self, error: Exception | None) -> None:
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(error)


async def _tunnel(
    sock: socket.socket, pool: Pool, place: Place, proxy: Place, context: ssl.SSLContext | None
) -> Connection:
    loop = asyncio.get_running_loop()
    try:
        transport, opening = await loop.create_connection(
            _Opening, sock=sock, ssl=context, server_hostname=proxy.host if context is not None else None
        )
    except BaseException:
        sock.close()
        raise
    try:
        transport.write(_connect(place))
        await opening.opened
        connection = Connection(pool, place)
        made = await loop.start_tls(transport, connection, _tls(), server_hostname=place.host)
    except BaseException:
        transport.abort()
        raise
    if made is None:
        raise ConnectionError("the tunnel was closed")
    connection.connection_made(made)
    return connection


def _connect(place: Place) -> bytes:
    host = f"[{place.host}]" if ":" in place.host else place.host
    lines = [f"CONNECT {host}:{place.port} HTTP/1.1", f"Host: {host}:{place.port}"]
    shown = proxy_authorization(place.proxy or "")
    if shown is not None:
        lines.append(f"Proxy-Authorization: {shown}")
    return "\r\n".join([*lines, "", ""]).encode()


@cache
def _tls() -> ssl.SSLContext:
    """One for all: loading the certificates of the system takes tens of milliseconds."""
    return ssl.create_default_context()


def _target(path: str, query: str) -> str:
    """The target of a request line, with what it may not hold escaped; what is escaped already stays."""
    target = path or "/"
    return quote(f"{target}?{query}" if query else target, safe=punctuation)


def _ascii(host: str) -> str:
    """A host as it is asked for in DNS. Raises `ValueError` (as `UnicodeError` is one) for what is none."""
    if not host.isascii():
        return host.encode("idna").decode()
    if not all(c.isalnum() or c in "-._~:%" for c in host):
        raise ValueError(host)
    return host
