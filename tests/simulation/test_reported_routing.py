"""What broke for users of other gateways of this kind, by the lines of a list of their reports: it must not break here.

The number in a name is that of the line; all of them are about going on to the next target, and about names.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.config.load import load_text
from omniroute.errors import ConfigError
from omniroute.testing import FakeUpstream, gateway
from tests.support.answers import call, responder
from tests.support.http import get, post
from tests.support.world import REFUSED, Place, World, registry

CONFIG = """
providers:
  a: {format: openai-chat, base_url: "http://a/v1", retry: {attempts: 2, wait: 1s}, accounts: {one: {key: a1}, two: {key: a2}, three: {key: a3}}, models: {m: {context: 1000}, small: {}}}
  b: {format: openai-chat, base_url: "http://b/v1", accounts: {one: {key: b1}}, models: {m: {context: 200k}}}
  off: {format: openai-chat, base_url: "http://off/v1", enabled: false, accounts: {one: {key: o1}}, models: {m: {}}}
combos:
  both: [a/m, b/m]
  gone: {enabled: false, targets: [b/m]}
  legs: [gone, off/m, b/m]
  dead: [gone, off/m]
  auto-fast: {strategy: least-latency, targets: [a/m, b/m]}
  nested: [auto/fast, b/m]
  sticky:
    strategy: {type: round-robin, sticky: {by: "header:x-session-id", ttl: 1h}}
    targets: [a/m, b/m]
models:
  "auto/*": auto-*
  gpt-4o: b/m
  small: b/m
  quick: auto-fast
  quicker: quick
default: both
"""


def world(**places: Place) -> World:
    return World(CONFIG, dict(places))


def told(answered: Any) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answered.body)["error"]
    return error


@pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 503, REFUSED])
def test_line_1_when_every_account_of_a_provider_is_down_the_next_target_serves(status: int) -> None:
    made = world(a=Place(fails=lambda sent: status))

    async def day(w: World) -> None:
        for _ in range(10):
            assert (await w.ask("both")).status == 200

    made.run(day)
    assert made.shares() == {"b/m": 1}
    assert len(made.asked("b")) == 10


def test_line_2_one_leg_without_credit_is_asked_once_and_named() -> None:
    made = world(a=Place(fails=lambda sent: 402), b=Place(fails=lambda sent: 503))

    async def day(w: World) -> Any:
        return await w.ask("both")

    error = told(made.run(day))
    assert [sent.account for sent in made.asked("a")] == ["a/a1", "a/a2", "a/a3"]
    assert [leg["target"] for leg in error["tried"]] == ["a/m", "b/m"]
    assert all(leg["reason"] for leg in error["tried"])


LONG = "word " * 2000


def test_line_3_too_long_goes_on_to_a_larger_context_before_it_is_even_asked() -> None:
    made = world()
    assert made.run(lambda w: w.ask("both", text=LONG)).status == 200
    assert made.asked("a") == []


def test_line_3_a_mistake_of_the_client_is_told_at_once() -> None:
    made = world(a=Place(fails=lambda sent: 400))
    answered = made.run(lambda w: w.ask("both"))
    assert (answered.status, len(made.sent)) == (400, 1)


def test_line_4_what_is_switched_off_is_not_routed() -> None:
    made = world()
    assert made.run(lambda w: w.ask("legs")).status == 200
    assert made.asked("off") == []


async def test_line_4_edits_count_at_once() -> None:
    async with FakeUpstream(responder()) as up:
        config = f"""
        providers: {{up: {{format: openai-chat, base_url: "{up.url}/v1", accounts: {{a: {{key: k}}}}}}}}
        combos: {{c: [up/one]}}
        """
        async with gateway(config) as gw:
            await post(gw, *call("openai-chat", "c"))
            gw.path.write_text(gw.path.read_text().replace("up/one", "up/two"))
            assert (await gw.gateway.runtime.reload()).ok
            await post(gw, *call("openai-chat", "c"))
            gw.path.write_text(gw.path.read_text().replace("accounts", "enabled: false, accounts"))
            assert (await gw.gateway.runtime.reload()).ok
            status, _, _ = await post(gw, *call("openai-chat", "c"))
    assert [seen.json["model"] for seen in up.requests] == ["one", "two"]
    assert status == 404


def test_line_4_only_disabled_legs_are_a_404() -> None:
    answered = world().run(lambda w: w.ask("dead"))
    assert (answered.status, told(answered)["code"]) == (404, "model_disabled")


def test_line_5_a_combo_behind_a_pattern_is_a_member_like_any_other() -> None:
    made = world(a=Place(fails=lambda sent: 503))
    assert made.run(lambda w: w.ask("nested")).status == 200
    assert made.shares() == {"b/m": 1}
    made = world()
    assert made.run(lambda w: w.ask("auto/fast")).status == 200


def test_line_5_there_is_a_last_resort_for_all_unknown_names() -> None:
    made = world(a=Place(fails=lambda sent: 503))
    assert made.run(lambda w: w.ask("never-heard-of")).status == 200
    assert made.shares() == {"b/m": 1}


def test_line_8_sessions_do_not_starve_the_other_targets() -> None:
    """Many sessions spread evenly, each stays, and one whose target fails moves and stays with the other."""
    made = world(a=Place(fails=lambda sent: 503 if 100 < sent.at < 200 else None))

    async def day(w: World) -> None:
        for turn in range(40):
            for session in range(20):
                answered = await w.ask("sticky", headers={"x-session-id": f"s{session}"})
                assert answered.status == 200
            if turn == 4:
                early = w.shares()
                assert 0.45 < early["a/m"] < 0.55

    made.run(day)
    assert set(made.statuses()) == {200}


@pytest.mark.parametrize("status", [429, 529])
def test_line_8_overloaded_without_retry_after_is_tried_again_later(status: int) -> None:
    made = world(b=Place(fails=lambda sent: status if sent.at < 60 else None))

    async def day(w: World) -> list[int]:
        first = await w.ask("b/m")
        # It says itself when it is worth another try.
        await w.traffic("b/m", rate=1, seconds=180)
        return [first.status, (await w.ask("b/m")).status]

    first, last = made.run(day)
    assert first in (429, 503)
    assert last == 200
    assert len(made.asked("b", before=60)) < 12


@pytest.mark.parametrize(
    "name, target",
    [
        ("gpt-4o", "b/m"),  # the alias of the user, whatever a catalogue may know by that name
        ("small", "b/m"),  # the same, although provider a lists a model `small`
        ("a/small", "a/small"),
        ("quicker", "a/m"),  # an alias of an alias of a combo
    ],
)
def test_line_9_the_users_alias_wins(name: str, target: str) -> None:
    made = world()
    made.run(lambda w: w.ask(name))
    assert made.shares() == {target: 1}


def test_line_9_a_bare_name_that_several_list_is_told() -> None:
    with pytest.raises(ConfigError, match="'m' is listed by a and b"):
        load_text(f"version: 1\n{CONFIG.replace('default: both', 'default: m')}", env={}, registry=registry())


async def test_line_10_aliases_hold_wherever_a_model_is_named_and_are_listed_once() -> None:
    async with FakeUpstream(responder()) as up:
        config = CONFIG.replace("http://b/v1", f"{up.url}/v1").replace("http://a/v1", f"{up.url}/v1")
        async with gateway(config) as gw:
            for wire in ("openai-chat", "anthropic-messages", "openai-responses", "gemini"):
                status, _, headers = await post(gw, *call(wire, "gpt-4o"))
                assert (status, headers["X-OmniRoute-Target"]) == (200, "b/m")
            path, body = call("anthropic-messages", "gpt-4o")
            status, counted, _ = await post(gw, f"{path}/count_tokens", body)
            assert status == 200
            assert counted["input_tokens"] > 0
            _, listed, _ = await get(gw, "/v1/models")
    names = [card["id"] for card in listed["data"]]
    assert len(names) == len(set(names))
    assert {"gpt-4o", "quick", "quicker", "both", "a/small"} <= set(names)
