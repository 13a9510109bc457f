"""`store: sqlite:PATH`: state survives the process, and is shared by all processes of one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from omniroute.declare import Options, store
from omniroute.state.database import Database
from omniroute.state.store import Address, Change, News, StoreUnusable

T = TypeVar("T")


@store("sqlite", example="sqlite:~/.omniroute/state.db")
class Sqlite(Options, frozen=True, kw_only=True):
    """State survives a restart (a crash costs a second of it at the most), and the workers of one machine share it.

    `sqlite:PATH`; a relative path is relative to `server.data_dir`, and without one the file is `state.db` there. The
    file is made if it is missing, readable by its owner alone. It belongs on a disk of this machine: on network file
    systems SQLite's locks are not to be trusted.
    """

    def lacks(self) -> str | None:
        return None

    def open(self, address: Address) -> SqliteStore:
        written = address.rest.removeprefix("//")
        path = address.folder / Path(written or "state.db").expanduser()
        if path.is_dir():
            raise StoreUnusable(f"{path} is a folder: `sqlite:` needs a file")
        return SqliteStore(Database(path, address.clock))


class SqliteStore:
    """One thread does all the work, so that no wait for the disk or for a lock holds up a request."""

    kind = "sqlite"
    alone = False
    pace = 0.1

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="omniroute-sqlite")

    async def load(self) -> News:
        return await self._do(self._database.load)

    async def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        return await self._do(self._database.exchange, origin, writes, since)

    async def get(self, key: str) -> bytes | None:
        return await self._do(self._database.get, key)

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        await self._do(self._database.put, key, value, ttl)

    async def drop(self, key: str) -> bool:
        return await self._do(self._database.drop, key)

    async def close(self) -> None:
        await self._do(self._database.close)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
