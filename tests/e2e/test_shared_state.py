"""Two gateways on one store: what one learns, the other knows."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import aiohttp
import openai
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from tests.support.answers import call, chat, chat_stream, responder
from tests.support.http import get, post
from tests.support.redis_server import RedisServer
from tests.support.waiting import landed, until

CONFIG = """
store: {store}
keys: {{me: {{key: sk-me, scopes: [use, admin], limits: {{rpm: 6}}}}}}
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    retry: {{attempts: 1}}
    breaker: {{failures: 3}}
    accounts:
      a: {{key: k1, quota: {{limit: {{requests: 1000, tokens: 1M}}, window: total}}}}
  one: {{format: openai-chat, base_url: "{url}/one", accounts: {{a: {{key: k}}}}}}
  two: {{format: openai-chat, base_url: "{url}/two", accounts: {{a: {{key: k}}}}}}
combos:
  sticky:
    strategy: {{type: round-robin, sticky: {{by: "header:x-session", ttl: 10m}}}}
    targets: [one/m, two/m]
"""
KEY = {"authorization": "Bearer sk-me"}


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/state.db"
    server: RedisServer = request.getfixturevalue("redis_server")
    return f"{server.url}?prefix={uuid4().hex}"


@contextlib.asynccontextmanager
async def two(
    store: str, upstream: FakeUpstream, change: Callable[[str], str] = str
) -> AsyncIterator[tuple[Running, Running]]:
    config = change(CONFIG.format(store=store, url=upstream.url))
    async with gateway(config) as one, gateway(config) as other:
        yield one, other


async def state(gw: Running, part: str) -> dict:  # type: ignore[type-arg]  # JSON
    return (await get(gw, "/-/state", **KEY))[1][part]


async def test_who_rests_at_one_rests_at_the_other(store: str) -> None:
    limited = Scripted(status=429, json={"error": {"message": "slow down"}}, headers={"retry-after": "60"})
    async with FakeUpstream([limited, Scripted(json=chat())]) as up, two(store, up) as (a, b):
        assert (await post(a, *call("openai-chat", "up/m"), **KEY))[0] == 429

        async def knows() -> bool:
            return "up/a" in await state(b, "cooldowns")

        await until(knows)
        assert (await post(b, *call("openai-chat", "up/m"), **KEY))[0] == 429
        assert len(up.requests) == 1
        status, said, _ = await post(b, "/-/state/reset", None, **KEY)
        assert (status, said["reset"]) == (200, 1)

        async def forgot() -> bool:
            return "up/a" not in await state(a, "cooldowns")

        await until(forgot)
        assert (await post(a, *call("openai-chat", "up/m"), **KEY))[0] == 200


async def test_a_session_stays_with_its_target_wherever_it_comes_in(store: str) -> None:
    async with FakeUpstream([Scripted(json=chat())]) as up, two(store, up, without_limits) as (a, b):
        targets: dict[str, set[str]] = {}
        for turn in range(3):
            for session in "stuvwx":
                gw = (a, b)[(turn + ord(session)) % 2]
                _, _, headers = await post(
                    gw, *call("openai-chat", "sticky"), **KEY, **{"x-session": session}
                )
                targets.setdefault(session, set()).add(headers["X-OmniRoute-Target"])
            await until(lambda: not a.gateway.state.store.behind and not b.gateway.state.store.behind)
            await settled(a, b)
        assert all(len(found) == 1 for found in targets.values()), targets
        assert {target for found in targets.values() for target in found} == {"one/m", "two/m"}


async def test_quotas_and_limits_are_summed(store: str) -> None:
    async with FakeUpstream([Scripted(json=chat())]) as up, two(store, up) as (a, b):
        for gw in (a, b, a):
            assert (await post(gw, *call("openai-chat", "up/m"), **KEY))[0] == 200

        async def summed() -> bool:
            seen = []
            for gw in (a, b):
                quotas = (await state(gw, "quotas"))["up/a"]
                seen.append(
                    (
                        {q["unit"]: q["used"] for q in quotas},
                        (await state(gw, "limits"))["key/me"]["requests"],
                    )
                )
            return seen == [({"requests": 3, "tokens": 15}, 3)] * 2

        await until(summed)
        for gw in (b, b, b):
            assert (await post(gw, *call("openai-chat", "up/m"), **KEY))[0] == 200
        await settled(a, b)
        status, _, headers = await post(a, *call("openai-chat", "up/m"), **KEY)
        assert (status, "retry-after" in {h.lower() for h in headers}) == (429, True), (
            "6 a minute, for both together"
        )


async def test_what_runs_at_one_counts_at_the_other(store: str) -> None:
    def one_at_a_time(config: str) -> str:
        return config.replace("rpm: 6", "concurrency: 1")

    slow = Scripted(chunks=chat_stream("a", "b"), hang=True)
    async with FakeUpstream([slow, Scripted(json=chat())]) as up, two(store, up, one_at_a_time) as (a, b):
        async with aiohttp.ClientSession() as session:
            path, body = call("openai-chat", "up/m", stream=True)
            async with session.post(a.url + path, json=body, headers=KEY):

                async def runs() -> bool:
                    return bool((await state(b, "limits"))["key/me"]["running"] == 1)

                await until(runs)
                assert (await post(b, *call("openai-chat", "up/m"), **KEY))[0] == 429

        async def ended() -> bool:
            return bool((await state(b, "limits"))["key/me"]["running"] == 0)

        await until(ended)
        assert (await post(b, *call("openai-chat", "up/m"), **KEY))[0] == 200


async def test_a_breaker_that_opens_at_one_is_open_at_the_other(store: str) -> None:
    broken = Scripted(status=500, json={"error": {"message": "broken"}})

    def rested(config: str) -> str:
        return without_limits(config).replace(
            "accounts:\n      a:", "accounts:\n      b: {key: k2}\n      c: {key: k3}\n      a:"
        )

    async with FakeUpstream([broken]) as up, two(store, up, rested) as (a, b):
        for _ in range(3):
            await post(a, *call("openai-chat", "up/m"), **KEY)
        assert await state(a, "breakers")

        async def knows() -> bool:
            return bool(await state(b, "breakers"))

        await until(knows)
        assert (await state(b, "breakers")).keys() == (await state(a, "breakers")).keys()


async def test_an_answer_that_one_keeps_the_other_gives(store: str) -> None:
    def cached(config: str) -> str:
        stages = (
            "[auth, filter, {stage: cache, exact: {deterministic_only: false}}, route, translate, retry, log]"
        )
        return f"{config}pipelines: {{chat: {{endpoints: [chat], stages: {stages}}}}}\n"

    async with FakeUpstream([Scripted(json=chat())]) as up, two(store, up, cached) as (a, b):
        told = []
        for gw in (a, b):
            _, said, headers = await post(gw, *call("openai-chat", "up/m"), **KEY)
            told.append((headers["X-OmniRoute-Cache"], said["choices"][0]["message"]["content"]))
            await until(landed)
        assert told == [("MISS", "ciao"), ("HIT", "ciao")]
        assert len(up.requests) == 1


async def test_a_conversation_goes_on_at_the_other(store: str) -> None:
    async with FakeUpstream(responder("ciao")) as up, two(store, up) as (a, b):
        async with sdk(a) as at_a, sdk(b) as at_b:
            first = await at_a.responses.create(model="up/m", input="one")
            await until(lambda: not a.gateway.state.store.behind)
            second = await at_b.responses.create(model="up/m", input="two", previous_response_id=first.id)
            said = [m["content"] for m in up.requests[-1].json["messages"]]
            assert said == ["one", "ciao", "two"]
            assert (await at_b.responses.retrieve(first.id)).output_text == "ciao"
            await until(lambda: not b.gateway.state.store.behind)
            reference = {"type": "item_reference", "id": second.output[0].id}
            await at_a.responses.create(model="up/m", input=[reference, {"role": "user", "content": "and?"}])  # type: ignore[list-item]  # a plain document
            assert [m["content"] for m in up.requests[-1].json["messages"]] == ["ciao", "and?"]
            await at_a.responses.delete(first.id)
            await settled(a, b)
            with pytest.raises(openai.NotFoundError):
                await at_b.responses.retrieve(first.id)


def without_limits(config: str) -> str:
    return config.replace(", limits: {rpm: 6}", "")


def sdk(gw: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="sk-me", base_url=f"{gw.url}/v1", max_retries=0)


async def settled(a: Running, b: Running) -> None:
    """Until each has heard what the other has said so far: a mark is sent after it, and awaited."""
    for one, other in ((a, b), (b, a)):
        mark = f"mark/{uuid4().hex}"
        one.gateway.state.shared.put(mark, b"x", 60)
        await until(lambda mark=mark, other=other: other.gateway.state.shared.get(mark) is not None)
