"""How bytes flow: a slow client holds the upstream back, keep-alives come between events, headers tell what happened."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from omniroute.pipeline import stream
from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat_chunk, chat_stream, responder

CONFIG = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'
MEGABYTE = 1 << 20


class Firehose:
    """An upstream that sends as fast as it is let, and counts what it got rid of."""

    def __init__(self) -> None:
        self.sent = 0
        self.url = ""
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Firehose:
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        event = sse(chat_chunk({"content": "x" * 10_000}))[0].encode() * 10
        for _ in range(2000):
            await response.write(event)
            self.sent += len(event)
        return response


@pytest.mark.parametrize("wire", WIRES)
async def test_a_client_that_does_not_read_holds_the_upstream_back(wire: str) -> None:
    async with Firehose() as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call(wire, "up/m", stream=True)
        async with aiohttp.ClientSession(read_bufsize=2**16) as session:
            answer = await session.post(gw.url + path, json=body)
            before = -1
            while before != up.sent:
                before = up.sent
                await asyncio.sleep(0.1)
            # What is on its way lies in socket buffers (a few MB each on loopback) and two small ones of ours.
            assert up.sent < 40 * MEGABYTE
            answer.close()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_silent_stream_is_kept_alive(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pump = stream.Stream.pump

    async def often(self: stream.Stream, client: stream.Client, begun: Callable[[], None]) -> None:
        await pump(self, client, 0.02, begun)

    monkeypatch.setattr(stream.Stream, "pump", often)
    slow = Scripted(chunks=chat_stream("one", "two"), between=0.08)
    async with FakeUpstream([slow]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call(wire, "up/m", stream=True)
        async with aiohttp.ClientSession() as session, session.post(gw.url + path, json=body) as answer:
            text = await answer.text()
        keep_alive = gw.gateway.data_plane.endpoints.spoken_at(path, {}).keep_alive.decode()
    assert keep_alive in text
    assert "one" in text and "two" in text


async def test_what_the_headers_tell() -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m")
        async with aiohttp.ClientSession() as session:
            async with session.post(gw.url + path, json=body, headers={"X-Request-Id": "mine-1"}) as answer:
                headers = answer.headers
                assert headers["X-Request-Id"] == "mine-1"
                assert headers["X-OmniRoute-Target"] == "up/m"
                assert re.fullmatch(r"1-[0-9a-f]{12}", headers["X-OmniRoute-Config"])
                assert {p.split(";")[0] for p in headers["Server-Timing"].split(", ")} >= {
                    "route",
                    "upstream",
                    "total",
                }
            async with session.post(
                gw.url + path, json=body, headers={"X-Request-Id": "bad id\tx"}
            ) as answer:
                assert answer.headers["X-Request-Id"].startswith("req_")


async def test_the_metrics_count_what_was_served() -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        async with aiohttp.ClientSession() as session:
            for wire in WIRES:
                path, body = call(wire, "up/m")
                await (await session.post(gw.url + path, json=body)).read()
            async with session.get(gw.url + "/-/metrics") as answer:
                text = await answer.text()
    assert (
        'omniroute_requests_total{endpoint="/v1/messages",path="cross",provider="up",status="200"} 1.0'
        in text
    )
    assert 'omniroute_tokens_total{kind="input",provider="up"} 12.0' in text
    assert "omniroute_config_last_reload_successful 1.0" in text


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
async def test_large_bodies_pass(size: int) -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m", text="x" * size)
        async with aiohttp.ClientSession() as session:
            async with session.post(
                gw.url + path, data=io.BytesIO(json.dumps(body).encode()), expect100=True
            ) as answer:
                assert answer.status == 200
        assert len(up.requests[0].body) > size
