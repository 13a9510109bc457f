"""What may be used in a window of time, and what has been: quotas of accounts and providers, budgets of keys, providers
and tiers.

Counted when an answer is over, from what it really used, so that a limit is passed by no more than what was under way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from omniroute.state.shared import Shared
from omniroute.state.transitions import Transitions
from omniroute.state.windows import Window

Unit = Literal["tokens", "requests", "usd"]
Sort = Literal["quota", "budget"]

BEGUN = "window/"

TOTAL_KEPT = 366 * 86400.0
"""Seconds after its first use for which a window without an end is remembered."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So much of a unit in a window. `subject` is whose it is (`account/glm/main`, `key/ci`, `tier/cheap`); `hard` ones
    refuse what `soft` ones send elsewhere."""

    sort: Sort
    subject: str
    unit: Unit
    limit: float
    window: Window
    hard: bool = True

    @property
    def name(self) -> str:
        return f"{self.subject}/{self.window.name}/{self.unit}"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An allowance right now, as `/-/state` shows it. `resets_in` is in seconds."""

    unit: Unit
    window: str
    limit: float
    used: float
    left: float
    resets_in: float | None = None
    spent: bool = False
    mode: str | None = None


class Ledger:
    """What has been used of every allowance, shared with the other processes of the store."""

    def __init__(self, clock: Callable[[], float], shared: Shared, transitions: Transitions) -> None:
        self._clock = clock
        self._shared = shared
        self._transitions = transitions
        self._spent: dict[str, float] = {}
        """Names of allowances that were spent when last looked at, and when they reset."""
        self._bounds_of: dict[Window, tuple[float, float]] = {}
        """The calendar windows that are on: finding one takes longer than all else here."""
        self._declared_spent: dict[str, float] = {}

    def used(self, allowance: Allowance, now: float) -> float:
        begin, _ = self._bounds(allowance, now)
        return self._shared.total(_key(allowance, begin))

    def spent(self, allowance: Allowance, now: float) -> float | None:
        """When an allowance that is used up is there again (`inf`: never by itself); None when some is left."""
        begin, end = self._bounds(allowance, now)
        declared = self._declared_spent.get(allowance.name, 0.0)
        if declared > now:
            return declared
        if self._shared.total(_key(allowance, begin)) < allowance.limit:
            if self._spent.pop(allowance.name, None) is not None:
                self._transitions.tell(allowance.sort, allowance.name, "available")
            return None
        return end

    def charge(self, allowance: Allowance, amount: float) -> None:
        """Count what was used; the moment it is used up is told."""
        if not amount:
            return
        now = self._clock()
        begin, end = self._bounds(allowance, now)
        if allowance.window.kind == "rolling":
            self._shared.put(BEGUN + allowance.name, repr(begin).encode(), end - now)
        ttl = TOTAL_KEPT if end == math.inf else end - now
        total = self._shared.add(_key(allowance, begin), amount, ttl)
        if total >= allowance.limit and self._spent.get(allowance.name) != end:
            self._spent[allowance.name] = end
            self._transitions.tell(
                allowance.sort,
                allowance.name,
                "spent",
                f"{_amount(total, allowance.unit)} of {_amount(allowance.limit, allowance.unit)}",
                None if end == math.inf else end,
            )

    def declare_spent(self, allowance: Allowance, until: float | None) -> None:
        """The provider says that nothing is left, whatever was counted here; `until` is when it resets, if it said so."""
        _, end = self._bounds(allowance, self._clock())
        until = until if until is not None else end
        if until == math.inf:
            return
        self._declared_spent[allowance.name] = until
        self._transitions.tell(allowance.sort, allowance.name, "spent", "the provider says so", until)

    def standing(self, allowance: Allowance, now: float) -> Standing:
        _, end = self._bounds(allowance, now)
        used = self.used(allowance, now)
        again = self.spent(allowance, now)
        until = again if again is not None else end
        begun = allowance.window.kind != "rolling" or used > 0 or again is not None
        return Standing(
            unit=allowance.unit,
            window=allowance.window.name,
            limit=float(allowance.limit),
            used=round(used, 6),
            left=0.0 if again is not None else round(max(0.0, allowance.limit - used), 6),
            resets_in=round(until - now, 1) if until != math.inf and begun else None,
            spent=again is not None,
            mode=("hard" if allowance.hard else "soft") if allowance.sort == "budget" else None,
        )

    def reset(self, allowance: Allowance) -> None:
        """As if nothing had been used in this window."""
        begin, _ = self._bounds(allowance, self._clock())
        self._shared.drop(_key(allowance, begin))
        self._shared.drop(BEGUN + allowance.name)
        self._spent.pop(allowance.name, None)
        self._declared_spent.pop(allowance.name, None)
        self._transitions.tell(allowance.sort, allowance.name, "available", "reset")

    def _bounds(self, allowance: Allowance, now: float) -> tuple[float, float]:
        window = allowance.window
        if window.kind != "rolling":
            known = self._bounds_of.get(window)
            if known is None or not known[0] <= now < known[1]:
                known = self._bounds_of[window] = window.bounds(now)
            return known
        told = self._shared.get(BEGUN + allowance.name)
        return window.bounds(now, float(told) if told is not None else None)


def _key(allowance: Allowance, begin: float) -> str:
    return f"used/{allowance.name}/{begin:.0f}"


def _amount(amount: float, unit: Unit) -> str:
    return f"${amount:.4f}" if unit == "usd" else f"{amount:.0f} {unit}"
