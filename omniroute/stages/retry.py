"""The same target again: other accounts, backoff, and what a failure means for whom."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Sequence

from omniroute.declare import Options, stage
from omniroute.errors import Problem
from omniroute.pipeline.charges import FREE, LimitedPermit, Permit
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Around, Handler
from omniroute.pipeline.site import Site
from omniroute.routing.attempt import OUR_FAULT, watched
from omniroute.routing.directory import Account, Provider, Target
from omniroute.routing.facts import Facts, facts_of
from omniroute.routing.learn import learn
from omniroute.routing.outcomes import Outcome, outcome_of
from omniroute.routing.plan import account_turn
from omniroute.routing.standing import Hindrance, account_hindrance
from omniroute.routing.strategy import Turn
from omniroute.state.state import State
from omniroute.state.transitions import Kind

UNWELL = frozenset(("bad_gateway", "server", "overloaded", "unavailable", "timeout"))
"""Kinds of problems that count for the breaker: connect errors, timeouts, 5xx."""

PLAIN_TOTAL = 600.0
"""Seconds after which a plain answer is not tried for again at the same target."""


@stage("retry", needs=["target"], example="retry")
class Retry(Options, frozen=True, kw_only=True):
    """Tries one target with its accounts, as the provider's `retry` says.

    An account that failed rests as the outcome table says: until `Retry-After` when it is limited, 5 s doubling to
    5 min when the upstream is unwell, until its credential changes when it was refused. A success heals. Limits are
    kept here, and the breaker is told how each attempt went.
    """

    def build(self, site: Site) -> Around:
        state = site.state

        def run(exchange: Exchange, proceed: Handler) -> Awaitable[Reply]:
            target = exchange.target
            if target is None:
                raise RuntimeError("retry runs without a target")
            return _Attempts(exchange, target, state).run(proceed)

        return Around(run)


class _Attempts:
    """The attempts at one target for one request."""

    __slots__ = ("_began", "_deadline", "_exchange", "_facts", "_sent", "_state", "_target", "_tries")

    def __init__(self, exchange: Exchange, target: Target, state: State) -> None:
        self._exchange = exchange
        self._target = target
        self._state = state
        self._facts: Facts = exchange.facts or facts_of(exchange)
        self._tries = 0
        self._began = state.clock()
        """Failures of one request, like those of concurrent ones, count once."""
        self._sent = self._began
        """When the latest attempt went out."""
        whole = max(PLAIN_TOTAL, target.timeouts.total or 0.0)
        self._deadline = math.inf if exchange.stream else self._began + whole

    async def run(self, proceed: Handler) -> Reply:
        provider, state = self._target.provider, self._state
        turn: Turn | None = None
        ordered: Sequence[Account] = provider.accounts
        if len(ordered) > 1:
            turn = account_turn(provider, self._facts, state, self._began, state.dice, self._target.model)
            ordered = provider.strategy.order(ordered, turn)
        accounts = [a for a in ordered if a.inactive is None][self._exchange.lane]
        reply: Reply | None = None
        tried: set[str] = set()
        while accounts:
            account = accounts.pop(0)
            # One that is tried again rests because of this very request: that is no reason not to.
            hindered = None if account.name in tried else self._hindered(account)
            if hindered is not None:
                reply = reply if self._tries else refusal(_no_account(provider, hindered))
                continue
            if turn is not None and account.name not in tried:
                provider.strategy.taken(account.name, turn)
            tried.add(account.name)
            reply = await self._attempt(account, proceed)
            if reply.problem is None:
                return reply
            outcome = reply.outcome or outcome_of(reply.problem)
            if outcome.retry:
                pause = self._pause(provider, reply.problem)
                if self._tries >= provider.settings.retry.attempts or state.clock() + pause >= self._deadline:
                    return reply
                await asyncio.sleep(pause)
                accounts.append(account)
            elif not outcome.other_account:
                return reply
        return reply if reply is not None else refusal(_no_account(provider, None))

    def _hindered(self, account: Account) -> Hindrance | None:
        state = self._state
        return account_hindrance(account, self._target.model, state, state.clock(), self._facts)

    async def _attempt(self, account: Account, proceed: Handler) -> Reply:
        """One attempt, with leave of the limits and the breaker; what it came to is noted where it belongs."""
        target, state = self._target, self._state
        permit: Permit | None = FREE
        if Permit.needed(account, target):
            permit = await LimitedPermit.of(self._exchange, account, target, self._facts.tokens, state)
        if permit is None:
            return refusal(_limited(account, target))
        if not state.breakers.enter(target.breaker, target.provider.identity):
            permit.give_back()
            return refusal(_broken(target))
        try:
            reply = await self._once(account, proceed)
        except asyncio.CancelledError:
            state.breakers.leave(target.breaker)
            permit.abandon()
            raise
        except BaseException:
            state.breakers.leave(target.breaker)
            permit.end()
            raise
        if reply.problem is None:
            self._exchange.later.append(lambda: self._served_by(account, permit, reply))
        else:
            permit.end()
            self._failed(account, reply.problem, reply.outcome or outcome_of(reply.problem))
        return reply

    def _once(self, account: Account, proceed: Handler) -> Awaitable[Reply]:
        exchange = self._exchange
        exchange.account = account
        exchange.attempts += 1
        self._tries += 1
        self._sent = self._state.clock()
        return watched(exchange, proceed, self._state.health)

    def _served_by(self, account: Account, permit: Permit, reply: Reply) -> None:
        """The first content is here: the account is well, unless the stream is cut later on."""
        state, target = self._state, self._target
        learn(account, reply.received, state)
        if state.cooldowns.rests:
            self._heal(account)
        state.breakers.succeeded(
            target.breaker, target.provider.identity, target.provider.breaker, self._sent
        )
        self._exchange.endings.append(lambda problem: self._ended(account, permit, problem))

    def _heal(self, account: Account) -> None:
        state, lockout = self._state, f"{account.id}/{self._target.model}"
        if state.cooldowns.heal(account.id, self._sent):
            state.transitions.tell("cooldown", account.id, "healed")
        if state.cooldowns.heal(lockout, self._sent):
            state.transitions.tell("lockout", lockout, "healed")

    def _ended(self, account: Account, permit: Permit, problem: Problem | None) -> None:
        permit.charge()
        if problem is not None and problem.code not in OUR_FAULT:
            self._failed(account, problem, outcome_of(problem))

    def _failed(self, account: Account, problem: Problem, outcome: Outcome) -> None:
        if self._exchange.endpoint.operation == "count_tokens":
            # A provider that cannot count tokens is none the worse at answering.
            self._state.breakers.leave(self._target.breaker)
            return
        self._count(problem)
        if problem.kind == "quota":
            self._mark_spent(account, problem)
        if outcome.rest is None:
            return
        state = self._state
        name = f"{account.id}/{self._target.model}" if outcome.lockout else account.id
        known = state.cooldowns.resting(name, account.identity)
        rest = state.cooldowns.rest(
            name,
            account.identity,
            pace=outcome.rest,
            reason=f"{problem.kind.replace('_', ' ')}: {problem.message}",
            seconds=problem.retry_after if outcome.seconds is None else outcome.seconds,
            began=self._began,
        )
        if known is None:
            kind: Kind = "lockout" if outcome.lockout else "cooldown"
            until = None if rest.until == math.inf else rest.until
            state.transitions.tell(kind, name, "resting", rest.reason, until)

    def _count(self, problem: Problem) -> None:
        """For the breaker: an answer that refuses is a sign of life, and one of our own says nothing."""
        target = self._target
        breakers, identity, rules = self._state.breakers, target.provider.identity, target.provider.breaker
        if problem.code in OUR_FAULT or problem.kind == "cancelled":
            breakers.leave(target.breaker)
        elif problem.kind in UNWELL:
            breakers.failed(target.breaker, identity, rules, problem.message, self._sent)
        else:
            breakers.succeeded(target.breaker, identity, rules, self._sent)

    def _mark_spent(self, account: Account, problem: Problem) -> None:
        """The provider says that a quota is used up: the shortest of those declared is, until it resets."""
        if not account.allowances:
            return
        now = self._state.clock()
        until = now + problem.retry_after if problem.retry_after else None
        ledger = self._state.ledger
        spent = min(account.allowances, key=lambda a: ledger.standing(a, now).resets_in or math.inf)
        ledger.declare_spent(spent, until)

    def _pause(self, provider: Provider, problem: Problem) -> float:
        """Exponential with full jitter; what the upstream asked for counts when it is short enough to wait for."""
        retry = provider.settings.retry
        longest = min(retry.wait * 2.0 ** (self._tries - 1), retry.max_wait)
        asked = problem.retry_after or 0.0
        return max(self._state.dice.uniform(0, longest), asked if asked <= retry.max_wait else 0.0)


def _no_account(provider: Provider, hindered: Hindrance | None) -> Problem:
    why = f": {hindered.reason}" if hindered is not None else ""
    return Problem(
        kind="rate_limit" if hindered is not None and hindered.cause == "limit" else "unavailable",
        code="no_account",
        message=f"No account of {provider.name} can be used now{why}.",
    )


def _limited(account: Account, target: Target) -> Problem:
    return Problem(
        kind="rate_limit",
        code="limit_reached",
        message=f"A limit that the gateway keeps for {target.name} was reached.",
    )


def _broken(target: Target) -> Problem:
    return Problem(
        kind="unavailable",
        code="breaker_open",
        message=f"The breaker of {target.breaker} is open.",
    )
