"""Many timers on one of the loop's: they go off in their order, or not at all."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref

from omniroute.pipeline.timers import FEW, Timers, timers_of


class Loop:
    """As much of a loop as timers need; time goes on as told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, object]] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: object) -> Loop:
        self.made += 1
        self.calls = [(when, callback)]
        return self

    def cancel(self) -> None:
        self.calls = []

    def until(self, end: float) -> None:
        while self.calls and self.calls[0][0] <= end:
            self.now, callback = self.calls.pop()
            callback()  # type: ignore[operator]  # of a timer
        self.now = end


def made(loop: Loop) -> Timers:
    return Timers(loop)  # type: ignore[arg-type]  # all that they use of it


def test_they_go_off_in_the_order_of_their_times() -> None:
    loop, rung = Loop(), list[int]()
    timers = made(loop)
    order = list(range(50))
    random.Random(1).shuffle(order)
    for n in order:
        timers.call_at(float(n), lambda n=n: rung.append(n))  # type: ignore[misc]  # a default is no parameter
    loop.until(20.5)
    assert rung == list(range(21))
    loop.until(100)
    assert rung == list(range(50))


def test_those_that_are_called_off_do_not() -> None:
    loop, rung = Loop(), list[int]()
    timers = made(loop)
    kept = [timers.call_at(float(n), lambda n=n: rung.append(n)) for n in range(10)]  # type: ignore[misc]
    for timer in kept[::2]:
        timer.cancel()
        timer.cancel()
    loop.until(100)
    assert rung == [1, 3, 5, 7, 9]
    kept[1].cancel()


def test_one_may_be_set_by_another() -> None:
    loop, rung = Loop(), list[float]()
    timers = made(loop)

    def again() -> None:
        rung.append(loop.now)
        if loop.now < 3:
            timers.call_at(loop.now + 1, again)

    timers.call_at(1, again)
    timers.call_at(9, again)
    loop.until(10)
    assert rung == [1, 2, 3, 9]


def test_a_thousand_that_never_go_off_cost_the_loop_next_to_nothing() -> None:
    loop = Loop()
    timers = made(loop)
    timers.call_at(5, lambda: None)
    for n in range(1000):
        timers.call_at(15.0 + n, lambda: None).cancel()
    assert loop.made == 1
    assert len(timers._heap) <= 2 * FEW + 2, "and they are not kept until their time"


def test_what_is_called_off_is_let_go_of() -> None:
    class Stream:
        def tick(self) -> None:
            raise AssertionError

    stream = Stream()
    timer = made(Loop()).call_at(1, stream.tick)
    timer.cancel()
    known = weakref.ref(stream)
    del stream
    gc.collect()
    assert known() is None


async def test_one_that_fails_keeps_none_of_the_others_from_going_off() -> None:
    loop = asyncio.get_running_loop()
    told: list[str] = []
    loop.set_exception_handler(lambda loop, context: told.append(str(context["exception"])))
    rung = asyncio.Event()
    timers = timers_of(loop)
    assert timers_of(loop) is timers

    def fail() -> None:
        raise ValueError("no")

    timers.call_at(loop.time(), fail)
    timers.call_at(loop.time() + 0.001, rung.set)
    await asyncio.wait_for(rung.wait(), 10)
    assert told == ["no"]
