"""How much models think: what reaches an upstream of each format, whatever the client's."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from omniroute.stages.thinking_budget import weight
from omniroute.testing import FakeUpstream, Scripted, gateway
from omniroute.wire.conversation import Conversation, Text, Tool, Turn
from tests.support.answers import anthropic, call

CONFIG = """
providers:
  up: {{format: anthropic-messages, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}, models: {{"*": {{max_output: 64000}}}}}}
pipelines:
  chat: {{stages: [auth, {{stage: thinking_budget, {options}}}, route, translate, retry, log], endpoints: [chat]}}
"""

ASKED = {
    "openai-chat": {"reasoning_effort": "low", "temperature": 1},
    "openai-responses": {"reasoning": {"effort": "low"}},
    "anthropic-messages": {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 20000},
    "gemini": {"generation_config": {"thinking_config": {"thinking_budget": 4096}, "temperature": 1}},
}


@pytest.mark.parametrize("wire", ASKED)
@pytest.mark.parametrize(
    "options, budget",
    [
        ("mode: passthrough", 4096),
        ("mode: auto", None),
        ("mode: custom, tokens: 9000", 9000),
        ("mode: adaptive", 4096),
    ],
)
async def test_what_the_upstream_is_asked(wire: str, options: str, budget: int | None) -> None:
    async with FakeUpstream([Scripted(json=anthropic())]) as up:
        async with (
            gateway(CONFIG.format(url=up.url, options=options)) as gw,
            aiohttp.ClientSession() as session,
        ):
            path, body = call(wire, "up/m")
            async with session.post(gw.url + path, json={**body, **ASKED[wire]}) as answer:
                assert answer.status == 200, await answer.text()
        thinking: dict[str, Any] = up.requests[0].json.get("thinking", {})
    got = thinking.get("budget_tokens")
    if budget is None or got is None:
        assert got == budget
    else:
        # Formats that know only words for effort come close to a figure, not to the token.
        assert budget * 0.4 <= got <= budget * 2


@pytest.mark.parametrize(
    "turns, tools, text, expected",
    [(1, 0, 5, 1.0), (11, 0, 5, 1.5), (1, 4, 5, 1.5), (1, 0, 3000, 1.3), (11, 4, 3000, 2.3)],
)
def test_what_is_demanding_gets_more(turns: int, tools: int, text: int, expected: float) -> None:
    talk = Conversation(
        turns=[Turn(role="user", parts=[Text(text="x" * text)]) for _ in range(turns)],
        tools=[Tool(name=f"t{i}") for i in range(tools)],
    )
    assert weight(talk) == pytest.approx(expected)
