"""How much is let through in a minute and at once, and who waits for how long. Time is virtual."""

from __future__ import annotations

import asyncio
import math

import pytest

from omniroute import virtual_time
from omniroute.state.limits import Limit, LimitBook, SlidingCount
from omniroute.state.shared import Local


def book() -> LimitBook:
    return LimitBook(virtual_time.clock, Local(virtual_time.clock), "here")


def limit(**rules: float | int) -> Limit:
    return Limit("provider/p", book().gauge("provider/p"), **rules)  # type: ignore[arg-type]  # a table of cases


def test_no_minute_holds_more_than_the_limit() -> None:
    count = SlidingCount()
    taken: list[float] = []
    now = 0.0
    while now < 600:
        if count.free_at(now, 7, 1) <= now:
            count.add(now, 1)
            taken.append(now)
        now += 0.4
    assert all(sum(1 for t in taken if at <= t < at + 60) <= 7 for at in taken)
    assert len(taken) >= 7 * 9, "and hardly less"


def test_one_larger_than_the_limit_gets_through_alone() -> None:
    count = SlidingCount()
    assert count.free_at(0, 100, 500) == 0
    count.add(0, 500)
    assert count.free_at(1, 100, 1) == pytest.approx(60.25)


async def _times(rules: dict[str, float], requests: int, runs: float = 0.0) -> list[float]:
    """When each of so many requests that come together begins; `runs` is how long each takes."""
    found = limit(**rules)
    began: list[float] = []

    async def one() -> None:
        if await found.admit(virtual_time.clock, "", 0):
            began.append(round(virtual_time.clock(), 1))
            await asyncio.sleep(runs)
            found.gauge.leave(virtual_time.clock(), 0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(requests):
            tasks.create_task(one())
    return began


@pytest.mark.parametrize(
    "rules, requests, runs, expected",
    [
        ({"rpm": 2}, 3, 0.0, [0, 0]),  # nobody waits unless a queue is asked for
        (
            {"rpm": 2, "queue": 9, "wait": 10.0},
            3,
            0.0,
            [0, 0],
        ),  # it would take a minute, and nobody waits in vain
        ({"rpm": 2, "queue": 9, "wait": 90.0}, 5, 0.0, [0, 0, 60.2, 60.2]),
        ({"concurrency": 2, "queue": 9, "wait": 60.0}, 5, 10.0, [0, 0, 10, 10, 20]),
        ({"concurrency": 1, "queue": 2, "wait": 60.0}, 5, 1.0, [0, 1, 2]),  # the queue is full
        ({"concurrency": 1, "queue": 9, "wait": 15.0}, 4, 10.0, [0, 10]),  # the last ones waited long enough
        ({"min_interval": 0.2, "queue": 9, "wait": 60.0}, 4, 0.0, [0, 0.2, 0.4, 0.6]),
    ],
)
def test_who_begins_when(rules: dict[str, float], requests: int, runs: float, expected: list[float]) -> None:
    assert virtual_time.run(_times(rules, requests, runs)) == expected


async def test_a_queue_is_fair_between_callers() -> None:
    """One caller with a hundred requests does not make another wait for all of them."""
    found = limit(concurrency=1, queue=200, wait=1e6)
    order: list[str] = []

    async def one(caller: str) -> None:
        assert await found.admit(virtual_time.clock, caller, 0)
        order.append(caller)
        await asyncio.sleep(1)
        found.gauge.leave(virtual_time.clock(), 0)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(100):
                tasks.create_task(one("many"))
            await asyncio.sleep(0.5)
            for _ in range(3):
                tasks.create_task(one("few"))

    await asyncio.to_thread(virtual_time.run, all_of_them())
    assert order[:7] == ["many", "many", "few", "many", "few", "many", "few"]


def test_a_full_queue_has_room_for_who_has_less_in_it() -> None:
    async def run() -> list[str]:
        found = limit(concurrency=1, queue=4, wait=1e6)
        told: list[str] = []

        async def one(caller: str) -> None:
            admitted = await found.admit(virtual_time.clock, caller, 0)
            told.append(f"{caller} {'in' if admitted else 'refused'}")
            if admitted:
                await asyncio.sleep(1)
                found.gauge.leave(virtual_time.clock(), 0)

        async with asyncio.TaskGroup() as tasks:
            for caller in ("many", "many", "many", "many", "many", "many", "few", "few", "few"):
                tasks.create_task(one(caller))
        return told

    assert virtual_time.run(run()) == [
        "many in",
        "many refused",  # the queue is full of its own
        "few refused",  # two places each are fair
        "many refused",  # gave up its place for `few`
        "many refused",
        "many in",
        "few in",
        "many in",
        "few in",
    ]


def test_a_waiter_that_leaves_takes_nothing() -> None:
    async def run() -> tuple[int, int, float]:
        found = limit(concurrency=1, queue=9, wait=1e6)
        assert await found.admit(virtual_time.clock, "", 0)
        waiting = asyncio.get_running_loop().create_task(found.admit(virtual_time.clock, "", 0))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        found.gauge.leave(virtual_time.clock(), 0)
        gauge = found.gauge
        return gauge.running, gauge.queued, gauge.requests.sum(virtual_time.clock())

    assert virtual_time.run(run()) == (0, 0, 1)


def test_tokens_are_counted_as_they_were_used() -> None:
    async def run() -> tuple[bool, bool]:
        found = limit(tpm=1000)
        assert found.take(virtual_time.clock(), 400)
        found.gauge.leave(virtual_time.clock(), 500)  # 900 in the end
        refused = found.take(virtual_time.clock(), 200)
        return refused, found.take(virtual_time.clock(), 100)

    assert virtual_time.run(run()) == (False, True)


@pytest.mark.parametrize(
    "rules, reason, ready",
    [
        ({"rpm": 1}, "1 requests a minute", 60.25),
        ({"concurrency": 1}, "1 at once", None),
        ({"min_interval": 5.0}, "5 s between two requests", 5.0),
    ],
)
def test_why_it_is_full(rules: dict[str, float], reason: str, ready: float | None) -> None:
    async def run() -> tuple[str, float | None] | None:
        found = limit(**rules)
        found.take(virtual_time.clock(), 0)
        return found.full(virtual_time.clock(), 0)

    assert virtual_time.run(run()) == (f"rate limit of provider/p: {reason}", ready)


def test_requests_of_another_gateway_count_until_it_falls_silent() -> None:
    """What a `Shared` hears from elsewhere, by hand."""
    from omniroute.state.shared import Heard, Listener

    class Ears(Local):
        def __init__(self) -> None:
            super().__init__(virtual_time.clock)
            self.listeners: dict[str, Listener] = {}

        def watch(self, prefix: str, listener: Listener) -> None:
            self.listeners[prefix] = listener

    async def run() -> list[float]:
        ears = Ears()
        gauge = LimitBook(virtual_time.clock, ears, "here").gauge("key/ci")
        found = Limit("key/ci", gauge, concurrency=2, rpm=10)
        ears.listeners["running/"](Heard("put", "running/there/key/ci", b"2"))
        ears.listeners["taken/"](Heard("signal", "taken/requests/key/ci", amount=2))
        full = found.free_at(virtual_time.clock(), 0)
        await asyncio.sleep(31)
        return [full, gauge.requests.sum(virtual_time.clock()), found.free_at(virtual_time.clock(), 0)]

    assert virtual_time.run(run()) == [math.inf, 2, 31]
