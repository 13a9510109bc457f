"""A reload of 200 providers with 500 models under a steady load: how long it takes, and how long a request waited.

python benchmarks/reload.py          prints JSON
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

PROVIDERS, MODELS = 200, 500
RATE = 200
"""Requests per second of the load."""
RELOADS = 5


def config(listen: str, edition: int) -> str:
    lines = [
        "version: 1",
        f"server: {{listen: '{listen}'}}",
        "store: memory",
        "log: {level: error}",
        "keys: {bench: {key: bench-key-0123456789, scopes: [use, admin]}}",
        "providers:",
        "  demo: {}",
    ]
    models = [[f"m{n}" for n in range(p, MODELS, PROVIDERS)] for p in range(PROVIDERS)]
    for number, names in enumerate(models):
        listed = ", ".join(f"{name}: {{context: {128_000 + edition}}}" for name in names)
        lines.append(
            f"  p{number}: {{format: openai-chat, base_url: 'https://p{number}.example/v1', models: {{{listed}}}, "
            f"accounts: {{a: {{key: key-a-{number}}}, b: {{key: key-b-{number}}}}}}}"
        )
    return "\n".join(lines) + "\n"


def write(file: Path, port: int, edition: int) -> None:
    file.write_text(config(f"127.0.0.1:{port}", edition))


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file, port = Path(folder, "omniroute.yaml"), 20142
        write(file, port, 0)
        command = [sys.executable, "-m", "omniroute", "serve", "--no-watch", "--config", str(file)]
        quiet = subprocess.DEVNULL
        running = subprocess.Popen(command, env=os.environ, stdout=quiet, stderr=quiet)
        try:
            return asyncio.run(_against(file, port))
        finally:
            running.terminate()
            running.wait()


async def _against(file: Path, port: int) -> dict[str, Any]:
    url, headers = f"http://127.0.0.1:{port}", {"Authorization": "Bearer bench-key-0123456789"}
    async with aiohttp.ClientSession(headers=headers) as session:
        await _up(session, url)
        return await _measured(session, url, file, port)


async def _up(session: aiohttp.ClientSession, url: str) -> None:
    for _ in range(500):
        try:
            async with session.get(url + "/-/health"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)
    raise TimeoutError(url)


async def _measured(session: aiohttp.ClientSession, url: str, file: Path, port: int) -> dict[str, Any]:
    waits: list[tuple[float, float]] = []
    done = asyncio.Event()

    async def ask() -> None:
        began = time.perf_counter()
        body = {"model": "demo/demo-fast", "messages": [{"role": "user", "content": "hi"}]}
        async with session.post(url + "/v1/chat/completions", json=body) as answer:
            await answer.read()
        waits.append((began, time.perf_counter() - began))

    async def load() -> None:
        async with asyncio.TaskGroup() as tasks:
            while not done.is_set():
                tasks.create_task(ask())
                await asyncio.sleep(1 / RATE)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load())
        await asyncio.sleep(1)
        took, spans = [], []
        for edition in range(1, RELOADS + 1):
            write(file, port, edition)
            began = time.perf_counter()
            async with session.post(url + "/-/reload") as answer:
                result = await answer.json()
            spans.append((began, time.perf_counter()))
            assert result["ok"], result
            took.append(result["seconds"] * 1000)
            await asyncio.sleep(0.5)
        done.set()
    meanwhile = [w for at, w in waits if any(a - 0.01 <= at <= b for a, b in spans)]
    usual = [w for at, w in waits if not any(a - 0.1 <= at <= b + 0.1 for a, b in spans)]
    return {
        "reload_ms": round(statistics.median(took), 1),
        "longest_ms": round(max(meanwhile) * 1000, 1),
        "usual_p50_ms": round(statistics.median(usual) * 1000, 2),
        "usual_longest_ms": round(max(usual) * 1000, 1),
        "requests_meanwhile": len(meanwhile),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
