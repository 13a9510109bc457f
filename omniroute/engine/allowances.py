"""Limits, quotas, budgets and breakers as the settings write them → handles on the state that counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from omniroute.config.settings import Account as AccountSettings
from omniroute.config.settings import Breaker, Budget, Key, Limits, Model, Quota, Settings
from omniroute.config.settings import Provider as ProviderSettings
from omniroute.pipeline.keys import Caller
from omniroute.state.breaker import BreakerRules
from omniroute.state.limits import Limit
from omniroute.state.quota import Allowance, Unit
from omniroute.state.state import State
from omniroute.state.windows import Window, WindowKind, window_of

PERIODS: dict[str, WindowKind] = {"day": "daily", "week": "weekly", "month": "monthly"}


class Allowances:
    """Makes the handles of one generation. Counts are kept by name in the state, so that a reload changes none."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state

    def caller(self, name: str, key: Key) -> Caller:
        budget = budget_of(f"key/{name}", key.budget) if key.budget is not None else None
        return Caller(name, key, self.limit(f"key/{name}", key.limits), budget, self._state.ledger)

    def limit(self, name: str, limits: Limits | None) -> Limit | None:
        if limits is None or not (limits.rpm or limits.tpm or limits.concurrency or limits.min_interval):
            return None
        queue = limits.queue
        return Limit(
            name=name,
            gauge=self._state.limits.gauge(name),
            rpm=limits.rpm,
            tpm=limits.tpm,
            concurrency=limits.concurrency,
            min_interval=limits.min_interval,
            queue=queue.size if queue is not None else 0,
            wait=queue.wait if queue is not None else 0.0,
        )

    def model_limit(self, provider: str) -> Callable[[str, Model], Limit | None]:
        return lambda target, model: self.limit(f"model/{target}", model.limits)

    def of_provider(self, name: str, provider: ProviderSettings) -> tuple[Allowance, ...]:
        """The budget of the provider, and that of its tier."""
        found: list[Allowance] = []
        if provider.budget is not None:
            found.append(budget_of(f"provider/{name}", provider.budget))
        tier = self._settings.tiers.get(provider.tier)
        if tier is not None and tier.budget is not None:
            found.append(budget_of(f"tier/{provider.tier}", tier.budget))
        return tuple(found)

    @staticmethod
    def of_account(name: str, account: AccountSettings, provider: ProviderSettings) -> tuple[Allowance, ...]:
        """What the account grants: its own quotas, else those that the provider writes for all."""
        return tuple(_quotas(f"account/{name}", account.quota or provider.quota))


def rules_of(breaker: Breaker) -> BreakerRules:
    return BreakerRules(
        failures=breaker.failures,
        ratio=breaker.ratio,
        least=breaker.least,
        window=breaker.window,
        open=breaker.open,
        max_open=breaker.max_open,
    )


def budget_of(subject: str, budget: Budget) -> Allowance:
    kind = PERIODS[budget.per]
    window = Window(kind, day=1 if kind == "monthly" else 0, zone=budget.zone)
    return Allowance("budget", subject, "usd", float(budget.usd), window, hard=budget.mode == "hard")


def _quotas(subject: str, quotas: Iterable[Quota]) -> Iterator[Allowance]:
    for quota in quotas:
        window = window_of(quota.window, quota.length, quota.resets_at)
        limits: tuple[tuple[Unit, float | None], ...] = (
            ("tokens", quota.limit.tokens),
            ("requests", quota.limit.requests),
            ("usd", quota.limit.usd),
        )
        for unit, limit in limits:
            if limit is not None:
                yield Allowance("quota", subject, unit, float(limit), window)
