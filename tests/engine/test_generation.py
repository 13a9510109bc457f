"""What a request looks like before anything is done with it."""

from __future__ import annotations

import json

import pytest

from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import WIRES, call, responder
from tests.support.http import post, post_raw

CONFIG = 'providers: {{up: {{format: {wire}, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'


@pytest.mark.parametrize("wire", WIRES)
async def test_json_without_a_bottom_is_the_clients_mistake(wire: str) -> None:
    path, body = call(wire, "up/m")
    raw = json.dumps(body)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(wire=wire, url=up.url)) as gw:
        assert (await post_raw(gw, path, raw.encode()))[0] == 400


@pytest.mark.parametrize("body", [b"{broken", b"[]", b""])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_body_that_is_no_request_goes_nowhere_even_untranslated(body: bytes, stream: bool) -> None:
    path, _ = call("gemini", "up/m", stream=stream)
    async with (
        FakeUpstream([Scripted(json={})]) as up,
        gateway(CONFIG.format(wire="gemini", url=up.url)) as gw,
    ):
        assert (await post_raw(gw, path, body))[0] == 400
        assert up.requests == []


async def test_a_model_name_has_a_length() -> None:
    async with (
        FakeUpstream(responder()) as up,
        gateway(CONFIG.format(wire="openai-chat", url=up.url)) as gw,
    ):
        assert (await post(gw, *call("openai-chat", "up/" + "m" * 100_000)))[0] == 400
        assert len(gw.records[0].model) < 1000
        assert up.requests == []
