"""What answers said of the limits of an account: one that has nothing left is left alone until it has.

A provider tells its limits beside every answer, so that the 429 that would come next need not come. Kept here only, not
in a store: every process hears it with its own answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LONGEST = 7 * 86400.0
"""Seconds that an account is left alone at most on such a word."""


@dataclass(frozen=True, slots=True)
class UsedUp:
    identity: str
    until: float
    reason: str


class Learned:
    """By account id. Bounded by the number of accounts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.known: dict[str, UsedUp] = {}
        """By account id; whoever finds it empty need not ask."""

    def used_up(self, account: str, identity: str, now: float) -> UsedUp | None:
        """What the account has nothing left of, or None."""
        if not self.known:
            return None
        found = self.known.get(account)
        if found is None or found.identity != identity or found.until <= now:
            return None
        return found

    def hear(self, account: str, identity: str, reason: str, seconds: float) -> None:
        """`reason` says what is used up, `seconds` until it resets."""
        until = self._clock() + min(seconds, LONGEST)
        self.known[account] = UsedUp(identity, until, reason)

    def forget(self, account: str) -> bool:
        return self.known.pop(account, None) is not None

    def all(self) -> dict[str, UsedUp]:
        now = self._clock()
        return {name: said for name, said in sorted(self.known.items()) if said.until > now}
