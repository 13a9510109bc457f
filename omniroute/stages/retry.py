"""The same target again: other accounts, backoff, and what a failure means for whom."""

from __future__ import annotations

import asyncio

from omniroute.declare import Options, stage
from omniroute.errors import Problem, UpstreamError
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Around, Handler
from omniroute.pipeline.site import Site
from omniroute.routing.attempt import OUR_FAULT, watched
from omniroute.routing.directory import Account, Provider, Target
from omniroute.routing.facts import facts_of
from omniroute.routing.outcomes import Outcome, outcome_of
from omniroute.routing.plan import account_rest, account_turn
from omniroute.state.state import State


@stage("retry", needs=["target"], example="retry")
class Retry(Options, frozen=True, kw_only=True):
    """Tries one target with its accounts, as the provider's `retry` says.

    An account that failed rests as the outcome table says: until `Retry-After` when it is limited, 5 s doubling to
    5 min when the upstream is unwell, until its credential changes when it was refused. A success heals.
    """

    def build(self, site: Site) -> Around:
        state = site.state

        async def run(exchange: Exchange, proceed: Handler) -> Reply:
            target = exchange.target
            if target is None:
                raise RuntimeError("retry runs without a target")
            return await _Attempts(exchange, target, state).run(proceed)

        return Around(run)


class _Attempts:
    """The attempts at one target for one request."""

    __slots__ = ("_began", "_exchange", "_sent", "_state", "_target", "_tries")

    def __init__(self, exchange: Exchange, target: Target, state: State) -> None:
        self._exchange = exchange
        self._target = target
        self._state = state
        self._tries = 0
        self._began = state.clock()
        """Failures of one request, like those of concurrent ones, count once."""
        self._sent = self._began
        """When the latest attempt went out."""

    async def run(self, proceed: Handler) -> Reply:
        provider = self._target.provider
        facts = facts_of(self._exchange)
        turn = account_turn(provider, facts, self._state, self._state.clock(), self._state.dice)
        accounts = [a for a in provider.strategy.order(provider.accounts, turn) if self._usable(a)]
        reply = refusal(_no_account(provider))
        while accounts:
            account = accounts.pop(0)
            if account is not self._exchange.account:
                provider.strategy.taken(account.name, turn)
            reply = await self._once(account, proceed)
            if reply.problem is None:
                self._served_by(account, reply)
                return reply
            outcome = outcome_of(reply.problem)
            self._rest(account, reply.problem, outcome)
            if outcome.again:
                if self._tries >= provider.settings.retry.attempts:
                    return reply
                await asyncio.sleep(self._pause(provider, reply.problem))
                accounts.append(account)
            elif not outcome.other:
                return reply
        return reply

    async def _once(self, account: Account, proceed: Handler) -> Reply:
        exchange = self._exchange
        exchange.account = account
        exchange.attempts += 1
        self._tries += 1
        self._sent = self._state.clock()
        try:
            return await watched(exchange, proceed, self._state.health)
        except UpstreamError as error:
            return refusal(error.problem)

    def _usable(self, account: Account) -> bool:
        return account.inactive is None and account_rest(account, self._target.model, self._state) is None

    def _served_by(self, account: Account, reply: Reply) -> None:
        """The first content is here: the account is well, unless the stream is cut later on."""
        cooldowns = self._state.cooldowns
        cooldowns.heal(account.id, self._sent)
        cooldowns.heal(f"{account.id}/{self._target.model}", self._sent)
        if reply.stream is not None:
            self._exchange.endings.append(lambda problem: self._ended(account, problem))

    def _ended(self, account: Account, problem: Problem | None) -> None:
        if problem is not None and problem.code not in OUR_FAULT:
            self._rest(account, problem, outcome_of(problem))

    def _rest(self, account: Account, problem: Problem, outcome: Outcome) -> None:
        if outcome.rest is None or self._exchange.endpoint.operation != "chat":
            # A provider that cannot count tokens is none the worse at answering.
            return
        self._state.cooldowns.rest(
            f"{account.id}/{self._target.model}" if outcome.model_only else account.id,
            account.identity,
            pace=outcome.rest,
            reason=f"{problem.kind.replace('_', ' ')}: {problem.message}",
            seconds=problem.retry_after if outcome.seconds is None else outcome.seconds,
            began=self._began,
        )

    def _pause(self, provider: Provider, problem: Problem) -> float:
        """Exponential with full jitter; what the upstream asked for counts when it is short enough to wait for."""
        retry = provider.settings.retry
        longest = min(retry.wait * 2.0 ** (self._tries - 1), retry.max_wait)
        asked = problem.retry_after or 0.0
        return max(self._state.dice.uniform(0, longest), asked if asked <= retry.max_wait else 0.0)


def _no_account(provider: Provider) -> Problem:
    return Problem(
        kind="unavailable", code="no_account", message=f"No account of {provider.name} can be used now."
    )
