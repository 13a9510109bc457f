"""Several attempts at once: the first answer wins, the others are cancelled, and all of them are accounted for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from typing import Any

from omniroute.errors import Problem
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.reckon import reckon

log = logging.getLogger("omniroute")

LOST = Problem(kind="cancelled", code="lost_the_race", message="Another target answered first.")


class Racer:
    """One of several attempts, on an exchange of its own. `run` is not started before its turn."""

    __slots__ = ("exchange", "reply", "run")

    def __init__(self, exchange: Exchange, run: Callable[[], Coroutine[Any, Any, Reply]]) -> None:
        self.exchange = exchange
        self.run = run
        self.reply: Reply | None = None

    @property
    def ended(self) -> Reply:
        """How it ended, once it has."""
        if self.reply is None:
            raise RuntimeError("a racer that runs has no reply")
        return self.reply

    @property
    def problem(self) -> Problem:
        """Why it failed, once it has."""
        if self.ended.problem is None:
            raise RuntimeError("a racer without a problem has not failed")
        return self.ended.problem

    def lose(self) -> None:
        """It was under way in vain: whoever counts on its end is told, and what it cost is reckoned. A provider that was
        cut off tells nothing, but has read the prompt."""
        exchange = self.exchange
        exchange.problem = LOST
        if exchange.attempts:
            reckon(exchange, self.reply if self.reply is not None else Reply(499))
        exchange.end()


async def race(
    field: Iterator[Racer], at_once: int, failed: Callable[[Racer], bool], lost: list[Racer]
) -> Racer | None:
    """The first of `field` with an answer, or None when all failed.

    So many run `at_once`. One that fails (its reply has a problem) is replaced by the next of the field as long as
    `failed` says so. Whatever happens, cancellation included, nobody runs on when this returns or raises, and those that
    were under way in vain are in `lost`.
    """
    running: dict[asyncio.Task[Reply], Racer] = {}
    loop = asyncio.get_running_loop()
    winner: Racer | None = None
    late: list[Racer] = []
    try:
        while winner is None:
            for racer in islice(field, max(0, at_once - len(running))):
                running[loop.create_task(racer.run(), name="racer")] = racer
            if not running:
                break
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                racer = running.pop(task)
                racer.reply = task.result()
                if racer.reply.problem is not None:
                    if not failed(racer):
                        field = iter(())
                elif winner is None:
                    winner = racer
                else:
                    late.append(racer)
    finally:
        lost += [*late, *await _stop(running)]
        for racer in lost:
            await _let_go(racer)
    return winner


async def _stop(running: dict[asyncio.Task[Reply], Racer]) -> list[Racer]:
    """Cancel those that still run, and wait until they have let go of their connections."""
    for task in running:
        task.cancel()
    ends = await asyncio.gather(*running, return_exceptions=True)
    for racer, end in zip(running.values(), ends, strict=True):
        if isinstance(end, Reply):
            racer.reply = end
        elif isinstance(end, Exception):
            log.error("a racer of request %s failed as it lost", racer.exchange.request.id, exc_info=end)
    return list(running.values())


async def _let_go(racer: Racer) -> None:
    if racer.reply is not None and racer.reply.stream is not None:
        await racer.reply.stream.close()
    racer.lose()
