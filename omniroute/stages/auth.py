"""Who is calling, and may they?"""

from __future__ import annotations

import math

from omniroute.declare import Options, stage
from omniroute.errors import Problem, Refused
from omniroute.pipeline.charges import KeyPermit
from omniroute.pipeline.exchange import Exchange, Reply, Request
from omniroute.pipeline.keys import LOOPBACK, Caller, presented_key
from omniroute.pipeline.parts import Around, Gate, Handler
from omniroute.pipeline.site import Site
from omniroute.routing.facts import estimated_tokens
from omniroute.state.limits import Limit
from omniroute.state.state import State

FREE_MODEL = "demo"
"""Answers without a key on loopback, so that a first try needs no set-up."""


@stage("auth", gives=["caller"], example="auth")
class Auth(Options, frozen=True, kw_only=True):
    """Finds the calling key and refuses what it may not do: expired, wrong address, wrong endpoint, wrong model,
    over its limits, out of its budget.

    Without keys in the configuration every caller on loopback is welcome, anonymously. What a request used is charged
    to its key when it is over.
    """

    def build(self, site: Site) -> Gate | Around:
        keyring, state = site.keyring, site.state

        def admit(exchange: Exchange) -> Caller | None:
            request = exchange.request
            if exchange.model == FREE_MODEL and _is_free(request):
                return None
            exchange.caller = caller = keyring.admit(
                request.headers, request.query, request.path, request.client_ip, state.clock()
            )
            if caller is not None and caller.budget is not None:
                _refuse_broke(caller, state)
            return caller

        def check(exchange: Exchange) -> Reply | None:
            caller = admit(exchange)
            if caller is not None and (caller.limit is not None or caller.budget is not None):
                tokens = estimated_tokens(exchange)
                if caller.limit is not None and not caller.limit.take(state.clock(), tokens):
                    raise Refused(_over_limit(caller.limit, state, tokens))
                _charge_later(exchange, caller, tokens, state)
            return None

        async def run(exchange: Exchange, proceed: Handler) -> Reply:
            caller = admit(exchange)
            if caller is not None and (caller.limit is not None or caller.budget is not None):
                tokens = estimated_tokens(exchange)
                if caller.limit is not None and not await caller.limit.admit(state.clock, "", tokens):
                    raise Refused(_over_limit(caller.limit, state, tokens))
                _charge_later(exchange, caller, tokens, state)
            return await proceed(exchange)

        # Only a queue ever waits: without one this is a plain function.
        queued = any(c.limit is not None and c.limit.queue for c in keyring.callers)
        return Around(run) if queued else Gate(check)


def _is_free(request: Request) -> bool:
    """Whether a request for the free model needs no key."""
    return LOOPBACK(request.client_ip) and presented_key(request.headers, request.query) is None


def _charge_later(exchange: Exchange, caller: Caller, tokens: int, state: State) -> None:
    permit = KeyPermit(exchange, caller, tokens, state)
    exchange.endings.append(lambda problem: permit.end())


def _refuse_broke(caller: Caller, state: State) -> None:
    """A hard budget that is spent ends it here; a soft one leaves what costs nothing."""
    budget, now = caller.budget, state.clock()
    if budget is None or not budget.hard:
        return
    again = caller.broke(now)
    if again is not None:
        raise Refused(
            Problem(
                kind="billing",
                code="budget_spent",
                message=f"The {budget.window.name} budget of this key, ${budget.limit:g}, is spent.",
                retry_after=again - now if again != math.inf else None,
            )
        )


def _over_limit(limit: Limit, state: State, tokens: int) -> Problem:
    now = state.clock()
    found = limit.full(now, tokens)
    reason, ready = found if found is not None else ("waited too long for its turn", None)
    return Problem(
        kind="rate_limit",
        code="key_limit",
        message=f"This key is over its limits: {reason.removeprefix(f'rate limit of {limit.name}: ')}.",
        retry_after=max(1.0, ready - now) if ready is not None else 1.0,
    )
