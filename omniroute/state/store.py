"""What a store offers: records and counters that several processes share, a log of changes, and blobs.

A process keeps a copy of all records and counters (`state/replica.py`) and, in one round trip, says what it changed
and hears what the others did. Nothing here is a delta: a counter is the sum of what each process (its `origin`) has
contributed so far, so that a write that is sent twice, or again after the store has lost its data, changes nothing.

Times to live are in seconds from now, in both directions: clocks of different machines are never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from omniroute.registry import Registry


class StoreAway(Exception):
    """The store cannot be used now. The text says why, and holds no secret."""


class StoreUnusable(Exception):
    """The store can never be used as it is written. The text says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a record, a counter, or nothing that is kept.

    put      `value` is the record's, the last writer wins; with `absent` only if there is none
    drop     the record or counter is gone
    count    `origin` has contributed `amount` to the counter so far; the highest `version` counts
    signal   `amount` is told to the others and kept nowhere
    """

    verb: Literal["put", "drop", "count", "signal"]
    key: str
    value: bytes = b""
    amount: float = 0.0
    origin: str = ""
    version: int = 0
    ttl: float | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What others changed since a cursor, in order.

    `life` names the life of the data: another one means that it was lost, and began anew. `run` names that of the
    server: another one means that the last moments may have been lost. `gap`: changes in between have been forgotten,
    load again. `more`: there are more to fetch right now.
    """

    life: str
    cursor: int
    changes: list[Change] = field(default_factory=list)
    gap: bool = False
    more: bool = False
    run: str = ""


class Blobs(Protocol):
    """Large values, looked up one by one: cached answers, kept responses."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, ttl: float) -> None: ...

    async def drop(self, key: str) -> bool:
        """Whether there was one."""
        ...


class Store(Blobs, Protocol):
    """All calls raise `StoreAway`; after that the next call tries anew."""

    kind: str
    """Its name, as in `store:`."""
    alone: bool
    """Whether nobody else can see it."""
    pace: float
    """Seconds between two looks at what others did."""

    async def load(self) -> News:
        """All records (as `put`) and contributions (as `count`) that live, and where the log is."""
        ...

    async def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        """Make these changes, all or none, and tell what others than `origin` changed since the cursor."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Address:
    """`store:` as it is written, taken apart. `folder` is what relative paths are relative to."""

    url: str
    folder: Path
    clock: Callable[[], float]

    @property
    def scheme(self) -> str:
        return self.url.partition(":")[0]

    @property
    def rest(self) -> str:
        return self.url.partition(":")[2]


class Opener(Protocol):
    """What a component of the kind `store` offers."""

    def lacks(self) -> str | None:
        """What has to be installed before it can be used, in words; None when nothing."""
        ...

    def open(self, address: Address) -> Store:
        """Without I/O that waits. Raises `StoreUnusable`."""
        ...


def open_store(address: Address, registry: Registry) -> Store:
    """The store that an address names. Raises `StoreUnusable`."""
    declaration = registry.find("store", address.scheme)
    if declaration is None:
        raise StoreUnusable(f"there is no store {address.scheme!r}")
    opener: Opener = declaration.cls()
    lacks = opener.lacks()
    if lacks is not None:
        raise StoreUnusable(lacks)
    return opener.open(address)
