"""What a request takes from limits before it is sent, and what it is charged when it is over."""

from __future__ import annotations

from omniroute.pipeline.exchange import Exchange
from omniroute.pipeline.keys import Caller
from omniroute.routing.cost import cost_of
from omniroute.routing.directory import Account, Target
from omniroute.state.limits import Limit
from omniroute.state.quota import Allowance, Ledger
from omniroute.state.state import State
from omniroute.wire.conversation import Usage


class Permit:
    """Leave for one attempt, where nothing is limited and nothing is charged. Ended exactly once."""

    __slots__ = ()

    @staticmethod
    def needed(account: Account, target: Target) -> bool:
        """Whether leave has to be asked for."""
        return bool(target.limits or account.limit or account.allowances or target.provider.allowances)

    def give_back(self) -> None:
        """Nothing was sent."""

    def end(self) -> None:
        """It was sent, and used nothing that is known."""

    def abandon(self) -> None:
        """It was sent, and nobody waits for the answer any more: the provider has read the prompt all the same."""

    def charge(self) -> None:
        """It was served, and it is known what it used."""


FREE = Permit()


class LimitedPermit(Permit):
    """Places under the limits of account, model and provider, and what it is charged to."""

    __slots__ = ("_account", "_exchange", "_limits", "_state", "_target", "_tokens")

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        target: Target,
        limits: tuple[Limit, ...],
        tokens: int,
        state: State,
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._target = target
        self._limits = limits
        self._tokens = tokens
        self._state = state

    @classmethod
    async def of(
        cls, exchange: Exchange, account: Account, target: Target, tokens: int, state: State
    ) -> LimitedPermit | None:
        """Wait for a place where the limits have a queue; None where there is none to be had.

        The narrowest limit comes first: who waits for an account holds no place of the provider.
        """
        limits = target.limits if account.limit is None else (account.limit, *target.limits)
        for place, limit in enumerate(limits):
            caller = exchange.caller.name if exchange.caller is not None else ""
            try:
                admitted = await limit.admit(state.clock, caller, tokens)
            except BaseException:
                _give_back(limits[:place], tokens, state)
                raise
            if not admitted:
                _give_back(limits[:place], tokens, state)
                return None
        for allowance in account.allowances:
            if allowance.unit == "requests":
                state.ledger.charge(allowance, 1)
        return cls(exchange, account, target, limits, tokens, state)

    def give_back(self) -> None:
        _give_back(self._limits, self._tokens, self._state)
        for allowance in self._account.allowances:
            if allowance.unit == "requests":
                self._state.ledger.charge(allowance, -1)

    def end(self) -> None:
        if self._limits:
            now = self._state.clock()
            for limit in self._limits:
                limit.gauge.leave(now, 0)

    def abandon(self) -> None:
        self.end()
        used = Usage(input=self._tokens)
        price = self._target.facts.price
        cost = cost_of(used, price) if price is not None else 0.0
        for allowance in (*self._account.allowances, *self._target.provider.allowances):
            amounts = {"tokens": self._tokens, "usd": cost, "requests": 0}
            self._state.ledger.charge(allowance, amounts[allowance.unit])

    def charge(self) -> None:
        exchange, state = self._exchange, self._state
        used = tokens_of(exchange.usage)
        if self._limits:
            now = state.clock()
            correction = used - self._tokens if exchange.usage is not None else 0
            for limit in self._limits:
                limit.gauge.leave(now, correction)
        for allowance in (*self._account.allowances, *self._target.provider.allowances):
            charge(state.ledger, allowance, exchange)


def charge(ledger: Ledger, allowance: Allowance, exchange: Exchange) -> None:
    """What an exchange that is over used of an allowance. Requests are counted when they are sent."""
    if allowance.unit == "tokens":
        ledger.charge(allowance, tokens_of(exchange.usage))
    elif allowance.unit == "usd" and exchange.cost:
        ledger.charge(allowance, exchange.cost)


class KeyPermit:
    """Leave of the calling key's own limits, and the charge to its budget."""

    __slots__ = ("_caller", "_exchange", "_state", "_tokens")

    def __init__(self, exchange: Exchange, caller: Caller, tokens: int, state: State) -> None:
        self._exchange = exchange
        self._caller = caller
        self._tokens = tokens
        self._state = state

    def end(self) -> None:
        exchange, caller, state = self._exchange, self._caller, self._state
        if caller.limit is not None:
            correction = tokens_of(exchange.usage) - self._tokens if exchange.usage is not None else 0
            caller.limit.gauge.leave(state.clock(), correction)
        if caller.budget is not None:
            charge(state.ledger, caller.budget, exchange)


def tokens_of(usage: Usage | None) -> int:
    return usage.input + usage.output if usage is not None else 0


def _give_back(limits: tuple[Limit, ...], tokens: int, state: State) -> None:
    now = state.clock()
    for limit in limits:
        limit.gauge.give_back(now, tokens)
