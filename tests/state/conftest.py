"""The three stores, each as two processes would see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from omniroute.registry import load
from omniroute.state.memory import MemoryStore
from omniroute.state.store import Address, Store, open_store
from tests.support.redis_server import RedisServer

REGISTRY = load(plugins=False)


class Now:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class World:
    """One store, seen by two."""

    kind: str
    now: Now
    one: Store
    two: Store

    async def passes(self, seconds: float) -> None:
        """Redis has a clock of its own."""
        self.now.time += seconds
        if self.kind == "redis":
            await asyncio.sleep(seconds)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    now = Now()
    if request.param == "memory":
        same = MemoryStore(now)
        yield World("memory", now, same, same)
        return
    if request.param == "sqlite":
        url = "sqlite:state.db"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        url = f"{server.url}?prefix={uuid4().hex}"
    one, two = (open_store(Address(url, tmp_path, now), REGISTRY) for _ in range(2))
    yield World(request.param, now, one, two)
    await one.close()
    await two.close()
