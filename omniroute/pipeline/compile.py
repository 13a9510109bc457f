"""Stages in a list become one callable: gates fused, arounds folded, observers attached.

Their order has been checked by `config/order.py`, from what the stages declare.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Around, Gate, Handler, Observer, Part, at_once


@dataclass(frozen=True, slots=True)
class Step:
    """A built stage. `place` is `file:line` of where the user wrote it."""

    name: str
    stage: str
    part: Part
    place: str = ""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What serves an endpoint family. `run` gives the reply, `done` tells the observers about its true end."""

    name: str
    run: Handler
    observers: tuple[Callable[[Exchange, Reply], None], ...]
    steps: tuple[Step, ...]


def compile_pipeline(name: str, steps: Sequence[Step], send: Handler) -> Pipeline:
    """Fold `steps` around `send`, the built-in end."""
    run = send
    gates: list[Step] = []
    for step in reversed(steps):
        if isinstance(step.part, Gate):
            gates.insert(0, step)
            continue
        run = _fuse(gates, run)
        gates = []
        if isinstance(step.part, Around):
            run = _wrap(step.name, step.part, run)
    observers = tuple(s.part.done for s in steps if isinstance(s.part, Observer))
    return Pipeline(name, _fuse(gates, run), observers, tuple(steps))


def _wrap(name: str, around: Around, proceed: Handler) -> Handler:
    inner = around.run

    def run(exchange: Exchange) -> Awaitable[Reply]:
        exchange.stages.append(name)
        exchange.stage_begins.append(perf_counter())
        return inner(exchange, proceed)

    return run


def _fuse(gates: Iterable[Step], proceed: Handler) -> Handler:
    checks = tuple((s.name, s.part.check) for s in gates if isinstance(s.part, Gate))
    if not checks:
        return proceed

    def run(exchange: Exchange) -> Awaitable[Reply]:
        stages, begins = exchange.stages, exchange.stage_begins
        for name, check in checks:
            stages.append(name)
            begins.append(perf_counter())
            reply = check(exchange)
            if reply is not None:
                return at_once(reply)
        # Handed on, not awaited: every frame in between is one more to wake up.
        return proceed(exchange)

    return run
