"""Waits take no time, fire in order, and a deadlock is found."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from omniroute import virtual_time
from omniroute.state.state import State
from omniroute.virtual_time import Stuck

START = 1_700_000_000.0


def test_a_year_passes_at_once() -> None:
    async def main() -> float:
        state = State(clock=virtual_time.clock)
        await asyncio.sleep(365 * 86400)
        return state.clock() - START

    began = time.perf_counter()
    assert virtual_time.run(main(), start=START) == pytest.approx(365 * 86400, abs=1e-3)
    assert time.perf_counter() - began < 20


def test_timers_fire_in_their_order_and_at_their_distance() -> None:
    seen: list[tuple[str, float]] = []

    async def wait(name: str, *seconds: float) -> None:
        for pause in seconds:
            await asyncio.sleep(pause)
            seen.append((name, virtual_time.clock()))

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wait("a", 2, 2))
            tasks.create_task(wait("b", 3, 0.5))

    virtual_time.run(main())
    assert seen == [("a", 2), ("b", 3), ("b", 3.5), ("a", 4)]


@pytest.mark.parametrize("seconds", [1e-7, 0.1, 1 / 3, 1e5 + 1 / 3])
def test_many_uneven_waits_do_not_get_stuck(seconds: float) -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(seconds)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(1000 * seconds, abs=1000 * virtual_time.RESOLUTION)


def test_a_timeout_beats_a_longer_wait() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.sleep(61)
        return virtual_time.clock()

    assert virtual_time.run(main()) == 60


def test_what_nobody_will_ever_wake_is_told() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="no timer"):
        virtual_time.run(main())


def test_time_stands_still_for_a_thread() -> None:
    async def main() -> tuple[str, float]:
        async with asyncio.timeout(0.001):
            said = await asyncio.to_thread(slowly)
        return said, virtual_time.clock()

    def slowly() -> str:
        time.sleep(0.02)
        return "done"

    assert virtual_time.run(main()) == ("done", 0)


def test_the_clock_needs_virtual_time() -> None:
    async def main() -> Any:
        return virtual_time.clock()

    with pytest.raises(RuntimeError, match="no virtual time"):
        asyncio.run(main())
