"""Answers, streams and errors of Cohere's chat API, recorded ones first."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import Problem
from omniroute.wire.codec import Event, ModelCard
from omniroute.wire.cohere import Cohere
from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    End,
    Failure,
    Finish,
    Finished,
    Image,
    LogprobsDelta,
    Notes,
    Opaque,
    PartEnd,
    Source,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.sse import EventSplitter, frame
from tests.support import recordings, streams
from tests.support.properties import examples
from tests.support.streams import reference

WIRE = Cohere()
PROPERTY = examples(100)


def is_v2(name: str) -> bool:
    """Recordings of version 1, which has another shape, are left out."""
    if name == "missing":
        return True
    request = recordings.load(name).request
    return request is None or request["url_path"] == "/v2/chat"


STREAMS = [name for name in recordings.ids("cohere-chat", streaming=True) if is_v2(name)]
ANSWERS = [
    name
    for name in recordings.ids("cohere-chat", streaming=False)
    if is_v2(name) and name not in recordings.ids("cohere-chat", feature="error")
]


def read(raw: bytes, step: int | None = None) -> list[Delta]:
    return streams.deltas_of(WIRE, raw, step=step)


def write(*deltas: Delta, notes: Notes | None = None) -> bytes:
    return streams.bytes_of(WIRE, deltas, notes)


def events(raw: bytes) -> list[Any]:
    splitter = EventSplitter()
    found = [event.data for event in splitter.feed(raw) + splitter.end()]
    return [json.loads(data) for data in found if data != b"[DONE]"]


def sse(*docs: Any) -> bytes:
    return b"".join(frame(msgspec.json.encode(doc)) for doc in docs)


def event(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    at = {} if index is None else {"index": index}
    return {"type": kind, **at, "delta": {"message": message}}


END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


def said(deltas: list[Delta]) -> dict[str, Any]:
    """What a stream says, without how it was cut."""
    names = {d.part: d.name for d in deltas if isinstance(d, CallStart)}
    arguments: dict[int, str] = dict.fromkeys(names, "")
    for delta in deltas:
        if isinstance(delta, CallDelta):
            arguments[delta.part] += delta.arguments
    return {
        "text": "".join(d.text for d in deltas if isinstance(d, TextDelta)),
        "thinking": "".join(d.text for d in deltas if isinstance(d, ThinkingDelta)),
        "calls": [(name, json.loads(arguments[part])) for part, name in names.items()],
        "citations": [d.citation.native for d in deltas if isinstance(d, CitationDelta)],
        "finish": [d.finish.native for d in deltas if isinstance(d, Finished)],
        "usage": [d.usage for d in deltas if isinstance(d, UsageDelta)],
    }


# ── answers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_keeps_its_meaning(name: str) -> None:
    body = recordings.load(name).body
    answer = WIRE.read_answer(body)
    message = body["message"]
    texts = [part["text"] for part in message.get("content") or [] if part["type"] == "text"]
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    parts = answer.choices[0].parts
    assert [part.text for part in parts if isinstance(part, Text)] == texts
    assert [(p.id, p.name, p.arguments) for p in parts if isinstance(p, ToolCall)] == calls
    assert (message.get("tool_plan") in (None, "")) or Thinking(text=message["tool_plan"]) in parts
    cited = [c.native for part in parts if isinstance(part, Text) for c in part.citations if c.native]
    assert cited == (message.get("citations") or [])
    assert answer.usage is not None
    assert answer.usage.input == body["usage"]["tokens"]["input_tokens"]
    assert answer.usage.output == body["usage"]["tokens"]["output_tokens"]
    assert answer.usage.cached == body["usage"].get("cached_tokens", 0)
    again = WIRE.write_answer(answer, reference(), Notes())
    assert WIRE.read_answer(again) == answer
    glance = WIRE.glance(msgspec.json.encode(body))
    assert (glance.usage, glance.finish, glance.empty, glance.problem) == (
        answer.usage,
        answer.choices[0].finish,
        False,
        None,
    )


def test_citations_are_offsets_into_their_text() -> None:
    name = "cohere-chat/cohere-citations-with-cohere-command-a-plus-05-2026-cites-t-1-b2be3b"
    parts = WIRE.read_answer(recordings.load(name).body).choices[0].parts
    text = next(part for part in parts if isinstance(part, Text))
    first = text.citations[0]
    assert text.text[first.start : first.end] == "Yukihiro Matsumoto"
    assert (first.kind, first.url, first.title) == ("url", "https://example.com/ruby-facts", "Ruby Facts")


def test_a_citation_of_several_sources_is_one_for_each_and_comes_back_as_one() -> None:
    sources = [{"type": "document", "id": f"d{n}", "document": {"title": f"T{n}"}} for n in (1, 2)]
    citation = {"start": 0, "end": 1, "text": "a", "sources": sources, "type": "TEXT_CONTENT"}
    plan = {"start": 0, "end": 1, "text": "p", "sources": sources, "type": "PLAN"}
    doc = {"message": {"content": [{"type": "text", "text": "ab"}], "citations": [citation, plan]}}
    answer = WIRE.read_answer(doc)
    (text,) = answer.choices[0].parts
    assert isinstance(text, Text)
    assert [c.title for c in text.citations] == ["T1", "T2"]
    assert WIRE.write_answer(answer, reference(), Notes())["message"]["citations"] == [citation]


@pytest.mark.parametrize(
    "doc",
    [
        {},
        {"message": {"content": None, "tool_calls": None, "citations": None, "tool_plan": None}},
        {"message": {"content": [None, {"type": "text", "text": ""}], "tool_calls": [None, {}]}},
        {"message": {"citations": [{"start": 0}]}, "usage": {"tokens": None}, "finish_reason": 7},
    ],
)
def test_strange_answers_do_not_raise(doc: dict[str, Any]) -> None:
    assert WIRE.read_answer(doc).choices[0].parts == []


def test_content_that_is_not_known_stays_what_it_was() -> None:
    hologram = {"type": "hologram", "x": 1}
    answer = WIRE.read_answer({"message": {"content": [hologram]}})
    assert answer.choices[0].parts == [Opaque(wire="cohere", doc=hologram, label="hologram")]
    assert WIRE.write_answer(answer, reference(), Notes())["message"]["content"] == [hologram]


@pytest.mark.parametrize(
    "usage, counted",
    [
        (None, None),
        ({}, None),
        ({"billed_units": {"input_tokens": 3, "output_tokens": 2}}, Usage(input=3, output=2)),
        (
            {
                "billed_units": {"input_tokens": 3, "output_tokens": 2},
                "tokens": {"input_tokens": 500, "output_tokens": 9, "reasoning_tokens": 4},
                "cached_tokens": 400,
            },
            Usage(input=500, output=9, cached=400, reasoning=4, unbilled_input=497, unbilled_output=7),
        ),
    ],
)
def test_usage(usage: Any, counted: Usage | None) -> None:
    assert WIRE.read_answer({"usage": usage}).usage == counted


@pytest.mark.parametrize(
    "word, reason",
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("SOMETHING", "other"),
    ],
)
def test_finish_reasons(word: str, reason: str) -> None:
    answer = WIRE.read_answer({"finish_reason": word})
    assert answer.choices[0].finish == Finish(reason=reason, native=word)  # type: ignore[arg-type]  # a table of words
    assert WIRE.write_answer(answer, reference(), Notes())["finish_reason"] == word.replace(
        "SOMETHING", "COMPLETE"
    )


def test_what_an_answer_cannot_say_is_named() -> None:
    notes = Notes()
    parts = [
        Text(text="ab", citations=[Citation(url="http://x", title="X", start=0, end=1)]),
        Image(source=Source(data="QUJD")),
        Opaque(wire="gemini", doc={}, label="executableCode"),
        ToolCall(id="", name="f"),
    ]
    answer = Answer(choices=[Choice(parts=parts), Choice()])
    message = WIRE.write_answer(answer, reference(), notes)["message"]
    assert message["citations"][0]["sources"][0]["document"]["url"] == "http://x"
    assert message["tool_calls"][0]["id"] == "call_1"
    assert notes.dropped == ["n", "image", "executableCode"]


@pytest.mark.parametrize(
    "body, empty, kind",
    [
        ({"message": {"content": []}, "finish_reason": "COMPLETE"}, True, None),
        ({"message": {"content": []}, "finish_reason": "MAX_TOKENS"}, False, None),
        (
            {"message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": "ERROR"},
            False,
            "server",
        ),
        ({"message": {}, "finish_reason": "TIMEOUT", "error": "late"}, True, "timeout"),
        ({"message": "too many tokens: 9"}, True, "context_length"),
        ({}, True, None),
    ],
)
def test_glances(body: Any, empty: bool, kind: str | None) -> None:
    glance = WIRE.glance(msgspec.json.encode(body))
    assert glance.empty is empty
    assert (glance.problem.kind if glance.problem else None) == kind


# ── streams in ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_keeps_its_meaning(name: str) -> None:
    raw = recordings.load(name).body.encode()
    deltas = read(raw)
    assert isinstance(deltas[-1], End)
    meant = said(deltas)
    assert meant["text"] or meant["calls"]
    assert meant["usage"][0].input > 0
    assert said(read(write(*deltas))) == meant
    tap = WIRE.tap()
    tap.feed(raw)
    assert (tap.finished, tap.usage) == (True, meant["usage"][0])


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_may_be_cut_anywhere(name: str) -> None:
    raw = recordings.load(name).body.encode()
    whole = read(raw)
    for step in (1, 7, 64, 1021):
        assert read(raw, step) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_ends_early_is_broken(name: str) -> None:
    raw = recordings.load(name).body.encode()
    end = raw.index(b"message-end")
    for at in range(0, end, max(1, end // 30)):
        splitter, reader = EventSplitter(), WIRE.reader()
        deltas = [d for e in splitter.feed(raw[:at]) for d in reader.feed(e)] + list(reader.end())
        assert isinstance(deltas[-1], Failure)


def test_a_recorded_call_without_arguments_has_empty_ones() -> None:
    deltas = read(recordings.load("cohere-chat/cohere-empty-tool-call-0-ff2c8c").body.encode())
    assert said(deltas)["calls"] == [("currentTime", {})]
    assert said(deltas)["thinking"].startswith("I will use")


def test_null_arguments_and_calls_in_lists() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": None}}
    deltas = read(
        sse(
            event("tool-call-start", 0, tool_calls=[call]),
            event("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a":1}'}}),
            event("tool-call-delta", 0, tool_calls={"function": None}),
            END,
        )
    )
    assert said(deltas)["calls"] == [("f", {"a": 1})]
    assert [type(d) for d in deltas] == [CallStart, CallDelta, PartEnd, Finished, End]


def test_an_index_that_is_used_again_is_a_new_piece() -> None:
    pieces = [
        event("content-start", 0, content={"type": "text", "text": ""}),
        event("content-delta", 0, content={"text": "a"}),
        event("content-end", 0),
    ]
    deltas = read(sse(*pieces, *pieces, END))
    assert [d.part for d in deltas if isinstance(d, TextDelta)] == [0, 1]


@pytest.mark.parametrize(
    "last, kind, message",
    [
        ({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "broke"}}, "server", "broke"),
        ({"type": "message-end", "delta": {"finish_reason": "TIMEOUT"}}, "timeout", "The upstream failed"),
        ({"message": "too many requests"}, "rate_limit", "too many requests"),
        ({"type": "error", "message": "at capacity"}, "overloaded", "at capacity"),
    ],
)
def test_an_error_in_mid_stream(last: Any, kind: str, message: str) -> None:
    deltas = read(sse(event("content-delta", 0, content={"text": "a"}), last, END))
    assert isinstance(deltas[-1], Failure)
    assert deltas[-1].kind == kind
    assert deltas[-1].message.startswith(message)


def test_logprobs() -> None:
    probs = {"text": "a", "token_ids": [1, 2], "logprobs": [-0.25, -0.5]}
    delta = event("content-delta", 0, content={"text": "a"})
    delta["delta"]["logprobs"] = probs
    found = next(d for d in read(sse(delta, END)) if isinstance(d, LogprobsDelta))
    assert found.logprobs["content"][0]["logprob"] == -0.75


KINDS = [
    "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
    "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "message-end", "debug", "",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["message", "content", "text", "thinking", "tool_calls", "function", "citations"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@PROPERTY
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.fixed_dictionaries(
                {"type": st.sampled_from(KINDS)}, optional={"index": JSON, "delta": JSON, "id": JSON}
            ).map(msgspec.json.encode),
        ),
        max_size=6,
    )
)
def test_garbage_is_malformed_or_read(payloads: list[bytes]) -> None:
    streams.assert_survives(WIRE, [Event("", payload) for payload in payloads])


# ── streams out ────────────────────────────────────────────────────────────────────────────────────


def test_mixed_pieces_come_out_whole() -> None:
    raw = write(
        TextDelta(part=0, text="a"),
        CallStart(part=1, id="1", name="f"),
        CallStart(part=2, id="2", name="sh", kind="custom"),
        CallDelta(part=1, arguments='{"x":'),
        CallDelta(part=2, arguments="ls"),
        CallDelta(part=1, arguments="1}"),
        ThinkingDelta(part=3, text="t"),
        ThinkingDelta(part=3, text="u", block=1),
        TextDelta(part=0, text="b"),
        UsageDelta(usage=Usage(input=3, output=1)),
        Finished(finish=Finish(reason="tool_calls")),
        End(),
    )
    kinds = [doc["type"] for doc in events(raw)]
    assert kinds[0] == "message-start"
    assert kinds[-1] == "message-end"
    for start, end in (("content-start", "content-end"), ("tool-call-start", "tool-call-end")):
        assert kinds.count(start) == kinds.count(end) == 2
    meant = said(read(raw))
    assert (meant["text"], meant["thinking"]) == ("ab", "t\n\nu")
    assert meant["calls"] == [("f", {"x": 1}), ("sh", {"input": "ls"})]
    assert raw.endswith(b"data: [DONE]\n\n")


def test_nothing_and_a_failure_are_legal() -> None:
    assert [doc["type"] for doc in events(write())] == ["message-start", "message-end"]
    failed = events(write(TextDelta(part=0, text="a"), Failure(kind="server", message="Broke.")))
    assert failed[-1]["delta"] == {"error": "Broke.", "finish_reason": "ERROR"}
    writer = WIRE.writer(reference(), Notes())
    writer.feed(End())
    assert writer.close() == b""


def test_whole_parts() -> None:
    notes = Notes()
    raw = write(
        WholePart(part=0, content=Text(text="a")),
        WholePart(part=1, content=ToolCall(id="1", name="f", arguments='{"x":1}')),
        WholePart(part=2, content=Image(source=Source(data="QUJD"))),
        TextDelta(part=3, text="b", choice=1),
        CallDelta(part=9, arguments="{}"),
        notes=notes,
    )
    assert said(read(raw))["text"] == "a"
    assert said(read(raw))["calls"] == [("f", {"x": 1})]
    assert notes.dropped == ["image", "n", "tool_calls[].arguments"]


# ── errors, lists ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", recordings.ids("cohere-chat", feature="error"))
def test_recorded_errors(name: str) -> None:
    recording = recordings.load(name)
    problem = WIRE.read_error(recording.status, {}, msgspec.json.encode(recording.body))
    assert problem.kind == {400: "context_length", 404: "model_not_found"}[recording.status]
    assert problem.message == recording.body["message"]


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, b'{"message":"invalid request: temperature must be between 0 and 1.0"}', "invalid_request"),
        (401, b'{"message":"invalid api token"}', "authentication"),
        (402, b'{"message":"Please add or update your payment method"}', "billing"),
        (
            404,
            b'{"message":"model \'x\' not found, make sure the correct model ID was used"}',
            "model_not_found",
        ),
        (
            429,
            b'{"message":"You are using a Trial key, which is limited to 10 API calls / minute."}',
            "rate_limit",
        ),
        (498, b'{"message":"blocked output"}', "content_filter"),
        (499, b'{"message":"request cancelled"}', "cancelled"),
        (500, b'{"message":"internal server error"}', "server"),
        (503, b"<html>down</html>", "unavailable"),
    ],
)
def test_errors_in(status: int, body: bytes, kind: str) -> None:
    assert WIRE.read_error(status, {"retry-after": "3"}, body).kind == kind


def test_errors_out() -> None:
    problem = Problem(kind="rate_limit", code="busy", message="Slow down.")
    assert WIRE.write_error(problem, "req_1") == {"id": "req_1", "message": "Slow down.", "code": "busy"}


def test_lists_and_counts() -> None:
    assert WIRE.write_models([ModelCard(id="p/m", context=9)])["models"][0]["context_length"] == 9
    assert WIRE.read_count(WIRE.write_count(7)) == 7
    assert WIRE.path("m", False, "count_tokens") is None
