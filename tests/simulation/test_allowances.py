"""Days of traffic against limits, quotas and budgets, in virtual time: nothing is passed by more than what was under way,
and nobody is starved."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.support.world import REFUSED, Place, World, between

CONFIG = """
{top}
keys:
  x: {{key: kx{x}}}
  y: {{key: ky}}
providers:
  a:
    format: openai-chat
    base_url: http://a/v1
    retry: {{attempts: {attempts}}}
    {provider}
    accounts: {{k: {{key: ka{account}}}{more}}}
    models: {{m: {{price: {{input: 1000, output: 10000}}}}}}
  b: {{format: openai-chat, base_url: "http://b/v1", tier: free, accounts: {{k: {{key: kb}}}}, models: {{m: {{price: {{input: 0, output: 0}}}}}}}}
combos: {{both: [a/m, b/m]}}
"""
X, Y = {"authorization": "Bearer kx"}, {"authorization": "Bearer ky"}


def world(
    *,
    x: str = "",
    provider: str = "x-nothing: 0",
    account: str = "",
    more: str = "",
    top: str = "",
    attempts: int = 1,
    **places: Place,
) -> World:
    text = CONFIG.format(x=x, provider=provider, account=account, more=more, top=top, attempts=attempts)
    return World(text, dict(places))


def most_in(times: list[float], seconds: float) -> int:
    """The most moments in any stretch of so many seconds."""
    times = sorted(times)
    begin = most = 0
    for end, at in enumerate(times):
        while at - times[begin] >= seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("queue", ["", ", queue: {size: 20, wait: 30s}"], ids=["no-queue", "queue"])
def test_no_minute_of_a_day_holds_more_than_the_limit(queue: str) -> None:
    played = world(provider=f"limits: {{rpm: 30{queue}}}")

    async def day(w: World) -> None:
        await w.traffic("both", rate=0.9, seconds=3600, headers=X)

    played.run(day)
    times = [sent.at for sent in played.asked("a")]
    assert most_in(times, 60) <= 30
    assert len(times) >= 0.93 * 30 * 60, "and hardly any of it is given away"
    assert set(played.statuses()) == {200}


def test_at_once_is_never_more_than_the_limit_and_nothing_is_refused() -> None:
    played = world(provider="limits: {concurrency: 4, queue: {size: 500, wait: 10m}}")

    async def hour(w: World) -> None:
        await w.traffic("a/m", rate=15, seconds=200, headers=X)

    played.run(hour)
    assert played.most["a"] == 4
    assert set(played.statuses()) == {200}


def test_a_key_that_floods_does_not_starve_another() -> None:
    """One sends ten times what the provider may take, the other a tenth of it."""
    played = world(provider="limits: {concurrency: 2, queue: {size: 200, wait: 30s}}")
    waits: list[float] = []

    async def main(w: World) -> None:
        async def modest() -> None:
            for _ in range(50):
                began = w.now
                answered = await w.ask("a/m", headers=Y)
                assert answered.status == 200
                waits.append(w.now - began)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(w.traffic("a/m", rate=100, seconds=60, headers=X))
            tasks.create_task(modest())

    played.run(main)
    assert max(waits) < 1.0, "its turn comes after one request of the other at most"


def test_a_key_gets_its_share_of_a_minute_and_not_more() -> None:
    played = world(x=", limits: {rpm: 60}")

    async def main(w: World) -> None:
        await w.traffic("a/m", rate=3, seconds=1200, headers=X)

    played.run(main)
    served = [at for at, status, _ in played.answers if status == 200]
    assert most_in(served, 60) <= 60
    assert set(played.statuses()) == {200, 429}
    assert len(served) >= 0.95 * 1200


# ── quotas and budgets ───────────────────────────────────────────────────────────────────────────


def test_a_daily_quota_is_passed_by_no_more_than_what_was_under_way() -> None:
    played = world(account=", quota: {limit: {requests: 500}, window: daily}")

    async def days(w: World) -> None:
        await w.traffic("both", rate=0.02, seconds=3 * 86400, headers=X)

    played.run(days)
    offset = 1_700_000_000.0 % 86400
    by_day = Counter(int((sent.at + offset) // 86400) for sent in played.asked("a"))
    assert max(by_day.values()) <= 500
    assert sum(1 for count in by_day.values() if count == 500) >= 2, "each whole day uses all of it"
    assert set(played.statuses()) == {200}


def test_a_budget_holds_to_the_cent() -> None:
    """What is charged is what was used, and at most the answers under way come on top."""
    played = world(x=", budget: {usd: 25, per: day}")

    async def day(w: World) -> float:
        await w.traffic("both", rate=0.5, seconds=3600, headers=X)
        generation, state = w.gateway.generation, w.gateway.state
        budget = next(c.budget for c in generation.keyring.callers if c.name == "x")
        assert budget is not None
        return state.ledger.used(budget, state.clock())

    charged = played.run(day)
    cost = sum(record.cost or 0.0 for record in played.gateway.records)
    assert charged == pytest.approx(cost, abs=1e-9)
    most = max(record.cost or 0.0 for record in played.gateway.records)
    assert 25 <= charged <= 25 + most * played.most["a"]
    assert played.statuses()[402] > 0


def test_a_soft_budget_ends_in_what_costs_nothing() -> None:
    played = world(x=", budget: {usd: 5, per: week, mode: soft}")

    async def hours(w: World) -> None:
        await w.traffic("both", rate=0.5, seconds=2 * 3600, headers=X)

    played.run(hours)
    assert set(played.statuses()) == {200}
    after = max(sent.at for sent in played.asked("a")) + 1
    assert played.shares(after=after) == {"b/m": 1.0}


def test_a_tier_is_paid_for_until_its_budget_is_spent() -> None:
    played = world(top="tiers: {api_key: {budget: {usd: 5, per: week, mode: soft}}}")

    async def hours(w: World) -> None:
        await w.traffic("both", rate=0.5, seconds=2 * 3600, headers=X)
        await w.traffic("both", rate=0.5, seconds=2 * 3600, headers=Y)

    played.run(hours)
    cost = sum(record.cost or 0.0 for record in played.gateway.records)
    assert 5 <= cost < 5.5
    assert set(played.statuses()) == {200}


# ── outages ──────────────────────────────────────────────────────────────────────────────────────


def test_an_outage_under_load_costs_few_requests_and_ends_soon() -> None:
    """Ten minutes away, five requests a second: the breaker lets single probes through, and traffic is back within the
    time that it stays open."""
    played = world(a=Place(fails=between(600, 1200, REFUSED)))

    async def hour(w: World) -> None:
        await w.traffic("both", rate=5, seconds=2400, headers=X)

    played.run(hour)
    assert set(played.statuses()) == {200}
    during = played.asked("a", 605, 1200)
    assert len(during) <= 20, "no more than probes"
    back = min(at for at, _, target in played.answers if at > 1200 and target == "a/m")
    assert back - 1200 <= 480
    assert played.shares(after=back + 1)["a/m"] == 1.0


def test_a_herd_of_failures_counts_once() -> None:
    """A hundred requests are under way when an account fails: it rests as long as after a single failure."""
    played = world(a=Place(latency=1.0, fails=lambda sent: 503), provider="breaker: {failures: 1000}")

    async def main(w: World) -> tuple[int, float]:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(100):
                tasks.create_task(w.ask("both", headers=X))
        rest = w.gateway.state.cooldowns.all()["a/k"]
        return rest.level, rest.until - w.gateway.state.clock()

    level, seconds = played.run(main)
    assert (level, seconds <= 5) == (1, True)


def test_no_herd_comes_back_when_a_rest_ends() -> None:
    """An account that was limited for a minute is not met by all that waited elsewhere: only the traffic of the moment."""
    played = world(a=Place(fails=between(60, 61, 429), retry_after=60.0))

    async def main(w: World) -> None:
        await w.traffic("both", rate=5, seconds=300, headers=X)

    played.run(main)
    assert not list(played.disturbed())
    back = [sent.at for sent in played.asked("a", 100)]
    assert most_in(back, 1.0) <= 15
