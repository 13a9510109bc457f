"""Who was used least lately goes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from omniroute.config.units import Duration
from omniroute.declare import option, strategy
from omniroute.routing.strategy import C, Candidate, Ordering, Turn


@strategy("least-used", example="{type: least-used, window: 5h}")
class LeastUsed(Ordering, frozen=True, kw_only=True):
    """Least used in the current window first, whoever asked for it; as written among equals."""

    window: Annotated[
        Duration,
        option("How far back uses count, 1 s at least. That of the quota, where accounts have one."),
    ] = Duration(3600)

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        return sorted(candidates, key=lambda c: (self._uses(c, turn), c.priority))

    def why(self, candidate: Candidate, turn: Turn) -> str:
        return f"{self._uses(candidate, turn):.0f} uses in {self.window:g} s"

    def _uses(self, candidate: Candidate, turn: Turn) -> float:
        window = max(1.0, self.window)
        return turn.best(candidate, lambda leaf: turn.health.of(leaf.health_id).uses(window, turn.now))
