"""HTTP/1.1 over TCP and TLS, directly or through a proxy."""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import AsyncIterator, Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import aiohttp

from omniroute.declare import Options, transport
from omniroute.errors import Problem, UpstreamError
from omniroute.routing.directory import OutboundProxy
from omniroute.upstream.transport import LARGEST_ANSWER, Inbound, Outbound, Transport

LARGE_BODY = 2**20
KEEP_ALIVE = 60.0
"""Seconds for which an unused connection is kept."""


@transport("http", example="http")
class Http(Options, frozen=True, kw_only=True):
    """Over the network: pooled keep-alive connections, TLS checked, redirects not followed."""

    def build(self) -> Transport:
        return HttpTransport()


class HttpTransport:
    """One session for what goes directly or through HTTP proxies, one for each SOCKS proxy."""

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def send(self, outbound: Outbound) -> Inbound:
        proxy = _proxy_url(outbound)
        session = self._session(proxy)
        try:
            response = await session.request(
                outbound.method,
                outbound.url,
                data=_payload(outbound),
                headers=outbound.headers,
                proxy=proxy if proxy is not None and not proxy.startswith("socks") else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=outbound.connect, sock_connect=outbound.connect
                ),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(_problem(error)) from error
        except Exception as error:
            if not _of_socks(error):
                raise
            raise UpstreamError(_broken("proxy_error", "The outbound proxy could not be used.")) from error
        return HttpInbound(response)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _session(self, proxy: str | None) -> aiohttp.ClientSession:
        key = proxy if proxy is not None and proxy.startswith("socks") else ""
        session = self._sessions.get(key)
        if session is None or session.closed:
            session = aiohttp.ClientSession(
                connector=_connector(key),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept"),
                read_bufsize=2**18,
            )
            self._sessions[key] = session
        return session


class HttpInbound:
    """An answer over HTTP."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > LARGEST_ANSWER:
                await self.close()
                raise UpstreamError(
                    _broken(
                        "answer_too_large", f"The upstream's answer is larger than {LARGEST_ANSWER} bytes."
                    )
                )
            parts.append(chunk)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(
                _broken("cut", "The upstream closed the connection in mid-answer.")
            ) from error

    async def close(self) -> None:
        # A finished answer has given its connection back already; an unfinished one must not be read to its end.
        self._response.close()


def _payload(outbound: Outbound) -> bytes | io.BytesIO | None:
    """A large body is written piece by piece, so that it does not hold up the loop."""
    if outbound.method != "POST":
        return None
    return outbound.body if len(outbound.body) < LARGE_BODY else io.BytesIO(outbound.body)


def _connector(socks: str) -> aiohttp.BaseConnector:
    if not socks:
        return aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=300)
    try:
        connector: type[aiohttp.BaseConnector] = importlib.import_module("aiohttp_socks").ProxyConnector
    except ImportError as error:
        message = "SOCKS proxies need a package that is not installed: pip install 'omniroute[socks]'."
        raise UpstreamError(_broken("proxy_error", message)) from error
    made: aiohttp.BaseConnector = connector.from_url(socks, limit=0, keepalive_timeout=KEEP_ALIVE)  # type: ignore[attr-defined]  # aiohttp_socks is an extra
    return made


def _of_socks(error: Exception) -> bool:
    """Whether it is the word of a SOCKS proxy: its errors have no common base, and their package is an extra."""
    return type(error).__module__.partition(".")[0] in ("aiohttp_socks", "python_socks")


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


def _problem(error: Exception) -> Problem:
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ServerTimeoutError | asyncio.TimeoutError):
        return Problem(
            kind="timeout",
            code="connect_timeout",
            message="The upstream did not accept a connection in time.",
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return _broken("proxy_error", "The outbound proxy could not be used.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return _broken("tls_error", "The upstream's TLS certificate or handshake was refused.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _broken("connect_error", "The upstream could not be reached.")
    if isinstance(error, aiohttp.InvalidURL):
        return _broken("invalid_url", "The provider's base_url is not a URL.")
    return _broken("disconnected", "The upstream closed the connection without an answer.")


def _broken(code: str, message: str) -> Problem:
    return Problem(kind="bad_gateway", code=code, message=message)
