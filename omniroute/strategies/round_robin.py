"""In turn, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from omniroute.config.units import Duration
from omniroute.declare import Options, option, strategy
from omniroute.routing.strategy import C, Ordering, Turn


class Sticky(Options, frozen=True, kw_only=True):
    """What keeps a session on one candidate."""

    by: Annotated[
        str,
        option(
            "What a session is: `header:NAME`, `key` (the calling key) or `ip`.",
            pattern="^(header:.+|key|ip)$",
        ),
    ]
    ttl: Annotated[Duration, option("How long a session that is silent is remembered.")] = Duration(1800)


@strategy(
    "round-robin", example="{type: round-robin, limit: 2, sticky: {by: 'header:x-session-id', ttl: 30m}}"
)
class RoundRobin(Ordering, frozen=True, kw_only=True):
    """In turn; `limit` keeps one for so many uses in a row, `sticky` keeps a session on one."""

    limit: Annotated[int, option("Uses in a row before the next one's turn.", ge=1)] = 1
    sticky: Annotated[Sticky | None, option("Keep a session on one candidate.")] = None

    def order(self, candidates: Sequence[C], turn: Turn) -> Sequence[C]:
        if len(candidates) < 2:
            return candidates
        kept = self._kept(turn)
        first = next((i for i, c in enumerate(candidates) if c.name == kept), None)
        if first is not None:
            return [candidates[first], *candidates[:first], *candidates[first + 1 :]]
        start = self._start([c.name for c in candidates], turn)
        return [*candidates[start:], *candidates[:start]]

    def _start(self, names: list[str], turn: Turn) -> int:
        """Where the turn is: at the one after the last, so that the share of one that rests goes to all others."""
        latest = turn.rotation.latest(turn.scope)
        if latest not in names:
            return 0
        done = turn.rotation.uses(turn.scope) >= self.limit
        return (names.index(latest) + done) % len(names)

    def taken(self, name: str, turn: Turn) -> None:
        session = self._session(turn)
        if session is None or self.sticky is None:
            turn.rotation.used(turn.scope, name)
            return
        if turn.rotation.remembered(turn.scope, session) is None:
            turn.rotation.used(turn.scope, name)
        turn.rotation.remember(turn.scope, session, name, self.sticky.ttl)

    def _kept(self, turn: Turn) -> str | None:
        session = self._session(turn)
        return turn.rotation.remembered(turn.scope, session) if session is not None else None

    def _session(self, turn: Turn) -> str | None:
        if self.sticky is None:
            return None
        if self.sticky.by == "key":
            return turn.facts.caller.name if turn.facts.caller is not None else None
        if self.sticky.by == "ip":
            return turn.facts.client_ip or None
        return turn.facts.headers.get(self.sticky.by.removeprefix("header:"))
