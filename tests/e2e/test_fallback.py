"""What a client sees when targets fail: the outcome table of BEHAVIOUR 2, over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, error, responder
from tests.support.waiting import until

CONFIG = """
providers:
  first:
    format: openai-chat
    base_url: {first}/v1
    retry: {{attempts: 2, wait: 1ms}}
    timeouts: {{connect: 30s, first_byte: 30s, idle: 30s, total: 30s}}
    accounts: {{a: {{key: key-a-first}}}}
    models: {{m: {{context: 1000}}}}
  second:
    format: openai-chat
    base_url: {second}/v1
    accounts: {{b: {{key: key-b-second}}}}
    models: {{m: {{context: 2000}}}}
combos:
  both: [first/m, second/m]
"""


HASTY = CONFIG.replace("first_byte: 30s", "first_byte: 250ms").replace("total: 30s", "total: 250ms")
"""For an upstream that says nothing."""


async def post(gw: Running, path: str, body: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(gw.url + path, json=body, headers=headers) as answer,
    ):
        text = await answer.text()
        kind = answer.headers.get("content-type", "")
        return answer.status, await answer.json() if "json" in kind else text, dict(answer.headers)


HTML = Scripted(status=502, body="<html><body>Bad gateway</body></html>", content_type="text/html")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    "failure, sent",
    [
        (error(500), 2),
        (error(503), 2),
        (error(429, retry_after="7"), 1),
        (error(401), 1),
        (error(402), 1),
        (error(404), 1),
        (HTML, 2),
        (Scripted(body=""), 2),
        (Scripted(body="<html>hello</html>", content_type="text/html"), 2),
        (Scripted(json={"error": {"message": "upstream broke", "type": "server_error"}}), 2),
        (Scripted(hang=True, chunks=[]), 2),
    ],
    ids=["500", "503", "429", "401", "402", "404", "html", "empty", "html-200", "error-in-200", "hangs"],
)
async def test_a_failure_before_the_first_content_goes_to_the_next_target(
    failure: Scripted, sent: int, stream: bool
) -> None:
    async with FakeUpstream([failure]) as first, FakeUpstream(responder("ciao")) as second:
        async with gateway(
            (HASTY if failure.hang else CONFIG).format(first=first.url, second=second.url)
        ) as gw:
            status, body, headers = await post(gw, *call("openai-chat", "both", stream=stream))
            assert status == 200
            assert "ciao" in str(body)
            assert headers["X-OmniRoute-Target"] == "second/m"
            assert len(first.requests) == sent
            await gw.recorded(1)
            assert gw.records[0].tried[0].startswith("first/m: ")


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_that_dies_before_its_first_content_is_replaced(wire: str) -> None:
    dying = Scripted(chunks=sse(chat_chunk({"role": "assistant", "content": ""})), cut=True)
    async with FakeUpstream([dying]) as first, FakeUpstream(responder("ciao")) as second:
        async with gateway(CONFIG.format(first=first.url, second=second.url)) as gw:
            status, body, _ = await post(gw, *call(wire, "both", stream=True))
    assert status == 200
    assert "ciao" in body


@pytest.mark.parametrize(
    "wire, ending",
    [
        ("openai-chat", '"error":'),
        ("anthropic-messages", "event: error"),
        ("openai-responses", "response.failed"),
        ("gemini", '"error":'),
    ],
)
@pytest.mark.parametrize("how", ["cut", "ends", "stalls", "garbage"])
async def test_a_stream_that_dies_after_its_first_content_ends_with_an_error(
    wire: str, ending: str, how: str
) -> None:
    chunks = chat_stream("one", "two")[:2]
    dying = {
        "cut": Scripted(chunks=chunks, cut=True),
        "ends": Scripted(chunks=chunks),
        "stalls": Scripted(chunks=chunks, hang=True),
        "garbage": Scripted(chunks=[*chunks, "data: {broken\n\n"]),
    }[how]
    config = CONFIG.replace("idle: 30s", "idle: 150ms") if how == "stalls" else CONFIG
    async with FakeUpstream([dying]) as first, FakeUpstream(responder()) as second:
        async with gateway(config.format(first=first.url, second=second.url)) as gw:
            status, body, _ = await post(gw, *call(wire, "both", stream=True))
            assert status == 200
            assert "one" in body
            assert ending in body
            assert second.requests == []
            await gw.recorded(1)
            assert gw.records[0].error is not None
            cooling = gw.gateway.state.cooldowns.all()
    assert "first/a" in cooling


async def test_the_clients_own_mistake_is_returned_at_once() -> None:
    async with FakeUpstream([error(400)]) as first, FakeUpstream(responder()) as second:
        async with gateway(CONFIG.format(first=first.url, second=second.url)) as gw:
            status, body, _ = await post(gw, *call("openai-chat", "both"))
    assert (status, body["error"]["message"]) == (400, "bad parameter")
    assert second.requests == []


async def test_too_long_goes_to_a_larger_context_only() -> None:
    too_long = Scripted(
        status=400,
        json={
            "error": {
                "message": "This model's maximum context length is 1000 tokens",
                "code": "context_length_exceeded",
            }
        },
    )
    async with FakeUpstream([too_long]) as small, FakeUpstream(responder()) as large:
        async with gateway(CONFIG.format(first=small.url, second=large.url)) as gw:
            status, _, headers = await post(gw, *call("openai-chat", "both"))
            assert (status, headers["X-OmniRoute-Target"]) == (200, "second/m")
        async with gateway(CONFIG.format(first=large.url, second=small.url)) as gw:
            assert (await post(gw, *call("openai-chat", "second/m")))[0] == 400


async def test_all_failed_tells_the_most_telling_failure_and_when_to_come_back() -> None:
    async with FakeUpstream([error(429, retry_after="7")]) as first, FakeUpstream([error(401)]) as second:
        async with gateway(CONFIG.format(first=first.url, second=second.url)) as gw:
            status, body, headers = await post(gw, *call("anthropic-messages", "both"))
            assert status == 429
            assert body["error"]["type"] == "rate_limit_error"
            assert 1 <= int(headers["Retry-After"]) <= 7
            assert [t["target"] for t in body["error"]["tried"]] == ["first/m", "second/m"]
            assert "key-b-second" not in str(body)
            assert "second/b" not in str(body)
            # Both rest now: the next request is told so, and nobody is asked again.
            asked = len(first.requests) + len(second.requests)
            status, body, headers = await post(gw, *call("openai-chat", "both"))
            assert status == 429
            assert "Retry-After" in headers
            assert len(first.requests) + len(second.requests) == asked


async def test_a_refused_credential_is_not_blamed_on_the_client() -> None:
    async with FakeUpstream([error(401)]) as first:
        async with gateway(CONFIG.format(first=first.url, second=first.url)) as gw:
            status, body, _ = await post(gw, *call("openai-chat", "first/m"))
    assert (status, body["error"]["code"]) == (502, "upstream_authentication")


async def test_accounts_take_over_from_each_other() -> None:
    def script(seen: Any) -> Scripted:
        spent = seen.headers["authorization"] == "Bearer key-1"
        return error(429, retry_after="60") if spent else Scripted(json=chat())

    config = """
    providers:
      up:
        format: openai-chat
        base_url: {url}/v1
        accounts: {{one: {{key: key-1}}, two: {{key: key-2}}}}
    """
    async with FakeUpstream(script) as up, gateway(config.format(url=up.url)) as gw:
        for _ in range(3):
            assert (await post(gw, *call("openai-chat", "up/m")))[0] == 200
        used = [seen.headers["authorization"] for seen in up.requests]
    assert used == ["Bearer key-1", "Bearer key-2", "Bearer key-2", "Bearer key-2"]


async def test_round_robin_takes_turns() -> None:
    config = """
    providers:
      up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
    combos:
      turns: {{strategy: round-robin, targets: [up/one, up/two, up/three]}}
    """
    async with FakeUpstream(responder()) as up, gateway(config.format(url=up.url)) as gw:
        for _ in range(6):
            await post(gw, *call("openai-chat", "turns"))
        assert [seen.json["model"] for seen in up.requests] == ["one", "two", "three"] * 2


@pytest.mark.parametrize("wire", WIRES)
async def test_a_client_that_leaves_cancels_the_upstream(wire: str) -> None:
    endless = Scripted(chunks=chat_stream("one")[:2], hang=True)
    async with (
        FakeUpstream([endless]) as up,
        gateway(CONFIG.format(first=up.url, second=up.url)) as gw,
    ):
        path, body = call(wire, "first/m", stream=True)
        async with aiohttp.ClientSession() as session:
            answer = await session.post(gw.url + path, json=body)
            await answer.content.readany()
            answer.close()
        await asyncio.wait_for(up.requests[0].left.wait(), 20)
        await gw.recorded(1)
        assert gw.records[0].error == "client_gone"
        assert gw.gateway.state.cooldowns.all() == {}


async def test_a_client_that_leaves_before_the_answer_cancels_the_upstream() -> None:
    async with (
        FakeUpstream([Scripted(pause=30)]) as up,
        gateway(CONFIG.format(first=up.url, second=up.url)) as gw,
    ):
        path, body = call("openai-chat", "first/m")
        async with aiohttp.ClientSession() as session:
            asking = asyncio.ensure_future(session.post(gw.url + path, json=body))
            await until(lambda: up.requests)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(up.requests[0].left.wait(), 20)


async def test_the_attempts_of_one_request_rest_an_account_once() -> None:
    async with FakeUpstream([error(500)]) as up:
        async with gateway(CONFIG.format(first=up.url, second=up.url)) as gw:
            await post(gw, *call("openai-chat", "first/m"))
            assert len(up.requests) == 2
            assert gw.gateway.state.cooldowns.all()["first/a"].level == 1
