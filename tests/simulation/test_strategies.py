"""Who gets which share of the traffic, under each strategy, over thousands of requests in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests.support.world import REFUSED, Place, World, at_random, between

PRICE = "price: {input: %d, output: %d}"
CONFIG = """
providers:
  a: {{format: openai-chat, base_url: "http://a/v1", tier: cheap, accounts: {{k: {{key: ka}}}}, models: {{m: {{price: {{input: 3, output: 9}}}}}}, retry: {{attempts: 1}}}}
  b: {{format: openai-chat, base_url: "http://b/v1", tier: subscription, accounts: {{k: {{key: kb}}}}, models: {{m: {{price: {{input: 2, output: 2}}}}}}, retry: {{attempts: 1}}}}
  c: {{format: openai-chat, base_url: "http://c/v1", tier: api_key, accounts: {{k: {{key: kc}}}}, models: {{m: {{price: {{input: 1, output: 1}}}}}}, retry: {{attempts: 1}}}}
combos:
  all:
    strategy: {strategy}
    targets: [{{model: a/m, weight: 3}}, {{model: b/m, weight: 1}}, {{model: c/m, weight: 0}}]
"""
NEAR = 0.04
"""A share of a thousand requests may be off by so much, by chance."""


def world(strategy: str, **places: Place) -> World:
    return World(CONFIG.format(strategy=strategy), dict(places))


def close(shares: dict[str, float], expected: dict[str, float], by: float = NEAR) -> bool:
    names = {*shares, *expected}
    return all(abs(shares.get(name, 0.0) - expected.get(name, 0.0)) <= by for name in names)


THIRD = {"a/m": 1 / 3, "b/m": 1 / 3, "c/m": 1 / 3}


@pytest.mark.parametrize(
    "strategy, shares",
    [
        ("fill-first", {"a/m": 1}),
        ("round-robin", THIRD),
        ("random", THIRD),
        ("weighted", {"a/m": 0.75, "b/m": 0.25}),
        ("p2c", THIRD),
        ("least-used", THIRD),
        ("cost-optimized", {"c/m": 1}),
        ("{type: least-latency, explore: 0}", {"b/m": 1}),
        ("{type: least-latency, explore: 0.1}", {"b/m": 0.9, "a/m": 0.05, "c/m": 0.05}),
        ("tiered", {"b/m": 1}),
        ("{type: tiered, within: random}", {"b/m": 1}),
        ("{type: race, first: 3}", {"b/m": 1}),
    ],
)
def test_shares_of_the_traffic(strategy: str, shares: dict[str, float]) -> None:
    """A thousand requests; `b` answers a little sooner than the others, which p2c takes into account."""
    latencies = {"a": 0.30, "b": 0.20, "c": 0.25} if "p2c" not in strategy else dict.fromkeys("abc", 0.2)
    made = world(strategy, **{name: Place(latency=seconds) for name, seconds in latencies.items()})
    made.run(lambda w: w.traffic("all", rate=10, seconds=100))
    assert 850 < len(made.answers) < 1150
    assert set(made.statuses()) == {200}
    assert close(made.shares(), shares), made.shares()


def test_p2c_gives_who_is_slow_less() -> None:
    made = world("p2c", a=Place(latency=2.0))
    made.run(lambda w: w.traffic("all", rate=20, seconds=60))
    shares = made.shares(after=10)
    assert shares.get("a/m", 0) < 0.05
    assert abs(shares["b/m"] - shares["c/m"]) < 0.1


def test_p2c_evens_out_what_is_under_way() -> None:
    """Random choice of three piles up where p2c does not."""
    most = {}
    for strategy in ("random", "p2c"):
        made = world(strategy, **{name: Place(latency=1.0) for name in "abc"})
        made.run(lambda w: w.traffic("all", rate=30, seconds=60))
        most[strategy] = max(made.most.values())
    assert most["p2c"] < most["random"]
    assert most["p2c"] <= 20


def test_least_latency_follows_when_the_fastest_slows_down() -> None:
    slow = Place(latency=lambda sent: 0.1 if sent.at < 60 else 3.0)
    made = world("least-latency", a=slow, b=Place(latency=0.3), c=Place(latency=0.5))

    async def day(w: World) -> None:
        await w.traffic("all", rate=10, seconds=60)
        await w.traffic("all", rate=10, seconds=120)

    made.run(day)
    before = Counter(target for at, _, target in made.answers if 5 < at < 60)
    assert before["a/m"] / before.total() > 0.9
    after = made.shares(after=90)
    assert after["b/m"] > 0.85


def test_least_used_fills_up_who_was_out() -> None:
    """After its outage the one that was used least catches up, and no faster than its window forgets."""
    made = world("{type: least-used, window: 5m}", a=Place(fails=between(0, 60)))
    made.run(lambda w: w.traffic("all", rate=5, seconds=400))
    assert set(made.statuses()) == {200}
    late = made.shares(after=300)
    assert close(late, THIRD, by=0.1), late


def test_race_asks_all_and_is_as_fast_as_the_fastest() -> None:
    dice = random.Random(3)
    places = {name: Place(latency=lambda sent: dice.choice((0.1, 2.0))) for name in "abc"}
    made = world("{type: race, first: 3}", **places)

    async def one_by_one(w: World) -> list[float]:
        took = []
        for _ in range(300):
            began = w.now
            assert (await w.ask("all")).status == 200
            took.append(w.now - began)
        return took

    took = made.run(one_by_one)
    assert len(made.sent) == 900
    assert sum(seconds < 0.2 for seconds in took) / 300 == pytest.approx(7 / 8, abs=0.06)
    assert made.running.total() == 0
    assert sum(len(record.lost) for record in made.gateway.records) == 600


# ── cooling, outages, herds ──────────────────────────────────────────────────────────────────────

SOME = [
    "fill-first",
    "round-robin",
    "random",
    "weighted",
    "p2c",
    "least-used",
    "cost-optimized",
    "least-latency",
    "tiered",
]


@pytest.mark.parametrize("strategy", SOME)
def test_nobody_is_asked_while_it_cools(strategy: str) -> None:
    """Each answers every tenth request with a 429, and wants to be left alone for 20 s."""
    dice = random.Random(7)
    made = world(strategy, **{n: Place(fails=at_random(0.1, 429, dice), retry_after=20) for n in "abc"})
    made.run(lambda w: w.traffic("all", rate=4, seconds=300))
    assert len(made.failed) > 10
    assert list(made.disturbed()) == []
    assert set(made.statuses()) <= {200, 429}


@pytest.mark.parametrize("strategy, status", [*((name, 503) for name in SOME), ("fill-first", REFUSED)])
def test_an_outage_is_not_noticed_and_ends(strategy: str, status: int) -> None:
    """All of `a`, `b` and `c` are down for 100 s each, one after the other, and at least one is always up.

    Rests and breakers double, so that who was down for 100 s is back after as long again, at most.
    """
    outages = {"a": (60, 160), "b": (200, 300), "c": (340, 440)}
    made = world(strategy, **{n: Place(fails=between(*times, status)) for n, times in outages.items()})
    made.run(lambda w: w.traffic("all", rate=2, seconds=600))
    assert set(made.statuses()) == {200}
    for name, (begin, end) in outages.items():
        assert len(made.asked(name, begin, end)) < 40, "it is asked again and again while it is down"
        if made.asked(name, before=60):
            back = made.asked(name, end)
            assert back and back[0].at < end + 130, "it is not used again when it is back"


def test_requests_that_fail_together_count_once() -> None:
    """200 are under way when the account is limited: one level up, and nobody is asked in its rest."""
    made = world("fill-first", a=Place(latency=1.0, fails=between(0, 30, 429)))

    async def all_at_once(w: World) -> int:
        await asyncio.gather(*[w.ask("all") for _ in range(200)])
        return w.gateway.state.cooldowns.all()["a/k"].level

    assert made.run(all_at_once) == 1
    assert set(made.statuses()) == {200}
    assert len(made.asked("a")) == 200


def test_who_comes_back_is_not_overrun_while_it_may_still_be_down() -> None:
    """Every 10 s there are 50 requests at once. While it is down, one of them at most finds that out."""
    made = world("fill-first", a=Place(latency=0.5, fails=between(0, 200)))

    async def day(w: World) -> list[tuple[float, int]]:
        probes = []
        await w.traffic("all", rate=20, seconds=10)
        for _ in range(35):
            await asyncio.sleep(10)
            at, before = w.now, len(w.asked("a"))
            await asyncio.gather(*[w.ask("all") for _ in range(50)])
            probes.append((at, len(w.asked("a")) - before))
        return probes

    probes = made.run(day)
    assert set(made.statuses()) == {200}
    while_down = [count for at, count in probes if at < 200]
    assert max(while_down) == 1
    assert sum(while_down) <= 6
    assert [count for _, count in probes if count][-1] == 50
    first_back = next(count for at, count in probes if at >= 200 and count)
    assert first_back == 1, "the one that finds it well is the only one"


@pytest.mark.parametrize("strategy", ["least-latency", "least-used", "p2c", "round-robin"])
def test_a_cold_start_does_not_flood_the_first(strategy: str) -> None:
    made = world(strategy)

    async def burst(w: World) -> Any:
        return await asyncio.gather(*[w.ask("all") for _ in range(90)])

    made.run(burst)
    asked = Counter(sent.provider for sent in made.sent)
    assert all(20 <= asked[name] <= 40 for name in "abc"), asked


def test_the_same_seed_gives_the_same_day() -> None:
    def day() -> list[Any]:
        dice = random.Random(5)
        made = world("p2c", a=Place(fails=at_random(0.2, 503, dice)))
        made.run(lambda w: w.traffic("all", rate=10, seconds=60))
        return [made.answers, [(s.at, s.account) for s in made.sent]]

    assert day() == day()
