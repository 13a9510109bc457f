"""Whose turn it is: how often each scope was used, and which session stays with whom."""

from __future__ import annotations

from collections.abc import Callable


class Rotation:
    """Counters and sticky sessions of strategies, by scope (`combo/always-on`, `accounts/glm`)."""

    LARGEST = 100_000
    """Sticky sessions kept; the oldest go first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[str, int] = {}
        self._sticky: dict[tuple[str, str], tuple[str, float]] = {}

    def uses(self, scope: str) -> int:
        return self._uses.get(scope, 0)

    def used(self, scope: str) -> None:
        self._uses[scope] = self._uses.get(scope, 0) + 1

    def remembered(self, scope: str, session: str) -> str | None:
        """The name that a session stays with, or None."""
        found = self._sticky.get((scope, session))
        return found[0] if found is not None and found[1] > self._clock() else None

    def remember(self, scope: str, session: str, name: str, ttl: float) -> None:
        self._sticky.pop((scope, session), None)
        self._sticky[scope, session] = (name, self._clock() + ttl)
        if len(self._sticky) > self.LARGEST:
            del self._sticky[next(iter(self._sticky))]
