"""Large values: bounded in memory, in a store where others see them, and safe while that is away."""

from __future__ import annotations

from omniroute.state.heap import Heap
from omniroute.state.memory import MemoryStore
from omniroute.state.shelf import Shelf
from omniroute.state.store import StoreAway
from tests.state.conftest import Now


class Moody(MemoryStore):
    """A store that is away when it is told to be."""

    away = False

    async def get(self, key: str) -> bytes | None:
        return await super().get(self._reached(key))

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        await super().put(self._reached(key), value, ttl)

    async def drop(self, key: str) -> bool:
        return await super().drop(self._reached(key))

    def _reached(self, key: str) -> str:
        if self.away:
            raise StoreAway("it is away")
        return key


def attach(shelf: Shelf, store: MemoryStore, told: list[str] | None = None) -> None:
    shelf.attach(store, here=lambda: True, failed=(told if told is not None else []).append, due=lambda: None)


def test_a_heap_is_bounded_in_number_bytes_and_age() -> None:
    now = Now()
    heap = Heap(now, most=3, most_bytes=100)
    for key in "abcd":
        heap.put(key, b"x", ttl=10)
    assert [heap.get(key) for key in "abcd"] == [None, b"x", b"x", b"x"]
    heap.get("b")
    heap.put("e", b"x", ttl=10)
    assert heap.get("b") == b"x", "what was asked for last stays"
    assert heap.get("c") is None
    heap.put("f", b"x" * 11, ttl=10)
    assert heap.get("f") is None, "a tenth of the whole is the most"
    now.time += 10
    assert heap.get("b") is None
    assert list(heap.all()) == []


async def test_without_a_store_values_stay_here() -> None:
    now = Now()
    shelf = Shelf(now)
    assert not shelf.shared
    await shelf.put("a", b"1", ttl=10)
    assert await shelf.get("a") == b"1"
    assert (await shelf.drop("a"), await shelf.drop("a"), await shelf.get("a")) == (True, False, None)
    await shelf.put("a", b"1", ttl=10)
    now.time += 11
    assert await shelf.get("a") is None


async def test_room_is_made_for_those_who_ask() -> None:
    shelf = Shelf(Now(), Heap(Now(), most=2, most_bytes=100))
    for _ in range(2):
        shelf.reserve("cache", entries=3, bytes=1_000)
    shelf.reserve("cache", entries=1, bytes=10)
    for key in "abcdef":
        await shelf.put(key, b"x" * 110, ttl=10)
    assert [await shelf.get(key) is not None for key in "abcdef"] == [False, True, True, True, True, True]


async def test_two_shelves_on_one_store_see_the_same() -> None:
    now = Now()
    store = MemoryStore(now)
    one, two = Shelf(now), Shelf(now)
    for shelf in (one, two):
        attach(shelf, store)
    await one.put("a", b"1", ttl=10)
    assert await two.get("a") == b"1"
    one.put_soon("b", b"2", ttl=10)
    assert (await one.get("b"), await two.get("b"), one.behind) == (b"2", None, 1)
    await one.carry_over()
    assert (await two.get("b"), one.behind) == (b"2", 0)
    assert await two.drop("a")
    assert await one.get("a") is None


async def test_a_store_that_is_away_fails_nobody_and_gets_it_later() -> None:
    now = Now()
    store, told = Moody(now), list[str]()
    shelf = Shelf(now)
    attach(shelf, store, told)
    await shelf.put("old", b"0", ttl=10)
    store.away = True
    await shelf.put("new", b"1", ttl=10)
    assert (await shelf.get("new"), await shelf.get("old")) == (b"1", None)
    assert await shelf.drop("old") is False
    assert (told, shelf.behind) == (["it is away"] * 3, 2)
    store.away = False
    assert await shelf.get("old") is None, "it was dropped, although the store does not know yet"
    assert await shelf.carry_over() is False
    assert (await store.get("new"), await store.get("old"), shelf.behind) == (b"1", None, 0)


async def test_much_is_carried_over_little_by_little() -> None:
    now = Now()
    store, shelf = MemoryStore(now), Shelf(now)
    attach(shelf, store)
    for number in range(250):
        shelf.put_soon(f"k{number}", b"x", ttl=10)
    assert [await shelf.carry_over() for _ in range(3)] == [True, True, False]
    assert await store.get("k249") == b"x"
