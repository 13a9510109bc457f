"""The SQLite file behind `store: sqlite:PATH`, as one thread sees it. Times are epoch seconds of this machine."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from omniroute.state.store import Change, News, StoreAway, StoreUnusable

log = logging.getLogger("omniroute")

LOG = 10_000
"""Changes remembered for those who come to ask."""
BATCH = 2_000
"""Changes told at once."""
SWEEP = 256
"""After so many writes, what is over is deleted."""
BLOB_BYTES = 512 * 2**20
"""Large values in all; the oldest go first."""
BUSY = 5.0
"""Seconds to wait for another process that writes."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records(key TEXT PRIMARY KEY, value BLOB NOT NULL, ends REAL) WITHOUT ROWID;
    CREATE TABLE counters(
        key TEXT NOT NULL, origin TEXT NOT NULL, amount REAL NOT NULL, version INTEGER NOT NULL, ends REAL,
        PRIMARY KEY(key, origin)
    ) WITHOUT ROWID;
    CREATE TABLE log(
        seq INTEGER PRIMARY KEY AUTOINCREMENT, author TEXT NOT NULL, verb TEXT NOT NULL, key TEXT NOT NULL,
        value BLOB NOT NULL, amount REAL NOT NULL, origin TEXT NOT NULL, version INTEGER NOT NULL, ends REAL
    );
    CREATE TABLE blobs(number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, value BLOB NOT NULL, ends REAL NOT NULL);
    """,
)
"""One script for each version of the schema; `user_version` says how many have run."""


class Database:
    """All calls come from one thread. What SQLite refuses for now is raised as `StoreAway`; a damaged file is moved
    aside and a new one begun."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._life = ""
        self._seen: tuple[int, int] | None = None
        """The cursor and SQLite's data version of the last look: both the same means no news."""
        self._writes = 0

    # ── the verbs of a store ─────────────────────────────────────────────────────────────────────

    def load(self) -> News:
        with self._open() as db, _transaction(db, "DEFERRED"):
            now = self._clock()
            records = [
                Change("put", key, value=value, ttl=_left(ends, now))
                for key, value, ends in db.execute(
                    "SELECT key, value, ends FROM records WHERE ends IS NULL OR ends > ?", (now,)
                )
            ]
            counts = [
                Change("count", key, amount=amount, origin=origin, version=version, ttl=_left(ends, now))
                for key, origin, amount, version, ends in db.execute(
                    "SELECT key, origin, amount, version, ends FROM counters WHERE ends IS NULL OR ends > ?",
                    (now,),
                )
            ]
            return News(self._life, _last(db), [*records, *counts])

    def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        with self._open() as db:
            looked = (since, _version(db))
            if not writes and looked == self._seen:
                return News(self._life, since)
            with _transaction(db, "IMMEDIATE" if writes else "DEFERRED"):
                for write in writes:
                    self._write(db, origin, write)
                if writes:
                    self._sweep(db, len(writes))
                news = self._news(db, origin, since)
            self._seen = None if news.more or news.gap else (news.cursor, looked[1])
            return news

    def get(self, key: str) -> bytes | None:
        with self._open() as db:
            found = db.execute(
                "SELECT value FROM blobs WHERE key = ? AND ends > ?", (key, self._clock())
            ).fetchone()
            return found[0] if found is not None else None

    def put(self, key: str, value: bytes, ttl: float) -> None:
        with self._open() as db, _transaction(db, "IMMEDIATE"):
            db.execute("DELETE FROM blobs WHERE key = ?", (key,))
            db.execute(
                "INSERT INTO blobs(key, value, ends) VALUES (?, ?, ?)", (key, value, self._clock() + ttl)
            )
            self._sweep(db, 4)

    def drop(self, key: str) -> bool:
        with self._open() as db:
            found = db.execute("DELETE FROM blobs WHERE key = ? RETURNING ends", (key,)).fetchone()
            return found is not None and found[0] > self._clock()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    # ── writing and reading ──────────────────────────────────────────────────────────────────────

    def _write(self, db: sqlite3.Connection, author: str, write: Change) -> None:
        now = self._clock()
        ends = None if write.ttl is None else now + write.ttl
        if not self._apply(db, write, ends, now):
            return
        db.execute(
            "INSERT INTO log(author, verb, key, value, amount, origin, version, ends) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (author, write.verb, write.key, write.value, write.amount, write.origin, write.version, ends),
        )

    def _apply(self, db: sqlite3.Connection, write: Change, ends: float | None, now: float) -> bool:
        """Whether it changed something that others should hear of."""
        match write.verb:
            case "put":
                where = " WHERE ends <= ?" if write.absent else ""
                made = db.execute(
                    "INSERT INTO records(key, value, ends) VALUES (?, ?, ?)"
                    f" ON CONFLICT DO UPDATE SET value = excluded.value, ends = excluded.ends{where}",
                    (write.key, write.value, ends, *((now,) if write.absent else ())),
                )
                return made.rowcount > 0
            case "count":
                made = db.execute(
                    "INSERT INTO counters(key, origin, amount, version, ends) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET amount = excluded.amount, version = excluded.version,"
                    " ends = excluded.ends WHERE version < excluded.version",
                    (write.key, write.origin, write.amount, write.version, ends),
                )
                return made.rowcount > 0
            case "drop":
                db.execute("DELETE FROM records WHERE key = ?", (write.key,))
                db.execute("DELETE FROM counters WHERE key = ?", (write.key,))
        return True

    def _news(self, db: sqlite3.Connection, origin: str, since: int) -> News:
        last = _last(db)
        first = db.execute("SELECT min(seq) FROM log").fetchone()[0]
        if since > last or (since < last and (first is None or since + 1 < first)):
            return News(self._life, last, gap=True)
        now = self._clock()
        rows = db.execute(
            "SELECT seq, verb, key, value, amount, origin, version, ends FROM log"
            " WHERE seq > ? AND author <> ? ORDER BY seq LIMIT ?",
            (since, origin, BATCH),
        ).fetchall()
        changes = [
            Change(verb, key, value, amount, of, version, _left(ends, now))
            for _, verb, key, value, amount, of, version, ends in rows
        ]
        more = len(rows) == BATCH
        return News(self._life, rows[-1][0] if more else last, changes, more=more)

    def _sweep(self, db: sqlite3.Connection, writes: int) -> None:
        """Now and then, delete what is over and what is too much."""
        self._writes += writes
        if self._writes < SWEEP:
            return
        self._writes = 0
        now = self._clock()
        for table in ("records", "counters", "blobs"):
            db.execute(f"DELETE FROM {table} WHERE ends <= ?", (now,))
        db.execute("DELETE FROM log WHERE seq <= ?", (_last(db) - LOG,))
        db.execute(
            "DELETE FROM blobs WHERE number IN (SELECT number FROM (SELECT number, sum(length(value))"
            " OVER (ORDER BY number DESC) AS size FROM blobs) WHERE size > ?)",
            (BLOB_BYTES,),
        )

    # ── the file ─────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection()
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:
                # Not "busy" or "full", which are classes of their own: the file itself is no (whole) database.
                self._move_aside(error)
            raise StoreAway(f"{self._path.name}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None and self._inode == _inode(self._path):
            return self._db
        self.close()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreAway(f"{self._path} cannot be used: {error.strerror}") from error
        self._inode = _inode(self._path)
        db = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._db = db
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        _write_ahead(db)
        db.execute("PRAGMA synchronous = NORMAL")
        self._migrate(db)
        db.execute("INSERT OR IGNORE INTO meta VALUES ('life', ?)", (uuid4().hex,))
        found = db.execute("SELECT value FROM meta WHERE name = 'life'").fetchone()
        self._life = str(found[0])
        self._seen = None

    def _migrate(self, db: sqlite3.Connection) -> None:
        if _schema(db) == len(MIGRATIONS):
            return
        with _transaction(db, "IMMEDIATE"):
            # Another process may have done it in the meantime.
            done = _schema(db)
            if done > len(MIGRATIONS):
                raise StoreUnusable(
                    f"{self._path} was made by a newer version (schema {done}; this one knows {len(MIGRATIONS)})"
                )
            for script in MIGRATIONS[done:]:
                for statement in filter(str.strip, script.split(";")):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        """Unless another process has done so already."""
        self.close()
        if self._inode != _inode(self._path):
            return
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
        for suffix in ("-wal", "-shm", ""):
            part = self._path.with_name(self._path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        log.error("%s is damaged (%s): it is kept as %s, and a new one begun", self._path, error, aside.name)


def _write_ahead(db: sqlite3.Connection) -> None:
    """Waits for others that open the same new file: for this one step SQLite gives up at once instead of waiting."""
    until = time.monotonic() + BUSY
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def _transaction(db: sqlite3.Connection, kind: str) -> Iterator[None]:
    db.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _last(db: sqlite3.Connection) -> int:
    """The number of the latest change, whether or not it is still remembered."""
    found: Any = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
    return int(found[0]) if found is not None else 0


def _version(db: sqlite3.Connection) -> int:
    """Changes when another connection has written."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def _schema(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1


def _left(ends: float | None, now: float) -> float | None:
    return None if ends is None else max(ends - now, 0.0)
