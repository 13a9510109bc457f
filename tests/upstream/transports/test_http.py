"""The network: what a proxy says is a failure like others."""

from __future__ import annotations

import asyncio

from omniroute.testing import FakeUpstream, gateway
from tests.support.answers import call, responder
from tests.support.http import post

CONFIG = """
proxies: {{s: {{url: "socks5://127.0.0.1:{port}"}}}}
providers:
  one: {{format: openai-chat, base_url: "{url}/v1", proxy: s, retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
  two: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
combos: {{both: [one/m, two/m]}}
"""


async def test_a_socks_proxy_that_refuses_leads_to_the_next_target() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.write(b"\x05\xff")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, FakeUpstream(responder()) as up:
        async with gateway(CONFIG.format(port=port, url=up.url)) as gw:
            status, _, headers = await post(gw, *call("openai-chat", "both"))
    assert (status, headers["X-OmniRoute-Target"]) == (200, "two/m")
