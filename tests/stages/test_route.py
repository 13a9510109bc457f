"""What a client is told when there is nowhere to go, and names that must not open more than they say."""

from __future__ import annotations

import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import call, responder
from tests.support.http import post

CONFIG = """
keys:
  mine: {{key: k-mine, models: ["one/*"]}}
providers:
  one: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: x}}}}, models: [m]}}
  two: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: x}}}}, models: [m]}}
  off: {{format: openai-chat, base_url: "{url}/v1", enabled: false, accounts: {{a: {{key: x}}}}}}
combos:
  picky:
    - {{model: one/m, when: "contains(request.nothing, 'x')"}}
    - two/m
default: two/m
"""


@pytest.mark.parametrize("model, status", [("one/m", 200), ("one/unknown", 403), ("two/m", 403)])
async def test_the_default_never_widens_a_key(model: str, status: int) -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        assert (await post(gw, *call("openai-chat", model), **{"x-api-key": "k-mine"}))[0] == status


async def test_a_disabled_provider_is_not_found() -> None:
    config = CONFIG.replace('mine: {{key: k-mine, models: ["one/*"]}}', "mine: {{key: k-mine}}")
    async with FakeUpstream(responder()) as up, gateway(config.format(url=up.url)) as gw:
        status, body, _ = await post(gw, *call("openai-chat", "off/m"), **{"x-api-key": "k-mine"})
    assert (status, body["error"]["code"]) == (404, "model_disabled")


async def test_a_condition_that_cannot_be_decided_leaves_its_target_out() -> None:
    config = CONFIG.replace('mine: {{key: k-mine, models: ["one/*"]}}', "mine: {{key: k-mine}}")
    async with FakeUpstream(responder()) as up, gateway(config.format(url=up.url)) as gw:
        status, _, headers = await post(gw, *call("openai-chat", "picky"), **{"x-api-key": "k-mine"})
    assert (status, headers["X-OmniRoute-Target"]) == (200, "two/m")


async def test_a_spent_quota_stays_a_429() -> None:
    spent = Scripted(status=429, json={"error": {"message": "used up", "code": "insufficient_quota"}})
    config = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream([spent]) as up, gateway(config.format(url=up.url)) as gw:
        for _ in range(2):
            assert (await post(gw, *call("openai-chat", "up/m")))[0] == 429
        assert len(up.requests) == 1
