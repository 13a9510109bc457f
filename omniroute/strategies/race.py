"""The first few at once: whoever answers first wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from omniroute.config.settings import Spec, StrategySpec
from omniroute.declare import option, strategy
from omniroute.routing.strategy import C, Candidate, Ordering, Strategy, Turn


@strategy("race", example="{type: race, first: 3, within: p2c}")
class Race(Ordering, frozen=True, kw_only=True):
    """The first N at once; the first content wins, the others are cancelled and their connections closed.

    One that fails is replaced by the next. The speed has its price: providers bill the prompts of those that lose, too,
    and so does the gateway, by an estimate.
    """

    first: Annotated[int, option("How many are asked at once.", ge=2, le=8)] = 2
    within: Annotated[StrategySpec, option("The strategy that says who is among the first.")] = Spec(
        kind="fill-first", name="fill-first"
    )

    def build(self, make: Callable[[Spec], Strategy]) -> Strategy:
        return _Field(self.first, make(self.within))


class _Field:
    """The racers."""

    __slots__ = ("_within", "at_once")

    def __init__(self, at_once: int, within: Strategy) -> None:
        self.at_once = at_once
        self._within = within

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        return self._within.order(candidates, turn)

    def taken(self, name: str, turn: Turn) -> None:
        self._within.taken(name, turn)

    def together(self, one: Candidate, other: Candidate) -> bool:
        return self._within.together(one, other)

    def why(self, candidate: Candidate, turn: Turn) -> str:
        return self._within.why(candidate, turn)
