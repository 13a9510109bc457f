"""The provider's rate limits in the headers that the client looks at: on answers, streams and errors."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import anthropic, call, chat, chat_stream, error
from tests.support.http import post

CONFIG = """
providers:
  up: {{format: {format}, base_url: "{url}", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
"""
OPENAI = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "0", "x-ratelimit-odd": "1"}
ANTHROPIC = {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "0"}
UNIFIED = {"anthropic-ratelimit-unified-status": "allowed", "retry-after": "10"}
AS_OPENAI = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "0"}

CASES: list[Any] = [
    pytest.param("openai-chat", OPENAI, "openai-chat", OPENAI, id="chat as it came"),
    pytest.param("openai-chat", OPENAI, "openai-responses", AS_OPENAI, id="chat for responses"),
    pytest.param("openai-chat", OPENAI, "anthropic-messages", ANTHROPIC, id="chat for anthropic"),
    pytest.param("openai-chat", OPENAI, "gemini", {}, id="chat for gemini, which knows none"),
    pytest.param(
        "anthropic-messages", ANTHROPIC | UNIFIED, "openai-chat", AS_OPENAI, id="anthropic for chat"
    ),
    pytest.param(
        "anthropic-messages",
        ANTHROPIC | UNIFIED,
        "anthropic-messages",
        ANTHROPIC | {"anthropic-ratelimit-unified-status": "allowed"},
        id="anthropic as it came",
    ),
]


def limits(headers: Any) -> dict[str, str]:
    found = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in found.items() if "ratelimit" in name or name == "retry-after"}


@pytest.mark.parametrize(("upstream", "sent", "client", "got"), CASES)
async def test_limits_stand_beside_answers(
    upstream: str, sent: dict[str, str], client: str, got: dict[str, str]
) -> None:
    """`retry-after` of an answer that succeeded (Anthropic's) is no sign of an error, and is not passed on."""
    answer = Scripted(json=chat() if upstream == "openai-chat" else anthropic(), headers=sent)
    async with FakeUpstream([answer]) as up, gateway(CONFIG.format(url=up.url, format=upstream)) as gw:
        status, _, headers = await post(gw, *call(client, "up/m"))
    assert (status, limits(headers)) == (200, got)


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages"])
async def test_limits_stand_beside_streams(client: str) -> None:
    answer = Scripted(chunks=chat_stream(), headers=OPENAI)
    async with FakeUpstream([answer]) as up, gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw:
        status, _, headers = await post(gw, *call(client, "up/m", stream=True))
    assert (status, limits(headers)) == (200, OPENAI if client == "openai-chat" else ANTHROPIC)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("client", "got"),
    [("openai-chat", OPENAI), ("openai-responses", AS_OPENAI), ("anthropic-messages", ANTHROPIC)],
)
async def test_limits_stand_beside_errors(client: str, got: dict[str, str], stream: bool) -> None:
    busy = error(429, retry_after="7", **{k.replace("-", "_"): v for k, v in OPENAI.items()})
    async with FakeUpstream([busy]) as up, gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw:
        status, _, headers = await post(gw, *call(client, "up/m", stream=stream))
    assert (status, limits(headers)) == (429, {**got, "retry-after": "7"})


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages", "openai-responses"])
async def test_whether_to_try_again_is_passed_on(client: str) -> None:
    """The SDKs of OpenAI and Anthropic obey `x-should-retry` before they look at the status."""
    busy = error(429, x_should_retry="false")
    async with FakeUpstream([busy]) as up, gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw:
        _, _, headers = await post(gw, *call(client, "up/m"))
    assert headers["x-should-retry"] == "false"
