"""Reads from an answer's headers whether its account has anything left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from omniroute.routing.directory import Account
from omniroute.state.state import State
from omniroute.wire.rate_limit_headers import RateLimits, named, read

_USED_UP = frozenset(("0", "rejected"))
"""One of these stands in the headers of an account that has nothing left; the rest is not worth reading."""


def learn(account: Account, headers: Mapping[str, str], state: State) -> None:
    """Note what is used up and when it resets. Header look-ups cost next to nothing where all is well."""
    if _USED_UP.isdisjoint(named(headers).values()):
        return
    told = read(headers, state.clock())
    if told is None:
        return
    spent = list(_spent(told))
    if spent:
        reason, seconds = max(spent, key=lambda pair: pair[1])
        state.learned.hear(account.id, account.identity, reason, seconds)


def _spent(told: RateLimits) -> Iterator[tuple[str, float]]:
    for what in ("requests", "tokens", "input_tokens", "output_tokens"):
        reset = getattr(told, f"{what}_reset")
        if getattr(told, f"{what}_remaining") == 0 and reset:
            yield f"rate limit: no {what.replace('_', ' ')} left, says the provider", reset
    for share in told.shares:
        if share.rejected and share.reset:
            yield f"quota: the window {share.window or 'of the subscription'} is spent", share.reset
