"""Several processes on one store: what each sees of the others, and what happens when the store goes and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from omniroute.state.link import Link
from omniroute.state.memory import MemoryStore
from omniroute.state.replica import Replica
from omniroute.state.shared import Heard
from omniroute.state.shelf import Shelf
from omniroute.state.store import Change, News, StoreAway
from tests.state.conftest import Now


class Moody(MemoryStore):
    """A store that can be away, lose its data, and make a change without saying so."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.away = False
        self.swallows_answers = False
        self.exchanged = 0

    def loses_everything(self) -> None:
        MemoryStore.__init__(self, self._clock)

    async def load(self) -> News:
        self._reached()
        return await super().load()

    async def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        self._reached()
        self.exchanged += 1
        news = await super().exchange(origin, writes, since)
        if self.swallows_answers:
            raise StoreAway("the connection broke")
        return news

    def _reached(self) -> None:
        if self.away:
            raise StoreAway("it is away")


class Process:
    """One of several that share a store."""

    def __init__(self, store: MemoryStore, now: Now, name: str) -> None:
        self.replica = Replica(now, name)
        self.shelf = Shelf(now)
        self.link = Link(store, self.replica, self.shelf, now)
        self.heard: list[Heard] = []
        self.replica.watch("", self.heard.append)

    def said(self) -> list[tuple[Any, ...]]:
        return [(h.verb, h.key, h.value if h.verb == "put" else h.amount) for h in self.heard]


@asynccontextmanager
async def processes(store: MemoryStore, now: Now, *names: str) -> AsyncIterator[list[Process]]:
    running = [Process(store, now, name) for name in names]
    for process in running:
        await process.link.start()
    try:
        yield running
    finally:
        for process in running:
            await process.link.stop()


async def until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # what is waited for happens in a store
            await asyncio.sleep(0.005)


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def store(now: Now) -> Moody:
    return Moody(now)


async def test_writes_are_seen_here_at_once_and_there_soon(store: Moody, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.put("r", b"1", ttl=60)
        assert (a.replica.add("c", 2, ttl=60), a.replica.get("r")) == (2, b"1")
        a.replica.signal("s", 3)
        await until(lambda: len(b.heard) == 3)
        assert b.said() == [("put", "r", b"1"), ("add", "c", 2.0), ("signal", "s", 3.0)]
        assert b.heard[0].ttl == pytest.approx(60)
        assert (b.replica.get("r"), b.replica.total("c")) == (b"1", 2)
        assert b.replica.add("c", 5, ttl=60) == 7
        await until(lambda: a.replica.total("c") == 7)
        b.replica.drop("r")
        await until(lambda: a.replica.get("r") is None)
        assert a.said() == [("add", "c", 7.0), ("drop", "r", 0.0)]


async def test_a_burst_goes_out_as_one(store: Moody, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        before = store.exchanged
        for _ in range(1_000):
            a.replica.add("c", 1, ttl=None)
            a.replica.put("r", b"x", ttl=None)
            a.replica.signal("s", 1)
        await until(lambda: b.replica.total("c") == 1_000 and len(b.heard) >= 3)
        assert store.exchanged - before < 30
        assert ("signal", "s", 1_000.0) in b.said()
        assert len(b.heard) < 10


async def test_who_starts_later_is_told_what_there_is(store: Moody, now: Now) -> None:
    async with processes(store, now, "A"):
        pass
    async with processes(store, now, "A2") as (first,):
        first.replica.put("cooldown/x", b"1", ttl=60)
        first.replica.add("used/y", 3, ttl=60)
    async with processes(store, now, "B") as (b,):
        assert b.said() == [("put", "cooldown/x", b"1"), ("add", "used/y", 3.0)]
        assert b.replica.add("used/y", 1, ttl=60) == 4


async def test_listeners_hear_only_their_keys(store: Moody, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        some: list[Heard] = []
        b.replica.watch("cooldown/", some.append)
        a.replica.put("sticky/x", b"1", ttl=None)
        a.replica.put("cooldown/x", b"2", ttl=None)
        await until(lambda: some)
        assert [h.key for h in some] == ["cooldown/x"]


async def test_a_counter_ends_for_all_with_the_first_addition(store: Moody, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 1, ttl=10)
        await until(lambda: b.replica.total("c") == 1)
        now.time += 6
        b.replica.add("c", 1, ttl=10)
        await until(lambda: a.replica.total("c") == 2)
        now.time += 5
        assert (a.replica.total("c"), b.replica.total("c")) == (0, 0)
        assert b.replica.add("c", 7, ttl=10) == 7
        await until(lambda: a.replica.total("c") == 7)


async def test_a_dropped_counter_begins_anew_for_all(store: Moody, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 10, ttl=None)
        b.replica.add("c", 5, ttl=None)
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 15)
        await until(lambda: not a.replica.behind and not b.replica.behind)
        b.replica.drop("c")
        assert b.replica.total("c") == 0
        await until(lambda: a.replica.total("c") == 0)
        a.replica.add("c", 1, ttl=None)
        b.replica.add("c", 1, ttl=None)
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 2)


async def test_an_addition_that_crosses_a_drop_is_kept(store: Moody, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 10, ttl=None)
        await until(lambda: b.replica.total("c") == 10)
        b.replica.drop("c")
        a.replica.add("c", 2, ttl=None)
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 2)


async def test_a_store_that_is_away_stops_nobody(
    store: Moody, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "omniroute")
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 1, ttl=None)
        await until(lambda: b.replica.total("c") == 1)
        store.away = True
        await until(lambda: a.link.health.state == b.link.health.state == "away")
        now.time += 5
        for _ in range(100):
            a.replica.add("c", 1, ttl=None)
            b.replica.add("c", 1, ttl=None)
        a.replica.put("r", b"1", ttl=60)
        assert (a.replica.total("c"), b.replica.total("c"), a.replica.get("r")) == (101, 101, b"1")
        assert (a.link.health.behind, a.link.health.why) == (2, "it is away")
        store.away = False
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 201)
        await until(lambda: b.replica.get("r") == b"1" and a.link.health.state == "connected")
        assert a.link.health.behind == 0
        assert a.link.health.since == now.time
    told = [r.getMessage() for r in caplog.records if r.name == "omniroute"]
    assert told.count("the store (memory) is away, going on without it: it is away") == 2
    assert told.count("the store (memory) is catching up") == 2
    assert told.count("the store (memory) is connected") == 4


@pytest.mark.parametrize("lost", [False, True], ids=["with-its-data", "empty"])
async def test_answers_that_are_lost_count_once(store: Moody, now: Now, lost: bool) -> None:
    """The change was made, and nobody was told: it must neither be lost nor made twice."""
    async with processes(store, now, "A", "B", "C") as (a, b, c):
        for process in (a, b, c):
            process.replica.add("c", 10, ttl=None)
        await until(lambda: all(p.replica.total("c") == 30 for p in (a, b, c)))
        store.swallows_answers = True
        a.replica.add("c", 1, ttl=None)
        b.replica.add("c", -2, ttl=None)
        await until(lambda: a.link.health.state == b.link.health.state == "away")
        if lost:
            store.loses_everything()
        store.swallows_answers = False
        c.replica.add("c", 100, ttl=None)
        await until(lambda: all(p.replica.total("c") == 129 for p in (a, b, c)))
        await until(lambda: all(p.link.health.state == "connected" for p in (a, b, c)))
        assert [p.replica.total("c") for p in (a, b, c)] == [129, 129, 129]
    held = {change.origin: change.amount for change in (await store.load()).changes}
    assert held == {"A": 11, "B": 8, "C": 110}


async def test_a_store_that_lost_its_data_gets_it_back(store: Moody, now: Now) -> None:
    async with processes(store, now, "gone") as (gone,):
        gone.replica.add("c", 1_000, ttl=None)
        gone.replica.put("permanent", b"rest", ttl=None)
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 1, ttl=None)
        b.replica.put("mine", b"B", ttl=60)
        await until(lambda: b.replica.total("c") == 1_001 and a.replica.get("mine") == b"B")
        store.loses_everything()
        await until(lambda: store._counters and len(store._records) == 2)
        b.replica.add("c", 1, ttl=None)
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 1_002)
        async with processes(store, now, "C") as (c,):
            assert c.replica.total("c") == 1_002
            assert (c.replica.get("permanent"), c.replica.get("mine")) == (b"rest", b"B")


async def test_what_was_dropped_while_the_store_was_away_stays_dropped(store: Moody, now: Now) -> None:
    """A heals what B still believes to rest, and the store comes back empty: B must not bring the rest back."""
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.put("cooldown/x", b"1", ttl=None)
        await until(lambda: b.replica.get("cooldown/x") == b"1")
        store.away = True
        await until(lambda: a.link.health.state == b.link.health.state == "away")
        a.replica.drop("cooldown/x")
        store.loses_everything()
        store.away = False
        await until(lambda: b.replica.get("cooldown/x") is None and not a.link.health.behind)
        await until(lambda: a.link.health.state == b.link.health.state == "connected")
    assert (await store.load()).changes == []


async def test_who_missed_too_much_loads_again(
    store: Moody, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.put("old", b"1", ttl=None)
        a.replica.add("gone", 5, ttl=None)
        await until(lambda: b.replica.get("old") == b"1" and b.replica.total("gone") == 5)
        for process in (a, b):
            await process.link.stop()
        writes = [Change("drop", "old"), Change("drop", "gone")]
        writes += [Change("put", f"k{i % 10}", b"x") for i in range(12_000)]
        await store.exchange("C", writes, 0)
        again = Link(store, b.replica, b.shelf, now)
        again._incarnation, again._cursor = b.link._incarnation, b.link._cursor
        await again.start()
        assert (b.replica.get("old"), b.replica.total("gone"), b.replica.get("k9")) == (None, 0, b"x")
        await again.stop()


async def test_a_start_does_not_wait_for_ever(store: Moody, now: Now) -> None:
    store.away = True
    async with processes(store, now, "A") as (a,):
        assert a.link.health.state == "away"
        a.replica.add("c", 1, ttl=None)
        store.away = False
        await until(lambda: a.link.health.state == "connected" and not a.link.health.behind)
    assert [(c.key, c.amount) for c in (await store.load()).changes] == [("c", 1.0)]


async def test_a_stop_sends_what_is_left(store: Moody, now: Now) -> None:
    async with processes(store, now, "A") as (a,):
        for number in range(2_000):
            a.replica.put(f"k{number}", b"x", ttl=None)
        a.shelf.put_soon("blob", b"y", ttl=60)
    assert len((await store.load()).changes) == 2_000
    assert await store.get("blob") == b"y"


async def test_the_copy_is_bounded(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniroute.state.replica.LARGEST", 2_000)
    replica = Replica(now)
    for number in range(5_000):
        replica.put(f"r{number}", b"x", ttl=None)
        replica.add(f"c{number}", 1, ttl=None)
    assert len(replica._records) <= 2_000 and len(replica._counters) <= 2_000
    assert replica.get("r4999") == b"x" and replica.total("c4999") == 1
    short = Replica(now)
    for number in range(5_000):
        now.time += 1
        short.put(f"r{number}", b"x", ttl=10)
        short.add(f"c{number}", 1, ttl=10)
    assert len(short._records) <= 1_001 and len(short._counters) <= 1_001
