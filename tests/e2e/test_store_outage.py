"""Redis dies under load and comes back: no request fails, and in the end every count is right."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway
from tests.support.answers import call, chat, chat_stream
from tests.support.http import get, post
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

CONFIG = """
store: {store}
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    accounts:
      a: {{key: k, quota: {{limit: {{requests: 1M, tokens: 100M}}, window: total}}}}
  tired: {{format: openai-chat, base_url: "{url}/tired", accounts: {{a: {{key: k}}}}}}
  weary: {{format: openai-chat, base_url: "{url}/tired", accounts: {{a: {{key: k}}}}}}
"""
CLIENTS = 24


def answer(seen: Any) -> Scripted:
    if seen.path.startswith("/tired"):
        return Scripted(status=429, json={"error": {"message": "tired"}}, headers={"retry-after": "600"})
    if seen.json.get("stream"):
        return Scripted(chunks=chat_stream("a", "b"), between=0.01)
    return Scripted(json=chat(), pause=0.01)


class Load:
    """Clients that never stop asking: everybody in turn at both gateways, streamed or not."""

    def __init__(self, *gateways: Running) -> None:
        self._gateways = gateways
        self.statuses: list[int] = []
        self.broken: list[str] = []
        self._done = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(session, number))
            try:
                yield self
            finally:
                self._done = True

    async def _client(self, session: aiohttp.ClientSession, number: int) -> None:
        for turn in itertools.count(number):
            if self._done:
                return
            gw = self._gateways[turn % len(self._gateways)]
            path, body = call("openai-chat", "up/m", stream=bool(turn % 3))
            async with session.post(gw.url + path, json=body) as answered:
                text = await answered.text()
                self.statuses.append(answered.status)
                if answered.status != 200 or (body["stream"] and "[DONE]" not in text):
                    self.broken.append(text)

    async def goes_on(self, requests: int = 60) -> None:
        """Until so many more are answered."""
        wanted = len(self.statuses) + requests
        await until(lambda: len(self.statuses) >= wanted, seconds=30)


async def used(gw: Running) -> dict[str, float]:
    quotas = (await get(gw, "/-/state"))[1]["quotas"]["up/a"]
    return {quota["unit"]: quota["used"] for quota in quotas}


async def health(gw: Running) -> dict[str, Any]:
    return (await get(gw, "/-/health"))[1]["store"]  # type: ignore[no-any-return]  # JSON


def standing(state: str, *gateways: Running) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        told = [(await health(gw))["state"] for gw in gateways]
        return all(each == state for each in told)

    return holds


@pytest.mark.timeout(120)
@pytest.mark.parametrize("comes_back", ["with-its-data", "empty", "with-old-data"])
async def test_no_request_fails_and_no_count_is_lost(
    comes_back: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "omniroute")
    with RedisServer(tmp_path / "redis", durable=comes_back == "with-its-data") as redis:
        async with FakeUpstream(answer) as up:
            config = CONFIG.format(store=redis.url, url=up.url)
            async with gateway(config) as a, gateway(config) as b:
                assert (await health(a))["kind"] == "redis"
                async with Load(a, b).running() as load:
                    for provider in ("tired", "weary"):
                        await load.goes_on(30)
                        if comes_back == "with-old-data":
                            redis.save()
                        assert (await post(a, *call("openai-chat", f"{provider}/m")))[0] == 429
                        await load.goes_on(30)
                        assert await standing("connected", a, b)()
                        redis.kill()
                        await until(standing("away", a, b))
                        await load.goes_on()
                        assert (await health(a))["behind"] > 0
                        redis.start()
                        await until(standing("connected", a, b), seconds=20)
                    await load.goes_on()
                assert (set(load.statuses), load.broken) == ({200}, [])
                await until(lambda: len(a.records) + len(b.records) == len(load.statuses) + 2)
                right = {"requests": len(load.statuses), "tokens": right_tokens(a, b)}

                async def reconciled() -> bool:
                    return [await used(gw) for gw in (a, b)] == [right, right]

                await until(reconciled)
                async with gateway(config) as fresh:
                    assert await used(fresh) == right
                    assert (await get(fresh, "/-/state"))[1]["cooldowns"].keys() == {"tired/a", "weary/a"}
    told = [r.getMessage() for r in caplog.records if "the store (redis)" in r.getMessage()]
    assert sum("is away, going on without it" in line for line in told) == 4
    assert sum("is catching up" in line for line in told) == 4
    assert not any("@" in line for line in told)


def right_tokens(*gateways: Running) -> float:
    """What the log says was used."""
    records = [record for gw in gateways for record in gw.records if record.status == 200]
    return sum((record.input_tokens or 0) + (record.output_tokens or 0) for record in records)


async def test_a_start_without_redis_serves_and_catches_up(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        redis.kill()
        async with FakeUpstream(answer) as up:
            config = CONFIG.format(store=redis.url, url=up.url)
            async with gateway(config) as a:
                assert (await health(a))["state"] == "away"
                assert (await post(a, *call("openai-chat", "up/m")))[0] == 200
                redis.start()
                await until(standing("connected", a))
                async with gateway(config) as b:
                    assert (await used(b))["requests"] == 1


async def test_a_redis_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """It accepts connections and says nothing: worse than a dead one."""
    with RedisServer(tmp_path / "redis") as redis:
        async with FakeUpstream(answer) as up, gateway(CONFIG.format(store=redis.url, url=up.url)) as a:
            loop = asyncio.get_running_loop()
            redis.pause(signal.SIGSTOP)
            began = loop.time()
            for _ in range(20):
                assert (await post(a, *call("openai-chat", "up/m")))[0] == 200
            assert loop.time() - began < 10
            await until(standing("away", a))
            redis.pause(signal.SIGCONT)
            await until(standing("connected", a))
            assert (await used(a))["requests"] == 20


@pytest.mark.parametrize(
    "url", ["redis://:secret-word@127.0.0.1:1/0", "redis://user:secret-word@127.0.0.1:1"]
)
async def test_no_secret_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with gateway(f"store: {url}\nproviders: {{demo: {{}}}}") as gw:
        told = [
            str((await get(gw, path))[1]) for path in ("/-/health", "/-/state", "/-/config", "/-/metrics")
        ]
    assert "omniroute_store_connected 0.0" in told[3]
    assert "is away" in caplog.text
    assert not any("secret-word" in text for text in [*told, caplog.text])
