"""Several targets at once: the first content wins, the others are let go of, and nothing is forgotten or counted twice."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from tests.support.answers import WIRES, anthropic, call, chat, chat_stream, error, responder
from tests.support.http import get, post

CONFIG = """
providers:
  one: {{format: openai-chat, base_url: "{one}/v1", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}, models: {{m: {{price: {{input: 1000000, output: 2000000}}}}}}}}
  two: {{format: openai-chat, base_url: "{two}/v1", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}, models: {{m: {{price: {{input: 10000000, output: 20000000}}}}}}}}
  three: {{format: openai-chat, base_url: "{three}/v1", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
combos:
  fast: {{strategy: race, targets: [one/m, two/m, three/m]}}
  nested: [{{model: one/m, enabled: false}}, fast, three/last]
keys:
  me: {{key: k-me, scopes: [use, admin], budget: {{usd: 1000000}}}}
"""
SLOW = Scripted(pause=30)
MOMENT = 20
"""Seconds in which a loser's connection is closed, on a machine that is busy with other tests, too."""


def later(text: str) -> Any:
    """An answer that leaves the others time to be asked."""
    script = responder(text)

    def answer(seen: Any) -> Scripted:
        return dataclasses.replace(script(seen), pause=0.2)

    return answer


class Track:
    """Three upstreams and a gateway before them."""

    def __init__(self, *scripts: Any) -> None:
        self.ups = [FakeUpstream(script if callable(script) else [script]) for script in scripts]

    async def __aenter__(self) -> Track:
        for up in self.ups:
            await up.__aenter__()
        one, two, three = (up.url for up in self.ups)
        config = CONFIG.format(one=one, two=two, three=three)
        self._gateway = gateway(config)
        self.gw: Running = await self._gateway.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._gateway.__aexit__(None, None, None)
        for up in self.ups:
            await up.__aexit__()

    @property
    def asked(self) -> list[int]:
        return [len(up.requests) for up in self.ups]

    async def post(self, path: str, body: Any) -> tuple[int, Any, Any]:
        return await post(self.gw, path, body, **{"x-api-key": "k-me", "x-goog-api-key": "k-me"})


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("wire", WIRES)
async def test_the_first_content_wins_and_the_others_are_closed(wire: str, stream: bool) -> None:
    async with Track(SLOW, later("ciao"), responder("never")) as track:
        began = time.perf_counter()
        status, body, headers = await track.post(*call(wire, "fast", stream=stream))
        assert time.perf_counter() - began < 25
        assert (status, headers["X-OmniRoute-Target"]) == (200, "two/m")
        assert "ciao" in str(body)
        await asyncio.wait_for(track.ups[0].requests[0].left.wait(), MOMENT)
        await track.gw.recorded(1)
        assert track.asked == [1, 1, 0]
        record = track.gw.records[0]
        assert (record.target, record.attempts, record.lost, record.tried) == ("two/m", 2, ["one/m"], [])
        reading = track.gw.gateway.state.health.all()
        assert (reading["target/one/m"].running, reading["target/two/m"].running) == (0, 0)


async def test_a_stream_that_says_nothing_yet_does_not_win() -> None:
    quiet = Scripted(chunks=chat_stream("x")[:1], hang=True)
    async with Track(quiet, responder("ciao"), SLOW) as track:
        status, body, headers = await track.post(*call("openai-chat", "fast", stream=True))
        assert (status, headers["X-OmniRoute-Target"]) == (200, "two/m")
        assert "ciao" in body
        await asyncio.wait_for(track.ups[0].requests[0].left.wait(), MOMENT)


async def test_one_that_fails_is_replaced_by_the_next() -> None:
    async with Track(error(503), SLOW, responder("ciao")) as track:
        status, _, headers = await track.post(*call("openai-chat", "fast"))
        assert (status, headers["X-OmniRoute-Target"]) == (200, "three/m")
        assert track.asked == [1, 1, 1]
        await track.gw.recorded(1)
        record = track.gw.records[0]
        assert (record.attempts, record.lost) == (3, ["two/m"])
        assert [line.partition(":")[0] for line in record.tried] == ["one/m"]


async def test_when_all_fail_the_client_is_told_of_all() -> None:
    async with Track(error(503), error(429, retry_after="7"), error(401)) as track:
        status, body, headers = await track.post(*call("openai-chat", "fast"))
        assert status == 429
        assert 1 <= int(headers["Retry-After"]) <= 7
        assert sorted(t["target"] for t in body["error"]["tried"]) == ["one/m", "three/m", "two/m"]
        await track.gw.recorded(1)
        record = track.gw.records[0]
        assert (record.attempts, record.lost) == (3, [])
        assert record.target in ("one/m", "two/m", "three/m")


async def test_after_a_race_that_nobody_won_comes_the_next_target() -> None:
    def last(seen: Any) -> Scripted:
        return Scripted(json=chat("last")) if seen.json["model"] == "last" else error(404)

    async with Track(error(404), error(404), last) as track:
        status, body, headers = await track.post(*call("openai-chat", "nested"))
        assert (status, headers["X-OmniRoute-Target"]) == (200, "three/last")
        assert "last" in str(body)


async def test_the_clients_mistake_waits_for_who_is_still_running() -> None:
    async with Track(error(400), Scripted(pause=0.1, json=chat()), SLOW) as track:
        assert (await track.post(*call("openai-chat", "fast")))[0] == 200
        assert track.asked == [1, 1, 0]
        await track.gw.recorded(1)
        record = track.gw.records[0]
        assert (record.target, record.attempts, record.lost, len(record.tried)) == ("two/m", 2, [], 1)
    async with Track(error(400), Scripted(pause=0.1, json=error(500).json, status=500), SLOW) as track:
        status, body, headers = await track.post(*call("openai-chat", "fast"))
        assert (status, body["error"]["message"]) == (400, "bad parameter")
        assert headers["X-OmniRoute-Target"] == "one/m"
        assert track.asked == [1, 1, 0]
        await track.gw.recorded(1)
        assert track.gw.records[0].attempts == 2
        assert sorted(line.partition(":")[0] for line in track.gw.records[0].tried) == ["one/m", "two/m"]


async def test_a_client_that_leaves_cancels_all() -> None:
    both = asyncio.Event()
    arrived: list[Any] = []

    def slow(seen: Any) -> Scripted:
        arrived.append(seen)
        if len(arrived) == 2:
            both.set()
        return SLOW

    async with Track(slow, slow, SLOW) as track:
        path, body = call("openai-chat", "fast")
        async with aiohttp.ClientSession(headers={"x-api-key": "k-me"}) as session:
            asking = asyncio.ensure_future(session.post(track.gw.url + path, json=body))
            await asyncio.wait_for(both.wait(), 10)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        for up in track.ups[:2]:
            await asyncio.wait_for(up.requests[0].left.wait(), MOMENT)
        assert track.asked == [1, 1, 0]
        await track.gw.recorded(1)
        record = track.gw.records[0]
        assert (record.error, record.attempts, record.lost) == ("client_gone", 2, ["one/m", "two/m"])
        assert record.cost is not None and record.cost > 0


async def test_what_the_losers_cost_is_charged() -> None:
    """One reads a prompt (its size is estimated) and is cut off; two answers with 3 + 2 tokens at $10 and $20."""
    async with Track(SLOW, Scripted(pause=0.4, json=chat()), SLOW) as track:
        path, body = call("openai-chat", "fast", text="word " * 40)
        await track.post(path, body)
        await track.gw.recorded(1)
        prompt = len(track.ups[0].requests[0].body) // 4
        cost = track.gw.records[0].cost
        assert cost is not None
        assert cost == pytest.approx(3 * 10 + 2 * 20 + prompt * 1, abs=3)
        _, metrics, _ = await get(track.gw, "/-/metrics", **{"x-api-key": "k-me"})
        assert 'omniroute_races_lost_total{provider="one"} 1.0' in metrics
        usage = track.gw.records[0]
        assert (usage.input_tokens, usage.output_tokens) == (3, 2)
        caller = track.gw.gateway.runtime.generation.keyring.named("me")
        assert caller is not None and caller.budget is not None
        spent = track.gw.gateway.state.ledger.standing(caller.budget, track.gw.gateway.state.clock()).used
        assert spent == pytest.approx(cost)


async def test_both_at_once_is_still_one_answer() -> None:
    async with Track(responder("a"), responder("b"), SLOW) as track:
        for _ in range(20):
            status, _, headers = await track.post(*call("openai-chat", "fast", stream=True))
            assert status == 200
            assert headers["X-OmniRoute-Target"] in ("one/m", "two/m")
        await track.gw.recorded(20)
        assert all(record.attempts == 2 and len(record.lost) == 1 for record in track.gw.records)
        assert all(reading.running == 0 for reading in track.gw.gateway.state.health.all().values())
        assert track.gw.gateway.state.cooldowns.all() == {}


ACCOUNTS = """
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    retry: {{attempts: 1}}
    strategy: {{type: race, first: 2}}
    accounts: {{a: {{key: key-a}}, b: {{key: key-b}}, c: {{key: key-c}}}}
"""


@pytest.mark.parametrize(
    "slow, broken, served",
    [("a", "", "b"), ("b", "", "a"), ("b", "a", "c"), ("", "ab", "c")],
)
async def test_accounts_race_in_lanes(slow: str, broken: str, served: str) -> None:
    def script(seen: Any) -> Scripted:
        account = seen.headers["authorization"][-1]
        if account in slow:
            return SLOW
        return error(429) if account in broken else Scripted(json=chat(f"from {account}"))

    async with FakeUpstream(script) as up, gateway(ACCOUNTS.format(url=up.url)) as gw:
        status, body, _ = await post(gw, *call("openai-chat", "up/m"))
        assert (status, body["choices"][0]["message"]["content"]) == (200, f"from {served}")
        asked = [seen.headers["authorization"][-1] for seen in up.requests]
        assert len(asked) == len(set(asked))


async def test_rivals_do_not_see_each_others_edits() -> None:
    """Only one of them translates, and what it drops is not said of the answer of the other."""
    config = """
    providers:
      other: {{format: anthropic-messages, base_url: "{one}/v1", accounts: {{a: {{key: k}}}}}}
      same: {{format: openai-chat, base_url: "{two}/v1", accounts: {{a: {{key: k}}}}}}
    combos:
      fast: {{strategy: race, targets: [{{model: other/m, params: {{top_k: 3}}}}, same/m]}}
    """
    slow = Scripted(pause=30)
    async with FakeUpstream([slow]) as one, FakeUpstream(responder()) as two:
        async with gateway(config.format(one=one.url, two=two.url)) as gw:
            path, body = call("openai-chat", "fast")
            status, _, headers = await post(gw, path, {**body, "logit_bias": {"5": 1}, "seed": 7})
    assert status == 200
    assert headers["X-OmniRoute-Target"] == "same/m"
    assert "X-OmniRoute-Dropped" not in headers
    assert two.requests[0].json["logit_bias"] == {"5": 1}
    assert "top_k" not in two.requests[0].json


async def test_a_secret_that_a_refusal_repeats_stays_secret() -> None:
    def leaky(seen: Any) -> Scripted:
        said = f"bad {seen.headers['authorization']}"
        return Scripted(status=400, json={"error": {"message": said, "type": "invalid_request_error"}})

    config = """
    providers:
      one: {{format: openai-chat, base_url: "{one}/v1", accounts: {{a: {{key: key-secret-one}}}}}}
      two: {{format: openai-chat, base_url: "{two}/v1", accounts: {{a: {{key: key-secret-two}}}}}}
    combos:
      fast: {{strategy: race, targets: [one/m, two/m]}}
    """
    async with FakeUpstream(leaky) as one, FakeUpstream(leaky) as two:
        async with gateway(config.format(one=one.url, two=two.url)) as gw:
            status, body, _ = await post(gw, *call("openai-chat", "fast"))
    assert status == 400
    assert "key-secret" not in str(body)


async def test_a_race_inside_of_tiers_stays_in_its_tier_and_tokens_are_not_counted_in_a_race() -> None:
    config = """
    providers:
      one: {{format: anthropic-messages, tier: free, base_url: "{one}/v1", accounts: {{a: {{key: k}}}}}}
      two: {{format: anthropic-messages, tier: cheap, base_url: "{two}/v1", accounts: {{a: {{key: k}}}}}}
    combos:
      tiers: {{strategy: {{type: tiered, within: race}}, targets: [one/m, two/m, two/n]}}
    """

    def script(seen: Any) -> Scripted:
        counting = seen.path.endswith("count_tokens")
        return Scripted(json={"input_tokens": 7}) if counting else Scripted(pause=0.4, json=anthropic())

    async with FakeUpstream(script) as one, FakeUpstream(script) as two:
        async with gateway(config.format(one=one.url, two=two.url)) as gw:
            path, body = call("anthropic-messages", "tiers")
            assert (await post(gw, path, body))[0] == 200
            assert sorted(seen.json["model"] for seen in two.requests) == ["m", "n"]
            assert one.requests == []
            assert (await post(gw, f"{path}/count_tokens", body))[1] == {"input_tokens": 7}
            assert len(two.requests) == 3
