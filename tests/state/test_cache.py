"""What is kept: bounded by number, bytes and time, the least recently used going first."""

from __future__ import annotations

import pytest

from omniroute.state.cache import Cache
from omniroute.state.shared import Local
from omniroute.state.shelf import Shelf


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def cache_of(clock: Clock) -> Cache:
    return Cache(clock, Shelf(clock), Local(clock))


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_an_answer_ends_after_its_time(clock: Clock) -> None:
    drawer = cache_of(clock).drawer("exact", 10, 1_000)
    await drawer.put(b"a", b"one", 60)
    clock.now += 59
    assert await drawer.get(b"a") == b"one"
    clock.now += 1
    assert await drawer.get(b"a") is None


async def test_the_least_recently_used_goes_first(clock: Clock) -> None:
    drawer = cache_of(clock).drawer("exact", 2, 1_000)
    await drawer.put(b"a", b"one", 60)
    await drawer.put(b"b", b"two", 60)
    await drawer.get(b"a")
    await drawer.put(b"c", b"three", 60)
    assert [await drawer.get(key) for key in (b"a", b"b", b"c")] == [b"one", None, b"three"]


async def test_what_has_ended_goes_before_what_is_good(clock: Clock) -> None:
    cache = cache_of(clock)
    drawer = cache.drawer("exact", 2, 1_000)
    await drawer.put(b"a", b"one", 600)
    await drawer.put(b"b", b"two", 60)
    clock.now += 60
    await drawer.put(b"c", b"three", 600)
    assert [await drawer.get(key) for key in (b"a", b"b", b"c")] == [b"one", None, b"three"]
    assert cache.sizes() == {"exact": (2, 8)}


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ((40, 40), [True, True]),
        ((40, 40, 40), [False, True, True]),
        ((40, 40, 90), [False, False, True]),
        ((40, 101), [True, False]),  # larger than the whole drawer: it does not clear it for nothing
    ],
)
async def test_bytes_are_bounded(clock: Clock, sizes: tuple[int, ...], left: list[bool]) -> None:
    cache = cache_of(clock)
    drawer = cache.drawer("exact", 10, 100)
    for number, size in enumerate(sizes):
        await drawer.put(bytes([number]), b"x" * size, 60)
        assert cache.sizes()["exact"][1] <= 100
    assert [await drawer.get(bytes([n])) is not None for n in range(len(sizes))] == left


async def test_the_same_key_again_is_counted_once(clock: Clock) -> None:
    cache = cache_of(clock)
    drawer = cache.drawer("exact", 10, 100)
    await drawer.put(b"a", b"x" * 80, 60)
    await drawer.put(b"a", b"x" * 30, 60)
    assert cache.sizes() == {"exact": (1, 30)}
    assert await drawer.get(b"a") == b"x" * 30


async def test_kinds_do_not_see_each_other(clock: Clock) -> None:
    cache = cache_of(clock)
    await cache.drawer("exact", 10, 100).put(b"a", b"one", 60)
    assert await cache.drawer("idempotent", 10, 100).get(b"a") is None
    assert await cache.drawer("exact", 5, 50).get(b"a") == b"one"


async def test_what_was_forgotten_is_not_found(clock: Clock) -> None:
    """By anybody who shares the store: another process knows only that it was told."""
    shelf, shared = Shelf(clock), Local(clock)
    one, two = (Cache(clock, shelf, shared) for _ in range(2))
    exact, keyed = (one.drawer(kind, 10, 100) for kind in ("exact", "idempotent"))
    await exact.put(b"a", b"one", 60)
    await keyed.put(b"a", b"two", 60)
    assert await two.drawer("exact", 10, 100).get(b"a") == b"one"
    assert one.forget("exact") == 1
    assert [await d.get(b"a") for d in (exact, two.drawer("exact", 10, 100), keyed)] == [None, None, b"two"]
    await exact.put(b"a", b"new", 60)
    assert await two.drawer("exact", 10, 100).get(b"a") == b"new"
