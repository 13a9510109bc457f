"""Shared by all tests: `UPDATE_GOLDEN=1` rewrites golden files instead of comparing."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator

import pytest

from tests.support import properties
from tests.support.redis_server import RedisServer

properties.begin()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what is collected is garbage: thousands of tests, and all that they import. The collector leaves it alone,
    and looks only at what tests make."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture
def update_golden() -> bool:
    return os.environ.get("UPDATE_GOLDEN") == "1"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis for tests that leave it alone; those that kill one start their own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
