"""The SQLite file: who may read it, what happens when it is damaged, too new, or gone, and who else writes to it."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from omniroute.state.database import MIGRATIONS
from omniroute.state.sqlite import SqliteStore
from omniroute.state.store import Address, Change, StoreAway, StoreUnusable, open_store
from tests.state.conftest import REGISTRY, Now

KEPT = [Change("put", "r", b"1"), Change("count", "c", amount=2.5, origin="A", version=1)]


def opened(written: str, folder: Path) -> SqliteStore:
    store = open_store(Address(written, folder, Now()), REGISTRY)
    assert isinstance(store, SqliteStore)
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.db"


async def keep(path: Path) -> None:
    store = opened(f"sqlite:{path}", path.parent)
    await store.exchange("A", KEPT, 0)
    await store.close()


async def held(path: Path) -> set[str]:
    store = opened(f"sqlite:{path}", path.parent)
    found = {change.key for change in (await store.load()).changes}
    await store.close()
    return found


@pytest.mark.parametrize(
    "written, file", [("sqlite:", "state.db"), ("sqlite:x/y.db", "x/y.db"), ("sqlite", "state.db")]
)
async def test_relative_paths_are_in_the_data_folder(written: str, file: str, tmp_path: Path) -> None:
    store = opened(written, tmp_path)
    await store.load()
    await store.close()
    assert (tmp_path / file).is_file()


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    store = opened(f"sqlite:{path}", path.parent)
    await store.exchange("A", KEPT, 0)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await store.close()


async def test_what_was_kept_is_there_again(path: Path) -> None:
    await keep(path)
    assert await held(path) == {"r", "c"}


def spoil(path: Path, damage: bytes | None) -> None:
    """Other contents, or all but the beginning overwritten."""
    whole = path.read_bytes()
    path.write_bytes(damage if damage is not None else whole[:200] + b"\xff" * (len(whole) - 200))


@pytest.mark.parametrize("damage", [b"this is no database at all" * 100, None], ids=["foreign", "torn"])
async def test_a_damaged_file_is_moved_aside(
    path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(path)
    spoil(path, damage)
    store = opened(f"sqlite:{path}", path.parent)
    with pytest.raises(StoreAway, match=r"state\.db: "):
        for _ in range(2):
            await store.load()
            await store.exchange("A", KEPT, 0)
    assert (await store.load()).changes == []
    await store.exchange("A", KEPT, 0)
    assert len((await store.load()).changes) == 2
    await store.close()
    aside = [p.name for p in path.parent.iterdir() if ".damaged-" in p.name]
    assert len([name for name in aside if not name.endswith(("-wal", "-shm"))]) == 1
    assert "is damaged" in caplog.text and aside[0].split("-wal")[0] in caplog.text


async def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    await keep(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    store = opened(f"sqlite:{path}", path.parent)
    with pytest.raises(
        StoreUnusable, match=rf"newer version \(schema 99; this one knows {len(MIGRATIONS)}\)"
    ):
        await store.load()
    await store.close()


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="is a folder"):
        opened(f"sqlite:{tmp_path}", tmp_path)


async def test_a_file_that_is_replaced_is_another_life(path: Path) -> None:
    store = opened(f"sqlite:{path}", path.parent)
    before = await store.exchange("A", KEPT, 0)
    for part in list(path.parent.iterdir()):
        part.unlink()
    after = await store.exchange("A", [], before.cursor)
    assert after.life != before.life
    assert after.gap
    await store.close()


async def test_a_file_that_cannot_be_made_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = opened("sqlite:file/state.db", tmp_path)
    with pytest.raises(StoreAway, match="cannot be used"):
        await store.load()
    await store.close()


async def test_many_writers_at_once(path: Path) -> None:
    stores = [opened(f"sqlite:{path}", path.parent) for _ in range(4)]

    async def write(number: int, store: SqliteStore) -> None:
        for version in range(1, 51):
            await store.exchange(
                f"P{number}", [Change("count", "c", amount=version, origin=f"P{number}", version=version)], 0
            )

    await asyncio.gather(*(write(number, store) for number, store in enumerate(stores)))
    counts = {c.origin: c.amount for c in (await stores[0].load()).changes}
    assert counts == {f"P{n}": 50 for n in range(4)}
    news = await stores[1].exchange("another", [], 0)
    assert (len(news.changes), news.cursor) == (200, 200)
    for store in stores:
        await store.close()


@pytest.mark.parametrize("turn", range(8))
async def test_many_may_open_a_new_file_at_once(path: Path, turn: int) -> None:
    stores = [opened(f"sqlite:{path}", path.parent) for _ in range(8)]
    await asyncio.gather(*(store.load() for store in stores))
    for store in stores:
        await store.close()


async def test_large_values_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniroute.state.database.BLOB_BYTES", 10_000)
    store = opened(f"sqlite:{path}", path.parent)
    for number in range(200):
        await store.put(f"b{number}", b"x" * 100, ttl=60)
    held = [number for number in range(200) if await store.get(f"b{number}") is not None]
    assert held[-1] == 199 and 60 <= len(held) <= 180
    assert held == list(range(held[0], 200)), "the oldest went"
    await store.close()
