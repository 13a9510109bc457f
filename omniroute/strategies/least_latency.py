"""Who answers soonest goes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from omniroute.declare import option, strategy
from omniroute.routing.strategy import UNKNOWN, C, Candidate, Leaf, Ordering, Turn

FORGIVEN = 0.05
"""An error rate below this one is as good as none."""


@strategy("least-latency", example="{type: least-latency, explore: 0.1}")
class LeastLatency(Ordering, frozen=True, kw_only=True):
    """Lowest average time to the first content first; who was never measured gets its chance before.

    Streams and plain answers are measured apart, and failures count against who is fast. Now and then another one goes first, so that who became faster is
    found.
    """

    explore: Annotated[
        float, option("Share of requests that another than the fastest serves.", ge=0, le=1)
    ] = 0.05

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        by_latency = sorted(candidates, key=lambda c: turn.best(c, lambda leaf: _seconds(leaf, turn)))
        ready = [c for c in by_latency if turn.is_usable(c)]
        if len(ready) > 1 and self.explore and turn.dice.random() < self.explore:
            other = turn.dice.choice(ready[1:])
            return [other, *(c for c in by_latency if c is not other)]
        return by_latency

    def why(self, candidate: Candidate, turn: Turn) -> str:
        stream = turn.facts.stream
        latencies = [turn.health.of(leaf.health_id).latency(stream) for leaf in candidate.leaves]
        known = [seconds for seconds in latencies if seconds is not None]
        return f"{min(known):.3f} s to the first content" if known else "not measured yet"


def _seconds(leaf: Leaf, turn: Turn) -> float:
    """Those who were never measured come first, but not all requests go to one of them while its first is under way;
    and those who have only failed so far come last."""
    vital = turn.health.of(leaf.health_id)
    seconds, errors = vital.latency(turn.facts.stream), vital.error_rate(turn.now)
    if seconds is None:
        return vital.running * 1e-3 if errors < FORGIVEN else UNKNOWN
    return seconds / max(1 - errors, FORGIVEN) ** 2
