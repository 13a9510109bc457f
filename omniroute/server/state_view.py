"""The state as `/-/state` shows it, and what a reset makes of it. Names and figures, no secret."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from omniroute.engine.generation import Generation
from omniroute.state.limits import Gauge, Limit
from omniroute.state.quota import Allowance
from omniroute.state.state import State

Doc = dict[str, Any]

RESETS = ("breaker", "cooldown", "lockout", "quota", "budget", "cache", "all")
"""What a reset may be told to forget. `all` is what comes and goes by itself: breakers, cooldowns, lockouts."""


def state_view(generation: Generation, state: State) -> Doc:
    """Breakers, cooldowns, limits, quotas, budgets, and the latest transitions. Times are seconds from now."""
    now = state.clock()
    return {
        "cooldowns": {
            name: {"reason": rest.reason, "level": rest.level, "ready_in": _until(rest.until, now)}
            for name, rest in state.cooldowns.all().items()
        },
        "breakers": {
            name: {
                "phase": breaker.phase(now),
                "reason": breaker.reason,
                "level": breaker.level,
                "ready_in": max(0.0, round(breaker.until - now, 1)),
            }
            for name, breaker in state.breakers.all().items()
        },
        "limits": {limit.name: _limit(limit, limit.gauge, now) for limit in limits_of(generation)},
        "learned": {
            name: {"reason": said.reason, "ready_in": round(said.until - now, 1)}
            for name, said in state.learned.all().items()
        },
        "quotas": _standings(quotas_of(generation), state, now),
        "budgets": _standings(budgets_of(generation), state, now),
        "transitions": list(state.transitions.latest),
    }


def reset(generation: Generation, state: State, kind: str, name: str) -> int:
    """Forget what `kind` is of the names that begin so (all, if empty); how many there were."""
    forgotten = state.cache.forget(name) if kind == "cache" else 0
    if kind in ("breaker", "all"):
        forgotten += sum(
            state.breakers.reset(each) for each in list(state.breakers.all()) if each.startswith(name)
        )
    for each in list(state.cooldowns.all()):
        # A lockout is of a model of an account: `provider/account/model`.
        sort = "lockout" if each.count("/") > 1 else "cooldown"
        if kind in (sort, "all") and each.startswith(name):
            state.cooldowns.heal(each)
            forgotten += 1
    if kind in ("cooldown", "all"):
        forgotten += sum(state.learned.forget(each) for each in state.learned.all() if each.startswith(name))
    if kind in ("quota", "budget"):
        allowances = quotas_of(generation) if kind == "quota" else budgets_of(generation)
        for allowance in allowances:
            if _shown(allowance).startswith(name):
                state.ledger.reset(allowance)
                forgotten += 1
    return forgotten


def limits_of(generation: Generation) -> list[Limit]:
    """Every limit that this generation keeps, by name."""
    found: dict[str, Limit] = {}
    for limit in _limits(generation):
        found[limit.name] = limit
    return [found[name] for name in sorted(found)]


def quotas_of(generation: Generation) -> list[Allowance]:
    providers = generation.directory.providers.values()
    return [q for provider in providers for account in provider.accounts for q in account.allowances]


def budgets_of(generation: Generation) -> list[Allowance]:
    keys = [caller.budget for caller in generation.keyring.callers if caller.budget is not None]
    rest = (b for provider in generation.directory.providers.values() for b in provider.allowances)
    return list({budget.name: budget for budget in (*keys, *rest)}.values())


def _limits(generation: Generation) -> Iterator[Limit]:
    for caller in generation.keyring.callers:
        if caller.limit is not None:
            yield caller.limit
    for provider in generation.directory.providers.values():
        if provider.limit is not None:
            yield provider.limit
        for account in provider.accounts:
            if account.limit is not None:
                yield account.limit
        for name in provider.listed():
            target = provider.target(name)
            yield from target.limits if target is not None else ()


def _limit(limit: Limit, gauge: Gauge, now: float) -> Doc:
    told: Doc = {
        "requests": round(gauge.requests.sum(now)),
        "tokens": round(gauge.tokens.sum(now)),
        "running": gauge.running_everywhere(now),
        "queued": gauge.queued,
    }
    for key in ("rpm", "tpm", "concurrency", "min_interval"):
        if (value := getattr(limit, key)) is not None:
            told[key] = float(value) if key == "min_interval" else int(value)
    return told


def _standings(allowances: Iterable[Allowance], state: State, now: float) -> Doc:
    found: Doc = {}
    for allowance in allowances:
        found.setdefault(_shown(allowance), []).append(state.ledger.standing(allowance, now))
    return found


def _shown(allowance: Allowance) -> str:
    """How it is called to an operator: accounts as `provider/account`, the rest with what they are."""
    return allowance.subject.removeprefix("account/")


def _until(moment: float, now: float) -> float | None:
    return None if math.isinf(moment) else round(moment - now, 1)
