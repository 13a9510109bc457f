"""`POST /api/generate` of Ollama: a prompt is a conversation of one message, whatever answers it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from tests.support.answers import chat, chat_chunk, chat_stream, error, sse

CONFIG = """
providers:
  up: {{format: {format}, base_url: "{url}", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
"""
LINES = [
    {"model": "m", "created_at": "2025-01-01T00:00:00Z", "message": {"role": "assistant", "content": "ciao"}},
    {"model": "m", "created_at": "2025-01-01T00:00:00Z", "message": {"content": ""}, "done": True},
]


async def ask(gw: Running, **settings: Any) -> tuple[int, list[dict[str, Any]]]:
    body = {"model": "up/m", "prompt": "hi", **settings}
    async with (
        aiohttp.ClientSession() as session,
        session.post(gw.url + "/api/generate", json=body) as answer,
    ):
        text = await answer.text()
        return answer.status, [json.loads(line) for line in text.splitlines() if line.strip()]


async def test_a_plain_answer() -> None:
    config = CONFIG.format
    async with (
        FakeUpstream([Scripted(json=chat())]) as up,
        gateway(config(url=up.url, format="openai-chat")) as gw,
    ):
        status, (answer,) = await ask(
            gw, stream=False, system="Be brief.", images=["iVBORw0KGgo="], options={"num_predict": 9}
        )
    assert status == 200
    assert (answer["response"], answer["done"], answer["eval_count"]) == ("ciao", True, 2)
    assert "message" not in answer
    sent = up.requests[0].json
    assert [m["role"] for m in sent["messages"]] == ["system", "user"]
    assert "iVBORw0KGgo=" in json.dumps(sent["messages"][1]) and sent["max_tokens"] == 9


async def test_a_stream_is_the_default() -> None:
    thought = [sse(chat_chunk({"reasoning_content": "hm"}))[0], *chat_stream("ci", "ao")]
    async with (
        FakeUpstream([Scripted(chunks=thought)]) as up,
        gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw,
    ):
        status, docs = await ask(gw)
    assert status == 200
    assert "".join(d["response"] for d in docs) == "ciao"
    assert "".join(d.get("thinking", "") for d in docs) == "hm"
    assert [d["done"] for d in docs] == [*[False] * (len(docs) - 1), True]


async def test_an_upstream_of_ollama_is_asked_to_chat() -> None:
    lines = Scripted(body="".join(json.dumps(d) + "\n" for d in LINES), content_type="application/x-ndjson")
    async with FakeUpstream([lines]) as up, gateway(CONFIG.format(url=up.url, format="ollama")) as gw:
        status, docs = await ask(gw)
    assert (status, [d["response"] for d in docs]) == (200, ["ciao", ""])
    assert (up.requests[0].path, up.requests[0].json["messages"]) == (
        "/api/chat",
        [{"role": "user", "content": "hi"}],
    )


async def test_a_stream_that_breaks_ends_with_an_error() -> None:
    broken = Scripted(chunks=chat_stream("ci", "ao")[:2], cut=True)
    async with (
        FakeUpstream([broken]) as up,
        gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw,
    ):
        _, docs = await ask(gw)
    assert docs[0]["response"] == "ci" and isinstance(docs[-1]["error"], str)


@pytest.mark.parametrize("settings", [{"suffix": "}"}, {"raw": True}, {"context": [1]}, {"template": "x"}])
async def test_what_works_on_raw_text_is_refused_by_name(settings: dict[str, Any]) -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:1", format="openai-chat")) as gw:
        status, (answer,) = await ask(gw, **settings)
    assert status == 400 and f"`{next(iter(settings))}`" in answer["error"]


async def test_an_error_is_a_sentence() -> None:
    async with (
        FakeUpstream([error(429, retry_after="3")]) as up,
        gateway(CONFIG.format(url=up.url, format="openai-chat")) as gw,
    ):
        status, (answer,) = await ask(gw)
    assert status == 429 and isinstance(answer["error"], str)


CACHED = """
version: 1
providers:
  up: {{format: openai-chat, base_url: "{url}", accounts: {{a: {{key: k}}}}}}
pipelines:
  chat: {{stages: [auth, filter, {{stage: cache, exact: {{deterministic_only: false}}}}, route, translate, retry, log]}}
"""


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_kept_answer_is_in_its_words_too(stream: bool) -> None:
    """What the cache keeps is an answer of a chat, and serves both endpoints."""
    async with FakeUpstream([Scripted(json=chat())]) as up, gateway(CACHED.format(url=up.url)) as gw:
        await ask(gw, stream=False, options={"temperature": 0})
        status, docs = await ask(gw, stream=stream, options={"temperature": 0})
    assert len(up.requests) == 1
    assert (status, "".join(d["response"] for d in docs)) == (200, "ciao")
