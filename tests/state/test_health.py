"""How targets and accounts are doing: what averages forget, what is counted, and what is kept over a reload."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from omniroute.state.health import HOUR, Health
from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.support.answers import call, chat, chat_stream, error, responder
from tests.support.http import get, post


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def attempt(health: Health, clock: Clock, seconds: float, *, ok: bool = True) -> None:
    made = health.began("a", stream=True)
    clock.now += seconds
    made.answered() if ok else made.failed()
    made.over()


def test_latency_follows_what_is_new() -> None:
    clock = Clock()
    health = Health(clock)
    assert health.of("a").latency(True) is None
    attempt(health, clock, 1.0)
    assert health.of("a").latency(True) == 1.0
    for _ in range(10):
        attempt(health, clock, 0.2)
    first = health.of("a").latency(True)
    assert first is not None and 0.2 < first < 0.4
    clock.now += 600
    attempt(health, clock, 5.0)
    assert health.of("a").latency(True) == pytest.approx(5.0)


def test_plain_answers_and_streams_are_not_compared() -> None:
    health = Health(Clock())
    health.began("a", stream=False).answered()
    assert health.of("a").latency(False) == 0.0
    assert health.of("a").latency(True) is None


def test_errors_are_felt_at_once_and_forgiven_with_time() -> None:
    clock = Clock()
    health = Health(clock)
    rates = []
    for _ in range(4):
        attempt(health, clock, 0.0, ok=False)
        rates.append(health.of("a").error_rate(clock.now))
    assert rates == sorted(rates)
    assert 0.5 < rates[-1] < 0.7
    clock.now += 300
    assert health.of("a").error_rate(clock.now) < 0.001
    attempt(health, clock, 0.0)
    assert health.of("a").error_rate(clock.now) < 0.001


def test_what_is_under_way_is_counted_once() -> None:
    health = Health(Clock())
    first, second = health.began("a", "b", stream=True), health.began("a", stream=True)
    assert (health.of("a").running, health.of("b").running) == (2, 1)
    first.over()
    first.over()
    assert (health.of("a").running, health.of("b").running) == (1, 0)
    second.over()
    assert health.of("a").running == 0


def test_uses_fade_out_of_their_window() -> None:
    clock = Clock()
    clock.now = 10 * HOUR
    health = Health(clock)
    assert health.of("a").uses(60, clock.now) == 0
    for _ in range(10):
        attempt(health, clock, 0.0)
    assert (health.of("a").uses(60, clock.now), health.of("a").uses(HOUR, clock.now)) == (10, 10)
    clock.now += 90
    assert health.of("a").uses(60, clock.now) == pytest.approx(5)
    clock.now += 90
    assert (health.of("a").uses(60, clock.now), health.of("a").uses(HOUR, clock.now)) == (0, 10)


def test_it_does_not_grow_without_end_and_keeps_what_is_under_way() -> None:
    health = Health(Clock())
    running = health.began("busy", stream=True)
    for number in range(Health.LARGEST + 500):
        health.began(f"target/{number}", stream=True).over()
    assert len(health.all()) <= Health.LARGEST
    assert health.of("busy").running == 1
    running.over()


CONFIG = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
"""


async def test_the_admin_plane_shows_it_and_a_reload_keeps_it() -> None:
    def script(seen: Seen) -> Scripted:
        return error(500) if seen.json["model"] == "bad" else replace(responder()(seen), pause=0.02)

    async with FakeUpstream(script) as up, gateway(CONFIG.format(url=up.url)) as gw:
        await post(gw, *call("openai-chat", "up/good"))
        await post(gw, *call("openai-chat", "up/good", stream=True))
        _, before, _ = await get(gw, "/-/state")
        gw.path.write_text(gw.path.read_text() + "default: up/good\n")
        assert (await gw.gateway.runtime.reload()).changed
        await post(gw, *call("openai-chat", "up/bad"))
        _, after, _ = await get(gw, "/-/state")
    good = before["health"]["target/up/good"]
    assert (good["running"], good["uses"], good["error_rate"]) == (0, 2, 0)
    assert good["first_content"] > 0.015 and good["whole_answer"] > 0.015
    assert after["health"]["account/up/a"]["uses"] == 3
    assert after["health"]["account/up/a"]["error_rate"] == pytest.approx(0.2, abs=0.01)
    assert after["health"]["target/up/good"] == good


async def test_another_address_is_another_thing() -> None:
    async with FakeUpstream([error(500)]) as old, FakeUpstream([Scripted(json=chat())]) as new:
        async with gateway(CONFIG.format(url=old.url)) as gw:
            await post(gw, *call("openai-chat", "up/m"))
            gw.path.write_text(gw.path.read_text().replace(old.url, new.url))
            await gw.gateway.runtime.reload()
            target = gw.gateway.runtime.generation.directory.providers["up"].target("m")
            assert target is not None
            assert gw.gateway.state.health.of(target.health_id).error_rate(gw.gateway.state.clock()) == 0


async def test_a_stream_is_under_way_until_its_end_and_a_client_that_leaves_is_no_failure() -> None:
    endless = Scripted(chunks=chat_stream("one")[:2], hang=True)
    async with FakeUpstream([endless]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m", stream=True)
        async with aiohttp.ClientSession() as session:
            answer = await session.post(gw.url + path, json=body)
            await answer.content.readany()
            assert gw.gateway.state.health.all()["target/up/m"].running == 1
            answer.close()
        await gw.recorded(1)
        reading = gw.gateway.state.health.all()["target/up/m"]
        assert (reading.running, reading.error_rate) == (0, 0)
