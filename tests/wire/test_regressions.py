"""What broke in gateways before this one, as their users reported it: a test a report, named after what went wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import Refused
from omniroute.wire.conversation import End, Notes, Start
from tests.support.crossing import CLIENTS, reference, said, sent, streamed, wires

Doc = dict[str, Any]
USER: Doc = {"role": "user", "content": "hi"}
CALL: Doc = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
}
RESULT: Doc = {"role": "tool", "tool_call_id": "c1", "content": "2"}


def chat(*messages: Doc, **more: Any) -> Doc:
    return {"model": "m", "messages": list(messages), **more}


# ── streams ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", [[], [Start(id="x")], [End()]], ids=["nothing", "a start", "an end"])
def test_message_stop_never_comes_without_message_start(given: list[Any]) -> None:
    writer = wires()["anthropic-messages"].writer(reference(), Notes())
    out = b"".join(map(writer.feed, given)) + writer.close()
    names = [line[7:] for line in out.decode().split("\n") if line.startswith("event: ")]
    assert names[0] == "message_start" and names[-1] == "message_stop" and names.count("message_start") == 1


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages", "gemini"])
def test_a_failed_response_is_no_empty_answer(client: str) -> None:
    event = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "oops"}}}
    raw = f"event: response.failed\ndata: {json.dumps(event)}\n\n".encode()
    assert "error" in said(streamed("openai-responses", raw, client))


@pytest.mark.parametrize("stream", [False, True])
def test_stream_options_go_with_streams_only(stream: bool) -> None:
    found, _ = sent("openai-responses", {"model": "m", "input": "hi", "stream": stream}, "openai-chat")
    assert ("stream_options" in found) is stream


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────

REFUSED_BY_GEMINI = (
    "$schema",
    "$id",
    "$comment",
    "additionalProperties",
    "uniqueItems",
    "prefixItems",
    "deprecated",
    "readOnly",
    "optional",
    "enumDescriptions",
    "x-order",
    "const",
    "exclusiveMinimum",
    "multipleOf",
    "propertyNames",
    "patternProperties",
    "if",
)
SCHEMA: Doc = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://a.example/s",
    "$comment": "x",
    "type": "object",
    "additionalProperties": False,
    "propertyNames": {"pattern": "^a"},
    "patternProperties": {"^x": {"type": "string"}},
    "if": {"required": ["kind"]},
    "properties": {
        "kind": {"const": "exact"},
        "list": {"type": "array", "uniqueItems": True, "deprecated": True},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "mode": {"type": "string", "enum": ["a", "b"], "enumDescriptions": ["A", "B"], "x-order": 1},
        "n": {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 2, "readOnly": True, "optional": True},
        "odd": "a property that is no schema",
        "const": {"type": "string"},
    },
    "required": ["kind", "n"],
}


def keywords(schema: Any) -> set[str]:
    """The keywords of a schema at every level; names of properties are none."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for name, value in schema.items():
        if name == "properties":
            found |= set().union(*map(keywords, value.values()))
        elif name not in ("enum", "required", "default", "example"):
            found |= keywords(value)
    return found


def lowered() -> Doc:
    tool = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
    found, _ = sent("openai-chat", chat(USER, tools=[tool]), "gemini", quirks=frozenset({"openapi_schema"}))
    return dict(found["tools"][0]["functionDeclarations"][0]["parameters"])


@pytest.mark.parametrize("keyword", REFUSED_BY_GEMINI)
def test_gemini_gets_no_keyword_that_it_refuses(keyword: str) -> None:
    assert keyword not in keywords(lowered())


def test_an_array_has_items_and_a_property_is_a_schema() -> None:
    schema = lowered()
    assert all("items" in p for p in schema["properties"].values() if p.get("type") == "ARRAY")
    assert all(isinstance(p, dict) for p in schema["properties"].values())
    assert schema["properties"]["kind"]["enum"] == ["exact"]
    assert "const" in schema["properties"], "a property may be called like a keyword"
    assert set(schema["required"]) <= set(schema["properties"])


# ── thinking ─────────────────────────────────────────────────────────────────────────────────────


def test_gemini_gets_a_signature_on_the_calls_of_others() -> None:
    """Gemini 3 refuses a call in the history without one; Google documents a value that says that there is none."""
    found, _ = sent(
        "openai-chat", chat(USER, CALL, RESULT), "gemini", quirks=frozenset({"thought_signatures"})
    )
    assert found["contents"][1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "thinking", "thinking": "hm", "signature": "b21uaXJvdXRl"},
        {"type": "redacted_thinking", "data": "eHg="},
    ],
    ids=["unsigned", "signed by another", "redacted"],
)
def test_no_other_provider_gets_signatures_of_claude(block: Doc) -> None:
    asked = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            USER,
            {"role": "assistant", "content": [block, {"type": "text", "text": "so"}]},
            {"role": "user", "content": "go"},
        ],
    }
    for target in ("openai-chat", "openai-responses", "gemini"):
        found, notes = sent("anthropic-messages", asked, target)
        text = json.dumps(found)
        assert "b21uaXJvdXRl" not in text and "eHg=" not in text
        assert notes.dropped == []


def test_claude_gets_no_unsigned_thinking() -> None:
    asked = chat(USER, {"role": "assistant", "content": "so", "reasoning_content": "hm"}, USER)
    found, _ = sent("openai-chat", asked, "anthropic-messages")
    assert found["messages"][1]["content"] == "so"


@pytest.mark.parametrize("content", ["", None, "so"])
def test_reasoning_is_echoed_to_those_that_want_it(content: str | None) -> None:
    """DeepSeek, Kimi and MiMo refuse a tool loop without it, also beside a content that is empty."""
    thought = {**CALL, "content": content, "reasoning_content": "hm"}
    found, _ = sent(
        "openai-chat", chat(USER, thought, RESULT), "openai-chat", quirks=frozenset({"reasoning_content"})
    )
    assert found["messages"][1]["reasoning_content"] == "hm"


# ── responses ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["text", "input_text"])
def test_texts_have_two_names_in_responses(kind: str) -> None:
    item = {"role": "user", "content": [{"type": kind, "text": "hi"}]}
    found, _ = sent("openai-responses", {"model": "m", "input": [item]}, "openai-chat")
    assert found["messages"] == [USER]


def test_texts_have_the_name_of_their_side() -> None:
    found, _ = sent(
        "openai-chat", chat(USER, {"role": "assistant", "content": "so"}, USER), "openai-responses"
    )
    kinds = [item["content"][0]["type"] for item in found["input"]]
    assert kinds == ["input_text", "output_text", "input_text"]


@pytest.mark.parametrize(
    ("given", "messages"), [("", [{"role": "user", "content": ""}]), ([], [])], ids=["text", "list"]
)
def test_an_empty_input_is_the_providers_to_refuse(given: Any, messages: list[Doc]) -> None:
    found, _ = sent("openai-responses", {"model": "m", "input": given}, "openai-chat")
    assert found["messages"] == messages


def test_the_first_system_text_is_the_instructions() -> None:
    asked = chat({"role": "system", "content": "Be brief."}, USER)
    found, _ = sent("openai-chat", asked, "openai-responses")
    assert found["instructions"] == "Be brief."
    assert [item["role"] for item in found["input"]] == ["user"]


def test_ids_of_items_that_nobody_keeps_are_not_sent() -> None:
    items = [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": "2"},
    ]
    found, _ = sent("openai-responses", {"model": "m", "store": False, "input": items}, "openai-chat")
    assert not any(id in json.dumps(found) for id in ("rs_1", "fc_1", "fco_1"))


def test_parameters_that_a_provider_refuses_are_quirks_of_it() -> None:
    refused = ("temperature", "top_p", "metadata", "user")
    asked = chat(USER, temperature=1, top_p=0.5, metadata={"a": "b"}, user="u")
    quirks = frozenset(f"no_{name}" for name in refused)
    for target in ("openai-chat", "openai-responses"):
        found, notes = sent("openai-chat", asked, target, quirks=quirks)
        assert not set(refused) & set(found)
        assert {"temperature", "top_p", "metadata"} <= set(notes.dropped)


@pytest.mark.parametrize("length", [64, 65, 200])
def test_call_ids_are_no_longer_than_64(length: int) -> None:
    long = json.loads(json.dumps([CALL, RESULT]).replace("c1", "c" * length))
    found, _ = sent("openai-chat", chat(USER, *long), "openai-responses")
    calls = [item["call_id"] for item in found["input"] if "call_id" in item]
    assert calls[0] == calls[1] and len(calls[0]) <= 64


def test_a_call_without_a_name_is_refused_with_its_place() -> None:
    asked = {"model": "m", "input": [USER, {"type": "function_call", "call_id": "c1", "arguments": "{}"}]}
    with pytest.raises(Refused) as refused:
        sent("openai-responses", asked, "openai-chat")
    assert "input[1].name" in refused.value.problem.message


# ── tools ────────────────────────────────────────────────────────────────────────────────────────

TARGETS = ("openai-chat", "openai-responses", "anthropic-messages", "gemini", "cohere")


def calls_and_results(target: str, found: Doc) -> tuple[list[str], list[str]]:
    """The ids of both, in the target's words."""
    text = json.loads(json.dumps(found))
    calls: list[str] = []
    results: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                walk(inner)
        if not isinstance(value, dict):
            return
        if value.get("type") == "function_call":
            calls.append(value["call_id"])
        elif value.get("type") == "function_call_output":
            results.append(value["call_id"])
        elif value.get("type") == "tool_use":
            calls.append(value["id"])
        elif value.get("type") == "tool_result":
            results.append(value["tool_use_id"])
        elif value.get("type") == "function" and "id" in value:
            calls.append(value["id"])
        elif value.get("role") == "tool":
            results.append(value["tool_call_id"])
        elif "functionCall" in value:
            calls.append(value["functionCall"]["id"])
        elif "functionResponse" in value:
            results.append(value["functionResponse"]["id"])
        for inner in value.values():
            walk(inner)

    walk(text)
    return calls, results


@pytest.mark.parametrize("target", TARGETS)
def test_a_call_that_nobody_answered_has_an_answer(target: str) -> None:
    """The user went on without waiting for the tool: most APIs refuse that."""
    found, notes = sent("openai-chat", chat(USER, CALL, {"role": "user", "content": "never mind"}), target)
    calls, results = calls_and_results(target, found)
    assert calls == results and len(calls) == 1
    assert "never mind" in json.dumps(found)
    assert notes.dropped == []


@pytest.mark.parametrize("target", TARGETS)
def test_an_answer_that_nobody_asked_for_is_told_in_words(target: str) -> None:
    """What is old was trimmed, and half of a pair with it."""
    found, notes = sent("openai-chat", chat(USER, {**RESULT, "content": "forty-two"}, USER), target)
    assert calls_and_results(target, found) == ([], [])
    assert "forty-two" in json.dumps(found)
    assert notes.dropped == []


@pytest.mark.parametrize("target", TARGETS)
def test_pairs_that_are_whole_stay_as_they_are(target: str) -> None:
    two = {**CALL, "tool_calls": [*CALL["tool_calls"], {**CALL["tool_calls"][0], "id": "c2"}]}
    found, notes = sent("openai-chat", chat(USER, two, {**RESULT, "tool_call_id": "c2"}, RESULT), target)
    calls, results = calls_and_results(target, found)
    assert sorted(calls) == sorted(results) and len(calls) == 2
    assert notes.emulated == []


@pytest.mark.parametrize("target", ["anthropic-messages", "gemini", "cohere", "ollama"])
@pytest.mark.parametrize("arguments", ["", "{", "null", '"text"', "[1]"])
def test_arguments_that_are_no_object_do_not_break_a_request(target: str, arguments: str) -> None:
    broken = json.loads(json.dumps(CALL))
    broken["tool_calls"][0]["function"]["arguments"] = arguments
    found, notes = sent("openai-chat", chat(USER, broken, RESULT), target)
    assert "add" in json.dumps(found) and notes.dropped == []


# ── images ───────────────────────────────────────────────────────────────────────────────────────

PICTURE = "aGVsbG8="
SHOWN: Doc = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}


@pytest.mark.parametrize("target", ["openai-responses", "anthropic-messages", "gemini", "cohere", "ollama"])
def test_pictures_are_neither_dropped_nor_flattened(target: str) -> None:
    asked = chat({"role": "user", "content": [{"type": "text", "text": "What is this?"}, SHOWN]})
    found, notes = sent("openai-chat", asked, target)
    assert PICTURE in json.dumps(found) and notes.dropped == []


@pytest.mark.parametrize("target", ["openai-responses", "anthropic-messages", "gemini"])
def test_pictures_by_url_are_passed_as_such(target: str) -> None:
    url = "https://a.example/x.png"
    asked = chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})
    found, notes = sent("openai-chat", asked, target)
    assert url in json.dumps(found) and notes.dropped == []


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "gemini", "cohere", "ollama"])
def test_pictures_in_results_are_lifted_not_dropped(target: str) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
    asked = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "shoot", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [picture]}]},
        ],
    }
    found, notes = sent("anthropic-messages", asked, target)
    assert PICTURE in json.dumps(found) and notes.dropped == []


@pytest.mark.parametrize("client", CLIENTS)
def test_cached_tokens_are_told_and_nothing_is_added(client: str) -> None:
    """Not 2,000 tokens more, cached ones once, and zeros where there are none."""
    from tests.support.crossing import counted, plain

    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "output_tokens": 2,
    }
    doc = {"content": [{"type": "text", "text": "so"}], "stop_reason": "end_turn", "usage": usage}
    assert counted(plain("anthropic-messages", doc, client))[:3] == (10, 2, 7)
