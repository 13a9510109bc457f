"""What broke for the users of other gateways, one test for each line that they reported: fallback, streams, usage and
queues."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omniroute import virtual_time
from omniroute.config.load import load_text
from omniroute.registry import load
from omniroute.simulation.gateway import Answered, Asking, SimulatedGateway
from omniroute.state.state import State
from omniroute.testing import FakeUpstream, Running, Scripted, gateway, sse
from omniroute.upstream.faults import Whole
from omniroute.upstream.transport import Inbound, Outbound
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, error, responder
from tests.support.http import get, post
from tests.support.waiting import until

TWO_ACCOUNTS = """
providers:
  one:
    format: openai-chat
    base_url: {one}/v1
    strategy: {strategy}
    retry: {{wait: 1ms}}
    timeouts: {{first_byte: {first}, idle: {idle}}}
    accounts: {{a: {{key: key-a}}, b: {{key: key-b}}}}
    models: [m]
  two: {{format: openai-chat, base_url: "{two}/v1", accounts: {{c: {{key: key-c}}}}, models: [m]}}
combos: {{both: [one/m, two/m]}}
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_694_400.0

    def __call__(self) -> float:
        return self.now


def config(
    one: FakeUpstream,
    two: FakeUpstream | None = None,
    strategy: str = "fill-first",
    first: str = "30s",
    idle: str = "30s",
) -> str:
    return TWO_ACCOUNTS.format(one=one.url, two=(two or one).url, strategy=strategy, first=first, idle=idle)


def key(seen: Any) -> str:
    return str(seen.headers["authorization"]).removeprefix("Bearer ")


def keys(up: FakeUpstream) -> list[str]:
    return [key(seen) for seen in up.requests]


async def ask(gw: Running, model: str = "one/m", **headers: str) -> int:
    return (await post(gw, *call("openai-chat", model), **headers))[0]


# ── fallback ─────────────────────────────────────────────────────────────────────────────────────


async def test_6_an_exhausted_account_is_left_alone_until_it_resets_and_then_used_again() -> None:
    clock = Clock()
    spent = True

    def script(seen: Any) -> Scripted:
        return error(429, retry_after="3600") if spent and key(seen) == "key-a" else Scripted(json=chat())

    async with FakeUpstream(script) as up, gateway(config(up), state=State(clock=clock)) as gw:
        assert [await ask(gw) for _ in range(3)] == [200] * 3
        assert keys(up) == ["key-a", "key-b", "key-b", "key-b"]
        spent = False
        clock.now += 3601
        assert await ask(gw) == 200
        assert keys(up)[-1] == "key-a", "fill-first goes back to the first"
        assert (await get(gw, "/-/state"))[1]["cooldowns"] == {}


async def test_7_the_quota_of_one_key_taints_no_other() -> None:
    quota = Scripted(
        status=429,
        json={"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
    )
    async with FakeUpstream(lambda seen: quota if key(seen) == "key-a" else Scripted(json=chat())) as up:
        async with gateway(config(up)) as gw:
            assert [await ask(gw) for _ in range(2)] == [200, 200]
            assert list((await get(gw, "/-/state"))[1]["cooldowns"]) == ["one/a"]


async def test_8_sessions_that_stay_leave_work_for_all_accounts() -> None:
    sticky = "{type: round-robin, sticky: {by: 'header:x-session', ttl: 1h}}"
    async with FakeUpstream(responder()) as up, gateway(config(up, strategy=sticky)) as gw:
        for _ in range(3):
            for session in ("s1", "s2", "s3", "s4"):
                await ask(gw, **{"x-session": session})
    assert keys(up) == ["key-a", "key-b", "key-a", "key-b"] * 3


@pytest.mark.parametrize("failure", [error(429), Scripted(status=529, json={"error": {"message": "busy"}})])
async def test_8_a_429_or_529_that_names_no_time_goes_on(failure: Scripted) -> None:
    async with FakeUpstream([failure]) as one, FakeUpstream(responder()) as two:
        async with gateway(config(one, two)) as gw:
            assert await ask(gw, "both") == 200
            shown = (await get(gw, "/-/state"))[1]["cooldowns"]
            assert all(0 < rest["ready_in"] <= 60 for rest in shown.values())
            assert len(shown) >= 1


# ── streams ──────────────────────────────────────────────────────────────────────────────────────

SILENT: dict[str, list[str]] = {
    "no-event": [],
    "pings": [": ping\n\n"] * 3,
    "role-only": sse(chat_chunk({"role": "assistant", "content": ""})),
    "empty-and-done": sse(chat_chunk({"role": "assistant", "content": ""}), done=True),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", SILENT)
async def test_11_a_stream_without_content_fails_over(name: str, wire: str) -> None:
    zombie = Scripted(chunks=SILENT[name], hang=name != "empty-and-done")
    async with FakeUpstream([zombie]) as one, FakeUpstream(responder("alive")) as two:
        first = "100ms" if zombie.hang else "30s"
        async with gateway(config(one, two, first=first)) as gw:
            status, text, headers = await post(gw, *call(wire, "both", stream=True))
    assert (status, headers["X-OmniRoute-Target"], "alive" in text) == (200, "two/m", True)


class Thinking(Whole):
    """A stream that says something every 20 s."""

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in super().chunks():
            await asyncio.sleep(20)
            yield chunk


class Thinker:
    """A provider that thinks for five minutes."""

    async def send(self, outbound: Outbound) -> Inbound:
        chunks = [
            *sse(chat_chunk({"reasoning_content": "hm"})),
            *[": still thinking\n\n"] * 15,
            *sse(chat_chunk({"content": "done"}), chat_chunk({}, "stop"), done=True),
        ]
        headers = {"content-type": "text/event-stream"}
        return Thinking(200, headers, [chunk.encode() for chunk in chunks])

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("wire", WIRES)
def test_12_a_model_that_thinks_for_long_is_not_cut(wire: str) -> None:
    """Comments of the upstream are signs of life: longer than `idle` between two words is fine with them."""
    registry = load(plugins=False)
    text = TWO_ACCOUNTS.format(
        one="http://one", two="http://two", strategy="fill-first", first="30s", idle="30s"
    )
    loaded = load_text(f"version: 1\n{text}", env={}, registry=registry)

    async def main() -> Answered:
        gw = SimulatedGateway(loaded, registry, lambda name, settings: Thinker(), virtual_time.clock)
        path, body = call(wire, "one/m", stream=True)
        return await gw.ask(Asking(path, json.dumps(body).encode()))

    answered = virtual_time.run(main())
    assert (answered.status, b"done" in answered.body) == (200, True)
    assert answered.record is not None and answered.record.error is None


@pytest.mark.parametrize("how", ["cut", "stall"])
@pytest.mark.parametrize("wire", WIRES)
async def test_13_a_stream_that_breaks_off_ends_with_an_error_event(wire: str, how: str) -> None:
    broken = Scripted(chunks=sse(chat_chunk({"content": "half a"})), cut=how == "cut", hang=how == "stall")
    idle = "150ms" if how == "stall" else "30s"
    async with FakeUpstream([broken]) as up, gateway(config(up, idle=idle)) as gw:
        status, text, _ = await post(gw, *call(wire, "one/m", stream=True))
        async with asyncio.timeout(10):
            if how == "stall":
                await up.requests[0].left.wait()
    assert (status, "half a" in text, "error" in text) == (200, True, True)


async def test_14_every_message_stop_has_its_message_start() -> None:
    async with FakeUpstream([Scripted(chunks=chat_stream("ciao"))]) as up, gateway(config(up)) as gw:
        _, text, _ = await post(gw, *call("anthropic-messages", "one/m", stream=True))
    assert [text.count(f"event: {name}\n") for name in ("message_start", "message_stop")] == [1, 1]
    assert text.index("message_start") < text.index("message_stop")


RESPONSES = """
providers:
  up: {{format: openai-responses, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}, models: [m], retry: {{wait: 1ms}}}}
"""


def _response(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "model": "m",
        "status": status,
        "output": [],
        **more,
    }


@pytest.mark.parametrize("wire", WIRES)
async def test_15_a_failed_response_is_an_error_and_no_empty_answer(wire: str) -> None:
    failed = _response("failed", error={"code": "server_error", "message": "it broke"})
    chunks = sse(
        (
            "response.created",
            {"type": "response.created", "sequence_number": 0, "response": _response("in_progress")},
        ),
        ("response.failed", {"type": "response.failed", "sequence_number": 1, "response": failed}),
    )
    async with FakeUpstream([Scripted(chunks=chunks)]) as up, gateway(RESPONSES.format(url=up.url)) as gw:
        status, body, _ = await post(gw, *call(wire, "up/m", stream=True))
    assert status >= 500
    assert "it broke" in str(body)


async def test_16_a_responses_stream_with_reasoning_and_tools_ends_with_completed() -> None:
    made = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    chunks = sse(
        chat_chunk({"reasoning_content": "let me see"}),
        chat_chunk({"tool_calls": [made]}),
        chat_chunk({}, "tool_calls"),
        done=True,
    )
    async with FakeUpstream([Scripted(chunks=chunks)]) as up, gateway(config(up)) as gw:
        path, body = call("openai-responses", "one/m", stream=True)
        body["tools"] = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
        _, text, _ = await post(gw, path, body)
    assert text.rstrip().rsplit("event: ", 1)[1].startswith("response.completed")
    assert (
        text.count("event: response.output_item.added") == text.count("event: response.output_item.done") == 2
    )


@pytest.mark.parametrize("wire", WIRES)
async def test_17_stream_options_go_only_with_a_stream(wire: str) -> None:
    async with FakeUpstream(responder()) as up, gateway(config(up)) as gw:
        assert (await post(gw, *call(wire, "one/m")))[0] == 200
    assert "stream_options" not in up.requests[0].json


# ── usage ────────────────────────────────────────────────────────────────────────────────────────

USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 80,
    "total_tokens": 1280,
    "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 50},
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("wire", WIRES)
async def test_26_usage_is_what_the_provider_said_and_cached_tokens_count_once(
    wire: str, stream: bool
) -> None:
    priced = "models: {m: {price: {input: 10, output: 100, cached: 1}}}"
    answer = Scripted(json={**chat(), "usage": USAGE})
    if stream:
        chunks = sse(chat_chunk({"content": "ciao"}), chat_chunk({}, "stop"))
        usage = {**chat_chunk({}), "choices": [], "usage": USAGE}
        answer = Scripted(chunks=[*chunks, *sse(usage, done=True)])
    async with FakeUpstream([answer]) as up:
        async with gateway(config(up).replace("models: [m]", priced, 1)) as gw:
            await post(gw, *call(wire, "one/m", stream=stream))
            await gw.recorded(1)
            record = gw.records[0]
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (1200, 80, 1000)
    assert record.cost == pytest.approx((200 * 10 + 1000 * 1 + 80 * 100) / 1e6)
    assert not record.estimated


# ── queues ───────────────────────────────────────────────────────────────────────────────────────


def limited(up: FakeUpstream, limits: str, account: str = "") -> str:
    return f"""
    keys: {{x: {{key: kx}}, y: {{key: ky}}}}
    providers:
      one:
        format: openai-chat
        base_url: {up.url}/v1
        limits: {limits}
        accounts: {{a: {{key: key-a{account}}}}}
        models: [m]
    """


async def test_29_nobody_waits_for_ever() -> None:
    loop, reached = asyncio.get_running_loop(), asyncio.Event()

    def script(seen: Any) -> Scripted:
        reached.set()
        return Scripted(chunks=[], hang=True)

    async with FakeUpstream(script) as up:
        async with gateway(limited(up, "{concurrency: 1, queue: {size: 5, wait: 300ms}}")) as gw:
            stuck = asyncio.ensure_future(post(gw, *call("openai-chat", "one/m"), **{"x-api-key": "kx"}))
            async with asyncio.timeout(10):
                await reached.wait()
            began = loop.time()
            assert await ask(gw, **{"x-api-key": "ky"}) == 429
            assert 0.3 <= loop.time() - began < 20
            stuck.cancel()
            await asyncio.gather(stuck, return_exceptions=True)


async def test_29_waiting_is_all_that_the_queue_counts() -> None:
    """An answer may take longer than anybody may wait for its turn."""
    async with FakeUpstream(lambda seen: Scripted(json=chat(), pause=0.5)) as up:
        async with gateway(limited(up, "{concurrency: 1, queue: {size: 5, wait: 200ms}}")) as gw:
            assert await ask(gw, **{"x-api-key": "kx"}) == 200


async def test_29_without_limits_nothing_is_serialised() -> None:
    goes_on = asyncio.Event()
    async with FakeUpstream([Scripted(json=chat(), gate=goes_on)]) as up, gateway(config(up)) as gw:
        asking = [asyncio.ensure_future(ask(gw)) for _ in range(10)]
        await until(lambda: len(up.requests) == 10)
        goes_on.set()
        assert await asyncio.gather(*asking) == [200] * 10


async def test_29_limits_hold_at_every_level() -> None:
    """The account allows less than its provider: the narrower one counts."""
    text = "{rpm: 5}"
    async with FakeUpstream(responder()) as up:
        async with gateway(limited(up, text, ", limits: {rpm: 2}")) as gw:
            assert [await ask(gw, **{"x-api-key": "kx"}) for _ in range(3)] == [200, 200, 429]
            shown = (await get(gw, "/-/state", **{"x-api-key": "kx"}))[1]
            assert "limits" not in shown, "and a key without the scope does not see them"


async def test_29_one_key_does_not_starve_another() -> None:
    order: list[str] = []
    third = asyncio.Event()

    def script(seen: Any) -> Scripted:
        order.append(seen.json["messages"][0]["content"])
        if len(order) == 3:
            third.set()
        return Scripted(json=chat(), pause=0.02)

    async with FakeUpstream(script) as up:
        async with gateway(limited(up, "{concurrency: 1, queue: {size: 100, wait: 10s}}")) as gw:
            many = [
                post(gw, *call("openai-chat", "one/m", text="many"), **{"x-api-key": "kx"}) for _ in range(20)
            ]
            flood = [asyncio.ensure_future(each) for each in many]
            async with asyncio.timeout(20):
                await third.wait()
            await post(gw, *call("openai-chat", "one/m", text="few"), **{"x-api-key": "ky"})
            await asyncio.gather(*flood)
    assert order.index("few") < 10
