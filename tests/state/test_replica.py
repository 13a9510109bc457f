"""Several processes on one store: what each sees of the others, and what happens when the store goes and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from omniroute.state.cooldowns import Cooldowns
from omniroute.state.link import Link
from omniroute.state.memory import MemoryStore
from omniroute.state.replica import Replica
from omniroute.state.shared import Heard
from omniroute.state.shelf import Shelf
from omniroute.state.store import Change, News, StoreAway
from tests.state.conftest import Now
from tests.support.waiting import until


class Line:
    """One process's line to a store: it can be cut, break when there is something to send, or lose answers."""

    alone = False
    pace = 0.02

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.kind = store.kind
        self.cut = False
        self.breaks_on_writes = False
        self.loses_answers = False
        self.exchanged = 0

    async def load(self) -> News:
        self._reach()
        return await self._store.load()

    async def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        self._reach()
        if writes and self.breaks_on_writes:
            raise StoreAway("the connection broke")
        self.exchanged += 1
        news = await self._store.exchange(origin, writes, since)
        if self.loses_answers:
            raise StoreAway("the answer was lost")
        return news

    async def get(self, key: str) -> bytes | None:
        self._reach()
        return await self._store.get(key)

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        self._reach()
        await self._store.put(key, value, ttl)

    async def drop(self, key: str) -> bool:
        self._reach()
        return await self._store.drop(key)

    async def close(self) -> None:
        """Nothing is open."""

    def _reach(self) -> None:
        if self.cut:
            raise StoreAway("it is away")


class Process:
    """One of several that share a store."""

    def __init__(self, store: MemoryStore, now: Now, name: str) -> None:
        self.line = Line(store)
        self.replica = Replica(now, name)
        self.shelf = Shelf(now)
        self.link = Link(self.line, self.replica, self.shelf, now)
        self.heard: list[Heard] = []
        self.replica.watch("", self.heard.append)

    def said(self) -> list[tuple[Any, ...]]:
        return [(h.verb, h.key, h.value if h.verb == "put" else h.amount) for h in self.heard]

    @property
    def state(self) -> str:
        return self.link.health.state

    @property
    def at_rest(self) -> bool:
        return self.state == "connected" and not self.link.health.behind


@asynccontextmanager
async def processes(
    store: MemoryStore, now: Now, *names: str, cut: bool = False
) -> AsyncIterator[list[Process]]:
    running = [Process(store, now, name) for name in names]
    for process in running:
        process.line.cut = cut
        await process.link.start()
    try:
        yield running
    finally:
        for process in running:
            await process.link.stop()


def loses_everything(store: MemoryStore, now: Now) -> None:
    MemoryStore.__init__(store, now)


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def store(now: Now) -> MemoryStore:
    return MemoryStore(now)


async def test_writes_are_seen_here_at_once_and_there_soon(store: MemoryStore, now: Now) -> None:
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


async def test_a_burst_goes_out_as_one(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        before = a.line.exchanged
        for _ in range(1_000):
            a.replica.add("c", 1, ttl=None)
            a.replica.put("r", b"x", ttl=None)
            a.replica.signal("s", 1)
        await until(lambda: b.replica.total("c") == 1_000 and len(b.heard) >= 3)
        assert a.line.exchanged - before < 30
        assert ("signal", "s", 1_000.0) in b.said()
        assert len(b.heard) < 10


async def test_who_starts_later_is_told_what_there_is(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A"):
        pass
    async with processes(store, now, "A2") as (first,):
        first.replica.put("cooldown/x", b"1", ttl=60)
        first.replica.add("used/y", 3, ttl=60)
    async with processes(store, now, "B") as (b,):
        assert b.said() == [("put", "cooldown/x", b"1"), ("add", "used/y", 3.0)]
        assert b.replica.add("used/y", 1, ttl=60) == 4


async def test_listeners_hear_only_their_keys(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        some: list[Heard] = []
        b.replica.watch("cooldown/", some.append)
        a.replica.put("sticky/x", b"1", ttl=None)
        a.replica.put("cooldown/x", b"2", ttl=None)
        await until(lambda: some)
        assert [h.key for h in some] == ["cooldown/x"]


async def test_a_counter_ends_for_all_with_the_first_addition(store: MemoryStore, now: Now) -> None:
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


async def test_a_dropped_counter_begins_anew_for_all(store: MemoryStore, now: Now) -> None:
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


async def test_an_addition_that_crosses_a_drop_is_kept(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 10, ttl=None)
        await until(lambda: b.replica.total("c") == 10)
        b.replica.drop("c")
        a.replica.add("c", 2, ttl=None)
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 2)


async def test_a_store_that_is_away_stops_nobody(
    store: MemoryStore, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "omniroute")
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.add("c", 1, ttl=None)
        await until(lambda: b.replica.total("c") == 1 and a.at_rest)
        a.line.cut = b.line.cut = True
        await until(lambda: a.state == b.state == "away")
        now.time += 5
        for _ in range(100):
            a.replica.add("c", 1, ttl=None)
            b.replica.add("c", 1, ttl=None)
        a.replica.put("r", b"1", ttl=60)
        assert (a.replica.total("c"), b.replica.total("c"), a.replica.get("r")) == (101, 101, b"1")
        assert (a.link.health.behind, a.link.health.why) == (2, "it is away")
        a.line.cut = b.line.cut = False
        await until(lambda: a.replica.total("c") == b.replica.total("c") == 201)
        await until(lambda: b.replica.get("r") == b"1" and a.at_rest and b.at_rest)
        assert a.link.health.since == now.time
    told = [r.getMessage() for r in caplog.records if r.name == "omniroute"]
    assert told.count("the store (memory) is away, going on without it: it is away") == 2
    assert told.count("the store (memory) is catching up") == 2
    assert told.count("the store (memory) is connected") == 4


async def test_what_could_not_be_sent_is_sent_again(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.line.breaks_on_writes = True
        a.replica.add("c", 3, ttl=None)
        a.replica.put("r", b"1", ttl=None)
        a.replica.drop("never")
        await until(lambda: a.state == "away")
        assert (b.replica.total("c"), a.link.health.behind) == (0, 3)
        a.line.breaks_on_writes = False
        await until(lambda: b.replica.total("c") == 3 and b.replica.get("r") == b"1")
        await until(lambda: a.at_rest)


@pytest.mark.parametrize("lost", [False, True], ids=["with-its-data", "empty"])
async def test_answers_that_are_lost_count_once(store: MemoryStore, now: Now, lost: bool) -> None:
    """The change was made, and nobody was told: it must neither be lost nor made twice."""
    async with processes(store, now, "A", "B", "C") as (a, b, c):
        for process in (a, b, c):
            process.replica.add("c", 10, ttl=None)
        await until(lambda: all(p.replica.total("c") == 30 and p.at_rest for p in (a, b, c)))
        a.line.loses_answers = b.line.loses_answers = True
        a.replica.add("c", 1, ttl=None)
        b.replica.add("c", -2, ttl=None)
        await until(lambda: a.state == b.state == "away" and c.replica.total("c") == 29)
        if lost:
            loses_everything(store, now)
        a.line.loses_answers = b.line.loses_answers = False
        c.replica.add("c", 100, ttl=None)
        await until(lambda: all(p.replica.total("c") == 129 and p.at_rest for p in (a, b, c)))
    held = {change.origin: change.amount for change in (await store.load()).changes}
    assert held == {"A": 11, "B": 8, "C": 110}


async def test_a_store_that_lost_its_data_gets_it_back(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "gone") as (gone,):
        gone.replica.add("c", 1_000, ttl=None)
        gone.replica.put("permanent", b"rest", ttl=None)
    async with processes(store, now, "A") as (a,):
        a.replica.add("c", 1, ttl=None)
        a.replica.put("mine", b"A", ttl=60)
        await until(lambda: a.at_rest)
        loses_everything(store, now)
        await until(lambda: len(store._records) == 2 and len(store._counters.get("c", ())) == 2)
        a.replica.add("c", 1, ttl=None)
        async with processes(store, now, "B") as (b,):
            await until(lambda: a.replica.total("c") == b.replica.total("c") == 1_002)
            assert (b.replica.get("permanent"), b.replica.get("mine")) == (b"rest", b"A")


@pytest.mark.parametrize("reborn", [False, True], ids=["with-its-data", "empty"])
async def test_what_was_dropped_while_one_was_cut_off_stays_dropped(
    store: MemoryStore, now: Now, reborn: bool
) -> None:
    """A heals what B still believes to rest: B must not bring the rest back, nor what was counted before."""
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.put("cooldown/x", b"1", ttl=None)
        b.replica.add("c", 5, ttl=None)
        await until(lambda: b.replica.get("cooldown/x") == b"1" and a.replica.total("c") == 5)
        for number in range(20):
            a.replica.signal(f"s{number}", 1)
        await until(lambda: a.at_rest and b.at_rest and len(b.heard) > 20)
        b.line.cut = True
        await until(lambda: b.state == "away")
        if reborn:
            loses_everything(store, now)
            await until(lambda: a.at_rest and "cooldown/x" in store._records)
        a.replica.drop("cooldown/x")
        a.replica.drop("c")
        await until(lambda: a.at_rest)
        b.line.cut = False
        await until(lambda: b.at_rest)
        assert (b.replica.get("cooldown/x"), b.replica.total("c")) == (None, 0)
    assert (await store.load()).changes == []


def shared(now: Now) -> Replica:
    replica = Replica(now, "A")
    replica.share(lambda: None)
    return replica


def sent(replica: Replica) -> list[Change]:
    """What goes out next, and arrives."""
    changes = replica.take(100)
    replica.acknowledge(changes, set())
    return changes


def test_a_later_put_wins_over_a_drop_that_is_heard(now: Now) -> None:
    replica = shared(now)
    heard: list[Heard] = []
    replica.watch("", heard.append)
    replica.put("r", b"new", ttl=None)
    replica.hear([Change("drop", "r"), Change("put", "r", b"old")])
    assert replica.get("r") == b"new"
    assert [h.verb for h in heard] == ["put"]
    assert [(c.verb, c.value) for c in sent(replica)] == [("put", b"new")]


def test_a_drop_that_crosses_what_is_under_way_is_put_right(now: Now) -> None:
    replica = shared(now)
    replica.add("c", 10, ttl=None)
    sent(replica)
    replica.add("c", 2, ttl=None)
    under_way = replica.take(100)
    assert [(c.amount, c.origin) for c in under_way] == [(12, "A")]
    replica.acknowledge(under_way, replica.hear([Change("drop", "c")]))
    assert replica.total("c") == 2
    (corrected,) = sent(replica)
    assert (corrected.amount, corrected.version > under_way[0].version) == (2, True)


def test_a_drop_that_crosses_what_is_said_again_leaves_nothing(now: Now) -> None:
    replica = shared(now)
    replica.add("c", 10, ttl=60)
    sent(replica)
    replica.tell_all()
    replica.acknowledge(replica.take(100), replica.hear([Change("drop", "c")]))
    (corrected,) = sent(replica)
    assert (corrected.amount, corrected.ttl) == (0, 60)


def test_a_put_after_a_drop_goes_out_after_it(now: Now) -> None:
    replica = shared(now)
    replica.put("r", b"1", ttl=None)
    under_way = replica.take(100)
    replica.drop("r")
    replica.put("r", b"2", ttl=None)
    replica.give_back(under_way)
    assert [(c.verb, c.value) for c in replica.take(100)] == [("drop", b""), ("put", b"2")]


def test_what_another_version_writes_stops_nobody(now: Now, caplog: pytest.LogCaptureFixture) -> None:
    replica = shared(now)
    cooldowns, heard = Cooldowns(now, replica), list[Heard]()
    replica.watch("", heard.append)
    replica.hear(
        [Change("put", "cooldown/x", b"{not what it was}"), Change("put", "cooldown/y", b"\x91\x01")]
    )
    assert (cooldowns.all(), len(heard)) == ({}, 2)
    assert caplog.text.count("cannot be read") == 2


def test_signals_are_added_up_and_not_kept_for_ever(now: Now) -> None:
    replica = shared(now)
    for amount in (1, 2, -1):
        replica.signal("s", amount)
    (under_way,) = replica.take(100)
    assert under_way.amount == 2
    replica.give_back([under_way])
    assert replica.take(100) == []
    replica.signal("s", 1)
    now.time += 61
    assert replica.take(100) == []


async def test_who_missed_too_much_loads_again(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A", "B") as (a, b):
        a.replica.put("old", b"1", ttl=None)
        a.replica.add("gone", 5, ttl=None)
        await until(lambda: b.replica.get("old") == b"1" and b.replica.total("gone") == 5)
        for process in (a, b):
            await process.link.stop()
        writes = [Change("drop", "old"), Change("drop", "gone")]
        writes += [Change("put", f"k{i % 10}", b"x") for i in range(12_000)]
        await store.exchange("C", writes, 0)
        again = Link(b.line, b.replica, b.shelf, now)
        again._life, again._cursor = b.link._life, b.link._cursor
        await again.start()
        assert (b.replica.get("old"), b.replica.total("gone"), b.replica.get("k9")) == (None, 0, b"x")
        await again.stop()


async def test_a_start_does_not_wait_for_ever(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A", cut=True) as (a,):
        assert a.state == "away"
        a.replica.add("c", 1, ttl=None)
        a.line.cut = False
        await until(lambda: a.at_rest)
    assert [(c.key, c.amount) for c in (await store.load()).changes] == [("c", 1.0)]


async def test_a_stop_sends_what_is_left(store: MemoryStore, now: Now) -> None:
    async with processes(store, now, "A") as (a,):
        for number in range(2_000):
            a.replica.put(f"k{number}", b"x", ttl=None)
        a.shelf.put_soon("blob", b"y", ttl=60)
    assert len((await store.load()).changes) == 2_000
    assert await store.get("blob") == b"y"


def test_the_outbox_is_bounded(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniroute.state.replica.OUTBOX", 100)
    replica = shared(now)
    for number in range(500):
        replica.put(f"r{number % 250}", b"x", ttl=None)
    assert replica.behind == 100
    assert replica.take(1_000)[-1].key == "r249"


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
