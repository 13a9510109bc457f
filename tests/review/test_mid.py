from __future__ import annotations
import asyncio, json
import aiohttp, pytest
from omniroute.testing import FakeUpstream, Scripted, gateway, sse
from tests.support.answers import WIRES, call, chat, chat_chunk, chat_stream, responder, error, anthropic
from .test_access import post, get
from tests.review.test_access import *
CHAT = [*chat_stream("one")[:2], *sse({"error": {"message": "Overloaded", "type": "server_error", "code": 503}})]
RESP = sse(
  ("response.created", {"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","status":"in_progress","output":[]}}),
  ("response.output_item.added", {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"m","role":"assistant","content":[],"status":"in_progress"}}),
  ("response.output_text.delta", {"type":"response.output_text.delta","sequence_number":2,"item_id":"m","output_index":0,"content_index":0,"delta":"one"}),
  ("response.failed", {"type":"response.failed","sequence_number":3,"response":{"id":"r","object":"response","status":"failed","error":{"code":"server_error","message":"Overloaded"},"output":[]}}))
GEM = sse({"candidates":[{"content":{"role":"model","parts":[{"text":"one"}]},"index":0}]}, {"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}})
@pytest.mark.parametrize("fmt,chunks", [("openai-chat", CHAT), ("openai-chat", [*CHAT, "data: [DONE]\n\n"]), ("openai-responses", RESP), ("gemini", GEM)])
async def test_mid(fmt, chunks):
    cfg = 'providers: {{up: {{format: %s, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}}}' % fmt
    async with FakeUpstream([Scripted(chunks=chunks)]) as up, gateway(cfg.format(url=up.url)) as gw:
        _, text, _ = await post(gw, *call(fmt, "up/m", stream=True))
        print(text)
        print(gw.records[0].error, gw.records[0].finish)
        assert gw.records[0].error
