"""Whose turn it is: who had the last one in each scope, and which session stays with whom.

Processes that share a store share the sessions. Each has turns of its own: in turn by itself is in turn together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from omniroute.state.shared import Heard, Local, Shared

PREFIX = "sticky/"
UNTOLD = 0.1
"""A session that goes on is told to the others when so much of its time has passed."""


class Rotation:
    """Turns and sticky sessions of strategies, by scope (`combo/always-on`, `accounts/glm`)."""

    LARGEST = 100_000
    """Sticky sessions kept; the oldest go first."""

    def __init__(self, clock: Callable[[], float], shared: Shared | None = None) -> None:
        self._clock = clock
        self._shared: Shared = shared if shared is not None else Local(clock)
        self._turns: dict[str, tuple[str, int]] = {}
        self._sticky: dict[tuple[str, str], tuple[str, float]] = {}
        self._told: dict[tuple[str, str], float] = {}
        """When a session is over as far as the others know."""
        self._shared.watch(PREFIX, self._heard)

    def latest(self, scope: str) -> str | None:
        """Who had the last turn, or None."""
        return self._turns.get(scope, (None, 0))[0]

    def uses(self, scope: str) -> int:
        """How many turns in a row that one has had."""
        return self._turns.get(scope, (None, 0))[1]

    def used(self, scope: str, name: str) -> None:
        in_a_row = self.uses(scope) if self.latest(scope) == name else 0
        self._turns[scope] = (name, in_a_row + 1)

    def remembered(self, scope: str, session: str) -> str | None:
        """The name that a session stays with, or None."""
        found = self._sticky.get((scope, _short(session)))
        return found[0] if found is not None and found[1] > self._clock() else None

    def remember(self, scope: str, session: str, name: str, ttl: float) -> None:
        session = _short(session)
        before, end = self._sticky.get((scope, session)), self._clock() + ttl
        self._keep(scope, session, name, end)
        told = self._told.get((scope, session), 0.0)
        if before is None or before[0] != name or end - told > ttl * UNTOLD:
            self._told[scope, session] = end
            self._shared.put(f"{PREFIX}{scope}/{session}", name.encode(), ttl)

    def _keep(self, scope: str, session: str, name: str, end: float) -> None:
        self._sticky.pop((scope, session), None)
        self._sticky[scope, session] = (name, end)
        if len(self._sticky) > self.LARGEST:
            oldest = next(iter(self._sticky))
            del self._sticky[oldest]
            self._told.pop(oldest, None)

    def _heard(self, heard: Heard) -> None:
        """Another process gave a session to somebody, or forgot it."""
        scope, _, session = heard.key.removeprefix(PREFIX).rpartition("/")
        if heard.verb == "put" and heard.ttl is not None:
            self._keep(scope, session, heard.value.decode(), self._clock() + heard.ttl)
        elif heard.verb == "drop":
            self._sticky.pop((scope, session), None)
            self._told.pop((scope, session), None)


def _short(session: str) -> str:
    """What is remembered of a session: clients send headers of any length, and the store need not know them."""
    return hashlib.sha256(session.encode("utf-8", "replace")).hexdigest()[:32]
