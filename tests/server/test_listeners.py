"""Listeners: a unix socket, an admin plane of its own, several workers, and a stop that lets requests finish."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omniroute.errors import ConfigError
from omniroute.server.gateway import Gateway
from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import call, chat_stream
from tests.support.http import post
from tests.support.ports import free_port
from tests.support.waiting import until


async def test_a_unix_socket(tmp_path: Path) -> None:
    where = tmp_path / "omni.sock"
    async with gateway("providers: {demo: {}}") as gw:
        await gw.gateway.listen(f"unix:{where}")
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(where))) as session:
            path, body = call("openai-chat", "demo")
            async with session.post(f"http://localhost{path}", json=body) as answer:
                assert answer.status == 200
            async with session.get("http://localhost/-/state") as answer:
                assert answer.status == 200


async def test_the_admin_plane_may_have_its_own_port() -> None:
    async with gateway(f"server: {{admin: '127.0.0.1:{free_port()}'}}\nproviders: {{demo: {{}}}}") as gw:
        async with aiohttp.ClientSession() as session:
            async with session.get(gw.gateway.admin_urls[0] + "/-/health") as answer:
                assert answer.status == 200
            async with session.get(gw.url + "/-/health") as answer:
                assert answer.status == 404


async def test_a_stop_lets_running_streams_finish() -> None:
    slow = Scripted(chunks=chat_stream("a", "b", "c"), between=0.1)
    config = 'providers: {{up: {{format: openai-chat, base_url: "{}/v1", accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream([slow]) as up:
        async with gateway(config.format(up.url)) as gw, aiohttp.ClientSession() as session:
            path, body = call("openai-chat", "up/m", stream=True)
            answer = await session.post(gw.url + path, json=body)
            stopping = asyncio.ensure_future(gw.gateway.stop())
            text = await answer.text()
            await stopping
            assert text.endswith("data: [DONE]\n\n")
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post(gw.url + path, json=body)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


@contextlib.contextmanager
def process(config: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "omniroute", "serve", "-c", str(config)],
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)


def up(url: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            get(url + "/-/health")
            return
        time.sleep(0.1)
    raise TimeoutError(url)


def test_workers_share_a_port_reload_and_stop(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "omniroute.yaml"
    text = f"version: 1\nserver: {{listen: '127.0.0.1:{port}', workers: 2}}\nproviders: {{demo: {{}}}}\n"
    config.write_text(text)
    url = f"http://127.0.0.1:{port}"
    with process(config) as running:
        up(url)
        before = get(url + "/-/health")["config"]
        config.write_text(text + "combos: {mine: [demo/demo]}\n")
        running.send_signal(signal.SIGHUP)
        end = time.monotonic() + 15
        seen: set[str] = set()
        while time.monotonic() < end and len(seen) < 20:
            tag = get(url + "/-/health")["config"]
            seen = seen | {str(len(seen))} if tag != before else set()
            time.sleep(0.02)
        assert len(seen) == 20, "every answer comes from the new configuration"
    assert running.returncode == 0


@pytest.mark.parametrize(
    "config, open_to_all",
    [
        ("version: 1", True),
        ("version: 1\nkeys: {a: {key: k}}", False),
        ("version: 1\nauth: {required: false}", False),
    ],
)
async def test_a_gateway_without_keys_is_not_opened_by_accident(
    config: str, open_to_all: bool, tmp_path: Path
) -> None:
    path = tmp_path / "omniroute.yaml"
    path.write_text(config)
    gateway = Gateway(path, env={}, listen=("0.0.0.0:0",), watch=False)
    if open_to_all:
        with pytest.raises(ConfigError, match="can be reached from other machines"):
            await gateway.start()
        return
    await gateway.start()
    await gateway.stop()


def test_a_bad_file_at_the_start_is_fatal_and_says_where(tmp_path: Path) -> None:
    config = tmp_path / "omniroute.yaml"
    config.write_text("version: 1\nprovidrs: {}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "omniroute", "serve", "-c", str(config)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert "omniroute.yaml:2:1" in ended.stderr
    assert "providers" in ended.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "omniroute", "serve", "-c", str(tmp_path / "none.yaml")],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert missing.returncode == 2


async def test_limits_of_headers_and_connections() -> None:
    config = "server: {limits: {headers: 2KiB, connections: 2}}\nproviders: {demo: {}}"
    path, body = call("openai-chat", "demo")
    async with gateway(config) as gw, aiohttp.ClientSession() as session:
        async with session.post(gw.url + path, json=body, headers={"X-Pad": "x" * 3000}) as answer:
            assert answer.status == 431
        idle = [await asyncio.open_connection("127.0.0.1", int(gw.url.rpartition(":")[2])) for _ in range(2)]
        async with session.post(gw.url + path, json=body) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()

        async def served() -> bool:
            return (await post(gw, path, body))[0] == 200

        await until(served)
