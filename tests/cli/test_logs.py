"""`omniroute logs`, asked of a real gateway."""

from __future__ import annotations

import asyncio
import json

import pytest

from omniroute.cli.main import main
from omniroute.pipeline.record import Record
from omniroute.server.recent import Recent
from omniroute.testing import FakeUpstream, gateway
from tests.support.answers import call, error, responder
from tests.support.http import get, post

CONFIG = (
    'providers: {{lab: {{format: openai-chat, base_url: "{url}/v1", auth: none, retry: {{attempts: 1}}}}}}'
)


async def test_the_latest_requests(capsys: pytest.CaptureFixture[str]) -> None:
    def script(seen: object) -> object:
        return error(400) if "bad" in str(seen) else responder()(seen)

    async with FakeUpstream(script) as up, gateway(CONFIG.format(url=up.url)) as gw:  # type: ignore[arg-type]  # a script
        for model in ("lab/one", "lab/bad", "lab/two"):
            await post(gw, *call("openai-chat", model))
        await gw.recorded(3)
        assert await asyncio.to_thread(main, ["logs", "--url", gw.url]) == 0
        out = capsys.readouterr().out
        assert out.index("lab/one") < out.index("lab/bad") < out.index("lab/two")
        assert await asyncio.to_thread(main, ["logs", "--url", gw.url, "-n", "1"]) == 0
        assert "lab/two" in capsys.readouterr().out
        assert await asyncio.to_thread(main, ["logs", "--url", gw.url, "--failed", "--json"]) == 0
        (failed,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (failed["model"], failed["status"]) == ("lab/bad", 400)
        status, body, _ = await get(gw, "/-/requests?after=2&limit=5")
        assert (status, [r["model"] for r in body["requests"]], body["next"]) == (200, ["lab/two"], 3)
        assert (await get(gw, "/-/requests?after=x"))[0] == 400


def test_nobody_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--url", "http://127.0.0.1:9"]) == 1
    assert "does not tell" in capsys.readouterr().err


def test_what_was_forgotten_is_counted() -> None:
    recent = Recent(most=3)
    for number in range(5):
        recent.add(Record(time=number, id=str(number), method="POST", endpoint="/", status=200, duration=1))
    found = recent.after(1, 10)
    assert ([r.id for r in found["requests"]], found["next"], found["missed"]) == (["2", "3", "4"], 5, 1)
    assert recent.after(5, 10) == {"requests": [], "next": 5, "missed": 0}
    assert [r.id for r in recent.after(-1, 2)["requests"]] == ["3", "4"]
    assert [r.id for r in recent.after(99, 2)["requests"]] == ["3", "4"], "the gateway was restarted"
