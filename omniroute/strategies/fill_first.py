"""As written: the first usable one takes all until it is spent."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute.declare import strategy
from omniroute.routing.strategy import C, Ordering, Turn


@strategy("fill-first", aliases=["priority"], example="fill-first")
class FillFirst(Ordering, frozen=True, kw_only=True):
    """In the order written (lower `priority` first); the first usable one takes all until it is spent."""

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        for candidate in candidates:
            if candidate.priority:
                return sorted(candidates, key=lambda c: c.priority)
        return candidates
