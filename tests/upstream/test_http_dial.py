"""Ways to an upstream: TLS, tunnels through proxies, SOCKS, unix sockets. Real servers, and a certificate authority of
the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme
import uvloop

from omniroute.config.secrets import Secret
from omniroute.errors import UpstreamError
from omniroute.routing.directory import OutboundProxy
from omniroute.upstream import http_dial
from omniroute.upstream.transport import Outbound
from omniroute.upstream.transports.http import HttpTransport
from tests.support.raw_server import raw_server, read_request
from tests.upstream.test_http_connection import CASES, client, serving


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """An authority that the gateway trusts."""
    ca = trustme.CA()
    context = ssl.create_default_context()
    ca.configure_trust(context)
    monkeypatch.setattr(http_dial, "_tls", lambda: context)
    yield ca


def certified(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(CASES["length"])


OPENED = b"HTTP/1.1 200 OK\r\n\r\n"


@contextlib.asynccontextmanager
async def tunnels(
    seen: list[bytes], tls: ssl.SSLContext | None = None, reply: bytes = OPENED
) -> AsyncIterator[int]:
    """A proxy that knows CONNECT."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if reply != OPENED:
            writer.write(reply)
            return
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(reply)
        try:
            await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))
        finally:
            up_writer.close()

    async with raw_server(handle, tls=tls) as port:
        yield port


async def fetch(transport: HttpTransport, url: str, proxy: str | None = None) -> bytes:
    through = OutboundProxy("p", Secret(proxy)) if proxy is not None else None
    inbound = await transport.send(Outbound(url=url, headers={}, body=b"{}", proxy=through))
    return await inbound.read()


async def test_tls_is_checked(authority: trustme.CA) -> None:
    async with raw_server(answer, tls=certified(authority, "127.0.0.1")) as port, client() as transport:
        assert await fetch(transport, f"https://127.0.0.1:{port}/") == b"hi"
        assert await fetch(transport, f"https://127.0.0.1:{port}/") == b"hi"


@pytest.mark.parametrize("why", ["name", "authority"])
async def test_a_certificate_that_does_not_fit_is_refused(authority: trustme.CA, why: str) -> None:
    ca = authority if why == "name" else trustme.CA()
    name = "elsewhere.example" if why == "name" else "127.0.0.1"
    async with raw_server(answer, tls=certified(ca, name)) as port, client() as transport:
        with pytest.raises(UpstreamError) as raised:
            await fetch(transport, f"https://127.0.0.1:{port}/")
    assert raised.value.problem.code == "tls_error"


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http", "https"])
async def test_a_tunnel(authority: trustme.CA, proxy_tls: bool) -> None:
    seen: list[bytes] = []
    tls = certified(authority, "127.0.0.1") if proxy_tls else None
    scheme = "https" if proxy_tls else "http"
    async with raw_server(answer, tls=certified(authority, "127.0.0.1")) as port, tunnels(seen, tls) as at:
        async with client() as transport:
            url, proxy = f"https://127.0.0.1:{port}/", f"{scheme}://me:p%40ss@127.0.0.1:{at}"
            assert await fetch(transport, url, proxy) == b"hi"
            assert await fetch(transport, url, proxy) == b"hi"
            await transport.close()
            await asyncio.sleep(0.05)
    assert len(seen) == 1
    assert seen[0].startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    assert b"Proxy-Authorization: Basic " + b64encode(b"me:p@ss") in seen[0]


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 407 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nearly", b"SSH-2.0\r\n\r\n"]
)
async def test_a_proxy_that_opens_no_tunnel(authority: trustme.CA, reply: bytes) -> None:
    async with (
        raw_server(answer, tls=certified(authority, "127.0.0.1")) as port,
        tunnels([], reply=reply) as at,
    ):
        async with client() as transport:
            with pytest.raises(UpstreamError) as raised:
                await fetch(transport, f"https://127.0.0.1:{port}/", f"http://127.0.0.1:{at}")
    assert raised.value.problem.code == "proxy_error"


async def test_a_plain_request_is_sent_to_the_proxy_itself() -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(CASES["length"])

    async with serving(proxy) as url, client() as transport:
        at = url.replace("http://", "http://me:pass@").removesuffix("/v1/x")
        assert await fetch(transport, "http://up.example:81/v1?a=b", at) == b"hi"
    assert seen[0].startswith(b"POST http://up.example:81/v1?a=b HTTP/1.1\r\nHost: up.example:81\r\n")
    assert b"Proxy-Authorization: Basic " + b64encode(b"me:pass") in seen[0]


async def test_a_socks_proxy() -> None:
    seen: list[bytes] = []

    async def socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As much of RFC 1928 as it takes to be asked for a host by name, and to be the host."""
        count = (await reader.readexactly(2))[1]
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        head = await reader.readexactly(5)
        seen.append(await reader.readexactly(head[4] + 2))
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        await read_request(reader)
        writer.write(CASES["length"])

    async with serving(socks) as url, client() as transport:
        at = url.replace("http://", "socks5h://").removesuffix("/v1/x")
        assert await fetch(transport, "http://up.example:81/v1", at) == b"hi"
    assert seen == [b"up.example" + (81).to_bytes(2, "big")]


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with raw_server(answer, unix=str(tmp_path / "up.sock")), client() as transport:
        assert await fetch(transport, f"http://unix:{tmp_path}/up.sock:/v1/chat") == b"hi"


def test_the_loop_of_production_makes_no_difference(authority: trustme.CA, tmp_path: Path) -> None:
    async def dialled() -> None:
        await test_tls_is_checked(authority)
        await test_a_certificate_that_does_not_fit_is_refused(authority, "name")
        await test_a_tunnel(authority, False)
        await test_a_tunnel(authority, True)
        await test_a_socks_proxy()
        await test_a_unix_socket(tmp_path)

    uvloop.run(dialled())
