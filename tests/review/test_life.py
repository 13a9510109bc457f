from __future__ import annotations
import asyncio, json, io, gc
import aiohttp, pytest
from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, responder, error, anthropic
from .test_access import post, get

CONFIG = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", retry: {{wait: 1ms}}, accounts: {{a: {{key: k}}}}}}}}'

async def test_a_stream_that_was_never_pumped_lets_go_of_the_upstream(monkeypatch):
    from aiohttp import web
    async def prepare(self, request):
        raise ConnectionResetError("gone")
    endless = Scripted(chunks=chat_stream("one")[:2], hang=True)
    gc.disable()
    try:
        async with FakeUpstream([endless]) as up, gateway(CONFIG.format(url=up.url)) as gw:
            from omniroute.upstream import send
            closed = []
            from omniroute.upstream.transports.http import HttpInbound
            orig = HttpInbound.close
            async def close(self):
                closed.append(1); await orig(self)
            monkeypatch.setattr(HttpInbound, "close", close)
            real = web.StreamResponse.prepare
            async def prep(self, request):
                if type(self) is web.StreamResponse and request.headers.get("x-boom"):
                    raise ConnectionResetError("gone")
                return await real(self, request)
            monkeypatch.setattr(web.StreamResponse, "prepare", prep)
            with __import__("contextlib").suppress(aiohttp.ClientError):
                await post(gw, *call("openai-chat", "up/m", stream=True), **{"x-boom": "1"})
            await gw.recorded(1)
            assert closed
    finally:
        gc.enable()

async def test_the_watcher_survives_a_crash_of_the_build(monkeypatch):
    from omniroute.engine import runtime
    from omniroute.engine.watch import Watcher
    async with gateway("providers: {demo: {}}") as gw:
        watcher = Watcher(gw.gateway.runtime)
        real = runtime.build
        def boom(*a):
            raise RuntimeError("plugin")
        monkeypatch.setattr(runtime, "build", boom)
        gw.path.write_text("version: 1\nproviders: {demo: {}}\ncombos: {a: [demo/demo]}\n")
        await watcher.look()
        assert gw.gateway.runtime.last_result.ok is False
        monkeypatch.setattr(runtime, "build", real)
        gw.path.write_text("version: 1\nproviders: {demo: {}}\ncombos: {b: [demo/demo]}\n ")
        await watcher.look()
        assert "b" in gw.gateway.runtime.generation.directory.combos

async def test_fix_in_a_new_include_is_seen(tmp_path):
    from omniroute.engine.watch import Watcher
    async with gateway("providers: {demo: {}}", folder=tmp_path) as gw:
        watcher = Watcher(gw.gateway.runtime)
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "more.yaml").write_text("combos: {a: [nobody/x]}\n")
        gw.path.write_text("version: 1\ninclude: [sub/more.yaml]\nproviders: {demo: {}}\n")
        await watcher.look()
        await watcher.look()
        assert gw.gateway.runtime.last_result.ok is False
        (tmp_path / "sub" / "more.yaml").write_text("combos: {a: [demo/demo]}\n")
        await watcher.look()
        assert "a" in gw.gateway.runtime.generation.directory.combos

async def test_old_generations_are_let_go():
    async with gateway("providers: {demo: {}}") as gw:
        for i in range(5):
            gw.path.write_text(f"version: 1\nproviders: {{demo: {{}}}}\ncombos: {{a{i}: [demo/demo]}}\n")
            await gw.gateway.runtime.reload()
        assert gw.gateway.runtime._older == []

async def test_log_level_is_live():
    async with gateway("providers: {demo: {}}") as gw:
        gw.path.write_text("version: 1\nproviders: {demo: {}}\nlog: {level: error}\n")
        await gw.gateway.runtime.reload()
        assert gw.gateway.sink.level == 40

async def test_a_closed_stdout():
    from omniroute.server.log import LogSink
    from omniroute.pipeline.record import Record
    class Closed(io.StringIO):
        def write(self, s): raise BrokenPipeError
    sink = LogSink(Closed())
    sink.write(Record(time=1, id="x", method="POST", endpoint="/", status=200, duration=1))
    sink.flush()

async def test_a_slow_stdout_does_not_hold_the_loop():
    import time
    from omniroute.server.log import LogSink
    from omniroute.pipeline.record import Record
    class Slow(io.StringIO):
        def write(self, s): time.sleep(0.5); return super().write(s)
    out = Slow()
    sink = LogSink(out)
    sink.write(Record(time=1, id="x", method="POST", endpoint="/", status=200, duration=1))
    t = asyncio.get_running_loop().time()
    worst = 0
    for _ in range(60):
        await asyncio.sleep(0.02)
        n = asyncio.get_running_loop().time(); worst = max(worst, n - t); t = n
    assert worst < 0.3
    sink.flush()
    assert '"id":"x"' in out.getvalue()

def test_console_line_has_no_control():
    from omniroute.server.log import console_line, ConsoleFormatter
    from omniroute.pipeline.record import Record
    line = console_line(Record(time=1, id="x", method="POST", endpoint="/a\x1b[31m\nfake", status=200, duration=1, model="m\nfake\x1b"))
    assert line.count("\n") == 1 and "\x1b" not in line

async def test_drain_counts_a_request_whose_body_is_on_its_way():
    async with FakeUpstream(responder()) as up, gateway("server: {drain: 3s}\n" + CONFIG.format(url=up.url)) as gw:
        path, body = call("openai-chat", "up/m")
        raw = json.dumps(body).encode()
        host, port = gw.url.removeprefix("http://").split(":")
        r, w = await asyncio.open_connection(host, int(port))
        w.write(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(raw)) + raw[:10])
        await asyncio.sleep(0.1)
        stopping = asyncio.ensure_future(gw.gateway.stop())
        await asyncio.sleep(0.5)
        w.write(raw[10:])
        got = await r.read(100000)
        w.close(); await w.wait_closed()
        await stopping
        assert b"200 OK" in got, got

async def test_heart_does_not_pile_up_tasks():
    from omniroute.pipeline.stream import Stream
    from tests.pipeline.test_stream import Source
    source = Source([b"data: x\n\n"], hang=True)
    stream = Stream(source, keep_alive=b": a\n\n")
    first = True
    async def write(chunk):
        if chunk.startswith(b":"):
            await asyncio.Event().wait()
    pump = asyncio.ensure_future(stream.pump(write, every=0.02))
    await asyncio.sleep(0.4)
    n = sum(t.get_name() == "keep-alive" for t in asyncio.all_tasks())
    pump.cancel(); await asyncio.gather(pump, return_exceptions=True)
    await asyncio.sleep(0)
    left = sum(t.get_name() == "keep-alive" for t in asyncio.all_tasks())
    assert (n, left) == (1, 0)

@pytest.mark.parametrize("body", [b"{broken", b"[]", b""])
@pytest.mark.parametrize("stream", [False, True])
async def test_gemini_same_wire_bad_json(body, stream):
    cfg = 'providers: {{up: {{format: gemini, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream([Scripted(json={})]) as up, gateway(cfg.format(url=up.url)) as gw:
        path, _ = call("gemini", "up/m", stream=stream)
        async with aiohttp.ClientSession() as s, s.post(gw.url + path.split("?")[0], data=body) as a:
            assert a.status == 400
        assert up.requests == []
