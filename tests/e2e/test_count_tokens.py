"""Counting tokens: the provider's own figure where it has one, whatever the formats; else an estimate that says so."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway

CONFIG = """
providers:
  up: {{format: {format}, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
"""

COUNTERS = {
    "anthropic-messages": ("/v1/messages/count_tokens", {"input_tokens": 42}),
    "bedrock-converse": ("/v1/model/m/count-tokens", {"inputTokens": 42}),
    "gemini": ("/v1/models/m:countTokens", {"totalTokens": 42}),
    "openai-responses": (
        "/v1/responses/input_tokens",
        {"object": "response.input_tokens", "input_tokens": 42},
    ),
}
ASK = {
    "anthropic-messages": (
        "/v1/messages/count_tokens",
        {"model": "up/m", "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]},
    ),
    "gemini": (
        "/v1beta/models/up/m:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
    "openai-responses": ("/v1/responses/input_tokens", {"model": "up/m", "input": "hi"}),
}


def figure(body: dict[str, Any]) -> int:
    return int(body.get("input_tokens", body.get("totalTokens", 0)))


async def count(url: str, client: str) -> tuple[dict[str, Any], dict[str, str]]:
    path, body = ASK[client]
    async with aiohttp.ClientSession() as session, session.post(url + path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(), dict(answer.headers)


@pytest.mark.parametrize("upstream", COUNTERS)
@pytest.mark.parametrize("client", ASK)
async def test_the_providers_own_figure(client: str, upstream: str) -> None:
    path, answer = COUNTERS[upstream]
    async with FakeUpstream([Scripted(json=answer)]) as up:
        async with gateway(CONFIG.format(format=upstream, url=up.url)) as gw:
            body, headers = await count(gw.url, client)
            assert figure(body) == 42
            assert "X-OmniRoute-Estimated" not in headers
            assert up.requests[0].path == path
            if client != upstream:
                assert not {"max_tokens", "stream", "store"} & set(up.requests[0].json)


@pytest.mark.parametrize("client", ASK)
async def test_an_estimate_where_the_provider_cannot_count(client: str) -> None:
    async with FakeUpstream([Scripted(status=404, body="no such page")]) as up:
        for format in ("openai-chat", "anthropic-messages"):
            async with gateway(CONFIG.format(format=format, url=up.url)) as gw:
                body, headers = await count(gw.url, client)
                assert 1 <= figure(body) < 30
                assert headers["X-OmniRoute-Estimated"] == "tokens"
                assert gw.gateway.state.cooldowns.all() == {}
