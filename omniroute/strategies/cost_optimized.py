"""The cheapest for this request goes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from omniroute.config.units import Count
from omniroute.declare import option, strategy
from omniroute.routing.cost import estimated_cost
from omniroute.routing.strategy import UNKNOWN, C, Candidate, Leaf, Ordering, Turn


@strategy("cost-optimized", example="{type: cost-optimized, output: 2000}")
class CostOptimized(Ordering, frozen=True, kw_only=True):
    """Cheapest for this request first: its estimated tokens at each price. Free first, unknown prices last.

    What a target's prompts were cached lately counts at the price of cached tokens. Accounts of one provider cost the
    same: they stay in their order.
    """

    output: Annotated[Count, option("Tokens to reckon with for the answer.")] = Count(500)

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        return sorted(candidates, key=lambda c: (self._cost(c, turn), c.priority))

    def why(self, candidate: Candidate, turn: Turn) -> str:
        cost = self._cost(candidate, turn)
        return "price unknown" if cost == UNKNOWN else f"about ${cost:.6f}"

    def _cost(self, candidate: Candidate, turn: Turn) -> float:
        def cost(leaf: Leaf) -> float:
            cached = turn.health.of(leaf.health_id).cached.value
            found = estimated_cost(
                leaf.price, leaf.tier == "free", turn.facts.tokens, cached, int(self.output)
            )
            return UNKNOWN if found is None else found

        return turn.best(candidate, cost)
