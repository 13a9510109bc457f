"""`omniroute usage`, asked of a real gateway."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from omniroute.cli.main import main
from omniroute.cli.usage import _time
from omniroute.testing import FakeUpstream, Scripted, gateway

CONFIG = """\
version: 1
keys:
  ops: {{key: ops-key, scopes: [admin]}}
  me: {{key: my-key, limits: {{rpm: 60}}, budget: {{usd: 2, per: day}}}}
providers:
  lab:
    format: openai-chat
    base_url: {url}
    models: {{m: {{price: {{input: 1, output: 1}}}}}}
    accounts: {{a: {{key: x, quota: {{limit: {{tokens: 2M}}, window: daily}}}}}}
"""
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ciao"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 400_000, "completion_tokens": 100_000, "total_tokens": 500_000},
}


async def test_what_is_used_and_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMNIROUTE_KEY", raising=False)
    async with (
        FakeUpstream([Scripted(json=ANSWER)]) as upstream,
        gateway(CONFIG.format(url=upstream.url)) as gw,
    ):
        async with aiohttp.ClientSession() as client:
            body = {"model": "lab/m", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"Authorization": "Bearer my-key"}
            async with client.post(f"{gw.url}/v1/chat/completions", json=body, headers=headers) as answer:
                assert answer.status == 200
        assert await asyncio.to_thread(main, ["usage", "--url", gw.url]) == 1
        assert "does not tell: HTTP 401" in capsys.readouterr().err
        monkeypatch.setenv("OMNIROUTE_KEY", "ops-key")
        assert await asyncio.to_thread(main, ["usage", "--url", gw.url]) == 0
        out = capsys.readouterr().out
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert any(
            line.startswith("lab/a daily 500,000 tokens 2,000,000 tokens 1,500,000 tokens, resets in")
            for line in lines
        )
        assert any("$0.50 $2.00 $1.50, resets in" in line for line in lines)
        assert any("rpm 60" in line and "1 requests" in line for line in lines)
        assert await asyncio.to_thread(main, ["usage", "--url", gw.url, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["quotas"]["lab/a"][0]["left"] == 1_500_000


async def test_nothing_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway("version: 1\nproviders: {demo: {}}\n") as gw:
        assert await asyncio.to_thread(main, ["usage", "--url", gw.url]) == 0
        assert capsys.readouterr().out == "no quota, budget or limit is declared, and nothing rests\n"
    assert await asyncio.to_thread(main, ["usage", "--url", gw.url]) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (7500, "2 h 5 min"), (100_000, "1 d 3 h")],
)
def test_times(seconds: float, words: str) -> None:
    assert _time(seconds) == words
