"""As written: the first usable one takes all until it is spent."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute.declare import Options, strategy
from omniroute.routing.strategy import C, Turn


@strategy("fill-first", aliases=["priority"], example="fill-first")
class FillFirst(Options, frozen=True, kw_only=True):
    """In the order written (lower `priority` first); the first usable one takes all until it is spent."""

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        if any(c.priority for c in candidates):
            return sorted(candidates, key=lambda c: c.priority)
        return candidates

    def taken(self, name: str, turn: Turn) -> None:
        """Nothing to remember: the order never changes."""
