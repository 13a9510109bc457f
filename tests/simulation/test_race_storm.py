"""Thousands of races in which providers fail, stall and are cut off, and clients leave: nothing may be left behind."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.support.world import REFUSED, Place, Sent, World

CONFIG = """
providers:
  a: {format: openai-chat, base_url: "http://a/v1", accounts: {k: {key: ka}}, retry: {attempts: 1}, limits: {concurrency: 6}, breaker: {failures: 1000, ratio: 1}, models: {m: {price: {input: 1, output: 1}}}}
  b: {format: openai-chat, base_url: "http://b/v1", accounts: {k: {key: kb}, l: {key: lb}}, strategy: {type: race, first: 2}, retry: {attempts: 1}, breaker: {failures: 1000, ratio: 1}, models: {m: {price: {input: 1, output: 1}}}}
  c: {format: openai-chat, base_url: "http://c/v1", accounts: {k: {key: kc}}, retry: {attempts: 2, wait: 1s}, limits: {concurrency: 6}, breaker: {failures: 1000, ratio: 1}}
combos:
  fast: {strategy: {type: race, first: 2, within: p2c}, targets: [a/m, b/m, c/m]}
  turns: {strategy: round-robin, targets: [fast, b/m, c/m]}
"""


def test_a_storm_of_races_leaves_nothing_behind() -> None:
    dice = random.Random(11)

    def latency(sent: Sent) -> float:
        return dice.choice((0.05, 0.2, 1.0, 400.0))

    def fails(sent: Sent) -> int | None:
        return dice.choice((None, None, None, 500, 400, REFUSED))

    made = World(CONFIG, {name: Place(latency=latency, fails=fails) for name in "abc"})

    async def impatient(w: World) -> None:
        """A client that waits for two seconds at most."""
        try:
            async with asyncio.timeout(dice.choice((0.1, 2.0, 30.0))):
                await w.ask(dice.choice(("fast", "turns")), stream=dice.random() < 0.5)
        except TimeoutError:
            w.answers.append((w.now, 499, ""))

    async def storm(w: World) -> Any:
        for _ in range(300):
            await asyncio.gather(*[impatient(w) for _ in range(5)])
            w.gateway.state.cooldowns.reset()
        for place in w.places.values():
            place.latency, place.fails = 0.1, lambda sent: None
        left = len(asyncio.all_tasks()) - 1
        w.gateway.state.cooldowns.reset()
        # All places under the limits are free again: six and six at once, without a wait.
        began = w.now
        calm = await asyncio.gather(*[w.ask(f"{name}/m") for name in "ac" for _ in range(6)])
        under_way = [reading.running for reading in w.gateway.state.health.all().values()]
        return left, [answered.status for answered in calm], w.now - began, under_way

    left, statuses, took, under_way = made.run(storm)
    assert left == 0
    assert statuses == [200] * 12
    assert took < 0.15
    assert made.running.total() == 0
    assert set(made.statuses()) <= {200, 400, 429, 499, 500, 502, 503}
    assert min(made.statuses()[status] for status in (200, 400, 499)) > 50
    assert len(under_way) == 7 and set(under_way) == {0}
