"""Gemini's documents in the envelope of Code Assist, as Gemini CLI and Antigravity speak it, and Vertex's paths."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import call, chat, chat_stream
from tests.support.http import post

CODE_ASSIST = """
version: 1
providers:
  assist:
    format: cloudcode
    base_url: "{url}"
    retry: {{attempts: 1}}
    transforms: [my_project]
    models: {{gemini-2.5-pro: {{price: {{input: 1, output: 1}}}}}}
    accounts: {{a: {{key: k}}}}
transforms:
  my_project: {{ops: [{{set: {{project: my-project}}}}]}}
models: {{pro: assist/gemini-2.5-pro}}
"""
CHAT = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
"""

SAID = {
    "response": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "ciao"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": "gemini-2.5-pro",
    },
    "traceId": "t1",
}
ASKED = {
    "model": "up/m",
    "project": "their-project",
    "user_prompt_id": "p1",
    "request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "session_id": "s1"},
}
CLIENTS = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_as_an_upstream(client: str, stream: bool) -> None:
    answer = Scripted(chunks=sse(SAID)) if stream else Scripted(json=SAID)
    async with FakeUpstream([answer]) as up, gateway(CODE_ASSIST.format(url=up.url)) as gw:
        status, body, _ = await post(gw, *call(client, "assist/gemini-2.5-pro", stream=stream))
        await gw.recorded(1)
        record = gw.records[0]
    sent, verb = up.requests[0], "streamGenerateContent" if stream else "generateContent"
    assert (status, sent.path) == (200, f"/v1internal:{verb}")
    assert sent.json["model"] == "gemini-2.5-pro" and sent.json["project"] == "my-project"
    assert sent.json["request"]["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert "ciao" in json.dumps(body)
    assert (record.input_tokens, record.output_tokens) == (3, 2)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_error_of_the_upstream(stream: bool) -> None:
    error = {"error": {"code": 429, "message": "No capacity", "status": "RESOURCE_EXHAUSTED"}}
    answer = Scripted(chunks=sse(error)) if stream else Scripted(json=error)
    async with FakeUpstream([answer]) as up, gateway(CODE_ASSIST.format(url=up.url)) as gw:
        status, body, _ = await post(gw, *call("openai-chat", "pro", stream=stream))
    assert (status, body["error"]["message"]) == (429, "No capacity")


async def test_as_a_client() -> None:
    async with FakeUpstream([Scripted(json=chat())]) as up, gateway(CHAT.format(url=up.url)) as gw:
        status, body, headers = await post(gw, "/v1internal:generateContent", ASKED)
    assert status == 200
    assert up.requests[0].json["messages"] == [{"role": "user", "content": "hi"}]
    assert body["response"]["candidates"][0]["content"]["parts"] == [{"text": "ciao"}]
    assert body["response"]["usageMetadata"]["totalTokenCount"] == 5
    assert "X-OmniRoute-Dropped" not in headers


@pytest.mark.parametrize("query", ["?alt=sse", ""], ids=["events", "array"])
async def test_a_stream_for_a_client(query: str) -> None:
    async with FakeUpstream([Scripted(chunks=chat_stream())]) as up, gateway(CHAT.format(url=up.url)) as gw:
        status, text, _ = await post(gw, f"/v1internal:streamGenerateContent{query}", ASKED)
    events = text if query == "" else [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data:")]
    parts = [p for e in events for c in e["response"]["candidates"] for p in c["content"]["parts"]]
    assert (status, "".join(p.get("text", "") for p in parts)) == (200, "ciao")
    assert up.requests[0].json["stream"] is True


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_from_one_envelope_to_the_other(stream: bool) -> None:
    """What the client's envelope says passes; the model's name is put in its place."""
    config = CODE_ASSIST.replace("    transforms: [my_project]\n", "").format
    answer = Scripted(chunks=sse(SAID)) if stream else Scripted(json=SAID)
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    async with FakeUpstream([answer]) as up, gateway(config(url=up.url)) as gw:
        status, body, _ = await post(gw, f"/v1internal:{verb}", {**ASKED, "model": "pro"})
        await gw.recorded(1)
        record = gw.records[0]
    assert status == 200 and "ciao" in json.dumps(body)
    assert up.requests[0].json == {**ASKED, "model": "gemini-2.5-pro"}
    assert (record.path, record.input_tokens, record.output_tokens) == ("same", 3, 2)


async def test_tokens_are_counted() -> None:
    tools = {"tools": [{"functionDeclarations": [{"name": "look", "parameters": {"type": "OBJECT"}}]}]}
    asked: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **tools}
    counted = Scripted(json={"totalTokens": 7})
    async with FakeUpstream([counted]) as up, gateway(CODE_ASSIST.format(url=up.url)) as gw:
        status, body, headers = await post(
            gw,
            "/v1beta/models/pro:countTokens",
            {"generateContentRequest": {"model": "models/pro", **asked}},
        )
    assert (status, body, headers.get("X-OmniRoute-Estimated")) == (200, {"totalTokens": 7}, None)
    sent = up.requests[0].json["request"]
    assert sent["model"] == "models/gemini-2.5-pro"
    assert "look" in json.dumps(sent["contents"][0]) and sent["contents"][-1] == asked["contents"][0]


@pytest.mark.parametrize(
    ("body", "status"), [({"model": "nobody", "request": {}}, 404), ({"model": "up/m"}, 400), ([], 400)]
)
async def test_errors_for_a_client(body: Any, status: int) -> None:
    async with FakeUpstream([Scripted(json=chat())]) as up, gateway(CHAT.format(url=up.url)) as gw:
        found, answer, _ = await post(gw, "/v1internal:generateContent", body)
    assert (found, answer["error"]["code"]) == (status, status)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta1/projects/p/locations/us-central1/publishers/google/models/up/m:generateContent",
        "/v1/projects/p/locations/us-central1/publishers/google/models/up/m:generateContent",
        "/v1beta1/publishers/google/models/up/m:generateContent",
    ],
)
async def test_clients_of_vertex(path: str) -> None:
    async with FakeUpstream([Scripted(json=chat())]) as up, gateway(CHAT.format(url=up.url)) as gw:
        status, body, _ = await post(gw, path, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    assert (status, body["candidates"][0]["content"]["parts"]) == (200, [{"text": "ciao"}])
    assert up.requests[0].json["model"] == "m"


async def test_vertex_as_an_upstream() -> None:
    """The project stands in the base URL."""
    config = """
providers:
  vertex:
    format: gemini
    base_url: "{url}/v1/projects/p/locations/global/publishers/google"
    auth: bearer
    accounts: {{a: {{key: token}}}}
"""
    async with (
        FakeUpstream([Scripted(json=SAID["response"])]) as up,
        gateway(config.format(url=up.url)) as gw,
    ):
        status, _, _ = await post(gw, *call("anthropic-messages", "vertex/gemini-2.5-pro"))
    base = "/v1/projects/p/locations/global/publishers/google"
    assert (status, up.requests[0].path) == (200, f"{base}/models/gemini-2.5-pro:generateContent")
    assert up.requests[0].headers["authorization"] == "Bearer token"
