"""`store:` as it is written: what it opens, where, and what is told when it cannot."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from omniroute.config.load import load_text
from omniroute.errors import ConfigError
from omniroute.registry import load
from omniroute.server.storage import data_folder
from omniroute.testing import gateway
from tests.support.http import get

REGISTRY = load(plugins=False)


def told(store: str) -> list[str]:
    try:
        found = load_text(
            f"version: 1\nstore: {store}\nproviders: {{demo: {{}}}}", env={}, registry=REGISTRY
        ).findings
    except ConfigError as error:
        found = error.findings
    return [f"{f.code} {f.message}" for f in found]


@pytest.mark.parametrize(
    "store", ["memory", "sqlite", "sqlite:x.db", "sqlite:~/x.db", "redis://h", "rediss://u:p@h:1/2?prefix=x"]
)
def test_what_is_a_store(store: str) -> None:
    assert told(store) == []


def test_what_is_none() -> None:
    assert told("mongo://h") == ["OR1509 the store is none of memory, sqlite:PATH and redis://…"]


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def without(name: str, *more: Any) -> Any:
        return None if name == "redis" else real(name, *more)

    monkeypatch.setattr("omniroute.state.redis.find_spec", without)
    words = "OR1509 `store: redis://…` needs the package redis: pip install 'omniroute[redis]'"
    assert told("redis://h") == [words]


@pytest.mark.parametrize(
    "written, env, folder",
    [
        ("/data", {"OMNIROUTE_DATA_DIR": "/other"}, "/data"),
        (None, {"OMNIROUTE_DATA_DIR": "/other"}, "/other"),
        (None, {"OMNIROUTE_DATA_DIR": ""}, str(Path.home() / ".omniroute")),
        ("~/mine", {}, str(Path.home() / "mine")),
    ],
)
def test_where_the_data_folder_is(written: str | None, env: dict[str, str], folder: str) -> None:
    server = f"server: {{data_dir: {written}}}\n" if written else ""
    settings = load_text(f"version: 1\n{server}providers: {{demo: {{}}}}", env={}, registry=REGISTRY).settings
    assert data_folder(settings, env) == Path(folder)


async def test_the_data_folder_holds_the_state(tmp_path: Path) -> None:
    async with gateway(
        f"server: {{data_dir: {tmp_path}/data}}\nstore: 'sqlite:'\nproviders: {{demo: {{}}}}"
    ) as gw:
        assert (tmp_path / "data" / "state.db").is_file()
        store = (await get(gw, "/-/health"))[1]["store"]
        assert (store["kind"], store["state"], store["behind"]) == ("sqlite", "connected", 0)
        assert "why" not in store, "anybody may ask: hosts and reasons are for the admin"


async def test_memory_is_said_to_be_memory() -> None:
    async with gateway("providers: {demo: {}}") as gw:
        store = (await get(gw, "/-/health"))[1]["store"]
        assert (store["kind"], store["state"], store["behind"]) == ("memory", "connected", 0)


@pytest.mark.parametrize("store", ["redis://:secret@host:port/0", "sqlite:{folder}"])
async def test_a_store_that_can_never_be_used_refuses_the_start(store: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        async with gateway(f"store: '{store.format(folder=tmp_path)}'\nproviders: {{demo: {{}}}}"):
            raise AssertionError("it started")
    assert [f.code for f in refused.value.findings] == ["OR1509"]
    assert "secret" not in str(refused.value)


async def test_a_file_of_a_newer_version_refuses_the_start(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="newer version"):
        async with gateway(f"store: sqlite:{tmp_path}/state.db\nproviders: {{demo: {{}}}}"):
            raise AssertionError("it started")
