"""What every store keeps, tells and forgets: one suite for memory, SQLite and a real Redis."""

from __future__ import annotations

import pytest

from omniroute.state.store import Change, News
from tests.state.conftest import World


def put(key: str, value: bytes, **more: object) -> Change:
    return Change("put", key, value, **more)  # type: ignore[arg-type]


def count(key: str, amount: float, version: int, origin: str = "A", **more: object) -> Change:
    return Change("count", key, amount=amount, origin=origin, version=version, **more)  # type: ignore[arg-type]


def told(news: News) -> list[tuple[object, ...]]:
    return [
        (c.verb, c.key, c.value if c.verb == "put" else c.amount if c.verb != "drop" else None)
        for c in news.changes
    ]


async def test_a_new_store_is_empty(world: World) -> None:
    news = await world.one.load()
    assert (news.changes, news.gap, news.more) == ([], False, False)
    assert news.life
    assert (await world.two.load()).life == news.life


async def test_changes_reach_the_others_in_order_and_are_not_echoed(world: World) -> None:
    start = (await world.two.load()).cursor
    mine = await world.one.exchange(
        "A",
        [
            put("r", b"\x00\xff bytes"),
            count("c", 2.5, 1),
            Change("signal", "s", amount=-1),
            Change("drop", "r"),
        ],
        start,
    )
    assert mine.changes == []
    theirs = await world.two.exchange("B", [], start)
    assert told(theirs) == [
        ("put", "r", b"\x00\xff bytes"),
        ("count", "c", 2.5),
        ("signal", "s", -1.0),
        ("drop", "r", None),
    ]
    assert (await world.two.exchange("B", [], theirs.cursor)).changes == []
    assert mine.cursor == theirs.cursor


async def test_writes_and_news_come_in_one_round_trip(world: World) -> None:
    start = (await world.one.load()).cursor
    await world.one.exchange("A", [put("a", b"1")], start)
    news = await world.two.exchange("B", [put("b", b"2")], start)
    assert told(news) == [("put", "a", b"1")]
    assert told(await world.one.exchange("A", [], start)) == [("put", "b", b"2")]


async def test_what_is_kept_is_loaded(world: World) -> None:
    await world.one.exchange(
        "A",
        [put("r", b"1"), put("r", b"2"), count("c", 1, 1), count("c", 5, 1, "B"), put("gone", b"x")],
        0,
    )
    await world.one.exchange("A", [count("c", 3, 2), Change("drop", "gone"), Change("signal", "s")], 0)
    news = await world.two.load()
    assert sorted(told(news)) == [("count", "c", 3.0), ("count", "c", 5.0), ("put", "r", b"2")]
    assert {(c.origin, c.version) for c in news.changes if c.verb == "count"} == {("A", 2), ("B", 1)}
    assert all(c.ttl is None for c in news.changes)


async def test_a_contribution_that_is_sent_again_changes_nothing(world: World) -> None:
    start = (await world.one.load()).cursor
    for _ in range(2):
        await world.one.exchange("A", [count("c", 7, 3)], start)
    await world.one.exchange("A", [count("c", 2, 2)], start)
    assert told(await world.two.exchange("B", [], start)) == [("count", "c", 7.0)]


async def test_amounts_are_exact(world: World) -> None:
    amounts = [0.1, 1e-9, 123456789.123456789, -0.3, 2.0**53, 1 / 3]
    await world.one.exchange("A", [count(f"c{i}", a, 1) for i, a in enumerate(amounts)], 0)
    found = {c.key: c.amount for c in (await world.two.load()).changes}
    assert [found[f"c{i}"] for i in range(len(amounts))] == amounts
    assert [c.amount for c in (await world.two.exchange("B", [], 0)).changes] == amounts


async def test_a_record_that_is_put_if_absent_hides_no_other(world: World) -> None:
    await world.one.exchange("A", [put("r", b"first"), put("short", b"first", ttl=0.1)], 0)
    news = await world.two.load()
    await world.passes(0.15)
    again = [put("r", b"second", absent=True), put("short", b"second", absent=True)]
    await world.one.exchange("A", again, 0)
    assert told(await world.two.exchange("B", [], news.cursor)) == [("put", "short", b"second")]
    assert sorted(told(await world.two.load())) == [("put", "r", b"first"), ("put", "short", b"second")]


async def test_what_is_over_is_gone(world: World) -> None:
    await world.one.exchange(
        "A", [put("r", b"1", ttl=0.1), count("c", 1, 1, ttl=0.1), put("stays", b"1", ttl=60)], 0
    )
    ttls = {c.key: c.ttl for c in (await world.two.load()).changes}
    assert set(ttls) == {"r", "c", "stays"}
    assert ttls["stays"] == pytest.approx(60, abs=1)
    await world.passes(0.15)
    assert [c.key for c in (await world.two.load()).changes] == ["stays"]


async def test_who_comes_too_late_is_told_so(world: World) -> None:
    many = 25_000
    start = (await world.one.load()).cursor
    for first in range(0, many, 1_000):
        await world.one.exchange("A", [put(f"k{i % 50}", b"x") for i in range(first, first + 1_000)], start)
    news = await world.two.exchange("B", [], start)
    assert news.gap
    assert news.changes == []
    again = await world.two.load()
    assert (again.cursor, len(again.changes)) == (news.cursor, 50)
    assert not (await world.two.exchange("B", [], again.cursor)).gap
    ahead = await world.two.exchange("B", [], again.cursor + 1)
    assert ahead.gap, "a cursor from another life of the data"


async def test_many_changes_come_in_portions(world: World) -> None:
    start = (await world.one.load()).cursor
    for first in range(0, 5_000, 500):
        await world.one.exchange("A", [put(f"k{i}", b"x") for i in range(first, first + 500)], start)
    keys: list[str] = []
    more = True
    while more:
        news = await world.two.exchange("B", [], start)
        keys += [c.key for c in news.changes]
        start, more = news.cursor, news.more
    assert keys == [f"k{i}" for i in range(5_000)]


async def test_dropping_a_counter_ends_what_all_have_contributed(world: World) -> None:
    await world.one.exchange("A", [count("c", 1, 1), count("c", 2, 1, "B"), count("other", 3, 1)], 0)
    await world.two.exchange("B", [Change("drop", "c")], 0)
    assert told(await world.one.load()) == [("count", "other", 3.0)]
    await world.one.exchange("A", [count("c", 4, 2)], 0)
    assert sorted(told(await world.two.load())) == [("count", "c", 4.0), ("count", "other", 3.0)]


async def test_names_may_be_anything(world: World) -> None:
    names = ["a/b c", "ключ", "", "{x}", "a" * 5_000, "new\nline"]
    await world.one.exchange("A", [put(n, n.encode()) for n in names], 0)
    await world.one.exchange("A", [count(n, 1, 1, "or igin") for n in names if n], 0)
    changes = (await world.two.load()).changes
    assert {c.key: c.value for c in changes if c.verb == "put"} == {n: n.encode() for n in names}
    assert {c.key for c in changes if c.verb == "count"} == {n for n in names if n}


async def test_large_values(world: World) -> None:
    big = bytes(range(256)) * 8_000
    await world.one.put("a", big, ttl=60)
    await world.one.put("b", b"", ttl=60)
    assert (await world.two.get("a"), await world.two.get("b"), await world.two.get("c")) == (big, b"", None)
    await world.two.put("a", b"new", ttl=60)
    assert await world.one.get("a") == b"new"
    assert (await world.one.drop("a"), await world.two.drop("a"), await world.two.get("a")) == (
        True,
        False,
        None,
    )
    await world.one.put("short", b"x", ttl=0.1)
    await world.passes(0.15)
    assert await world.two.get("short") is None
