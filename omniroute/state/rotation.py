"""Whose turn it is: who had the last one in each scope, and which session stays with whom."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Rotation:
    """Turns and sticky sessions of strategies, by scope (`combo/always-on`, `accounts/glm`)."""

    LARGEST = 100_000
    """Sticky sessions kept; the oldest go first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._turns: dict[str, tuple[str, int]] = {}
        self._sticky: dict[tuple[str, str], tuple[str, float]] = {}

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
        self._sticky.pop((scope, session), None)
        self._sticky[scope, session] = (name, self._clock() + ttl)
        if len(self._sticky) > self.LARGEST:
            del self._sticky[next(iter(self._sticky))]


def _short(session: str) -> str:
    """What is remembered of a session: clients send headers of any length."""
    return session if len(session) <= 64 else hashlib.sha256(session.encode("utf-8", "replace")).hexdigest()
