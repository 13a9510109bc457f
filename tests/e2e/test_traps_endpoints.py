"""What goes wrong between a client and an upstream, in all sixteen pairs of formats: a test a trap, named after it."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import Any

import aiohttp
import pytest
from google import genai

from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.fidelity import own_answers as own
from tests.fidelity.replay import BASE, FAILED, STREAMED, events
from tests.support.answers import call, chat, chat_stream
from tests.support.http import get, post, post_raw

WIRES = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")
CONFIG = """
providers:
  up:
    format: {wire}
    base_url: "{url}{base}"
    retry: {{attempts: 1}}
    timeouts: {{first_byte: {first}, idle: {idle}, total: 20s}}
    accounts: {{a: {{key: k1}}}}
"""
each_pair = pytest.mark.parametrize(
    ("upstream", "client"),
    [pytest.param(u, c, id=f"{c} on {u}") for u, c in product(WIRES, WIRES)],
)
each_client = pytest.mark.parametrize("client", WIRES)


def config(wire: str, url: str, first: str = "5s", idle: str = "5s") -> str:
    return CONFIG.format(wire=wire, url=url, base=BASE[wire], first=first, idle=idle)


def heard(client: str, text: str) -> Any:
    """What the judge makes of a stream that a client got."""
    return STREAMED[client](events(text))


@each_pair
async def test_a_stream_without_its_end_is_broken_though_it_closed_well(upstream: str, client: str) -> None:
    chunks = own.STREAMS[upstream][: own.CUT_AFTER[upstream]]
    async with FakeUpstream([Scripted(chunks=chunks)]) as up, gateway(config(upstream, up.url)) as gw:
        status, text, _ = await post(gw, *call(client, "up/m", stream=True))
        await gw.recorded(1)
        assert (status, heard(client, text).error is not None) == (200, True)
        assert gw.records[0].error is not None


@each_pair
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><body>Sign in</body></html>", "text/html"),
        (b"<html><body>Sign in</body></html>", "text/event-stream"),
        (b"\n\n", "text/event-stream"),
    ],
    ids=["page", "page as stream", "nothing"],
)
async def test_rubble_with_status_200_is_no_empty_answer(
    upstream: str, client: str, body: bytes, kind: str
) -> None:
    answer = Scripted(body=body, content_type=kind)
    async with FakeUpstream([answer]) as up, gateway(config(upstream, up.url)) as gw:
        status, document, _ = await post(gw, *call(client, "up/m", stream=True))
        plain, _, _ = await post(gw, *call(client, "up/m"))
    assert status == 502 and FAILED[client](document, status).message
    assert plain in (502, 503)


@each_pair
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_overloaded_provider_is_told_as_such(upstream: str, client: str, stream: bool) -> None:
    """529 is a word of Anthropic's format; elsewhere 503, and the wait comes with it."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    answer = Scripted(status=529, json=body, headers={"Retry-After": "17"})
    async with FakeUpstream([answer]) as up, gateway(config(upstream, up.url)) as gw:
        status, document, headers = await post(gw, *call(client, "up/m", stream=stream))
    assert status == (529 if client == "anthropic-messages" else 503)
    assert headers["Retry-After"] == "17"
    assert FAILED[client](document, status).kind in ("overloaded", "server")


@each_pair
@pytest.mark.parametrize("where", ["before", "between"])
async def test_a_stall_ends_within_its_deadline(upstream: str, client: str, where: str) -> None:
    stream = own.STREAMS[upstream]
    answer = (
        Scripted(chunks=[], hang=True)
        if where == "before"
        else Scripted(chunks=stream[: own.CUT_AFTER[upstream]], hang=True)
    )
    deadlines = ("150ms", "30s") if where == "before" else ("30s", "150ms")
    async with FakeUpstream([answer]) as up, gateway(config(upstream, up.url, *deadlines)) as gw:
        async with asyncio.timeout(20):
            status, answered, _ = await post(gw, *call(client, "up/m", stream=True))
        if where == "before":
            assert status == 504 and FAILED[client](answered, status).message
        else:
            assert heard(client, answered).error is not None
        await asyncio.wait_for(up.requests[0].left.wait(), 20)


@each_pair
async def test_a_client_that_hangs_up_cancels_the_upstream(upstream: str, client: str) -> None:
    endless = Scripted(chunks=own.STREAMS[upstream][: own.CUT_AFTER[upstream]], hang=True)
    async with FakeUpstream([endless]) as up, gateway(config(upstream, up.url)) as gw:
        path, body = call(client, "up/m", stream=True)
        async with aiohttp.ClientSession() as session:
            answer = await session.post(gw.url + path, json=body)
            await answer.content.readany()
            answer.close()
        await asyncio.wait_for(up.requests[0].left.wait(), 20)


KEYS = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k1}}}}}}
keys:
  mine: {{key: "right-key"}}
"""


@each_client
@pytest.mark.parametrize(
    ("model", "key", "raw", "status", "kind"),
    [
        ("nobody", "right-key", None, 404, "not_found"),
        ("up/m", "right-key", b'{"model": "up/m", ', 400, "invalid"),
        ("up/m", "wrong-key", None, 401, "authentication"),
        ("up/m", None, None, 401, "authentication"),
    ],
    ids=["unknown model", "bad JSON", "wrong key", "no key"],
)
async def test_the_gateways_own_errors_are_in_the_clients_format(
    client: str, model: str, key: str | None, raw: bytes | None, status: int, kind: str
) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    async with FakeUpstream([Scripted(json=chat())]) as up, gateway(KEYS.format(url=up.url)) as gw:
        path, body = call(client, model)
        found, document, _ = await post_raw(gw, path, raw or json.dumps(body).encode(), **headers)
    assert (found, FAILED[client](document, found).kind) == (status, kind)
    shape = {
        "anthropic-messages": lambda d: d["type"] == "error" and d["error"]["type"],
        "gemini": lambda d: d["error"]["code"] == status and d["error"]["status"],
    }.get(client, lambda d: d["error"]["type"])
    assert shape(document)


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_genai_calls_v1_by_default() -> None:
    """google-genai asks /v1/models/M:… where nothing else is said, and a stream without `alt=sse` is one array."""
    async with (
        FakeUpstream([Scripted(chunks=chat_stream("ci", "ao"))]) as up,
        gateway(KEYS.replace('keys:\n  mine: {{key: "right-key"}}\n', "").format(url=up.url)) as gw,
    ):
        options = genai.types.HttpOptions(base_url=gw.url, api_version="v1")
        client = genai.Client(api_key="k", http_options=options)
        stream = await client.aio.models.generate_content_stream(model="up/m", contents="hi")
        assert "".join([part.text or "" async for part in stream]) == "ciao"
        await client.aio.aclose()
        path, body = call("gemini", "up/m", stream=True)
        status, chunks, _ = await post(gw, path.partition("?")[0].replace("v1beta", "v1"), body)
    assert status == 200
    assert (
        "".join(p.get("text", "") for c in chunks for p in c["candidates"][0]["content"]["parts"]) == "ciao"
    )


async def test_retry_after_on_a_good_answer_is_no_error() -> None:
    """Anthropic sends it with 200, too."""
    answer = Scripted(json=own.PLAIN["anthropic-messages"], headers={"Retry-After": "10"})
    async with (
        FakeUpstream([answer]) as up,
        gateway(config("anthropic-messages", up.url)) as gw,
    ):
        status, _, headers = await post(gw, *call("anthropic-messages", "up/m"))
        assert gw.gateway.state.cooldowns.all() == {}
    assert (status, "Retry-After" in headers) == (200, False)


async def test_head_on_the_front_page_does_not_hang() -> None:
    """Claude Code asks for it before anything else."""
    async with gateway("version: 1\n") as gw, aiohttp.ClientSession() as session:
        async with asyncio.timeout(20), session.head(gw.url + "/") as answer:
            assert answer.status == 200
        assert (await get(gw, "/v1/models"))[0] == 200
