"""Requests with a large picture: what is sent is the same to the byte as if nothing had been cut out of them."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
from typing import Any

import aiohttp
import pytest

from omniroute.pipeline.turns import in_turns
from omniroute.server import data_plane
from omniroute.testing import FakeUpstream, Scripted, gateway
from omniroute.upstream import send
from omniroute.wire.bulk import TURN, WINDOW, cut_out, joined
from tests.support.answers import WIRES, call, chat
from tests.support.http import post, post_raw
from tests.wire.test_bulk import run

IMAGE = "iVBORw0KGgoA" + base64.b64encode(random.Random(7).randbytes(15 * WINDOW // 4 * 3 // 4)).decode()
URL = "data:image/png;base64," + IMAGE
PDF = "JVBERi0xLjcA" + IMAGE[12:]
ASK = 'What is "it"? é \U0001f411'

USER: dict[str, Any] = {"role": "user"}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat": (
        "/v1/chat/completions",
        {
            "model": "MODEL",
            "temperature": 0.5,
            "messages": [
                {"role": "system", "content": "Be brief."},
                USER
                | {
                    "content": [
                        {"type": "text", "text": ASK},
                        {"type": "image_url", "image_url": {"url": URL}},
                    ]
                },
            ],
        },
    ),
    "openai-responses": (
        "/v1/responses",
        {
            "model": "MODEL",
            "store": False,
            "input": [
                USER
                | {
                    "content": [
                        {"type": "input_text", "text": ASK},
                        {"type": "input_image", "image_url": URL},
                    ]
                }
            ],
        },
    ),
    "anthropic-messages": (
        "/v1/messages",
        {
            "model": "MODEL",
            "max_tokens": 99,
            "messages": [
                USER
                | {
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": IMAGE},
                        },
                        {"type": "text", "text": ASK},
                    ]
                }
            ],
        },
    ),
    "gemini": (
        "/v1beta/models/MODEL:generateContent",
        {
            "contents": [
                USER | {"parts": [{"inlineData": {"mimeType": "image/png", "data": IMAGE}}, {"text": ASK}]},
            ]
        },
    ),
    "ollama-chat": (
        "/api/chat",
        {"model": "MODEL", "stream": False, "messages": [USER | {"content": ASK, "images": [IMAGE]}]},
    ),
}
FILE = {"filename": "x.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
DOCUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat": (
        "/v1/chat/completions",
        {"model": "MODEL", "messages": [USER | {"content": [{"type": "file", "file": FILE}]}]},
    ),
    "openai-responses": (
        "/v1/responses",
        {"model": "MODEL", "store": False, "input": [USER | {"content": [{"type": "input_file", **FILE}]}]},
    ),
    "anthropic-messages": (
        "/v1/messages",
        {
            "model": "MODEL",
            "max_tokens": 99,
            "messages": [
                USER
                | {
                    "content": [
                        {
                            "type": "document",
                            "title": "x.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                        }
                    ]
                }
            ],
        },
    ),
    "gemini": (
        "/v1beta/models/MODEL:generateContent",
        {"contents": [USER | {"parts": [{"inlineData": {"mimeType": "application/pdf", "data": PDF}}]}]},
    ),
}
TARGETS = ("openai-chat", "openai-responses", "anthropic-messages", "gemini", "ollama", "cohere")

CONFIG = """
transforms:
  marked: {on: request, ops: [{set: {marked: "{{ request.model }}"}}]}
  rarely: {on: request, when: "request.nothing == `1`", ops: [{set: {marked: true}}]}
  measured: {on: request, side: client, ops: [{set: {length: "{{ request.messages | string | length }}"}}]}
  seen: {on: response, side: client, ops: [{set: {length: "{{ response | string | length }}"}}]}
  seen_there: {on: response, ops: [{set: {length: "{{ response | string | length }}"}}]}
providers:
  up: {format: FORMAT, base_url: "URL/v1", transforms: [TRANSFORMS], accounts: {a: {key: k}}, models: {m: {}}}
  down: {format: openai-chat, base_url: "URL/v1", accounts: {a: {key: k}}, retry: {attempts: 1}, models: {m: {}}}
combos:
  alias: MEMBERS
pipelines:
  chat: {stages: [auth, filter, STAGES route, translate, retry, log], endpoints: [chat]}
"""
DEFAULTS = {"FORMAT": "openai-chat", "TRANSFORMS": "", "MEMBERS": "[up/m]", "STAGES": ""}


def huge_from(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of more bytes are handled with care."""
    for module in (data_plane, send):
        monkeypatch.setattr(module, "HUGE", size)


async def sent(
    client: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    huge: int,
    requests: dict[str, tuple[str, dict[str, Any]]] = REQUESTS,
    **config: str,
) -> list[bytes]:
    """The bodies that the upstream gets, when bodies of more than `huge` bytes are handled with care."""
    huge_from(huge, monkeypatch)
    path, body = requests[client]
    stream = {"stream": True} if config.pop("stream", "") else {}
    raw = json.dumps(body | stream).replace("MODEL", "alias").encode()
    text = CONFIG
    for name, default in DEFAULTS.items():
        text = text.replace(name, config.get(name.lower(), default))
    async with FakeUpstream([Scripted(status=400, json={"error": {"message": "no"}})]) as up:
        async with gateway(text.replace("URL", up.url)) as gw:
            await post_raw(gw, path.replace("MODEL", "alias"), raw, **{"Content-Type": "application/json"})
    return [seen.body for seen in up.requests]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", REQUESTS)
async def test_the_same_bytes_are_sent(client: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await sent(client, monkeypatch, huge=1 << 40, format=target)
    assert len(whole) == 1 and IMAGE.encode() in whole[0]
    assert await sent(client, monkeypatch, huge=WINDOW, format=target) == whole


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "anthropic-messages", "gemini"])
@pytest.mark.parametrize("client", DOCUMENTS)
async def test_the_same_bytes_of_documents_are_sent(
    client: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await sent(client, monkeypatch, huge=1 << 40, format=target, requests=DOCUMENTS)
    assert len(whole) == 1 and PDF.encode() in whole[0]
    assert await sent(client, monkeypatch, huge=WINDOW, format=target, requests=DOCUMENTS) == whole


@pytest.mark.parametrize("documents", [REQUESTS, DOCUMENTS], ids=["picture", "pdf"])
async def test_the_same_tokens_are_estimated(
    documents: dict[str, tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PDF is estimated by its length: what was cut out of it counts, too."""
    path, body = documents["anthropic-messages"]
    config = 'providers: {up: {format: openai-chat, base_url: "http://h/v1", accounts: {a: {key: k}}}}'
    found = []
    for huge in (1 << 40, WINDOW):
        huge_from(huge, monkeypatch)
        async with gateway(config) as gw:
            found.append(
                (await post(gw, f"{path}/count_tokens", body | {"model": "up/m"}))[1]["input_tokens"]
            )
    assert found[0] == found[1]
    assert (found[0] > len(PDF) / 50) is (documents is DOCUMENTS)


@pytest.mark.parametrize("room, asked", [(8_000, 1), (3_000, 0)])
async def test_a_document_that_is_too_long_for_the_context(
    room: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same target is chosen or not, whether its middle was cut out or not: it is some 6,000 tokens."""
    path, body = DOCUMENTS["openai-chat"]
    config = 'providers: {up: {format: openai-chat, base_url: "URL/v1", accounts: {a: {key: k}}, models: {m: {context: ROOM}}}}'
    found = []
    for huge in (1 << 40, WINDOW):
        huge_from(huge, monkeypatch)
        async with FakeUpstream([Scripted(status=400, json={"error": {"message": "no"}})]) as up:
            async with gateway(config.replace("URL", up.url).replace("ROOM", str(room))) as gw:
                await post(gw, path, body | {"model": "up/m"})
                found.append(len(up.requests))
    assert found == [asked, asked]


WAYS: dict[str, dict[str, str]] = {
    "params": {"members": "[{model: up/m, params: {top_p: 0.5}}]"},
    "an-edit": {"transforms": "marked"},
    "an-edit-that-does-not-apply": {"transforms": "rarely"},
    "a-stage-that-edits": {"stages": "{stage: system_prompt, text: Speak Italian.},"},
    "a-stage-that-reads-all": {"stages": "{stage: transform, use: [measured]},"},
    "thinking": {"stages": "{stage: thinking_budget, mode: custom, tokens: 2000},"},
    "idempotent": {
        "stages": "{stage: cache, single_flight: {window: 5s}, exact: {deterministic_only: false}},"
    },
    "rivals": {"members": "{strategy: race, targets: [{model: up/m, params: {top_p: 0.5}}, down/m]}"},
    "usage-asked-for": {"stream": "yes", "members": "[{model: up/m}]"},
}


@pytest.mark.parametrize("target", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_same_bytes_are_sent_on_every_way(
    way: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await sent("openai-chat", monkeypatch, huge=1 << 40, format=target, **WAYS[way])
    assert whole and all(IMAGE.encode() in body for body in whole)
    careful = await sent("openai-chat", monkeypatch, huge=WINDOW, format=target, **WAYS[way])
    assert sorted(careful) == sorted(whole)


@pytest.mark.parametrize("client", REQUESTS)
def test_the_picture_of_these_requests_is_cut_out(client: str) -> None:
    """Else nothing above says anything."""
    bulk = run(cut_out(json.dumps(REQUESTS[client][1]).encode()))
    assert bulk is not None and len(bulk.outline) < 1000


@pytest.mark.parametrize(
    "broken",
    [lambda raw: raw[:-1], lambda raw: raw.replace(b'"messages"', b"messages"), lambda raw: raw + b"}"],
    ids=["cut", "no-quotes", "too-much"],
)
async def test_what_is_wrong_is_told_of_the_body_itself(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = broken(json.dumps(REQUESTS["openai-chat"][1]).encode())
    told = []
    for huge in (1 << 40, WINDOW):
        huge_from(huge, monkeypatch)
        async with gateway("providers: {demo: {}}") as gw:
            told.append((await post_raw(gw, "/v1/chat/completions", raw, **{"X-Request-Id": "r"}))[:2])
    assert told[0][0] == 400 and "JSON" in told[0][1]["error"]["message"]
    assert told[0] == told[1]


async def test_a_kept_response_has_the_picture_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next turn sends it again, from the gateway's memory."""
    huge_from(WINDOW, monkeypatch)
    path, body = REQUESTS["openai-responses"]
    first = body | {"model": "up/m", "store": True}
    config = 'providers: {up: {format: openai-chat, base_url: "URL/v1", accounts: {a: {key: k}}}}'
    async with FakeUpstream([Scripted(json=chat())]) as up, gateway(config.replace("URL", up.url)) as gw:
        _, answer, _ = await post(gw, path, first)
        await post(gw, path, {"model": "up/m", "previous_response_id": answer["id"], "input": "And now?"})
    assert up.requests[1].json["messages"][0] == up.requests[0].json["messages"][0]
    assert URL.encode() in up.requests[1].body


ANSWERS: dict[str, dict[str, Any]] = {
    "openai-chat": chat()
    | {
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Here.",
                    "images": [{"type": "image_url", "image_url": {"url": URL}}],
                },
                "finish_reason": "stop",
            }
        ]
    },
    "openai-responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "output": [{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": IMAGE}],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": IMAGE}}],
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": "m",
        "responseId": "r",
    },
}
OURS = re.compile(r'"(id|item_id|created|created_at|responseId|completed_at)":("[^"]*"|[0-9]+)')
"""What is another one in each answer."""


async def answered(
    client: str, target: str, monkeypatch: pytest.MonkeyPatch, *, huge: int, **config: str
) -> tuple[int, str, Any]:
    """Status, the body but for what is always new, and what is in the log."""
    huge_from(huge, monkeypatch)
    path, body = call(client, "alias")
    text = CONFIG
    for name, default in (DEFAULTS | {"FORMAT": target}).items():
        text = text.replace(name, config.get(name.lower(), default))
    async with (
        FakeUpstream([Scripted(json=ANSWERS[target])]) as up,
        gateway(text.replace("URL", up.url)) as gw,
    ):
        async with aiohttp.ClientSession() as session, session.post(gw.url + path, json=body) as answer:
            told = await answer.text()
        await gw.recorded(1)
        return answer.status, OURS.sub("", told), gw.records[0].output_tokens


@pytest.mark.parametrize("target", ANSWERS)
@pytest.mark.parametrize("client", WIRES)
async def test_the_same_bytes_are_answered(client: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await answered(client, target, monkeypatch, huge=1 << 40)
    assert whole[0] == 200 and whole[2] == 2
    assert await answered(client, target, monkeypatch, huge=WINDOW) == whole


@pytest.mark.parametrize(
    "edit, target", [("seen_there", "openai-chat"), *[("seen", target) for target in ANSWERS]]
)
async def test_edits_of_an_answer_see_the_picture(
    edit: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = {"stages": "{stage: transform, use: [" + edit + "]},"}
    whole = await answered("openai-chat", target, monkeypatch, huge=1 << 40, **way)
    assert re.search(r'"length":"?[0-9]{6}', whole[1])
    assert await answered("openai-chat", target, monkeypatch, huge=WINDOW, **way) == whole


async def test_others_have_their_turn_between_the_steps() -> None:
    """A second task counts how often it may run while the first one works."""
    count, done = 0, False

    async def other() -> None:
        nonlocal count
        while not done:
            count += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other())
        text = await in_turns(joined([b"x" * (10 * TURN)]))
        done = True
    assert text == b"x" * (10 * TURN)
    assert count >= 10
