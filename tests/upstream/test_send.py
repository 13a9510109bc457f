"""One attempt: its deadlines, what a 200 hides, and that the upstream is let go of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import aiohttp
import pytest

from omniroute.server.incoming import Incoming
from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.answers import call, chat, chat_stream
from tests.support.http import post

CONFIG = """
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    timeouts: {{{timeouts}}}
    retry: {{attempts: 1}}
    accounts: {{a: {{key: k}}}}
combos:
  patient: [{{model: up/m, timeout: 5s}}]
  hasty: [{{model: up/m, timeout: 100ms}}]
"""


async def test_the_deadline_of_a_member_stands_in_for_the_providers() -> None:
    slow = Scripted(pause=0.3, json=chat())
    async with FakeUpstream([slow]) as up, gateway(CONFIG.format(url=up.url, timeouts="total: 100ms")) as gw:
        assert (await post(gw, *call("openai-chat", "patient")))[0] == 200


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_account_rests_after_the_deadline_of_a_member(stream: bool) -> None:
    silent = Scripted(pause=5, json=chat())
    async with FakeUpstream([silent]) as up, gateway(CONFIG.format(url=up.url, timeouts="")) as gw:
        assert (await post(gw, *call("openai-chat", "hasty", stream=stream)))[0] == 504
        assert "up/a" in gw.gateway.state.cooldowns.all()


async def test_a_total_that_is_set_holds_for_streams() -> None:
    long = Scripted(chunks=chat_stream(*"abcdefghijkl"), between=0.05)
    async with FakeUpstream([long]) as up, gateway(CONFIG.format(url=up.url, timeouts="total: 400ms")) as gw:
        await post(gw, *call("openai-chat", "up/m", stream=True))
        await gw.recorded(1)
        assert gw.records[0].error == "total_timeout"


async def test_a_clients_mistake_in_a_200_has_its_own_status() -> None:
    body = {"error": {"message": "bad parameter", "type": "invalid_request_error"}}
    async with (
        FakeUpstream([Scripted(json=body)]) as up,
        gateway(CONFIG.format(url=up.url, timeouts="")) as gw,
    ):
        status, answer, _ = await post(gw, *call("openai-chat", "up/m"))
    assert (status, answer["error"]["message"]) == (400, "bad parameter")


async def test_a_stream_that_never_began_lets_go_of_the_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client leaves between the commit point and the first byte."""

    def gone(self: Incoming, status: int, headers: Mapping[str, str]) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(Incoming, "begin", gone)
    endless = Scripted(chunks=chat_stream("one")[:2], hang=True)
    async with FakeUpstream([endless]) as up, gateway(CONFIG.format(url=up.url, timeouts="")) as gw:
        with contextlib.suppress(aiohttp.ClientError):
            await post(gw, *call("openai-chat", "up/m", stream=True))
        await gw.recorded(1)
        await asyncio.wait_for(up.requests[0].left.wait(), 20)
