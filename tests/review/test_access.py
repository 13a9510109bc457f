"""Who may see and call what."""
from __future__ import annotations
import asyncio, json, socket
import aiohttp, pytest
from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, responder, error, anthropic

async def post(gw, path, body, **headers):
    async with aiohttp.ClientSession() as s, s.post(gw.url + path, json=body, headers=headers) as a:
        t = await a.text()
        return a.status, (json.loads(t) if "json" in a.headers.get("content-type", "") else t), dict(a.headers)

async def get(gw, path, **headers):
    async with aiohttp.ClientSession() as s, s.get(gw.url + path, headers=headers) as a:
        t = await a.text()
        return a.status, (json.loads(t) if "json" in a.headers.get("content-type", "") else t), dict(a.headers)

KEYS = """
keys:
  off: {key: k-off, enabled: false}
  old: {key: k-old, expires: 2020-01-01}
  far: {key: k-far, ips: [10.0.0.0/8]}
  scoped: {key: k-scoped, scopes: [metrics]}
  one: {key: k-one, providers: [one]}
  mod: {key: k-mod, models: ["one/*"]}
providers:
  one: {format: openai-chat, base_url: "%s/v1", accounts: {a: {key: x}}, models: [m]}
  two: {format: openai-chat, base_url: "%s/v1", accounts: {a: {key: x}}, models: [m]}
default: two/m
"""

@pytest.mark.parametrize("key,status", [("k-off", 401), ("k-old", 401), ("k-far", 403), ("k-scoped", 403)])
async def test_models_obeys_auth(key, status):
    async with gateway(KEYS % ("http://127.0.0.1:9",) * 2 if False else KEYS % ("http://127.0.0.1:9", "http://127.0.0.1:9")) as gw:
        assert (await get(gw, "/v1/models", **{"x-api-key": key}))[0] == status

async def test_models_of_provider_key():
    async with gateway(KEYS % ("http://127.0.0.1:9", "http://127.0.0.1:9")) as gw:
        _, doc, _ = await get(gw, "/v1/models", **{"x-api-key": "k-one"})
        assert "two/m" not in [m["id"] for m in doc["data"]]

async def test_default_does_not_widen():
    async with FakeUpstream(responder()) as up, gateway(KEYS % (up.url, up.url)) as gw:
        status, body, _ = await post(gw, *call("openai-chat", "one/none"), **{"x-api-key": "k-mod"})
        assert status == 403, body
        assert up.requests == []

async def test_xff_in_two_lines():
    config = "server: {trusted_proxies: [127.0.0.0/8]}\nproviders: {demo: {}}\nkeys: {k: {key: kk, ips: [10.0.0.0/8]}}"
    async with gateway(config) as gw:
        async with aiohttp.ClientSession() as s:
            h = [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "8.8.8.8"), ("x-api-key", "kk")]
            path, body = call("openai-chat", "demo")
            async with s.post(gw.url + path, json=body, headers=h) as a:
                assert a.status == 403

async def test_listen_override_without_keys_is_not_open():
    from omniroute.server.gateway import Gateway
    import tempfile, pathlib
    with tempfile.TemporaryDirectory() as d:
        p = pathlib.Path(d) / "omniroute.yaml"
        open_ = "version: 1\nserver: {trusted_proxies: [127.0.0.0/8]}\nproviders: {demo: {}}\n"
        p.write_text(open_ + "keys: {k: {key: kk}}\n")
        g = Gateway(p, env={}, listen=("0.0.0.0:0",), watch=False)
        await g.start()
        try:
            p.write_text(open_)
            assert (await g.runtime.reload()).ok
            port = g.urls[0].rpartition(":")[2]
            async with aiohttp.ClientSession() as s:
                path, body = call("openai-chat", "demo/demo")
                async with s.post(f"http://127.0.0.1:{port}{path}", json=body, headers={"X-Forwarded-For": "203.0.113.9"}) as a:
                    assert a.status == 401
                async with s.get(f"http://127.0.0.1:{port}/v1/models", headers={"X-Forwarded-For": "203.0.113.9"}) as a:
                    assert a.status == 401
        finally:
            await g.stop()

@pytest.mark.parametrize("t", ["nan", "-1", "inf"])
async def test_wait_timeouts(t):
    async with gateway("providers: {demo: {}}") as gw:
        status, *_ = await get(gw, f"/-/wait?hash=zz&timeout={t}")
        assert status == 400

@pytest.mark.parametrize("bad", ["keys: {k: {hash: 'sha256:zz'}}", "keys: {k: {key: x, expires: nope}}", "keys: {k: {key: x, ips: [nope]}}",
  "middleware: {f: {stage: filter, allow_ips: [nonsense]}}\npipelines: {chat: {stages: [auth, f, route, translate, retry, log], endpoints: [chat]}}",
  'providers: {up: {format: openai-chat, base_url: "http://h/v1", accounts: {a: {key: "a\\nb"}}}}'])
async def test_bad_values_are_config_errors(bad):
    from omniroute.errors import ConfigError
    with pytest.raises(ConfigError):
        async with gateway(bad):
            pass

async def test_explain_disabled_provider_is_404():
    async with gateway('providers: {up: {format: openai-chat, base_url: "http://h/v1", enabled: false, accounts: {a: {key: a}}}}') as gw:
        status, body, _ = await post(gw, *call("openai-chat", "up/m"))
        assert status == 404, body
