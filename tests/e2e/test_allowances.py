"""Limits, quotas and budgets over real sockets: who is refused with what, who goes elsewhere, what is charged."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from omniroute.state.state import State
from omniroute.testing import FakeUpstream, Running, Scripted, gateway, sse
from tests.support.answers import anthropic, call, chat, chat_chunk, error, responder
from tests.support.http import get, post
from tests.support.waiting import until

ADMIN = {"x-api-key": "root"}
ME = {"x-api-key": "k"}
SHAPES = {
    "openai-chat": lambda body: body["error"]["code"],
    "anthropic-messages": lambda body: body["error"]["type"],
    "openai-responses": lambda body: body["error"]["code"],
    "gemini": lambda body: body["error"]["status"],
}


class Clock:
    """Epoch seconds that a test moves: 2026-11-26, noon UTC."""

    def __init__(self) -> None:
        self.now = 1_795_694_400.0

    def __call__(self) -> float:
        return self.now


def config(first: FakeUpstream, second: FakeUpstream | None = None, *, key: str = "", **parts: str) -> str:
    """Two providers of the same model, `one` and `two`, and the combo `both`. `parts` go into provider `one`, its
    account, its model or the top level."""
    other = second if second is not None else first
    return f"""
{parts.get("top", "")}
keys:
  me: {{key: k{key}}}
  root: {{key: root, scopes: [admin, use]}}
providers:
  one:
    format: openai-chat
    base_url: {first.url}/v1
    retry: {{wait: 1ms}}
    {parts.get("provider", "x-nothing: 0")}
    accounts: {{a: {{key: one-secret{parts.get("account", "")}}}}}
    models: {{m: {{price: {{input: 100, output: 1000}}{parts.get("model", "")}}}}}
  two:
    format: openai-chat
    base_url: {other.url}/v1
    tier: free
    accounts: {{b: {{key: two-secret}}}}
    models: {{m: {{price: {{input: 0, output: 0}}}}}}
combos: {{both: [one/m, two/m]}}
"""


async def ask(gw: Running, model: str = "one/m", **more: Any) -> tuple[int, str]:
    """Status and who answered."""
    status, _, headers = await post(gw, *call("openai-chat", model, **more), **ME)
    return status, headers.get("X-OmniRoute-Target", "")


async def state_of(gw: Running) -> dict[str, Any]:
    found: dict[str, Any] = (await get(gw, "/-/state", **ADMIN))[1]
    return found


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "wire, code",
    [
        ("openai-chat", "key_limit"),
        ("openai-responses", "key_limit"),
        ("anthropic-messages", "rate_limit_error"),
        ("gemini", "RESOURCE_EXHAUSTED"),
    ],
)
async def test_a_key_over_its_limit_is_told_in_its_own_format(wire: str, code: str) -> None:
    async with FakeUpstream(responder()) as up, gateway(config(up, key=", limits: {rpm: 2}")) as gw:
        for _ in range(2):
            assert (await post(gw, *call(wire, "one/m"), **ME))[0] == 200
        status, body, headers = await post(gw, *call(wire, "one/m"), **ME)
    assert (status, SHAPES[wire](body)) == (429, code)
    assert 55 <= int(headers["Retry-After"]) <= 61
    assert "2 requests a minute" in str(body)


@pytest.mark.parametrize("part", ["provider", "account", "model"])
async def test_a_limited_target_leaves_its_requests_to_the_next(part: str) -> None:
    limit = {"provider": "limits: {rpm: 1}", "account": ", limits: {rpm: 1}", "model": ", limits: {rpm: 1}"}
    async with FakeUpstream(responder()) as up, gateway(config(up, up, **{part: limit[part]})) as gw:
        assert [await ask(gw, "both") for _ in range(3)] == [
            (200, "one/m"),
            (200, "two/m"),
            (200, "two/m"),
        ]
        status, body, headers = await post(gw, *call("openai-chat", "one/m"), **ME)
        assert (status, body["error"]["code"]) == (429, "no_target")
        assert 55 <= int(headers["Retry-After"]) <= 61


async def test_a_queue_lets_requests_through_one_by_one() -> None:
    slow = [Scripted(json=chat(), pause=0.1) for _ in range(4)]
    running = most = 0

    def script(seen: Any) -> Scripted:
        nonlocal running, most
        running += 1
        most = max(most, running)
        asyncio.get_running_loop().call_later(0.09, _ended)
        return slow[0]

    def _ended() -> None:
        nonlocal running
        running -= 1

    limit = "limits: {concurrency: 1, queue: {size: 10, wait: 5s}}"
    async with FakeUpstream(script) as up, gateway(config(up, provider=limit)) as gw:
        answers = await asyncio.gather(*[ask(gw) for _ in range(4)])
    assert ([status for status, _ in answers], most) == ([200] * 4, 1)


async def test_a_full_queue_refuses_at_once_and_says_why() -> None:
    limit = "limits: {concurrency: 1, queue: {size: 1, wait: 5s}}"
    goes_on = asyncio.Event()
    async with FakeUpstream([Scripted(json=chat(), gate=goes_on)]) as up:
        async with gateway(config(up, provider=limit)) as gw:
            asking = [asyncio.ensure_future(ask(gw)) for _ in range(4)]
            await until(lambda: sum(one.done() for one in asking) == 2)
            goes_on.set()
            answers = await asyncio.gather(*asking)
            assert sorted(status for status, _ in answers) == [200, 200, 429, 429]


async def test_the_queue_of_a_key_waits_for_its_turn() -> None:
    key = ", limits: {concurrency: 1, queue: {size: 10, wait: 5s}}"
    async with FakeUpstream(lambda seen: Scripted(json=chat(), pause=0.05)) as up:
        async with gateway(config(up, key=key)) as gw:
            assert [s for s, _ in await asyncio.gather(*[ask(gw) for _ in range(4)])] == [200] * 4
            assert (await state_of(gw))["limits"]["key/me"]["running"] == 0


async def test_a_place_is_given_back_however_an_answer_ends() -> None:
    """Errors, cut streams and clients that leave: afterwards nothing runs."""
    cut = Scripted(chunks=sse(chat_chunk({"content": "ci"})), cut=True)
    hang = Scripted(chunks=sse(chat_chunk({"content": "ci"})), hang=True)
    script = [error(500), error(500), error(400), cut, hang]
    async with (
        FakeUpstream(script) as up,
        gateway(config(up, key=", limits: {concurrency: 9}", provider="limits: {concurrency: 9}")) as gw,
    ):
        await ask(gw)
        await post(gw, "/-/state/reset", {}, **ADMIN)
        await ask(gw)
        await ask(gw, stream=True)
        await post(gw, "/-/state/reset", {}, **ADMIN)
        path, body = call("openai-chat", "one/m", stream=True)
        async with aiohttp.ClientSession() as session:
            async with session.post(gw.url + path, json=body, headers=ME) as answer:
                await answer.content.readany()
        await gw.recorded(4)
        limits = (await state_of(gw))["limits"]
    assert {name: shown["running"] for name, shown in limits.items()} == {"key/me": 0, "provider/one": 0}


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s"}, 20),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30s"}, 90),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "20s"}, None),
    ],
)
async def test_limits_are_learned_before_the_429(headers: dict[str, str], seconds: float | None) -> None:
    async with (
        FakeUpstream(lambda seen: Scripted(json=chat(), headers=headers)) as one,
        FakeUpstream(responder()) as two,
        gateway(config(one, two)) as gw,
    ):
        answers = [await ask(gw, "both") for _ in range(2)]
        learned = (await state_of(gw))["learned"]
    assert answers == [(200, "one/m"), (200, "two/m" if seconds else "one/m")]
    assert [round(shown["ready_in"]) for shown in learned.values()] == ([seconds] if seconds else [])


# ── quotas ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "quota, answered",
    [
        ("{limit: {requests: 2}, window: daily}", 2),
        ("{limit: {tokens: 10}, window: daily}", 2),  # five tokens each
        ("{limit: {tokens: 11}, window: daily}", 3),
        ("{limit: {usd: 0.005}, window: daily}", 3),  # 3 × 100 + 2 × 1000 millionths of a dollar each
        ("[{limit: {requests: 5}, window: daily}, {limit: {requests: 1}, window: rolling, length: 1h}]", 1),
    ],
)
async def test_a_spent_quota_goes_on_to_the_next_target(quota: str, answered: int) -> None:
    async with FakeUpstream(responder()) as up, gateway(config(up, up, account=f", quota: {quota}")) as gw:
        served = [(await ask(gw, "both"))[1] for _ in range(5)]
    assert served == ["one/m"] * answered + ["two/m"] * (5 - answered)


async def test_a_quota_comes_back_when_its_window_does() -> None:
    clock = Clock()
    quota = ', quota: {limit: {requests: 1}, window: daily, resets_at: "14:00 Europe/Rome"}'
    async with (
        FakeUpstream(responder()) as up,
        gateway(config(up, up, account=quota), state=State(clock=clock)) as gw,
    ):
        before = [(await ask(gw, "both"))[1] for _ in range(2)]
        shown = (await state_of(gw))["quotas"]["one/a"][0]
        status, _, headers = await post(gw, *call("openai-chat", "one/m"), **ME)
        clock.now += 3600
        after = (await ask(gw, "both"))[1]
    assert (before, after) == (["one/m", "two/m"], "one/m")
    assert (shown["used"], shown["left"], shown["resets_in"], shown["spent"]) == (1, 0, 3600, True)
    assert (status, headers["Retry-After"]) == (429, "3600")


async def test_a_quota_text_marks_the_window_as_spent() -> None:
    spent = Scripted(
        status=429,
        json={"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
    )
    quota = ", quota: {limit: {tokens: 1M}, window: daily}"
    async with FakeUpstream([spent]) as one, FakeUpstream(responder()) as two:
        async with gateway(config(one, two, account=quota)) as gw:
            assert await ask(gw, "both") == (200, "two/m")
            shown = (await state_of(gw))["quotas"]["one/a"][0]
            assert (shown["used"], shown["spent"]) == (0, True)
            assert (await post(gw, "/-/state/reset?kind=quota&name=one/", {}, **ADMIN))[1] == {"reset": 1}
            assert not (await state_of(gw))["quotas"]["one/a"][0]["spent"]


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────

COST = 0.0023
"""Of one answer: 3 tokens at $100 and 2 at $1000 a million."""


async def test_a_hard_budget_of_a_key_ends_in_402() -> None:
    async with FakeUpstream(responder()) as up:
        async with gateway(config(up, key=", budget: {usd: 0.004, per: day}")) as gw:
            assert [(await ask(gw))[0] for _ in range(3)] == [200, 200, 402]
            status, body, headers = await post(gw, *call("anthropic-messages", "one/m"), **ME)
            assert (status, body["error"]["type"]) == (402, "billing_error")
            assert 0 < int(headers["Retry-After"]) <= 86400
            shown = (await state_of(gw))["budgets"]["key/me"][0]
    assert (shown["used"], shown["left"], shown["mode"]) == (pytest.approx(2 * COST), 0, "hard")


async def test_a_soft_budget_of_a_key_leaves_what_costs_nothing() -> None:
    key = ", budget: {usd: 0.002, per: day, mode: soft}"
    async with FakeUpstream(responder()) as up, gateway(config(up, up, key=key)) as gw:
        assert [await ask(gw, "both") for _ in range(3)] == [(200, "one/m"), (200, "two/m"), (200, "two/m")]
        assert (await ask(gw, "one/m"))[0] == 402


@pytest.mark.parametrize("mode", ["hard", "soft"])
@pytest.mark.parametrize(
    "part, text",
    [
        ("provider", "budget: {{usd: 0.004, per: week, mode: {mode}}}"),
        ("top", "tiers: {{api_key: {{budget: {{usd: 0.004, per: month, mode: {mode}}}}}}}"),
    ],
    ids=["provider", "tier"],
)
async def test_a_spent_budget_of_a_provider_or_tier_leaves_it_out(part: str, text: str, mode: str) -> None:
    parts = {part: text.format(mode=mode)}
    async with FakeUpstream(responder()) as up, gateway(config(up, up, **parts)) as gw:
        served = [(await ask(gw, "both"))[1] for _ in range(4)]
        assert served == ["one/m", "one/m", "two/m", "two/m"]
        assert (await ask(gw, "one/m"))[0] == 402


def _streamed(*, usage: bool, cut: bool = False) -> Any:
    """An upstream that tells what a stream used only when it is asked to, as OpenAI's does."""

    def script(seen: Any) -> Scripted:
        chunks = sse(*[chat_chunk({"content": "ciao "}) for _ in range(40)])
        if cut:
            return Scripted(chunks=chunks, cut=True)
        chunks += sse(chat_chunk({}, "stop"))
        if usage and (seen.json.get("stream_options") or {}).get("include_usage"):
            used = {"prompt_tokens": 3, "completion_tokens": 40, "total_tokens": 43}
            chunks += sse({**chat_chunk({}), "choices": [], "usage": used})
        return Scripted(chunks=[*chunks, "data: [DONE]\n\n"])

    return script


@pytest.mark.parametrize("asked", [True, False], ids=["client-asks", "client-does-not"])
async def test_streams_cost_to_the_cent_and_a_client_sees_only_what_it_asked_for(asked: bool) -> None:
    async with FakeUpstream(_streamed(usage=True)) as up:
        async with gateway(config(up, key=", budget: {usd: 1, per: day}")) as gw:
            path, body = call("openai-chat", "one/m", stream=True)
            if asked:
                body["stream_options"] = {"include_usage": True}
            _, text, _ = await post(gw, path, body, **ME)
            used = (await state_of(gw))["budgets"]["key/me"][0]["used"]
    assert used == pytest.approx(3 * 100e-6 + 40 * 1000e-6)
    assert ('"usage"' in text) is asked
    assert text.count("ciao ") == 40
    assert text.endswith("data: [DONE]\n\n")


async def test_without_anybody_who_counts_the_bytes_stay_what_they_are() -> None:
    async with FakeUpstream(_streamed(usage=True)) as up, gateway(config(up)) as gw:
        await ask(gw, stream=True)
        assert "stream_options" not in up.requests[0].json


@pytest.mark.parametrize(
    "script", [_streamed(usage=False), _streamed(usage=True, cut=True)], ids=["never-tells", "cut"]
)
async def test_what_a_stream_does_not_tell_is_estimated_and_marked(script: Any) -> None:
    async with FakeUpstream(script) as up:
        async with gateway(config(up, key=", budget: {usd: 1, per: day}")) as gw:
            await ask(gw, stream=True)
            await gw.recorded(1)
            record = gw.records[0]
            used = (await state_of(gw))["budgets"]["key/me"][0]["used"]
    assert record.estimated
    assert 20 <= (record.output_tokens or 0) <= 80, "40 words were said"
    assert used == pytest.approx(record.cost)


async def test_a_reload_and_a_renamed_file_keep_what_was_counted() -> None:
    async with FakeUpstream(responder()) as up:
        text = config(up, key=", budget: {usd: 0.004, per: day}, limits: {rpm: 100}")
        async with gateway(text) as gw:
            await ask(gw)
            gw.path.write_text(f"version: 1\n{text}\ndefault: both\n")
            assert (await post(gw, "/-/reload", {}, **ADMIN))[1]["ok"]
            shown = await state_of(gw)
    assert shown["budgets"]["key/me"][0]["used"] == pytest.approx(COST)
    assert shown["limits"]["key/me"]["requests"] == 1


async def test_cost_counts_cached_tokens_once() -> None:
    answer = anthropic()
    answer["usage"] = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 5,
    }
    text = """
    providers:
      ant:
        format: anthropic-messages
        base_url: {url}
        accounts: {{a: {{key: secret}}}}
        models: {{m: {{price: {{input: 3, output: 15, cached: 0.3, cache_write: 3.75}}}}}}
    """
    async with FakeUpstream([Scripted(json=answer)]) as up, gateway(text.format(url=up.url)) as gw:
        await post(gw, *call("openai-chat", "ant/m"))
        await gw.recorded(1)
    assert gw.records[0].cost == pytest.approx((10 * 3 + 100 * 0.3 + 20 * 3.75 + 5 * 15) / 1e6)


async def test_the_prompt_of_an_answer_that_nobody_waits_for_is_charged_to_its_provider() -> None:
    """The loser of a race has read it, too."""
    async with FakeUpstream(lambda seen: Scripted(json=chat(), pause=5)) as slow:
        async with FakeUpstream(lambda seen: Scripted(json=chat(), pause=0.2)) as fast:
            text = config(slow, fast, provider="budget: {usd: 100, per: day}")
            text = text.replace(
                "combos: {both: [one/m, two/m]}", "combos: {both: {strategy: race, targets: [one/m, two/m]}}"
            )
            async with gateway(text) as gw:
                assert await ask(gw, "both") == (200, "two/m")
                used = (await state_of(gw))["budgets"]["provider/one"][0]["used"]
    _, body = call("openai-chat", "both")
    assert used == pytest.approx(len(json.dumps(body)) // 4 * 100e-6, rel=0.2)


# ── the breaker ──────────────────────────────────────────────────────────────────────────────────


async def test_the_breaker_opens_lets_one_probe_through_and_closes() -> None:
    clock = Clock()
    up_again = False

    def script(seen: Any) -> Scripted:
        return Scripted(json=chat()) if up_again else error(503)

    provider = "breaker: {failures: 3}"
    async with (
        FakeUpstream(script) as one,
        FakeUpstream(responder()) as two,
        gateway(config(one, two, provider=provider), state=State(clock=clock)) as gw,
    ):
        while not (await state_of(gw))["breakers"]:
            clock.now += 400  # past every cooldown
            assert await ask(gw, "both") == (200, "two/m")
        sent = len(one.requests)
        assert await ask(gw, "both") == (200, "two/m")
        assert len(one.requests) == sent, "an open breaker sends nothing"
        shown = (await state_of(gw))["breakers"]["one"]
        assert (shown["phase"], shown["level"], shown["ready_in"]) == ("open", 1, 30)
        up_again = True
        clock.now += 400
        assert await ask(gw, "both") == (200, "one/m")
        after = await state_of(gw)
    assert after["breakers"] == {}
    assert [t["to"] for t in after["transitions"] if t["kind"] == "breaker"] == [
        "open",
        "half-open",
        "closed",
    ]


async def test_refusals_do_not_open_the_breaker() -> None:
    async with FakeUpstream([error(400)]) as up, gateway(config(up, provider="breaker: {failures: 1}")) as gw:
        for _ in range(3):
            assert (await ask(gw))[0] == 400
        assert (await state_of(gw))["breakers"] == {}


@pytest.mark.parametrize("kind, name", [("breaker", "one"), ("cooldown", "one/a"), ("all", "")])
async def test_a_reset_forgets_what_it_is_told(kind: str, name: str) -> None:
    async with FakeUpstream([error(500)]) as up, gateway(config(up, provider="breaker: {failures: 2}")) as gw:
        await ask(gw)
        before = await state_of(gw)
        assert (list(before["breakers"]), list(before["cooldowns"])) == (["one"], ["one/a"])
        status, told, _ = await post(gw, f"/-/state/reset?kind={kind}&name={name}", {}, **ADMIN)
        after = await state_of(gw)
    assert (status, told) == (200, {"reset": 2 if kind == "all" else 1})
    assert ("one" in after["breakers"]) is (kind == "cooldown")
    assert ("one/a" in after["cooldowns"]) is (kind == "breaker")


async def test_a_reset_of_nothing_known_is_refused() -> None:
    async with FakeUpstream(responder()) as up, gateway(config(up)) as gw:
        status, body, _ = await post(gw, "/-/state/reset?kind=braker", {}, **ADMIN)
    assert (status, "breaker" in body["error"]["message"]) == (400, True)


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "row, sent, resting, served",
    [
        ("{status: [400], kind: overloaded}", 2, True, "two/m"),
        ("{status: [400], kind: overloaded, retry: false}", 1, True, "two/m"),
        ("{status: [400], kind: overloaded, cooldown: 0s}", 2, False, "two/m"),
        ("{status: [400], text: bad param, kind: invalid_request, next: always}", 1, False, "two/m"),
        ("{status: [400], kind: overloaded, next: never}", 2, True, "one/m"),
        ("{status: [418], kind: overloaded}", 1, False, "one/m"),
    ],
)
async def test_a_row_of_outcomes_says_what_follows(row: str, sent: int, resting: bool, served: str) -> None:
    async with FakeUpstream([error(400)]) as one, FakeUpstream(responder()) as two:
        async with gateway(config(one, two, provider=f"outcomes: [{row}]")) as gw:
            _, target = await ask(gw, "both")
            cooling = "one/a" in (await state_of(gw))["cooldowns"]
            assert (len(one.requests), cooling, target) == (sent, resting, served)
