"""Turns are fair when something fails, and when all ask at once."""

from __future__ import annotations

import asyncio
from collections import Counter

from omniroute.state.rotation import Rotation
from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.support.answers import call, chat, error
from tests.support.http import post

CONFIG = """
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    strategy: round-robin
    accounts: {{a: {{key: ka}}, b: {{key: kb}}, c: {{key: kc}}}}
"""


def counted(requests: list[Seen]) -> Counter[str]:
    return Counter(seen.headers["authorization"][-2:] for seen in requests)


async def test_the_share_of_one_that_rests_goes_to_all_others() -> None:
    def script(seen: Seen) -> Scripted:
        limited = seen.headers["authorization"] == "Bearer ka"
        return error(429, retry_after="100") if limited else Scripted(json=chat())

    async with FakeUpstream(script) as up, gateway(CONFIG.format(url=up.url)) as gw:
        for _ in range(12):
            await post(gw, *call("openai-chat", "up/m"))
        assert counted(up.requests) == {"ka": 1, "kb": 6, "kc": 6}


async def test_requests_that_arrive_together_do_not_all_go_to_the_same() -> None:
    async with (
        FakeUpstream([Scripted(pause=0.2, json=chat())]) as up,
        gateway(CONFIG.format(url=up.url)) as gw,
    ):
        await asyncio.gather(*[post(gw, *call("openai-chat", "up/m")) for _ in range(6)])
        assert counted(up.requests) == {"ka": 2, "kb": 2, "kc": 2}


def test_a_session_of_any_length_takes_little_room() -> None:
    rotation = Rotation(lambda: 0.0)
    long = "s" * 60_000
    rotation.remember("combo/x", long, "a", 10)
    assert rotation.remembered("combo/x", long) == "a"
    assert rotation.remembered("combo/x", long[:-1]) is None
    assert all(len(session) <= 64 for _, session in rotation._sticky)
