"""Shuffled, each time anew."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute.declare import strategy
from omniroute.routing.strategy import C, Ordering, Turn


@strategy("random", example="random")
class Random(Ordering, frozen=True, kw_only=True):
    """Shuffled for each request: the load spreads evenly without any memory."""

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        return turn.dice.sample(list(candidates), len(candidates))
