"""What is counted as what."""

from __future__ import annotations

import aiohttp

from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import call, chat_stream, responder
from tests.support.http import get, post

CONFIG = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'


async def test_a_client_that_leaves_is_no_stream_that_broke() -> None:
    endless = Scripted(chunks=chat_stream("one")[:2], hang=True)
    async with FakeUpstream([endless]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m", stream=True)
        async with aiohttp.ClientSession() as session:
            answer = await session.post(gw.url + path, json=body)
            await answer.content.readany()
            answer.close()
        await gw.recorded(1)
        assert 'omniroute_streams_cut_total{provider="up"}' not in (await get(gw, "/-/metrics"))[1]


async def test_names_that_clients_make_up_are_not_told_apart_without_end() -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("anthropic-messages", "up/m")
        body["tools"] = [{"type": "made_up_20990101", "name": f"tool_{n}"} for n in range(300)]
        await post(gw, path, body)
        _, text, _ = await get(gw, "/-/metrics")
    assert text.count("omniroute_dropped_total{") <= 101
