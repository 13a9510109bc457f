"""Upstreams that stream when they should not, and do not when they should."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import anthropic, call, chat, chat_stream
from tests.support.http import post

CONFIG = """
providers:
  up: {{format: {format}, base_url: "{url}", retry: {{attempts: 1}}, accounts: {{a: {{key: secret-key}}}}}}
"""

RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "ciao", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "ciao"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}
OLLAMA = {
    "model": "m",
    "created_at": "2025-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "ciao"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 3,
    "eval_count": 2,
}
COHERE = {
    "id": "c1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "ciao"}]},
    "usage": {"tokens": {"input_tokens": 3, "output_tokens": 2}},
}
WHOLE: dict[str, dict[str, Any]] = {
    "openai-chat": chat(),
    "openai-responses": RESPONSE,
    "anthropic-messages": anthropic(),
    "gemini": GEMINI,
    "ollama": OLLAMA,
    "cohere": COHERE,
}
CLIENTS = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")

ENDS = {
    "openai-chat": "data: [DONE]\n\n",
    "openai-responses": "event: response.completed\n",
    "anthropic-messages": "event: message_stop\n",
    "gemini": '"finishReason":"STOP"',
}
"""What the end of a stream holds."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("upstream", WHOLE)
async def test_a_whole_answer_becomes_a_stream(client: str, upstream: str) -> None:
    answer = Scripted(json=WHOLE[upstream])
    async with FakeUpstream([answer]) as up, gateway(CONFIG.format(url=up.url, format=upstream)) as gw:
        status, text, headers = await post(gw, *call(client, "up/m", stream=True))
        await gw.recorded(1)
        record = gw.records[0]
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/event-stream")
    assert "ciao" in text and ENDS[client] in text[-2000:]
    assert (record.input_tokens, record.output_tokens) == (3, 2)
    assert record.error is None


def chunk(**fields: Any) -> str:
    return json.dumps(fields) + "\n"


STREAMED: dict[str, Scripted] = {
    "openai-chat": Scripted(chunks=chat_stream("ci", "ao")),
    "gemini": Scripted(
        json=[
            GEMINI | {"candidates": [{"content": {"parts": [{"text": "ci"}]}}]},
            {"candidates": [{"content": {"parts": [{"text": "ao"}]}, "finishReason": "STOP"}]},
        ]
    ),
    "ollama": Scripted(
        body=chunk(**OLLAMA | {"message": {"role": "assistant", "content": "ci"}, "done": False})
        + chunk(**OLLAMA | {"message": {"role": "assistant", "content": "ao"}}),
        content_type="application/x-ndjson",
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("upstream", STREAMED)
async def test_a_stream_becomes_a_whole_answer(client: str, upstream: str) -> None:
    async with (
        FakeUpstream([STREAMED[upstream]]) as up,
        gateway(CONFIG.format(url=up.url, format=upstream)) as gw,
    ):
        status, answer, _ = await post(gw, *call(client, "up/m"))
    assert status == 200
    assert "ciao" in json.dumps(answer)


@pytest.mark.parametrize("client", CLIENTS)
async def test_an_array_becomes_a_stream(client: str) -> None:
    """Gemini's own streams are arrays where nobody asks for events."""
    async with (
        FakeUpstream([STREAMED["gemini"]]) as up,
        gateway(CONFIG.format(url=up.url, format="gemini")) as gw,
    ):
        status, text, _ = await post(gw, *call(client, "up/m", stream=True))
    assert (status, ENDS[client] in text) == (200, True)


CUT = Scripted(chunks=chat_stream("ci", "ao")[:2])
SAYS_NO = {"error": {"message": "no, secret-key", "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("answer", "stream", "status"),
    [
        pytest.param(Scripted(json=SAYS_NO), True, 400, id="an error in a 200"),
        pytest.param(Scripted(chunks=sse(SAYS_NO, done=True)), False, 400, id="an error in a stream"),
        pytest.param(Scripted(body="<html>", content_type="text/html"), True, 502, id="a page"),
        pytest.param(Scripted(body="", content_type="application/json"), True, 502, id="nothing"),
        pytest.param(Scripted(body='{"cho', content_type="application/json"), True, 502, id="half"),
        pytest.param(Scripted(json=chat("") | {"choices": []}), True, 502, id="empty"),
        pytest.param(CUT, False, 502, id="a cut stream"),
        pytest.param(Scripted(chunks=["data: {oops\n\n"]), False, 502, id="a broken stream"),
    ],
)
async def test_what_is_no_answer_stays_an_error(answer: Scripted, stream: bool, status: int) -> None:
    async with FakeUpstream([answer]) as up, gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw:
        found, body, _ = await post(gw, *call("anthropic-messages", "up/m", stream=stream))
    assert (found, body["type"]) == (status, "error")
    assert "secret-key" not in json.dumps(body)
