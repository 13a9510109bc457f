"""A client of Ollama's API at the gateway, and a server of it behind the gateway, over real sockets."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway, sse
from tests.support.answers import chat, chat_chunk, chat_stream, error

CONFIG = """
providers:
  up:
    format: {format}
    base_url: {url}
    accounts: {{a: {{key: key-a-first}}}}
    models: {{m: {{context: 8192, capabilities: [tools, thinking]}}, plain: {{}}}}
"""
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def config(upstream: FakeUpstream, format: str = "openai-chat", path: str = "/v1") -> str:
    return CONFIG.format(format=format, url=upstream.url + path)


async def ask(gw: Running, body: Any, path: str = "/api/chat") -> tuple[int, str, list[Any]]:
    """Status, content type, and the JSON documents of the answer, one a line."""
    async with aiohttp.ClientSession() as session, session.post(gw.url + path, json=body) as answer:
        text = await answer.text()
        return answer.status, answer.headers["Content-Type"], [json.loads(line) for line in text.splitlines()]


def asked(**settings: Any) -> dict[str, Any]:
    return {"model": "up/m", "messages": [{"role": "user", "content": "hi"}], **settings}


# ── an Ollama client on a chat upstream ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/api/chat", "/v1/api/chat"])
async def test_a_plain_answer(path: str) -> None:
    async with FakeUpstream([Scripted(json=chat("ciao"))]) as upstream, gateway(config(upstream)) as gw:
        status, kind, (answer,) = await ask(gw, asked(stream=False, options={"num_predict": 9}), path)
    assert (status, kind) == (200, "application/json")
    assert upstream.requests[0].json["max_tokens"] == 9
    assert answer["model"] == "up/m"
    assert answer["message"] == {"role": "assistant", "content": "ciao"}
    assert (answer["done"], answer["done_reason"]) == (True, "stop")
    assert (answer["prompt_eval_count"], answer["eval_count"]) == (3, 2)


async def test_a_stream_without_asking_for_it() -> None:
    async with (
        FakeUpstream([Scripted(chunks=chat_stream("ciao"))]) as upstream,
        gateway(config(upstream)) as gw,
    ):
        status, kind, docs = await ask(gw, asked())
    assert (status, kind) == (200, "application/x-ndjson")
    assert upstream.requests[0].json["stream"] is True
    assert "".join(doc["message"]["content"] for doc in docs) == "ciao"
    assert [doc["done"] for doc in docs] == [False] * (len(docs) - 1) + [True]
    assert docs[-1]["done_reason"] == "stop"


def call_chunk(id: str | None, arguments: str, index: int = 0, name: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chat_chunk({"tool_calls": [{"index": index, **({"id": id} if id else {}), "function": function}]})


async def test_tools_there_and_back() -> None:
    stream = Scripted(
        chunks=sse(
            call_chunk("c1", '{"at"', name="look"),
            call_chunk(None, ":1}"),
            call_chunk("c2", "{}", 1, "look"),
            chat_chunk({}, "tool_calls"),
            done=True,
        )
    )
    history = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "look", "arguments": {"at": 0}}}],
        },
        {"role": "tool", "content": "a cat", "tool_name": "look"},
    ]
    async with FakeUpstream([stream]) as upstream, gateway(config(upstream)) as gw:
        _, _, docs = await ask(gw, asked(messages=history, tools=[TOOL]))
    calls = [call["function"] for doc in docs for call in doc["message"].get("tool_calls", [])]
    assert calls == [{"name": "look", "arguments": {"at": 1}}, {"name": "look", "arguments": {}}]
    _, said, result = upstream.requests[0].json["messages"]
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert result["content"] == "a cat"


@pytest.mark.parametrize(
    "body, upstream, status, words",
    [
        (asked(), error(429), 429, ""),
        (asked(model="up/nobody", stream=False), Scripted(json=chat()), 404, "nobody"),
        (asked(messages="hi"), Scripted(json=chat()), 400, "messages"),
        ([], Scripted(json=chat()), 400, ""),
    ],
    ids=["upstream", "model", "shape", "json"],
)
async def test_errors_are_a_sentence(body: Any, upstream: Scripted, status: int, words: str) -> None:
    async with FakeUpstream([upstream]) as up, gateway(config(up)) as gw:
        found, kind, (doc,) = await ask(gw, body)
    assert (found, kind) == (status, "application/json")
    assert isinstance(doc["error"], str)
    assert words in doc["error"]


async def test_an_error_in_mid_stream_is_the_last_line() -> None:
    cut = Scripted(chunks=sse(chat_chunk({"content": "one"})), cut=True)
    async with FakeUpstream([cut]) as upstream, gateway(config(upstream)) as gw:
        status, _, docs = await ask(gw, asked())
    assert status == 200
    assert docs[0]["message"]["content"] == "one"
    assert "error" in docs[-1]


async def get(gw: Running, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(gw.url + path) as answer:
        return answer.status, await answer.json()


async def test_the_list_of_models_and_what_each_can_do() -> None:
    async with FakeUpstream([Scripted(json=chat())]) as upstream, gateway(config(upstream)) as gw:
        status, tags = await get(gw, "/api/tags")
        assert status == 200
        assert {"up/m", "up/plain"} <= {model["model"] for model in tags["models"]}
        assert (await get(gw, "/v1/api/tags"))[1] == tags
        assert set((await get(gw, "/api/version"))[1]) == {"version"}
        _, _, (shown,) = await ask(gw, {"model": "up/m:latest"}, "/api/show")
        assert shown["capabilities"] == ["completion", "tools", "thinking"]
        assert shown["model_info"]["up.context_length"] == 8192
        status, _, (missing,) = await ask(gw, {"model": "nobody"}, "/api/show")
        assert status == 404
        assert "nobody" in missing["error"]
        status, elsewhere = await get(gw, "/api/nothing")
        assert status == 404
        assert isinstance(elsewhere["error"], str)


async def test_a_key_is_needed_where_keys_are_declared() -> None:
    keys = "keys: {me: {key: gw-secret-1234, models: [up/plain]}}\n"
    async with FakeUpstream([Scripted(json=chat())]) as upstream, gateway(config(upstream) + keys) as gw:
        assert (await get(gw, "/api/tags"))[0] == 401
        assert (await ask(gw, {"model": "up/m"}, "/api/show"))[0] == 401
        assert (await ask(gw, asked()))[0] == 401


# ── other clients on an Ollama upstream ────────────────────────────────────────────────────────────


def piece(content: str = "", done: bool = False, **rest: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **rest.pop("message", {})}
    return {"model": "m", "created_at": "2025-01-01T00:00:00Z", "message": message, "done": done, **rest}


END = piece(done=True, done_reason="stop", prompt_eval_count=7, eval_count=3)
CALL = {"tool_calls": [{"function": {"name": "look", "arguments": {"at": 1}}}]}


def ndjson(*docs: Any, **settings: Any) -> Scripted:
    lines = [json.dumps(doc) + "\n" for doc in docs]
    return Scripted(chunks=lines, content_type="application/x-ndjson", **settings)


def anthropic(**settings: Any) -> dict[str, Any]:
    tool = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
    return asked(max_tokens=50, tools=[tool], thinking={"type": "enabled", "budget_tokens": 1024}, **settings)


async def test_an_anthropic_client_on_an_ollama_upstream() -> None:
    answer = piece("Look.", done=True, done_reason="stop", prompt_eval_count=7, eval_count=3)
    answer["message"] |= {"thinking": "Hm.", **CALL}
    async with FakeUpstream([Scripted(json=answer)]) as up, gateway(config(up, "ollama", "")) as gw:
        status, _, (doc,) = await ask(gw, anthropic(), "/v1/messages")
    request = up.requests[0]
    assert request.path == "/api/chat"
    assert (request.json["model"], request.json["stream"], request.json["think"]) == ("m", False, True)
    assert request.json["options"] == {"num_predict": 50}
    assert status == 200
    assert [block["type"] for block in doc["content"]] == ["thinking", "text", "tool_use"]
    assert doc["content"][2]["input"] == {"at": 1}
    assert doc["stop_reason"] == "tool_use"
    assert (doc["usage"]["input_tokens"], doc["usage"]["output_tokens"]) == (7, 3)


async def test_a_stream_of_ollama_for_an_anthropic_client() -> None:
    stream = ndjson(piece(message={"thinking": "Hm."}), piece("Lo"), piece("ok."), piece(message=CALL), END)
    async with FakeUpstream([stream]) as up, gateway(config(up, "ollama", "")) as gw:
        async with (
            aiohttp.ClientSession() as session,
            session.post(gw.url + "/v1/messages", json=anthropic(stream=True)) as answer,
        ):
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            text = await answer.text()
        await gw.recorded(1)
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    started = [e["content_block"]["type"] for e in events if e["type"] == "content_block_start"]
    assert started == ["thinking", "text", "tool_use"]
    assert events[-1]["type"] == "message_stop"
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert (gw.records[0].input_tokens, gw.records[0].output_tokens) == (7, 3)


async def test_bytes_pass_untouched_between_ollama_and_ollama() -> None:
    stream = ndjson(piece("Hi"), END)
    async with FakeUpstream([stream]) as up, gateway(config(up, "ollama", "")) as gw:
        _, kind, docs = await ask(gw, asked(options={"num_ctx": 4096}))
        await gw.recorded(1)
    assert up.requests[0].json["options"] == {"num_ctx": 4096}
    assert up.requests[0].json["model"] == "m"
    assert "stream" not in up.requests[0].json
    assert kind == "application/x-ndjson"
    assert docs == [piece("Hi"), END]
    assert gw.records[0].path == "same"
    assert (gw.records[0].input_tokens, gw.records[0].output_tokens) == (7, 3)


@pytest.mark.parametrize(
    "failing", [ndjson(piece("Hi"), cut=True), ndjson(piece("Hi"))], ids=["cut", "short"]
)
async def test_a_stream_that_is_not_complete_says_so(failing: Scripted) -> None:
    async with FakeUpstream([failing]) as up, gateway(config(up, "ollama", "")) as gw:
        _, _, docs = await ask(gw, asked())
    assert docs[0] == piece("Hi")
    assert "error" in docs[-1]


async def test_an_edit_of_events_keeps_the_lines() -> None:
    mark = "transforms: {mark: {on: event, ops: [{set: {marked: true}}]}}\n"
    async with FakeUpstream([ndjson(piece("Hi"), END)]) as up:
        marked = config(up, "ollama", "").replace("    models:", "    transforms: [mark]\n    models:")
        async with gateway(marked + mark) as gw:
            _, _, docs = await ask(gw, asked())
    assert [doc["marked"] for doc in docs] == [True, True]
    assert docs[0]["message"]["content"] == "Hi"
