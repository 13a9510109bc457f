"""Whether something may be used right now, and if not, why and until when. No I/O.

Asked by the planner for every target and by `retry` for every account, in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from omniroute.routing.directory import Account, Target
from omniroute.routing.facts import Facts
from omniroute.state.quota import Allowance
from omniroute.state.state import State

SOON = 1.0
"""Seconds after which to ask again where one that runs has to end first, and nobody knows when."""

Cause = Literal["cooldown", "breaker", "limit", "quota", "budget"]


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why not. `ready_at` is in epoch seconds; None when time alone does not mend it, or nobody knows when."""

    cause: Cause
    reason: str
    ready_at: float | None = None


def hindrance(target: Target, state: State, now: float, facts: Facts) -> Hindrance | None:
    """Why a target cannot be used now by anybody, or None: its provider, the model, then all of its accounts."""
    provider = target.provider
    blocked = state.breakers.blocked(target.breaker, provider.identity, now)
    if blocked is not None:
        return Hindrance("breaker", *blocked)
    if provider.allowances:
        spent = _spent(provider.allowances, state, now)
        if spent is not None:
            return spent
    for limit in target.limits:
        full = limit.full(now, facts.tokens, facts.caller_name)
        if full is not None:
            return _limited(full, now)
    soonest: Hindrance | None = None
    for account in provider.accounts:
        if account.inactive is not None:
            continue
        hindered = account_hindrance(account, target.model, state, now, facts)
        if hindered is None:
            return None
        if soonest is None or _ready(hindered) < _ready(soonest):
            soonest = hindered
    return soonest


def _ready(hindrance: Hindrance) -> float:
    return hindrance.ready_at if hindrance.ready_at is not None else math.inf


def account_hindrance(
    account: Account, model: str, state: State, now: float, facts: Facts
) -> Hindrance | None:
    """Why an active account cannot be used for this model now, or None."""
    if state.cooldowns.rests or state.learned.known:
        noticed = _noticed(account, model, state, now)
        if noticed is not None:
            return noticed
    if account.allowances:
        spent = _spent(account.allowances, state, now)
        if spent is not None:
            return spent
    if account.limit is not None:
        full = account.limit.full(now, facts.tokens, facts.caller_name)
        if full is not None:
            return _limited(full, now)
    return None


def _noticed(account: Account, model: str, state: State, now: float) -> Hindrance | None:
    """What its answers have told of it: it failed, or it has nothing left."""
    cooldowns = state.cooldowns
    rest = cooldowns.resting(account.id, account.identity) or cooldowns.resting(
        f"{account.id}/{model}", account.identity
    )
    if rest is not None:
        return Hindrance("cooldown", rest.reason, None if rest.until == math.inf else rest.until)
    used_up = state.learned.used_up(account.id, account.identity, now)
    return Hindrance("limit", used_up.reason, used_up.until) if used_up is not None else None


def _limited(full: tuple[str, float | None], now: float) -> Hindrance:
    reason, ready = full
    return Hindrance("limit", reason, ready if ready is not None else now + SOON)


def _spent(allowances: Iterable[Allowance], state: State, now: float) -> Hindrance | None:
    """The allowance that is used up for the longest."""
    worst: Hindrance | None = None
    for allowance in allowances:
        again = state.ledger.spent(allowance, now)
        if again is None:
            continue
        reason = f"{allowance.sort} spent: {allowance.limit:g} {allowance.unit} {allowance.window.name}"
        found = Hindrance(
            allowance.sort,
            f"{reason} ({allowance.subject})",
            None if again == math.inf else again,
        )
        if worst is None or (found.ready_at or math.inf) > (worst.ready_at or math.inf):
            worst = found
    return worst
