from __future__ import annotations
import asyncio, json, gzip
import aiohttp, pytest
from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, responder, error, anthropic
from .test_access import post, get

CONFIG = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'

@pytest.mark.parametrize("wire", WIRES)
async def test_deep(wire):
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call(wire, "up/m")
        raw = json.dumps(body)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
        async with aiohttp.ClientSession() as s, s.post(gw.url + path, data=raw) as a:
            assert a.status == 400, await a.text()

async def test_bad_gzip():
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m")
        async with aiohttp.ClientSession() as s, s.post(gw.url + path, data=b"not gzip at all", headers={"Content-Encoding": "gzip"}, compress=False) as a:
            assert a.status == 400, await a.text()

async def test_good_gzip():
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m")
        async with aiohttp.ClientSession() as s, s.post(gw.url + path, data=gzip.compress(json.dumps(body).encode()), headers={"Content-Encoding": "gzip"}, compress=False) as a:
            assert a.status == 200, await a.text()

async def test_dropped_header_injection():
    cfg = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream(responder()) as up, gateway(cfg.format(url=up.url)) as gw:
        body = {"model": "up/m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}],
                "tools": [{"type": "web_fetch_20250305\r\nX-Evil: 1", "name": "web\r\nX-Evil: 1 é世"}]}
        status, b, h = await post(gw, "/v1/messages", body)
        print(status, b, h)
        assert status == 200
        assert "X-Evil" not in h

async def test_dropped_header_injection_gemini():
    cfg = 'providers: {{up: {{format: gemini, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream(lambda s: Scripted(json={"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}]})) as up, gateway(cfg.format(url=up.url)) as gw:
        body = {"model": "up/m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}],
                "tools": [{"type": "zzz_20250305\r\nX-Evil: 1", "name": "web\r\nX-Evil: 1 é世"}]}
        status, b, h = await post(gw, "/v1/messages", body)
        print(status, b, h)
        assert status == 200
        assert "X-Evil" not in h

async def test_200_with_clients_mistake_is_400():
    async with FakeUpstream([Scripted(json={"error": {"message": "bad param", "type": "invalid_request_error"}})]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        status, b, h = await post(gw, *call("openai-chat", "up/m"))
        assert status == 400, (status, b)

async def test_huge_model_name():
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        status, b, h = await post(gw, *call("openai-chat", "up/" + "m" * 100_000))
        assert status == 400
        assert len(gw.records[0].model) < 1000

async def test_header_case():
    cfg = 'providers: {{up: {{format: anthropic-messages, base_url: "{url}", headers: {{Anthropic-Version: "2023-06-01", User-Agent: mine}}, auth: {{type: header, header: x-api-key}}, accounts: {{a: {{key: k}}}}}}}}'
    seen = []
    async def h(request):
        pass
    from aiohttp import web
    async def handle(request):
        seen.append(request.headers)
        return web.json_response(anthropic())
    runner = web.ServerRunner(web.Server(handle)); await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0); await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with gateway(cfg.format(url=url)) as gw:
            await post(gw, *call("anthropic-messages", "up/m"), **{"anthropic-version": "2024-01-01", "user-agent": "sdk"})
    finally:
        await runner.cleanup()
    assert seen[0].getall("anthropic-version") == ["2023-06-01"]
    assert seen[0].getall("user-agent") == ["mine"]

async def test_when_wrong_types():
    cfg = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
combos:
  c:
    - {{model: up/a, when: "contains(request.nothing, 'x')"}}
    - up/b
"""
    async with FakeUpstream(responder()) as up, gateway(cfg.format(url=up.url)) as gw:
        status, b, h = await post(gw, *call("openai-chat", "c"))
        assert (status, h["X-OmniRoute-Target"]) == (200, "up/b")

async def test_format_auth():
    cfg = """
providers:
  up:
    formats:
      openai-chat: {{base_url: "{url}/v1"}}
      anthropic-messages: {{base_url: "{url}", auth: {{type: header, header: x-api-key}}}}
    accounts: {{a: {{key: secret-key}}}}
"""
    def script(seen):
        return Scripted(json=anthropic() if seen.path.endswith("messages") else chat())
    async with FakeUpstream(script) as up, gateway(cfg.format(url=up.url)) as gw:
        await post(gw, *call("openai-chat", "up/m"))
        await post(gw, *call("anthropic-messages", "up/m"))
        assert up.requests[0].headers["authorization"] == "Bearer secret-key"
        assert up.requests[1].headers.get("x-api-key") == "secret-key"
        assert "authorization" not in up.requests[1].headers

async def test_client_gone_is_no_cut_in_metrics():
    async with FakeUpstream([Scripted(chunks=chat_stream("one")[:2], hang=True)]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m", stream=True)
        async with aiohttp.ClientSession() as s:
            a = await s.post(gw.url + path, json=body); await a.content.readany(); a.close()
        await gw.recorded(1)
        _, text, _ = await get(gw, "/-/metrics")
        assert 'omniroute_streams_cut_total{provider="up"}' not in text

async def test_observer_failure_does_not_answer_twice(monkeypatch):
    from omniroute.engine.generation import Generation
    def over(self, exchange, reply, pipeline):
        raise ValueError("plugin")
    monkeypatch.setattr(Generation, "over", over)
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m")
        raw = json.dumps(body).encode()
        host, port = gw.url.removeprefix("http://").split(":")
        r, w = await asyncio.open_connection(host, int(port))
        w.write(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(raw)) + raw)
        await asyncio.sleep(0.5)
        got = await r.read(100000)
        w.close()
        assert got.count(b"HTTP/1.1") == 1, got

async def test_codec_bug_at_end_of_stream(monkeypatch):
    from omniroute.wire import bridge
    def end(self, problem):
        raise ValueError("bug")
    monkeypatch.setattr(bridge.CrossTap, "end", end)
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        path, body = call("anthropic-messages", "up/m", stream=True)
        raw = json.dumps(body).encode()
        host, port = gw.url.removeprefix("http://").split(":")
        r, w = await asyncio.open_connection(host, int(port))
        w.write(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(raw)) + raw)
        await asyncio.sleep(0.5)
        got = await r.read(100000)
        w.close()
        assert got.count(b"HTTP/1.1") == 1, got

async def test_event_transform_failure_is_named():
    cfg = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}, transforms: [bad]}}
transforms:
  bad: {{on: event, ops: [{{set: {{path: x, value: "{{{{ event.nothing.more }}}}"}}}}]}}
"""
    async with FakeUpstream(responder()) as up, gateway(cfg.format(url=up.url)) as gw:
        status, text, _ = await post(gw, *call("openai-chat", "up/m", stream=True))
        print(status, text)
        assert "bad" in text and "internal_error" not in text

async def test_mid_stream_error_event_is_noted():
    ev = [("message_start", {"type":"message_start","message":anthropic()|{"content":[],"stop_reason":None}}),
          ("content_block_start", {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}),
          ("content_block_delta", {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}),
          ("error", {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})]
    cfg = 'providers: {{up: {{format: anthropic-messages, base_url: "{url}", auth: {{type: header, header: x-api-key}}, accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream([Scripted(chunks=sse(*ev))]) as up, gateway(cfg.format(url=up.url)) as gw:
        await post(gw, *call("anthropic-messages", "up/m", stream=True))
        assert gw.records[0].error
        await post(gw, *call("openai-chat", "up/m", stream=True))
        assert gw.records[1].error
