"""The gateway as a server: who is let in, bodies that arrive oddly, one answer a request, and its end."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omniroute.engine.generation import Generation
from omniroute.server.gateway import Gateway
from omniroute.testing import FakeUpstream, Running, gateway
from omniroute.wire.bridge import CrossTap
from tests.support.answers import call, responder
from tests.support.http import get, post, post_raw
from tests.support.ports import free_port
from tests.support.waiting import until

CONFIG = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'

KEYS = """
keys:
  off: {key: k-off, enabled: false}
  old: {key: k-old, expires: 2020-01-01}
  far: {key: k-far, ips: [10.0.0.0/8]}
  eyes: {key: k-eyes, scopes: [metrics]}
  one: {key: k-one, providers: [one]}
providers:
  one: {format: openai-chat, base_url: "http://h/v1", accounts: {a: {key: x}}, models: [m]}
  two: {format: openai-chat, base_url: "http://h/v1", accounts: {a: {key: x}}, models: {m: {}, n: {enabled: false}}}
"""


@pytest.mark.parametrize("key, status", [("k-off", 401), ("k-old", 401), ("k-far", 403), ("k-eyes", 403)])
async def test_the_model_list_obeys_the_same_rules_as_calls(key: str, status: int) -> None:
    async with gateway(KEYS) as gw:
        assert (await get(gw, "/v1/models", **{"x-api-key": key}))[0] == status


async def test_the_model_list_has_what_the_key_may_use() -> None:
    async with gateway(KEYS) as gw:
        _, listed, headers = await get(gw, "/v1/models", **{"x-api-key": "k-one"})
        assert [m["id"] for m in listed["data"]] == ["one/m"]
        assert headers["X-Request-Id"].startswith("req_")


async def test_all_lines_of_x_forwarded_for_count() -> None:
    """A proxy that adds a line of its own must not leave the client's line as the one that is believed."""
    config = """
    server: {trusted_proxies: [127.0.0.0/8]}
    keys: {k: {key: kk, ips: [10.0.0.0/8]}}
    providers: {demo: {}}
    """
    forged = [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "8.8.8.8"), ("x-api-key", "kk")]
    path, body = call("openai-chat", "demo")
    async with gateway(config) as gw, aiohttp.ClientSession() as session:
        async with session.post(gw.url + path, json=body, headers=forged) as answer:
            assert answer.status == 403


async def test_keys_that_are_taken_away_leave_no_open_door(tmp_path: Path) -> None:
    """The listener stays until the restart: without keys only this machine is welcome on it."""
    file = tmp_path / "omniroute.yaml"
    text = "version: 1\nserver: {trusted_proxies: [127.0.0.0/8]}\nproviders: {demo: {}}\n"
    file.write_text(text + "keys: {k: {key: kk}}\n")
    served = Gateway(file, env={}, listen=("0.0.0.0:0",), watch=False)
    await served.start()
    try:
        file.write_text(text)
        assert (await served.runtime.reload()).ok
        url = f"http://127.0.0.1:{served.urls[0].rpartition(':')[2]}"
        path, body = call("openai-chat", "demo/demo")
        far = {"X-Forwarded-For": "203.0.113.9"}
        async with aiohttp.ClientSession() as session:
            assert (await session.post(url + path, json=body, headers=far)).status == 401
            assert (await session.get(url + "/v1/models", headers=far)).status == 401
            assert (await session.post(url + path, json=body)).status == 200
    finally:
        await served.stop()


@pytest.mark.parametrize(
    "raw, status",
    [(b"not gzip at all", 400), (gzip.compress(json.dumps(call("openai-chat", "up/m")[1]).encode()), 200)],
    ids=["garbage", "good"],
)
async def test_compressed_bodies(raw: bytes, status: int) -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        answer = await post_raw(gw, "/v1/chat/completions", raw, **{"Content-Encoding": "gzip"})
        assert answer[0] == status


async def exchanged(gw: Running, path: str, body: Any, later: float = 0.1) -> bytes:
    """All bytes that come back on one connection for one request."""
    raw = json.dumps(body).encode()
    host, _, port = gw.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n\r\n"
    writer.write(head.encode() + raw)
    await asyncio.sleep(later)
    found = await reader.read(100_000)
    writer.close()
    return found


async def test_a_failure_after_the_answer_does_not_send_a_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Generation, "over", fails)
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        assert (await exchanged(gw, *call("openai-chat", "up/m"))).count(b"HTTP/1.1") == 1


async def test_a_codec_that_fails_at_the_end_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(CrossTap, "end", fails)
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        found = await exchanged(gw, *call("anthropic-messages", "up/m", stream=True))
    assert found.count(b"HTTP/1.1") == 1


async def test_a_stop_waits_for_a_body_that_is_on_its_way() -> None:
    config = "server: {{drain: 3s}}\n" + CONFIG
    path, body = call("openai-chat", "up/m")
    raw = json.dumps(body).encode()
    async with FakeUpstream(responder()) as up, gateway(config.format(url=up.url)) as gw:
        host, _, port = gw.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n\r\n"
        writer.write(head.encode() + raw[:10])
        await until(lambda: gw.gateway.data_plane.reading)
        stopping = asyncio.ensure_future(gw.gateway.stop())
        await asyncio.sleep(0.1)
        writer.write(raw[10:])
        found = await reader.read(100_000)
        writer.close()
        await writer.wait_closed()
        await stopping
    assert b"200 OK" in found


async def test_a_start_that_fails_lets_go_of_its_listeners(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        file = tmp_path / "omniroute.yaml"
        file.write_text(
            "version: 1\nproviders: {demo: {}}\n"
            f"server: {{listen: '127.0.0.1:{free_port()}', admin: '127.0.0.1:{taken.getsockname()[1]}'}}\n"
        )
        served = Gateway(file, env={}, watch=False)
        with pytest.raises(OSError):
            await served.start()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", int(served.urls[0].rpartition(":")[2]))


async def test_words_of_a_client_are_safe_in_headers() -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("anthropic-messages", "up/m")
        name = "web\r\nX-Evil: 1 é世"
        body["tools"] = [{"type": "web_fetch_20250305", "name": name}]
        status, _, headers = await post(gw, path, body)
    assert status == 200
    assert "X-Evil" not in headers
