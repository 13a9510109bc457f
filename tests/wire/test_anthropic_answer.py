"""Plain answers of Anthropic Messages, counts, model lists and glances."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import anthropic
import msgspec
import pytest

from omniroute.wire.codec import ModelCard
from omniroute.wire.conversation import (
    Answer,
    Audio,
    Choice,
    Citation,
    CitationDelta,
    Finish,
    Image,
    Notes,
    Opaque,
    PartEnd,
    Refusal,
    Signature,
    Source,
    Start,
    Text,
    TextDelta,
    Thinking,
    ToolCall,
    Usage,
)
from tests.support import recordings
from tests.support.anthropic_messages import (
    FORMATS,
    WIRE,
    Doc,
    answered,
    bytes_of,
    call,
    events_of,
    sdk_message,
    valid,
)
from tests.support.streams import reference


def _without_caller(content: list[Doc]) -> list[Doc]:
    """Who called a tool has no place in a conversation; the recordings' calls came from the model itself, mostly."""
    return [{k: v for k, v in b.items() if not (k == "caller" and b["type"] == "tool_use")} for b in content]


@pytest.mark.parametrize("name", [n for f in FORMATS for n in recordings.ids(f, streaming=False)])
def test_a_recorded_answer_comes_back_as_it_was(name: str) -> None:
    recording = recordings.load(name)
    if recording.status != 200:
        return
    body, before = recording.body, deepcopy(recording.body)
    out = WIRE.write_answer(WIRE.read_answer(body), reference(), Notes())
    assert body == before
    assert out["content"] == _without_caller(body["content"])
    for key in ("id", "type", "role", "stop_reason", "stop_sequence", "container", "context_management"):
        assert out.get(key) == body.get(key)
    said = body["usage"]
    assert out["usage"]["input_tokens"] == said["input_tokens"]
    assert out["usage"]["output_tokens"] == said["output_tokens"]
    assert out["usage"]["cache_read_input_tokens"] == (said.get("cache_read_input_tokens") or 0)
    glance = WIRE.glance(json.dumps(body).encode())
    assert not glance.empty
    assert glance.usage == WIRE.read_answer(body).usage
    assert glance.finish == WIRE.read_answer(body).choices[0].finish
    assert glance.model == body["model"]


CARRIED = "or1.gemini."


@pytest.mark.parametrize(
    ("parts", "content", "dropped", "emulated"),
    [
        ([Text(text="hi")], [{"type": "text", "text": "hi"}], [], []),
        ([Text(text="")], [], [], []),
        ([Thinking(text="hm")], [{"type": "thinking", "thinking": "hm", "signature": ""}], [], []),
        ([Refusal(text="no")], [{"type": "text", "text": "no"}], [], []),
        (
            [Image(source=Source(url="https://x"))],
            [{"type": "text", "text": "![image](https://x)"}],
            [],
            ["image"],
        ),
        ([Image(source=Source(data="AA=="))], [], ["image"], []),
        (
            [Audio(source=Source(data="AA=="), transcript="hello")],
            [{"type": "text", "text": "hello"}],
            [],
            ["audio"],
        ),
        ([Audio(source=Source(data="AA=="))], [], ["audio"], []),
        ([Opaque(wire="gemini", doc={}, label="executableCode")], [], ["executableCode"], []),
        (
            [ToolCall(id="", name="f", arguments='{"a":1}')],
            [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}],
            [],
            [],
        ),
    ],
)
def test_answers_of_other_wires(
    parts: list[Any], content: list[Doc], dropped: list[str], emulated: list[str]
) -> None:
    notes = Notes()
    assert valid(WIRE.write_answer(answered(*parts, id="msg_7"), reference(), notes))["content"] == content
    assert (notes.dropped, notes.emulated) == (dropped, emulated)


@pytest.mark.parametrize(
    ("finish", "parts", "reason"),
    [
        (Finish(), [], "end_turn"),
        (Finish(), [call("a")], "tool_use"),
        (Finish(), [Refusal(text="no")], "refusal"),
        (Finish(sequence="END"), [], "stop_sequence"),
        (Finish(reason="length"), [], "max_tokens"),
        (Finish(reason="tool_calls"), [call("a")], "tool_use"),
        (Finish(reason="content_filter"), [], "refusal"),
        (Finish(reason="refusal", message="Not this."), [], "refusal"),
        (Finish(reason="pause"), [], "pause_turn"),
        (Finish(reason="context_length"), [], "model_context_window_exceeded"),
        (Finish(reason="malformed_call"), [], "end_turn"),
        (Finish(reason="other", native="weird"), [], "end_turn"),
        (Finish(native="end_turn"), [call("a")], "end_turn"),
    ],
)
def test_stop_reasons(finish: Finish, parts: list[Any], reason: str) -> None:
    out = valid(WIRE.write_answer(answered(*parts, finish=finish), reference(), Notes()))
    assert (out["stop_reason"], out["stop_sequence"]) == (reason, finish.sequence)
    assert out.get("stop_details", {}).get("explanation") == finish.message


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context_length"),
        ("compaction", "other"),
    ],
)
def test_stop_reasons_are_read(word: str, reason: str) -> None:
    finish = WIRE.read_answer({"content": [], "stop_reason": word}).choices[0].finish
    assert finish is not None
    assert (finish.reason, finish.native) == (reason, word)


@pytest.mark.parametrize(
    ("doc", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, Usage(input=3, output=4)),
        (
            {
                "input_tokens": 3,
                "cache_read_input_tokens": 1111,
                "cache_creation_input_tokens": 7,
                "output_tokens": 4,
            },
            Usage(input=1121, output=4, cached=1111, cache_write=7),
        ),
        (
            {
                "input_tokens": 1,
                "cache_creation_input_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5},
                "output_tokens": 9,
                "output_tokens_details": {"thinking_tokens": 6},
            },
            Usage(input=8, output=9, cache_write=2, cache_write_1h=5, reasoning=6),
        ),
        ({"input_tokens": None, "output_tokens": "4"}, Usage()),
    ],
)
def test_usage_has_one_meaning(doc: Doc, usage: Usage) -> None:
    answer = WIRE.read_answer({"content": [], "stop_reason": "end_turn", "usage": doc})
    assert answer.usage == usage
    again = WIRE.write_answer(answer, reference(), Notes())["usage"]
    assert WIRE.read_answer({"usage": again}).usage == usage


def test_foreign_signatures_come_back_in_the_next_turn() -> None:
    parts = [
        Thinking(text="hm", signature=Signature(value="t", wire="openai-responses", id="rs_1")),
        Text(text="so", signature=Signature(value="x", wire="gemini")),
        ToolCall(id="a", name="f", signature=Signature(value="c", wire="gemini")),
        ToolCall(id="b", name="f"),
    ]
    message = valid(WIRE.write_answer(answered(*parts), reference(), Notes()))
    kinds = ["thinking", "text", "redacted_thinking", "redacted_thinking", "tool_use", "tool_use"]
    assert [block["type"] for block in message["content"]] == kinds
    history = [{"role": "user", "content": "go"}, {"role": "assistant", "content": message["content"]}]
    back = WIRE.read_request({"messages": history}).turns[1].parts
    assert back == [
        parts[0],
        Text(text="so"),
        Thinking(redacted=True, signature=Signature(value="x", wire="gemini")),
        *parts[2:],
    ]


@pytest.mark.parametrize(
    ("citation", "type"),
    [
        (Citation(url="https://x", title="X", quote="q"), "web_search_result_location"),
        (Citation(kind="file", file_id="file_1", start=2, end=5), "char_location"),
        (Citation(kind="other"), "char_location"),
    ],
)
def test_citations_of_other_wires(citation: Citation, type: str) -> None:
    out = valid(WIRE.write_answer(answered(Text(text="hi", citations=[citation])), reference(), Notes()))
    assert out["content"][0]["citations"][0]["type"] == type
    deltas = [TextDelta(part=0, text="hi"), CitationDelta(part=0, citation=citation), PartEnd(part=0)]
    assert sdk_message(bytes_of(deltas)).content[0].citations[0].type == type


@pytest.mark.parametrize(
    ("given", "id"),
    [("msg_7", "msg_7"), ("chatcmpl-7", "msg_1"), ("", "msg_1")],
)
def test_ids_are_those_of_this_format(given: str, id: str) -> None:
    assert WIRE.write_answer(answered(id=given), reference(), Notes())["id"] == id
    assert events_of(bytes_of([Start(id=given), TextDelta(part=0, text="x")]))[0]["message"]["id"] == id


def test_of_several_choices_the_first_is_written() -> None:
    notes = Notes()
    answer = Answer(choices=[Choice(parts=[Text(text="a")]), Choice(parts=[Text(text="b")])])
    assert WIRE.write_answer(answer, reference(), notes)["content"] == [{"type": "text", "text": "a"}]
    assert notes.dropped == ["n"]


@pytest.mark.parametrize(
    "doc", [{}, {"content": None, "usage": None}, {"content": [None, {}, {"type": "new"}]}, {"content": "x"}]
)
def test_odd_answers_are_read_without_complaint(doc: Doc) -> None:
    valid(WIRE.write_answer(WIRE.read_answer({}), reference(), Notes()))
    WIRE.read_answer(doc)


def test_counts_and_models() -> None:
    assert WIRE.read_count({"input_tokens": 14}) == 14
    assert WIRE.write_count(14) == {"input_tokens": 14}
    cards = [ModelCard(id="a", created=1700000000, context=1000), ModelCard(id="b", name="B", max_output=10)]
    models = WIRE.write_models(cards)
    assert (models["first_id"], models["last_id"], models["has_more"]) == ("a", "b", False)
    assert [(m["type"], m["display_name"], m["created_at"]) for m in models["data"]] == [
        ("model", "a", "2023-11-14T22:13:20Z"),
        ("model", "B", "1970-01-01T00:00:00Z"),
    ]
    assert WIRE.write_models([])["first_id"] is None
    for model in models["data"]:
        anthropic.types.ModelInfo.model_validate(model)


@pytest.mark.parametrize(
    ("body", "empty", "problem"),
    [
        ({"content": [], "stop_reason": None}, True, None),
        (
            {
                "content": [{"type": "text", "text": ""}],
                "stop_reason": "end_turn",
                "usage": {"output_tokens": 0},
            },
            True,
            None,
        ),
        ({"content": [], "stop_reason": "end_turn", "usage": {"output_tokens": 3}}, False, None),
        ({"content": [], "stop_reason": "refusal"}, False, None),
        ({"content": [], "stop_reason": "max_tokens"}, False, None),
        ({"content": [{"type": "tool_use"}], "stop_reason": "tool_use"}, False, None),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            True,
            "overloaded",
        ),
    ],
)
def test_glance_knows_an_answer_from_none(body: Doc, empty: bool, problem: str | None) -> None:
    glance = WIRE.glance(json.dumps(body).encode())
    assert glance.empty is empty
    assert (glance.problem.kind if glance.problem else None) == problem


def test_glance_raises_for_what_is_not_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        WIRE.glance(b"<html>")
