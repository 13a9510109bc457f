"""The first minutes: no account, no key, an empty configuration, and still an answer in every format."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from omniroute.testing import gateway
from tests.support.answers import WIRES, call
from tests.support.http import post


@pytest.mark.parametrize(
    "config", ["version: 1", "version: 1\nkeys: {me: {key: secret}}"], ids=["open", "keys"]
)
async def test_the_model_demo_always_answers_on_loopback(config: str) -> None:
    async with gateway(config) as gw:
        calls = [call(wire, "demo", stream=stream) for wire in WIRES for stream in (False, True)]
        for status, body, _ in await asyncio.gather(*(post(gw, *each) for each in calls)):
            assert status == 200
            assert "OmniRoute" in str(body)


async def test_but_it_can_be_switched_off() -> None:
    async with gateway("providers: {demo: {enabled: false}}") as gw, aiohttp.ClientSession() as session:
        path, body = call("openai-chat", "demo")
        async with session.post(gw.url + path, json=body) as answer:
            assert answer.status in (404, 503)


async def test_a_key_is_needed_for_everything_else() -> None:
    async with gateway("keys: {me: {key: secret}}") as gw, aiohttp.ClientSession() as session:
        path, body = call("openai-chat", "demo/demo-fast")
        async with session.post(gw.url + path, json=body) as answer:
            assert answer.status == 401
