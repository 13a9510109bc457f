from __future__ import annotations
import asyncio, json
import aiohttp, pytest
from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, responder, error, anthropic
from .test_access import post, get

CONFIG = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", retry: {{wait: 1ms}}, accounts: {{a: {{key: k}}}}}}}}'

async def test_quota_rest_is_429():
    q = Scripted(status=429, json={"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}})
    async with FakeUpstream([q]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        assert (await post(gw, *call("openai-chat", "up/m")))[0] == 429
        assert (await post(gw, *call("openai-chat", "up/m")))[0] == 429

async def test_count_404_does_not_lock_chat():
    def script(seen):
        if seen.path.endswith("count_tokens"):
            return Scripted(status=404, json={"type": "error", "error": {"type": "not_found_error", "message": "Not found"}})
        return Scripted(json=anthropic())
    cfg = 'providers: {{up: {{format: anthropic-messages, base_url: "{url}/v1", auth: {{type: header, header: x-api-key}}, accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream(script) as up, gateway(cfg.format(url=up.url)) as gw:
        path, body = call("anthropic-messages", "up/m")
        status, b, h = await post(gw, "/v1/messages/count_tokens", body)
        print(status, b)
        s2, b2, _ = await post(gw, path, body)
        assert s2 == 200, b2
        assert status == 200, b

async def test_member_timeout_rests_and_replaces():
    cfg = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", timeouts: {{total: 100ms}}, retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
combos:
  longer: [{{model: up/m, timeout: 5s}}]
"""
    async with FakeUpstream([Scripted(pause=0.4, json=chat())]) as up, gateway(cfg.format(url=up.url)) as gw:
        assert (await post(gw, *call("openai-chat", "longer")))[0] == 200

async def test_member_timeout_rests():
    cfg = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
combos:
  shorter: [{{model: up/m, timeout: 100ms}}]
"""
    for stream in (False, True):
        async with FakeUpstream([Scripted(pause=5, json=chat())]) as up, gateway(cfg.format(url=up.url)) as gw:
            assert (await post(gw, *call("openai-chat", "shorter", stream=stream)))[0] == 504
            assert "up/a" in gw.gateway.state.cooldowns.all()

async def test_total_of_a_stream():
    cfg = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", timeouts: {{total: 300ms}}, retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}}}'
    async with FakeUpstream([Scripted(chunks=chat_stream(*"abcdefghijkl"), between=0.1)]) as up, gateway(cfg.format(url=up.url)) as gw:
        _, text, _ = await post(gw, *call("openai-chat", "up/m", stream=True))
        assert "[DONE]" not in text or "error" in text
        assert gw.records[0].error == "total_timeout"

async def test_upstream_pings_are_life():
    cfg = 'providers: {{up: {{format: openai-chat, base_url: "{url}/v1", timeouts: {{idle: 200ms}}, retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}}}'
    chunks = chat_stream("a")[:2] + [": ping\n\n"] * 6 + chat_stream("b")[1:]
    async with FakeUpstream([Scripted(chunks=chunks, between=0.1)]) as up, gateway(cfg.format(url=up.url)) as gw:
        _, text, _ = await post(gw, *call("openai-chat", "up/m", stream=True))
        assert "[DONE]" in text

RR = """
providers:
  up:
    format: openai-chat
    base_url: "{url}/v1"
    strategy: round-robin
    accounts: {{a: {{key: ka}}, b: {{key: kb}}, c: {{key: kc}}}}
"""

async def test_round_robin_fair_with_a_resting_one():
    def script(seen):
        if seen.headers["authorization"] == "Bearer ka":
            return error(429, retry_after="100")
        return Scripted(json=chat())
    async with FakeUpstream(script) as up, gateway(RR.format(url=up.url)) as gw:
        for _ in range(13):
            await post(gw, *call("openai-chat", "up/m"))
        used = [s.headers["authorization"][-2:] for s in up.requests][1:]
        assert abs(used.count("kb") - used.count("kc")) <= 1, used

async def test_round_robin_concurrent():
    async with FakeUpstream([Scripted(pause=0.3, json=chat())]) as up, gateway(RR.format(url=up.url)) as gw:
        await asyncio.gather(*[post(gw, *call("openai-chat", "up/m")) for _ in range(6)])
        used = sorted(s.headers["authorization"][-2:] for s in up.requests)
        assert used == ["ka", "ka", "kb", "kb", "kc", "kc"]

async def test_socks_refusal_goes_on():
    async def refuse(r, w):
        await r.read(3); w.write(b"\x05\xff"); await w.drain(); w.close()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cfg = """
proxies: {{s: {{url: "socks5://127.0.0.1:%d"}}}}
providers:
  one: {{format: openai-chat, base_url: "{url}/v1", proxy: s, retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
  two: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
combos: {{c: [one/m, two/m]}}
""" % port
    async with FakeUpstream(responder()) as up, gateway(cfg.format(url=up.url)) as gw:
        status, b, h = await post(gw, *call("openai-chat", "c"))
        assert (status, h.get("X-OmniRoute-Target")) == (200, "two/m"), b
    server.close()

@pytest.mark.parametrize("headers,low,high", [
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h2m3s"}, 3700, 3724),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "90ms", "x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1h"}, 0, 1),
    ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2999-01-01T00:00:00Z"}, 6e5, 7e5),
])
async def test_reset_headers(headers, low, high):
    up_ = Scripted(status=429, json={"error": {"message": "Rate limit", "type": "rate_limit_error"}}, headers=headers)
    async with FakeUpstream([up_]) as up, gateway(CONFIG.format(url=up.url)) as gw:
        await post(gw, *call("openai-chat", "up/m"))
        rest = gw.gateway.state.cooldowns._rests["up/a"]
        assert low <= rest.until - rest.since <= high, rest

def test_an_older_success_does_not_heal():
    from omniroute.state.cooldowns import Cooldowns
    now = [100.0]
    c = Cooldowns(lambda: now[0])
    c.rest("a", "i", pace="limited", reason="x", seconds=3600, began=99)
    c.heal("a", began=98)
    assert c.resting("a", "i")
    c.heal("a", began=101)
    assert not c.resting("a", "i")

def test_rests_do_not_grow_without_end():
    from omniroute.state.cooldowns import Cooldowns
    now = [100.0]
    c = Cooldowns(lambda: now[0])
    for i in range(30_000):
        now[0] += 1
        c.rest(f"a/{i}", "i", pace="fixed", reason="x", seconds=600, began=now[0])
    assert len(c._rests) < 20_000
