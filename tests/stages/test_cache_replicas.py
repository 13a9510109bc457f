"""Two gateways on one Redis: what one has kept is a hit for the other; without Redis each goes on by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from omniroute.registry import load
from omniroute.state.state import State
from omniroute.state.store import Address, open_store
from omniroute.testing import FakeUpstream, Running, gateway
from tests.support.answers import call, responder
from tests.support.http import post
from tests.support.redis_server import RedisServer
from tests.support.waiting import landed, until

CONFIG = """
providers: {{up: {{format: openai-chat, base_url: '{url}/v1', accounts: {{a: {{key: k}}}}}}}}
pipelines:
  chat:
    endpoints: [chat]
    stages: [auth, {{stage: cache, exact: {{deterministic_only: false}}}}, route, translate, retry, log]
"""


@asynccontextmanager
async def replica(up: FakeUpstream, redis: RedisServer, folder: Path) -> AsyncIterator[Running]:
    state = State()
    await state.open(open_store(Address(redis.url, folder, state.clock), load(plugins=False)))
    try:
        async with gateway(CONFIG.format(url=up.url), state=state) as gw:
            yield gw
    finally:
        await state.close()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_replicas_share_what_is_kept(stream: bool, tmp_path: Path) -> None:
    path, body = call("openai-chat", "up/m", stream=stream)
    other_path, other_body = call("anthropic-messages", "up/m", stream=not stream)
    body["max_tokens"] = other_body["max_tokens"]
    with RedisServer(tmp_path / "redis") as redis:
        async with (
            FakeUpstream(responder("ciao")) as up,
            replica(up, redis, tmp_path) as one,
            replica(up, redis, tmp_path) as two,
        ):
            _, first, told = await post(one, path, body, **{"Idempotency-Key": "k1"})
            assert told["X-OmniRoute-Cache"] == "MISS"
            await until(landed)
            _, again, told = await post(two, path, body, **{"Idempotency-Key": "k1"})
            assert again == first and told["X-OmniRoute-Idempotent"] == "true"
            status, other, told = await post(two, other_path, other_body)
            assert (status, told["X-OmniRoute-Cache"]) == (200, "HIT")
            assert "ciao" in str(other)
            refused, _, _ = await post(two, other_path, other_body, **{"Idempotency-Key": "k1"})
            assert refused == 422
            assert len(up.requests) == 1


async def test_without_redis_each_answers_by_itself(tmp_path: Path) -> None:
    path, body = call("openai-chat", "up/m")
    with RedisServer(tmp_path / "redis") as redis:
        async with FakeUpstream(responder()) as up, replica(up, redis, tmp_path) as gw:
            redis.kill()
            told = []
            for _ in range(3):
                status, _, headers = await post(gw, path, body)
                told.append((status, headers["X-OmniRoute-Cache"]))
            assert told == [(200, "MISS"), (200, "HIT"), (200, "HIT")]
            assert len(up.requests) == 1
