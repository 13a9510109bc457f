"""Subscriptions first, then API keys, then what is cheap, then what is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, get_args

from omniroute.config.settings import Spec, StrategySpec, Tier
from omniroute.declare import option, strategy
from omniroute.routing.strategy import C, Candidate, Ordering, Strategy, Turn

RANKS: dict[str, int] = {tier: rank for rank, tier in enumerate(get_args(Tier))}


@strategy("tiered", example="{type: tiered, within: round-robin}")
class Tiered(Ordering, frozen=True, kw_only=True):
    """Tier by tier as the `tier` of each provider says: subscription, api_key, cheap, free; inside a tier by another
    strategy.

    In whatever order the targets are written, what is paid for already is used up first, and what is free comes last.
    """

    within: Annotated[StrategySpec, option("The strategy inside of a tier.")] = Spec(
        kind="fill-first", name="fill-first"
    )

    def build(self, make: Callable[[Spec], Strategy]) -> Strategy:
        return _Tiers(make(self.within))


class _Tiers:
    __slots__ = ("_within",)

    def __init__(self, within: Strategy) -> None:
        self._within = within

    @property
    def at_once(self) -> int:
        return self._within.at_once

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        tiers: dict[float, list[C]] = {}
        for candidate in candidates:
            tiers.setdefault(_rank(candidate, turn), []).append(candidate)
        return [c for rank in sorted(tiers) for c in self._within.order(tiers[rank], turn)]

    def taken(self, name: str, turn: Turn) -> None:
        self._within.taken(name, turn)

    def together(self, one: Candidate, other: Candidate) -> bool:
        """A race is one of a tier: the next one waits for its turn."""
        return _own_rank(one) == _own_rank(other) and self._within.together(one, other)

    def why(self, candidate: Candidate, turn: Turn) -> str:
        rank = _rank(candidate, turn)
        tier = next((f"tier {tier}" for tier, place in RANKS.items() if place == rank), "no tier")
        inner = self._within.why(candidate, turn)
        return f"{tier}, {inner}" if inner else tier


def _rank(candidate: Candidate, turn: Turn) -> float:
    return turn.best(candidate, lambda leaf: RANKS[leaf.tier])


def _own_rank(candidate: Candidate) -> int:
    return min((RANKS[leaf.tier] for leaf in candidate.leaves), default=len(RANKS))
