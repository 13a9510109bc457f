"""By chance, in proportion to `weight`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from omniroute.declare import strategy
from omniroute.routing.strategy import C, Candidate, Ordering, Turn


@strategy("weighted", example="weighted")
class Weighted(Ordering, frozen=True, kw_only=True):
    """By chance, each as often as its `weight` says; one of weight 0 is used only when all others failed.

    The order after the first is drawn in the same way among the rest (Efraimidis and Spirakis, 2006).
    """

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        drawn = [(_key(c.weight, turn.dice.random()), c) for c in candidates]
        return [c for _, c in sorted(drawn, key=lambda pair: -pair[0])]

    def why(self, candidate: Candidate, turn: Turn) -> str:
        return f"weight {candidate.weight:g}"


def _key(weight: float, chance: float) -> float:
    return math.log(max(chance, 1e-300)) / weight if weight > 0 else -math.inf
