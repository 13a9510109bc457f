"""Two at random, the healthier first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from omniroute.declare import strategy
from omniroute.routing.strategy import C, Candidate, Leaf, Ordering, Turn

LEAST = 0.05
"""Success rates, and shares of a quota that are left, below this one make no more difference."""


@strategy("p2c", example="p2c")
class P2c(Ordering, frozen=True, kw_only=True):
    """Two at random, the healthier of them first: by what is under way there, errors, latency and the quota left.

    The load spreads evenly without counting turns, and who slows down or fails gets less of it; nobody is flooded for
    being the best (Mitzenmacher, 2001, "The power of two choices").
    """

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        if len(candidates) < 2:
            return candidates
        shuffled = turn.dice.sample(list(candidates), len(candidates))
        drawn = list(islice((c for c in shuffled if turn.is_usable(c)), 2))
        if len(drawn) == 2:
            burdens = _burdens(drawn, turn)
            drawn.sort(key=lambda c: burdens[id(c)])
        return [*drawn, *(c for c in shuffled if c not in drawn)]

    def why(self, candidate: Candidate, turn: Turn) -> str:
        running = turn.best(candidate, lambda leaf: turn.health.of(leaf.health_id).running)
        errors = turn.best(candidate, lambda leaf: turn.health.of(leaf.health_id).error_rate(turn.now))
        left = -turn.best(candidate, lambda leaf: -turn.left(leaf))
        return f"{running:.0f} under way, {errors:.0%} errors, {left:.0%} of the quota left"


def _burdens(candidates: Sequence[C], turn: Turn) -> Mapping[int, float]:
    """How loaded each is, by its `id`: of the queue that a request would find there, and how fast it moves. Where no
    latency is known yet, that of the others stands for it."""
    stream, health = turn.facts.stream, turn.health
    known = [
        seconds
        for candidate in candidates
        for leaf in candidate.leaves
        if (seconds := health.of(leaf.health_id).latency(stream)) is not None
    ]
    usual = sum(known) / len(known) if known else 1.0

    def burden(leaf: Leaf) -> float:
        vital = health.of(leaf.health_id)
        seconds = vital.latency(stream)
        well = max(1 - vital.error_rate(turn.now), LEAST)
        pace = max(usual if seconds is None else seconds, 1e-3) / well**2
        return (vital.running + 1) * pace / max(turn.left(leaf), LEAST)

    return {id(candidate): turn.best(candidate, burden) for candidate in candidates}
