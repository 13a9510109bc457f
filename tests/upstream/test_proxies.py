"""Outbound proxies at three levels: account, provider, all. A real forward proxy on loopback sees who comes through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, gateway
from tests.support.answers import call, responder


class ForwardProxy:
    """Speaks the absolute-form of HTTP/1.1 (RFC 9112 3.2.2), enough for plain http upstreams."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, target, version = lines[0].split(" ")
        self.seen.append(target)
        host, _, rest = target.removeprefix("http://").partition("/")
        name, _, port = host.partition(":")
        headers = [line for line in lines[1:] if line and not line.lower().startswith("proxy-")]
        length = next(
            int(line.split(":")[1]) for line in headers if line.lower().startswith("content-length")
        )
        body = await reader.readexactly(length)
        up_reader, up_writer = await asyncio.open_connection(name, int(port))
        up_writer.write(
            "\r\n".join([f"{method} /{rest} {version}", *headers, "Connection: close", "", ""]).encode()
            + body
        )
        writer.write(await up_reader.read())
        for each in (writer, up_writer):
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()


@contextlib.asynccontextmanager
async def forward_proxy() -> AsyncIterator[ForwardProxy]:
    proxy = ForwardProxy()
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield proxy


CONFIG = """
proxy: {every}
proxies:
  one: {{url: "{one}"}}
  two: {{url: "{two}"}}
  skipping: {{url: "{two}", no_proxy: ["127.0.0.*"]}}
providers:
  up:
    format: openai-chat
    base_url: {up}/v1
    proxy: {provider}
    accounts: {{a: {{key: k, proxy: {account}}}}}
"""


@pytest.mark.parametrize(
    "every, provider, account, through",
    [
        ("null", "null", "null", ""),
        ("one", "null", "null", "one"),
        ("one", "two", "null", "two"),
        ("one", "two", "direct", ""),
        ("two", "two", "one", "one"),
        ("one", "direct", "null", ""),
        ("null", "skipping", "null", ""),
    ],
)
async def test_the_nearest_level_decides(every: str, provider: str, account: str, through: str) -> None:
    async with FakeUpstream(responder()) as up, forward_proxy() as one, forward_proxy() as two:
        config = CONFIG.format(
            every=every, provider=provider, account=account, one=one.url, two=two.url, up=up.url
        )
        config = "\n".join(line for line in config.splitlines() if not line.strip().endswith(": null"))
        config = config.replace(", proxy: null", "")
        path, body = call("openai-chat", "up/m")
        async with gateway(config) as gw, aiohttp.ClientSession() as session:
            async with session.post(gw.url + path, json=body) as answer:
                assert answer.status == 200, await answer.text()
        assert (bool(one.seen), bool(two.seen)) == (through == "one", through == "two")


async def test_a_proxy_that_is_away_is_a_failed_attempt() -> None:
    config = """
    proxies: {gone: {url: "http://127.0.0.1:9"}}
    providers:
      up: {format: openai-chat, base_url: "http://127.0.0.1:9/v1", proxy: gone, retry: {attempts: 1}, accounts: {a: {key: k}}}
    """
    path, body = call("openai-chat", "up/m")
    async with gateway(config) as gw, aiohttp.ClientSession() as session:
        async with session.post(gw.url + path, json=body) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (502, "proxy_error")
