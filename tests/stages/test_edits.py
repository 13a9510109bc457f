"""System prompts and transforms: what reaches the upstream, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, Scripted, gateway, sse
from tests.support.answers import WIRES, anthropic, call, chat, chat_stream, responder

CONFIG = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}{provider}}}
{more}
pipelines:
  chat: {{stages: [auth, filter, {stage}route, translate, retry, log], endpoints: [chat]}}
"""


def config(url: str, *, stage: str = "", more: str = "", provider: str = "") -> str:
    return CONFIG.format(url=url, stage=f"{stage}, " if stage else "", more=more, provider=provider)


async def post(gw: Running, path: str, body: Any, **headers: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.post(gw.url + path, json=body, headers=headers) as answer,
    ):
        return await answer.text()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("position", ["prepend", "append"])
async def test_a_system_prompt_reaches_the_upstream_from_any_format(wire: str, position: str) -> None:
    stage = f"{{stage: system_prompt, text: Speak Italian., position: {position}}}"
    async with FakeUpstream(responder()) as up, gateway(config(up.url, stage=stage)) as gw:
        await post(gw, *call(wire, "up/m"))
        messages = up.requests[0].json["messages"]
    assert messages[0] == {"role": "system", "content": "Speak Italian."}
    assert messages[1]["role"] == "user"


async def test_values_keep_their_bytes_when_nothing_edits() -> None:
    """Escapes, number forms and texts that look like keys stay as they are; only the model's name changes."""
    messages = '[{"role":"user", "content":"\\u00e9\\/ \\"model\\": \\"up/m\\""}]'
    body = f'{{"messages":{messages},"model":"up/m","n":1.0}}'
    async with FakeUpstream(responder()) as up, gateway(config(up.url)) as gw:
        async with aiohttp.ClientSession() as session:
            await session.post(gw.url + "/v1/chat/completions", data=body)
        assert up.requests[0].body.decode() == body.replace('"model":"up/m"', '"model":"m"')
        assert gw.records[0].path == "same"


async def test_transforms_at_both_sides_and_on_the_way_back() -> None:
    more = """
transforms:
  cool: {on: request, ops: [{set: {temperature: 0}}, {headers: {set: {x-extra: "{{ model }}"}}}]}
  named: {on: request, side: client, ops: [{set: {metadata: {who: "{{ headers['x-team'] }}"}}}]}
  loud: {on: response, ops: [{map: {path: "choices[0].message.content", template: "{{ value | upper }}"}}]}
  mark: {on: response, side: client, ops: [{set: {seen: true}}]}
"""
    stage = "{stage: transform, use: [named, loud, mark]}"
    async with FakeUpstream(responder("ciao")) as up:
        async with gateway(config(up.url, stage=stage, more=more, provider=", transforms: [cool]")) as gw:
            answer = json.loads(await post(gw, *call("openai-chat", "up/m"), **{"x-team": "blue"}))
            sent = up.requests[0]
            assert (sent.json["temperature"], sent.json["metadata"]) == (0, {"who": "blue"})
            assert sent.headers["x-extra"] == "m"
            assert (answer["choices"][0]["message"]["content"], answer["seen"]) == ("CIAO", True)
            assert gw.records[0].path == "edited"
            answer = json.loads(await post(gw, *call("anthropic-messages", "up/m"), **{"x-team": "x"}))
            assert (answer["content"][0]["text"], answer["seen"]) == ("CIAO", True)


@pytest.mark.parametrize("wire", ["openai-chat", "anthropic-messages"])
async def test_events_are_edited_in_the_upstreams_format(wire: str) -> None:
    more = """
transforms:
  loud: {on: event, ops: [{map: {path: "choices[].delta.content", template: "{{ value | upper }}"}}]}
"""
    stage = "{stage: transform, use: [loud]}"
    script = [Scripted(chunks=chat_stream("ci", "ao"))]
    async with FakeUpstream(script) as up, gateway(config(up.url, stage=stage, more=more)) as gw:
        text = await post(gw, *call(wire, "up/m", stream=True))
    assert '"CI"' in text and '"AO"' in text


@pytest.mark.parametrize("wire", WIRES)
async def test_a_transform_that_fails_is_named(wire: str) -> None:
    more = """
transforms:
  broken: {on: request, ops: [{set: {temperature: "{{ request.nothing.here }}"}}]}
"""
    async with FakeUpstream(responder()) as up:
        async with gateway(config(up.url, more=more, provider=", transforms: [broken]")) as gw:
            text = await post(gw, *call(wire, "up/m"))
            assert "broken" in text
            assert gw.records[0].status == 500
            assert up.requests == []


async def test_params_of_a_target_are_set_for_it_alone() -> None:
    more = """
combos:
  two: [{model: up/a, params: {temperature: 0.5}}, up/b]
"""
    script = [Scripted(status=404, json={"error": {"message": "no such model"}}), Scripted(json=chat())]
    async with FakeUpstream(script) as up, gateway(config(up.url, more=more)) as gw:
        await post(gw, *call("openai-chat", "two"))
        assert [r.json.get("temperature") for r in up.requests] == [0.5, None]


async def test_what_a_target_cannot_express_is_named_or_refused() -> None:
    body = {"model": "up/m", "messages": [{"role": "user", "content": "hi"}], "logit_bias": {"5": 1}}
    text = config("{url}").replace("openai-chat, base_url", "anthropic-messages, base_url")
    for strict, status in ((False, 200), (True, 400)):
        shown = text.replace("translate,", "{stage: translate, strict: true},") if strict else text
        async with FakeUpstream([Scripted(json=anthropic())]) as up:
            async with gateway(shown.replace("{url}", up.url)) as gw, aiohttp.ClientSession() as session:
                async with session.post(gw.url + "/v1/chat/completions", json=body) as answer:
                    assert answer.status == status
                    found = await answer.json()
                    if strict:
                        assert "logit_bias" in found["error"]["message"]
                        assert up.requests == []
                    else:
                        assert answer.headers["X-OmniRoute-Dropped"] == "logit_bias"
                        assert gw.records[0].dropped == ["logit_bias"]


async def test_explain_answers_with_the_plan_and_sends_nothing() -> None:
    async with FakeUpstream(responder()) as up, gateway(config(up.url)) as gw:
        told = json.loads(await post(gw, *call("openai-chat", "up/m"), **{"X-OmniRoute-Explain": "1"}))
        assert told["targets"][0]["verdict"] == "in"
        assert up.requests == []


async def test_a_transform_that_has_nothing_to_do_leaves_the_bytes_alone() -> None:
    more = """
transforms:
  rarely:
    on: request
    when: headers."x-team" == 'red'
    ops: [{set: {temperature: 0}}]
"""
    async with FakeUpstream(responder()) as up:
        async with gateway(config(up.url, more=more, provider=", transforms: [rarely]")) as gw:
            await post(gw, *call("openai-chat", "up/m"))
            await post(gw, *call("openai-chat", "up/m"), **{"x-team": "red"})
            assert [r.path for r in gw.records] == ["same", "edited"]
            assert [r.json.get("temperature") for r in up.requests] == [None, 0]


async def test_a_transform_that_fails_in_a_stream_is_named() -> None:
    config = """
    providers:
      up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}, transforms: [broken]}}
    transforms:
      broken: {{on: event, ops: [{{set: {{path: x, value: "{{{{{{{{ event.nothing.more }}}}}}}}"}}}}]}}
    """.replace("{{{{{{{{", "{{{{").replace("}}}}}}}}", "}}}}")
    async with FakeUpstream(responder()) as up, gateway(config.format(url=up.url)) as gw:
        text = await post(gw, *call("openai-chat", "up/m", stream=True))
        assert "broken" in text
        assert "internal_error" not in text
        assert gw.gateway.state.cooldowns.all() == {}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_answer_has_the_name_that_was_asked_for(stream: bool) -> None:
    """Claude Code forgets the thinking of answers whose model is another."""
    message = anthropic()
    events = sse(
        ("message_start", {"type": "message_start", "message": {**message, "content": []}}),
        (
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        (
            "content_block_delta",
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": '"model":"x"'},
            },
        ),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        (
            "message_delta",
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        ),
        ("message_stop", {"type": "message_stop"}),
    )
    halves = [part for event in events for part in (event[:30], event[30:])]
    script = [Scripted(chunks=halves) if stream else Scripted(json=message)]
    more = "models: {opus: up/m}"
    text = config("{url}", more=more).replace("openai-chat, base_url", "anthropic-messages, base_url")
    async with FakeUpstream(script) as up, gateway(text.replace("{url}", up.url)) as gw:
        body = await post(gw, *call("anthropic-messages", "opus", stream=stream))
    assert body.count('"model":"opus"') == 1
    assert '"model": "m"' not in body
    assert not stream or '\\"model\\":\\"x\\"' in body
