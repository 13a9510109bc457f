"""What particular clients do that others do not."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import anthropic, chat, chat_stream
from tests.support.http import get, post

CONFIG = """
version: 1
providers:
  up: {{format: {format}, base_url: "{url}/v1", models: {{m: {{}}}}, accounts: {{a: {{key: k}}}}}}
models:
  m: up/m
  mine: up/m
"""
CURSOR: dict[str, Any] = {
    "model": "mine",
    "input": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    ],
    "tools": [{"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}],
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("format", ["openai-chat", "anthropic-messages"])
async def test_a_responses_body_at_the_chat_endpoint(format: str, stream: bool) -> None:
    """Cursor sends one, and expects an answer of Chat Completions."""
    answers = {
        "openai-chat": Scripted(chunks=chat_stream()) if stream else Scripted(json=chat()),
        "anthropic-messages": Scripted(json=anthropic()),
    }
    async with FakeUpstream([answers[format]]) as up, gateway(CONFIG.format(url=up.url, format=format)) as gw:
        status, answer, _ = await post(gw, "/v1/chat/completions", {**CURSOR, "stream": stream})
    assert status == 200
    if stream:
        assert '"object":"chat.completion.chunk"' in answer.replace('": "', '":"') and "[DONE]" in answer
    else:
        assert answer["choices"][0]["message"]["content"] == "ciao"
    sent = up.requests[0].json
    assert sent["messages"][-1]["content"] == "hi" and "input" not in sent
    assert "add" in str(sent["tools"])


@pytest.mark.parametrize("input", [7, [{"type": "no such thing"}]], ids=["a number", "unknown"])
async def test_a_responses_body_that_is_none(input: Any) -> None:
    config = CONFIG.format(url="http://127.0.0.1:1", format="openai-chat")
    async with gateway(config) as gw:
        status, answer, _ = await post(gw, "/v1/chat/completions", {"model": "m", "input": input})
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("name", ["mine[1m]", "up/m[1m]", "m[1m]"])
async def test_the_long_context_of_claude_code(name: str) -> None:
    """It adds `[1m]` to the name of the model."""
    async with (
        FakeUpstream([Scripted(json=anthropic())]) as up,
        gateway(CONFIG.format(url=up.url, format="anthropic-messages")) as gw,
    ):
        body = {"model": name, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        status, answer, _ = await post(gw, "/v1/messages", body)
    assert (status, up.requests[0].json["model"], answer["model"]) == (200, "m", name)


async def test_a_name_of_the_users_goes_before_one_of_the_providers() -> None:
    """An alias that is called like a model means what the user said."""
    config = CONFIG.replace("  m: up/m\n", "  m: up/other\n").replace(
        "models: {{m: {{}}}}", "models: {{m: {{}}, other: {{}}}}"
    )
    async with (
        FakeUpstream([Scripted(json=chat())]) as up,
        gateway(config.format(url=up.url, format="openai-chat")) as gw,
    ):
        await post(
            gw, "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        )
        _, listed, _ = await get(gw, "/v1/models")
    assert up.requests[0].json["model"] == "other"
    names = [entry["id"] for entry in listed["data"]]
    assert len(names) == len(set(names)), "no name is listed twice"


async def test_a_plain_answer_for_claude_code_has_anthropics_json() -> None:
    """Its classifier asks without a stream, and reads JSON of Anthropic's whatever answered."""
    async with (
        FakeUpstream([Scripted(chunks=chat_stream())]) as up,
        gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw,
    ):
        body = {
            "model": "mine",
            "max_tokens": 9,
            "stop_sequences": ["</answer>"],
            "messages": [{"role": "user", "content": "hi"}],
        }
        status, answer, headers = await post(gw, "/v1/messages", body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert (answer["type"], answer["content"][0]["text"]) == ("message", "ciao")
