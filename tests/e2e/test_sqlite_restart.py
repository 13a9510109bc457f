"""SQLite: what was learned is there after a kill -9, and workers of one machine share it. Real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Scripted
from tests.support.answers import call, chat
from tests.support.ports import free_port
from tests.support.waiting import until

CONFIG = """
version: 1
store: sqlite:state.db
server: {{listen: "127.0.0.1:{port}", workers: {workers}}}
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    accounts:
      a: {{key: k, quota: {{limit: {{requests: 1M}}, window: total}}}}
  tired: {{format: openai-chat, base_url: "{url}/tired", accounts: {{a: {{key: k}}}}}}
  refused: {{format: openai-chat, base_url: "{url}/refused", accounts: {{a: {{key: k}}}}}}
"""


def answer(seen: Any) -> Scripted:
    if seen.path.startswith("/tired"):
        return Scripted(status=429, json={"error": {"message": "tired"}}, headers={"retry-after": "600"})
    if seen.path.startswith("/refused"):
        return Scripted(status=401, json={"error": {"message": "no such key"}})
    return Scripted(json=chat())


class Served:
    """`omniroute serve` in a process of its own."""

    def __init__(self, folder: Path, upstream: str, workers: int) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        (folder / "omniroute.yaml").write_text(CONFIG.format(port=port, workers=workers, url=upstream))
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._spawn()
        await until(self._answers, seconds=30, every=0.05)

    def _spawn(self) -> None:
        env = {**os.environ, "OMNIROUTE_DATA_DIR": str(self._folder)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "omniroute", "serve", "--config", str(self._folder / "omniroute.yaml")],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    async def _answers(self) -> bool:
        try:
            return (await self.get("/-/ready"))["ready"] is True
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """kill -9 of the process and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def get(self, path: str) -> Any:
        # Every call on a connection of its own, so that any of the workers may get it.
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answered:
            return await answered.json()

    async def ask(self, model: str) -> int:
        path, body = call("openai-chat", model)
        async with aiohttp.ClientSession() as session, session.post(self.url + path, json=body) as answered:
            await answered.read()
            return answered.status

    async def used(self) -> float:
        return float((await self.get("/-/state"))["quotas"]["up/a"][0]["used"])


@contextlib.asynccontextmanager
async def serving(folder: Path, upstream: str, workers: int = 1) -> AsyncIterator[Served]:
    served = Served(folder, upstream, workers)
    try:
        await served.start()
        yield served
    finally:
        await served.kill()


@pytest.mark.timeout(120)
async def test_a_kill_costs_a_second_at_the_most(tmp_path: Path) -> None:
    async with FakeUpstream(answer) as up, serving(tmp_path, up.url) as gw:
        assert [await gw.ask(m) for m in ("up/m", "up/m", "tired/m", "refused/m")] == [200, 200, 429, 502]
        before = await gw.get("/-/state")
        assert before["store"]["kind"] == "sqlite"
        await asyncio.sleep(1)
        await gw.kill()
        seen = len(up.requests)
        await gw.start()
        after = await gw.get("/-/state")
        assert await gw.used() == 2
        assert after["cooldowns"].keys() == before["cooldowns"].keys() == {"tired/a", "refused/a"}
        assert after["cooldowns"]["refused/a"]["ready_in"] is None, "until its credential changes"
        assert 500 < after["cooldowns"]["tired/a"]["ready_in"] < 600
        assert await gw.ask("tired/m") == 429
        assert len(up.requests) == seen, "who rests is left alone after the restart, too"
        assert await gw.ask("up/m") == 200
        assert await gw.used() == 3


@pytest.mark.timeout(120)
async def test_workers_of_one_machine_share_it(tmp_path: Path) -> None:
    async with FakeUpstream(answer) as up, serving(tmp_path, up.url, workers=2) as gw:
        for _ in range(30):
            assert await gw.ask("up/m") == 200

        async def summed() -> bool:
            # Whichever worker answers, many times over.
            return [await gw.used() for _ in range(10)] == [30] * 10

        await until(summed)
        assert await gw.ask("tired/m") == 429
        seen = len(up.requests)

        async def all_know() -> bool:
            found = [await gw.get("/-/state") for _ in range(10)]
            return all("tired/a" in state["cooldowns"] for state in found)

        await until(all_know)
        assert [await gw.ask("tired/m") for _ in range(10)] == [429] * 10
        assert len(up.requests) == seen
