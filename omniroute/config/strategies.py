"""Declared strategies that have others inside: that they do not go in a circle."""

from __future__ import annotations

from collections.abc import Iterator

from omniroute.config.codes import Code
from omniroute.config.marks import Map
from omniroute.config.shape import COMPONENT_KEY
from omniroute.config.view import View

TYPE = COMPONENT_KEY["strategy"]


def check_strategies(view: View) -> None:
    """No declared strategy is inside of itself. Told once a circle, where it closes."""
    declared = dict(view.entries("strategies"))
    done: set[str] = set()
    for name in declared:
        trail: list[str] = []
        _walk(name, declared, trail, done, view)


def _walk(name: str, declared: dict[str, Map], trail: list[str], done: set[str], view: View) -> None:
    if name in done:
        return
    trail.append(name)
    for inner in _inside(declared[name]):
        if inner in trail:
            way = " → ".join([*trail[trail.index(inner) :], inner])
            view.tell(Code.CYCLE, f"strategy {name!r} is inside of itself: {way}", ("strategies", name))
        elif inner in declared:
            _walk(inner, declared, trail, done, view)
    trail.pop()
    done.add(name)


def _inside(strategy: Map) -> Iterator[str]:
    """The names of the strategies that one has inside, however deep they are written."""
    for value in strategy.values():
        if isinstance(value, Map):
            if isinstance(value.get(TYPE), str):
                yield str(value[TYPE])
            yield from _inside(value)
