"""Two gateways on one Redis: what one counts, rests and opens holds for the other."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from omniroute.state.state import State
from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from tests.support.answers import call, chat, error, responder
from tests.support.http import get, post
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

ADMIN = {"x-api-key": "root"}
ME = {"x-api-key": "k"}

CONFIG = """
store: {store}
keys:
  me: {{key: k{key}}}
  root: {{key: root, scopes: [admin]}}
providers:
  one:
    format: openai-chat
    base_url: {url}/v1
    retry: {{wait: 1ms}}
    {provider}
    accounts: {{a: {{key: secret}}}}
    models: {{m: {{price: {{input: 100, output: 1000}}}}, n: {{}}}}
combos:
  sticky: {{strategy: {{type: round-robin, sticky: {{by: "header:x-session"}}}}, targets: [one/m, one/n]}}
"""


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextlib.asynccontextmanager
async def both(
    server: RedisServer,
    up: FakeUpstream,
    *,
    key: str = "",
    provider: str = "x-nothing: 0",
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[tuple[Running, Running]]:
    store = f"{server.url}?prefix={uuid4().hex}"
    text = CONFIG.format(store=store, url=up.url, key=key, provider=provider)
    async with gateway(text, state=State(clock)) as here, gateway(text, state=State(clock)) as there:
        yield here, there


async def ask(gw: Running) -> int:
    return (await post(gw, *call("openai-chat", "one/m"), **ME))[0]


async def shown(gw: Running) -> dict[str, Any]:
    found: dict[str, Any] = (await get(gw, "/-/state", **ADMIN))[1]
    return found


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """What one tells reaches the other within some 50 ms."""
    await until(holds)


async def test_a_limit_of_requests_is_one_limit(redis_server: RedisServer) -> None:
    async with FakeUpstream(responder()) as up:
        async with both(redis_server, up, key=", limits: {rpm: 3}") as (here, there):
            assert [await ask(here), await ask(here)] == [200, 200]
            await soon(lambda: _requests(there, 2))
            assert [await ask(there), await ask(there)] == [200, 429]


async def _requests(gw: Running, count: int) -> bool:
    return bool((await shown(gw))["limits"]["key/me"]["requests"] == count)


async def test_a_limit_of_requests_at_once_is_one_limit(redis_server: RedisServer) -> None:
    goes_on = asyncio.Event()
    async with FakeUpstream([Scripted(json=chat(), gate=goes_on)]) as up:
        async with both(redis_server, up, key=", limits: {concurrency: 1}") as (here, there):
            running = asyncio.ensure_future(ask(here))
            await soon(lambda: _running(there, 1))
            assert await ask(there) == 429
            goes_on.set()
            assert await running == 200
            await soon(lambda: _running(there, 0))
            assert await ask(there) == 200


async def _running(gw: Running, count: int) -> bool:
    return bool((await shown(gw))["limits"]["key/me"]["running"] == count)


async def test_a_budget_is_one_budget(redis_server: RedisServer) -> None:
    async with FakeUpstream(responder()) as up:
        async with both(redis_server, up, key=", budget: {usd: 0.004, per: day}") as (here, there):
            assert [await ask(here), await ask(there)] == [200, 200]
            await soon(lambda: _spent(here))
            await soon(lambda: _spent(there))
            assert [await ask(here), await ask(there)] == [402, 402]
            used = [(await shown(gw))["budgets"]["key/me"][0]["used"] for gw in (here, there)]
    assert used == [pytest.approx(0.0046)] * 2


async def _spent(gw: Running) -> bool:
    return bool((await shown(gw))["budgets"]["key/me"][0]["spent"])


async def test_a_rolling_quota_begins_for_both(redis_server: RedisServer) -> None:
    quota = "quota: {limit: {requests: 2}, window: rolling, length: 1h}"
    async with FakeUpstream(responder()) as up:
        async with both(redis_server, up, provider=quota) as (here, there):
            assert [await ask(here), await ask(here)] == [200, 200]

            async def told() -> bool:
                return bool((await shown(there))["quotas"]["one/a"][0]["spent"])

            await soon(told)
            assert await ask(there) == 429
            left = [(await shown(gw))["quotas"]["one/a"][0]["resets_in"] for gw in (here, there)]
    assert abs(left[0] - left[1]) < 5


async def test_a_breaker_opens_and_closes_for_both(redis_server: RedisServer) -> None:
    async with FakeUpstream([error(500), error(500), Scripted(json=chat())]) as up:
        breaker = "breaker: {failures: 2, open: 30s}"
        passed = 0.0
        async with both(redis_server, up, provider=breaker, clock=lambda: time.time() + passed) as (
            here,
            there,
        ):
            await ask(here)

            async def is_open() -> bool:
                return "one" in (await shown(there))["breakers"]

            await soon(is_open)
            assert await ask(there) == 503
            assert len(up.requests) == 2, "what opened there sends nothing from here"
            await post(here, "/-/state/reset?kind=cooldown", {}, **ADMIN)
            passed = 31.0
            assert await ask(here) == 200

            async def is_closed() -> bool:
                return "one" not in (await shown(there))["breakers"]

            await soon(is_closed)


async def test_a_session_stays_where_it_is(redis_server: RedisServer) -> None:
    async with FakeUpstream(responder()) as up, both(redis_server, up) as (here, there):

        async def served(gw: Running, session: str) -> str:
            path, body = call("openai-chat", "sticky")
            return (await post(gw, path, body, **ME, **{"x-session": session}))[2]["X-OmniRoute-Target"]

        heard: set[str] = set()
        there.gateway.state.shared.watch("sticky/", lambda change: heard.add(change.key))
        first = {name: await served(here, name) for name in ("a", "b", "c", "d")}
        assert set(first.values()) == {"one/m", "one/n"}
        await until(lambda: len(heard) == len(first))
        assert {name: await served(there, name) for name in first} == first
