"""Who can serve a request at all: capabilities and context windows, told from the request in any format."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniroute.config.load import load_text
from omniroute.engine.build import Workshop, build, wire_of
from omniroute.engine.generation import Generation
from omniroute.errors import Problem, Refused
from omniroute.registry import Registry, load
from omniroute.routing.facts import BYTES_PER_TOKEN, Facts
from omniroute.routing.needs import CAPABILITIES, absent_from, needs_of
from omniroute.routing.plan import Plan, plan
from omniroute.state.state import State
from omniroute.testing import FakeUpstream, gateway
from omniroute.wire.codec import Wire
from tests.support.answers import call, responder
from tests.support.http import post
from tests.support.recordings import require

CONFIG = """
version: 1
providers:
  up:
    format: openai-chat
    base_url: "{url}"
    accounts: {{a: {{key: k}}}}
    models:
      all: {{capabilities: [tools, vision, audio, pdf, json_schema, thinking], context: 100k}}
      text: {{capabilities: [], context: 1k}}
      calls: {{capabilities: [tools, thinking], context: 10k}}
      unknown: {{}}
combos:
  all: [up/text, up/calls, up/all, up/unknown]
  small: [up/text, up/calls]
  blind: [up/text, up/calls]
"""

PNG = "iVBORw0KGgo="
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}

REQUESTS: dict[str, dict[str, Any]] = {
    "openai-chat": {
        "": {
            "messages": [
                {"role": "user", "content": "an image, tools, an audio file, thinking, a schema, please"}
            ]
        },
        "tools": {
            "messages": [],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}],
        },
        "vision": {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
                }
            ]
        },
        "audio": {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}],
                }
            ]
        },
        "pdf": {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "file",
                            "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                        }
                    ],
                }
            ]
        },
        "json_schema": {
            "messages": [],
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL}},
        },
        "thinking": {"messages": [], "reasoning_effort": "high"},
    },
    "anthropic-messages": {
        "tools": {"messages": [], "max_tokens": 9, "tools": [{"name": "f", "input_schema": TOOL}]},
        "vision": {
            "max_tokens": 9,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                                }
                            ],
                        }
                    ],
                }
            ],
        },
        "pdf": {
            "max_tokens": 9,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                        }
                    ],
                }
            ],
        },
        "thinking": {"messages": [], "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        "json_schema": {
            "messages": [],
            "max_tokens": 9,
            "output_config": {"format": {"type": "json_schema", "schema": TOOL}},
        },
    },
    "openai-responses": {
        "tools": {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": TOOL}]},
        "vision": {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}],
                }
            ]
        },
        "pdf": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "input_file",
                            "file_data": "data:application/pdf;base64,AA",
                            "filename": "a.pdf",
                        }
                    ],
                }
            ]
        },
        "thinking": {"input": "hi", "reasoning": {"effort": "low"}},
        "json_schema": {
            "input": "hi",
            "text": {"format": {"type": "json_schema", "name": "x", "schema": TOOL}},
        },
    },
    "gemini": {
        "tools": {
            "contents": [],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": TOOL}]}],
        },
        "vision": {
            "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}]
        },
        "audio": {
            "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AA"}}]}]
        },
        "pdf": {
            "contents": [
                {"role": "user", "parts": [{"inlineData": {"mimeType": "application/pdf", "data": "AA"}}]}
            ]
        },
        "thinking": {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": 1024}}},
        "json_schema": {
            "contents": [],
            "generationConfig": {"responseMimeType": "application/json", "responseSchema": TOOL},
        },
    },
    "ollama": {
        "tools": {"model": "m", "messages": [], "tools": [{"type": "function", "function": {"name": "f"}}]},
        "vision": {"model": "m", "messages": [{"role": "user", "content": "see", "images": [PNG]}]},
        "thinking": {"model": "m", "messages": [], "think": True},
        "json_schema": {"model": "m", "messages": [], "format": TOOL},
    },
}
CASES = [(wire, need) for wire, requests in REQUESTS.items() for need in requests]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(plugins=False)


@pytest.fixture
def state() -> State:
    return State(clock=lambda: 1000.0, dice=random.Random(1))


@pytest.fixture
def generation(registry: Registry, state: State) -> Iterator[Generation]:
    loaded = load_text(CONFIG.format(url="http://x/v1"), env={}, registry=registry)
    yield build(loaded, 1, Workshop(registry, state, lambda kind: None, lambda record: None))  # type: ignore[arg-type,return-value]  # nothing is sent


def wire(registry: Registry, name: str) -> Wire:
    found = registry.find("wire", name)
    assert found is not None
    return wire_of(found.cls)


def facts(registry: Registry, name: str, document: dict[str, Any], model: str, **more: Any) -> Facts:
    body = json.dumps(document).encode()
    known: dict[str, Any] = {
        "document": lambda: document,
        "body": body,
        "talk": lambda: wire(registry, name).read_request(document),
        "tokens": len(body) // BYTES_PER_TOKEN,
    } | more
    return Facts(model=model, wire=name, operation="chat", stream=False, headers={}, caller=None, **known)


def planned(generation: Generation, state: State, made: Facts) -> Plan:
    found = plan(generation.directory, made, state, now=1000.0, dice=state.dice)
    assert found is not None
    return found


@pytest.mark.parametrize("name, need", CASES)
def test_needs_are_the_same_in_every_format(registry: Registry, name: str, need: str) -> None:
    document = REQUESTS[name][need]
    talk = wire(registry, name).read_request(document)
    assert needs_of(talk) == ({need} if need else set())
    body = json.dumps(document).encode()
    assert need not in absent_from(body, CAPABILITIES)


@pytest.mark.parametrize(
    "name, asks",
    [
        ("openai-chat", {"messages": [], "reasoning_effort": "none"}),
        ("anthropic-messages", {"messages": [], "max_tokens": 9, "thinking": {"type": "disabled"}}),
        ("gemini", {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}),
        ("ollama", {"model": "m", "messages": [], "think": False}),
    ],
)
def test_asking_for_no_thinking_needs_none(registry: Registry, name: str, asks: dict[str, Any]) -> None:
    assert needs_of(wire(registry, name).read_request(asks)) == set()


def test_the_bytes_never_hide_a_need(registry: Registry) -> None:
    """What real clients sent: whatever they need is seen in the bytes, too."""
    seen: set[str] = set()
    spoken = {
        "/v1/chat/completions": "openai-chat",
        "/v1/messages": "anthropic-messages",
        "/v1/responses": "openai-responses",
    }
    for file in sorted(require("clients").glob("*.json")):
        for request in json.loads(file.read_text())["requests"]:
            name = spoken.get(request["path"].partition("?")[0])
            if name is None or not isinstance(request["body"], dict):
                continue
            needs = needs_of(wire(registry, name).read_request(request["body"]))
            assert not needs & absent_from(json.dumps(request["body"]).encode(), CAPABILITIES)
            seen |= needs
    assert "tools" in seen


def test_a_plain_request_is_never_parsed(registry: Registry, generation: Generation, state: State) -> None:
    def must_not() -> Any:
        raise AssertionError("the body was parsed")

    plain = REQUESTS["openai-chat"][""]
    made = facts(registry, "openai-chat", plain, "all", talk=must_not)
    assert [s.verdict for s in planned(generation, state, made).steps] == ["in"] * 4


@pytest.mark.parametrize("need", ["tools", "vision", "audio", "pdf"])
def test_who_lacks_what_is_needed_is_out(
    registry: Registry, generation: Generation, state: State, need: str
) -> None:
    made = planned(generation, state, facts(registry, "openai-chat", REQUESTS["openai-chat"][need], "all"))
    verdicts = {step.target.model: (step.verdict, step.cause) for step in made.steps}
    assert verdicts["text"] == ("out", "incapable")
    assert verdicts["calls"] == (("in", None) if need == "tools" else ("out", "incapable"))
    assert verdicts["all"] == verdicts["unknown"] == ("in", None)
    assert made.steps[0].reason.startswith("it cannot ")


def test_who_lacks_what_is_wished_for_goes_last(
    registry: Registry, generation: Generation, state: State
) -> None:
    wish = REQUESTS["openai-chat"]["thinking"]
    made = planned(generation, state, facts(registry, "openai-chat", wish, "all"))
    assert [step.target.model for step in made.usable] == ["calls", "all", "unknown", "text"]
    assert made.steps[-1].reason == "usable, after the others: it cannot think"


@pytest.mark.parametrize(
    "words, models", [(100, "text calls all unknown"), (3000, "calls all unknown"), (30_000, "all unknown")]
)
def test_who_is_too_small_is_out(
    registry: Registry, generation: Generation, state: State, words: int, models: str
) -> None:
    long = {"messages": [{"role": "user", "content": "word " * words}]}
    made = planned(generation, state, facts(registry, "openai-chat", long, "all"))
    assert [step.target.model for step in made.usable] == models.split()
    assert all(step.cause == "too_small" for step in made.steps if step.verdict == "out")


def test_an_image_is_no_text(registry: Registry, generation: Generation, state: State) -> None:
    """400 kB of an image are not 100,000 tokens."""
    url = f"data:image/png;base64,{'A' * 400_000}"
    image = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
    made = planned(generation, state, facts(registry, "openai-chat", image, "all"))
    assert [step.target.model for step in made.usable] == ["all", "unknown"]


def test_what_cannot_be_read_rules_nobody_out(
    registry: Registry, generation: Generation, state: State
) -> None:
    def broken() -> Any:
        raise Refused(Problem(kind="invalid_request", message="what is this?"))

    made = facts(registry, "openai-chat", {"tools": 1}, "all", talk=broken)
    assert len(planned(generation, state, made).usable) == 4


async def test_the_client_is_told_which_capability_nobody_has() -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=f"{up.url}/v1")) as gw:
        body = {**REQUESTS["openai-chat"]["vision"], "model": "blind"}
        status, told, _ = await post(gw, "/v1/chat/completions", body)
        assert (status, told["error"]["code"]) == (400, "lacks_capability")
        assert "`vision`" in told["error"]["message"]
        assert "up/text: it cannot see images" in told["error"]["message"]
        # A model that is asked for by its name is asked: its provider knows best.
        status, _, _ = await post(gw, "/v1/chat/completions", {**body, "model": "up/text"})
        assert status == 200
        path, long = call("openai-chat", "small", text="word " * 30_000)
        status, told, _ = await post(gw, path, long)
        assert (status, told["error"]["code"]) == (400, "context_length_exceeded")
        assert len(up.requests) == 1


async def test_who_is_out_is_told_by_explain(tmp_path: Path) -> None:
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=f"{up.url}/v1")) as gw:
        body = {**REQUESTS["openai-chat"]["tools"], "model": "all"}
        status, told, _ = await post(gw, "/v1/chat/completions", body, **{"x-omniroute-explain": "1"})
    assert status == 200
    assert [(row["target"], row["verdict"], row["reason"]) for row in told["targets"]][:2] == [
        ("up/text", "out", "it cannot call tools"),
        ("up/calls", "in", "usable"),
    ]
