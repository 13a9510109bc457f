"""Answers, streams, errors and lists of Ollama's API."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream, Problem, Tried
from omniroute.wire.codec import Event, ModelCard
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
    PartEnd,
    Ping,
    RefusalDelta,
    Source,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.ollama import Ollama, asked_model, write_model
from tests.support import recordings, streams
from tests.support.properties import examples
from tests.support.streams import reference

WIRE = Ollama()
PROPERTY = examples(100)


def piece(content: str = "", **rest: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **rest.pop("message", {})}
    return {"model": "m", "created_at": "2025-01-01T00:00:00.5Z", "message": message, "done": False, **rest}


def last(**rest: Any) -> dict[str, Any]:
    return piece(**{"done": True, "done_reason": "stop", "prompt_eval_count": 4, "eval_count": 2, **rest})


def lines(*docs: Any) -> bytes:
    return b"".join(json.dumps(doc, separators=(",", ":")).encode() + b"\n" for doc in docs)


def read(raw: bytes, step: int | None = None) -> list[Delta]:
    return streams.deltas_of(WIRE, raw, step=step)


def written(*deltas: Delta, notes: Notes | None = None, **request: Any) -> list[Any]:
    """The lines that a writer gives for deltas, each of which has to be JSON on a line of its own."""
    raw = streams.bytes_of(WIRE, deltas, notes, reference(request))
    assert raw.endswith(b"\n")
    return [json.loads(line) for line in raw.splitlines()]


# ── answers ────────────────────────────────────────────────────────────────────────────────────────


def test_the_recorded_answer() -> None:
    recording = recordings.load("ollama/ollama-tool-calls-legacy-0-b5e73b")
    answer = WIRE.read_answer(recording.body)
    text = answer.choices[0].parts[0]
    assert isinstance(text, Text)
    assert text.text.startswith("This is a simple example")
    assert answer.usage == Usage(input=44, output=113)
    assert answer.choices[0].finish == Finish(native="stop")
    assert answer.created == 1726454517
    again = WIRE.write_answer(answer, reference(), Notes())
    assert again["message"] == recording.body["message"]
    assert again["total_duration"] == 6037504209
    glance = WIRE.glance(msgspec.json.encode(recording.body))
    assert (glance.usage, glance.empty, glance.problem) == (answer.usage, False, None)


@pytest.mark.parametrize("name", recordings.ids("ollama"))
def test_other_recorded_bodies_do_not_raise(name: str) -> None:
    """Those of `/api/generate` and `/api/embed` are not chats; still nothing breaks on them."""
    body = recordings.load(name).body
    if isinstance(body, str):
        assert isinstance(read(body.encode())[-1], End)
    else:
        WIRE.read_answer(body)


def test_calls_without_an_id_get_one_that_stays() -> None:
    doc = piece(message={"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}] * 2}, done=True)
    first, second = WIRE.read_answer(doc).choices[0].parts
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.id != second.id
    assert first.arguments == '{"a":1}'
    assert WIRE.read_answer(doc).choices[0].parts == [first, second]
    assert WIRE.read_answer(doc).choices[0].finish == Finish(reason="tool_calls")


@pytest.mark.parametrize(
    "doc",
    [
        {},
        {"message": None},
        {"message": {"content": None, "tool_calls": [None, {}, {"function": {"name": ""}}], "images": [7]}},
        {"message": "hi", "done": "yes", "created_at": 7, "prompt_eval_count": "many"},
    ],
)
def test_strange_answers_do_not_raise(doc: dict[str, Any]) -> None:
    assert WIRE.read_answer(doc).choices[0].parts == []


def test_what_an_answer_cannot_say_is_named() -> None:
    notes = Notes()
    parts = [
        Text(text="a", citations=[Citation(url="http://x")]),
        Thinking(text="t"),
        Image(source=Source(data="QUJD")),
        Image(source=Source(url="http://x")),
        ToolCall(id="", name="f"),
    ]
    answer = Answer(choices=[Choice(parts=parts), Choice()], usage=Usage(input=9, cached=4, output=1))
    doc = WIRE.write_answer(answer, reference(), notes)
    assert doc["message"] == {
        "role": "assistant",
        "content": "a",
        "thinking": "t",
        "images": ["QUJD"],
        "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {}}}],
    }
    assert doc["prompt_eval_count"] == 9
    assert doc["prompt_eval_cached_count"] == 4
    assert notes.dropped == ["n", "annotations", "image_url"]
    assert WIRE.read_answer(doc).usage == answer.usage


@pytest.mark.parametrize(
    "reason, word",
    [
        ("stop", "stop"),
        ("length", "length"),
        ("context_length", "length"),
        ("tool_calls", "stop"),
        ("refusal", "stop"),
        ("content_filter", "content_filter"),
    ],
)
def test_finish_reasons(reason: Any, word: str) -> None:
    doc = WIRE.write_answer(Answer(choices=[Choice(finish=Finish(reason=reason))]), reference(), Notes())
    assert (doc["done"], doc["done_reason"]) == (True, word)


@pytest.mark.parametrize(
    "body, empty, problem",
    [
        (last(), False, None),  # it said nothing, and spent tokens on it
        (last(eval_count=0), True, None),
        (last(done_reason="load", eval_count=0), True, None),
        (last(done_reason="length", eval_count=0), False, None),
        (last(message={"thinking": "hm"}, eval_count=0), False, None),
        ({"error": "model 'x' not found"}, True, "model_not_found"),
    ],
)
def test_glances(body: Any, empty: bool, problem: str | None) -> None:
    glance = WIRE.glance(msgspec.json.encode(body))
    assert glance.empty is empty
    assert (glance.problem.kind if glance.problem else None) == problem


# ── streams in ─────────────────────────────────────────────────────────────────────────────────────

STREAM = lines(
    piece(message={"thinking": "Let me "}),
    piece(message={"thinking": "see."}),
    piece("Gr"),
    piece("üezi 🌍"),
    piece(message={"tool_calls": [{"function": {"name": "f", "arguments": {"a": [1]}}}]}),
    piece("Bye", logprobs=[{"token": "Bye", "logprob": -0.5}]),
    last(),
)


def test_a_stream() -> None:
    deltas = read(STREAM)
    assert [type(delta) for delta in deltas] == [
        Start,
        ThinkingDelta,
        ThinkingDelta,
        TextDelta,
        TextDelta,
        CallStart,
        CallDelta,
        PartEnd,
        TextDelta,
        LogprobsDelta,
        UsageDelta,
        Finished,
        End,
    ]
    assert [delta.part for delta in deltas if isinstance(delta, TextDelta | ThinkingDelta)] == [0, 0, 1, 1, 3]
    assert deltas[-2] == Finished(finish=Finish(reason="tool_calls", native="stop"))


def test_a_stream_may_be_cut_anywhere() -> None:
    for step in range(1, 60):
        assert read(STREAM, step) == read(STREAM)


def test_a_stream_that_ends_early_is_broken() -> None:
    at = STREAM.rindex(b"\n", 0, -1) + 1
    for end in [0, *(index + 1 for index, byte in enumerate(STREAM[:at]) if byte == 10)]:
        assert isinstance(read(STREAM[:end])[-1], Failure)
    with pytest.raises(MalformedStream):
        read(STREAM[: at + 20])


@pytest.mark.parametrize(
    "error, kind",
    [
        ("an error was encountered while running the model", "bad_gateway"),
        ("model 'x' not found", "model_not_found"),
        ("the input length exceeds the context length", "context_length"),
        ({"message": "too many requests"}, "rate_limit"),
    ],
)
def test_an_error_in_mid_stream(error: Any, kind: str) -> None:
    deltas = read(lines(piece("Hi"), {"error": error}, piece("not any more"), last()))
    assert isinstance(deltas[-1], Failure)
    assert deltas[-1].kind == kind
    assert sum(isinstance(delta, TextDelta) for delta in deltas) == 1


@PROPERTY
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.dictionaries(
                st.sampled_from(
                    ["message", "done", "error", "model", "created_at", "logprobs", "eval_count"]
                ),
                st.recursive(
                    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
                    lambda inner: (
                        st.lists(inner, max_size=2)
                        | st.dictionaries(
                            st.sampled_from(
                                ["content", "thinking", "tool_calls", "function", "name", "images"]
                            ),
                            inner,
                            max_size=3,
                        )
                    ),
                    max_leaves=5,
                ),
            ).map(msgspec.json.encode),
        ),
        max_size=5,
    )
)
def test_garbage_is_malformed_or_read(payloads: list[bytes]) -> None:
    streams.assert_survives(WIRE, [Event("", payload) for payload in payloads])


@pytest.mark.parametrize("step", [1, 13, 10_000])
def test_the_tap_sees_the_end_and_only_that(step: int) -> None:
    tap, whole = WIRE.tap(), STREAM.rstrip()
    for at in range(0, len(whole), step):
        assert not tap.finished
        tap.feed(whole[at : at + step])
    assert tap.finished
    assert tap.usage == Usage(input=4, output=2)
    assert tap.finish == Finish(reason="tool_calls", native="stop")


def test_the_tap_is_not_fooled_by_what_the_model_says() -> None:
    tap = WIRE.tap()
    tap.feed(lines(piece('say {"done":true} and {"error": 1}'), piece("x", message={"error": ""})))
    assert not tap.finished
    tap.feed(b'{"error":"broken"}\n')
    assert tap.finished
    assert tap.usage is None


# ── streams out ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_written_is_read_as_it_was() -> None:
    again = read(b"".join(msgspec.json.encode(doc) + b"\n" for doc in written(*read(STREAM))))

    def content(deltas: list[Delta]) -> list[Delta]:
        return [d for d in deltas if not isinstance(d, Start)]

    assert content(again) == content(read(STREAM))


def test_pieces_leave_at_once() -> None:
    writer = WIRE.writer(reference(), Notes())
    assert writer.feed(Start(id="x")) == b""
    assert json.loads(writer.feed(TextDelta(part=0, text="a")))["message"]["content"] == "a"
    assert json.loads(writer.feed(ThinkingDelta(part=1, text="b")))["message"]["thinking"] == "b"
    assert json.loads(writer.feed(ThinkingDelta(part=1, text="c", block=1)))["message"]["thinking"] == "\n\nc"
    assert json.loads(writer.feed(RefusalDelta(part=2, text="no")))["message"]["content"] == "no"
    assert writer.feed(CallStart(part=3, id="1", name="f")) == b""
    assert writer.feed(CallDelta(part=3, arguments='{"a":{}')) == b""
    assert json.loads(writer.feed(CallDelta(part=3, arguments="}")))["message"]["tool_calls"] == [
        {"id": "1", "function": {"name": "f", "arguments": {"a": {}}}}
    ]
    assert writer.feed(PartEnd(part=3)) == b""


def test_calls_that_come_mixed_leave_whole_and_in_order() -> None:
    docs = written(
        CallStart(part=0, id="1", name="a"),
        CallStart(part=1, id="2", name="b"),
        CallDelta(part=1, arguments='{"y":2}'),
        TextDelta(part=2, text="meanwhile"),
        CallDelta(part=0, arguments='{"x":'),
        CallDelta(part=0, arguments="1}"),
        CallStart(part=3, id="3", name="empty"),
        CallStart(part=4, id="4", name="free", kind="custom"),
        CallDelta(part=4, arguments="{}"),
        Finished(finish=Finish(reason="tool_calls")),
        UsageDelta(usage=Usage(input=3, output=1)),
        End(),
    )
    calls = [call for doc in docs for call in doc["message"].get("tool_calls", [])]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [
        ("1", {"x": 1}),
        ("2", {"y": 2}),
        ("3", {}),
        ("4", {"input": "{}"}),
    ]
    assert docs[-1]["done"] is True
    assert (docs[-1]["prompt_eval_count"], docs[-1]["eval_count"]) == (3, 1)
    assert [doc["done"] for doc in docs[:-1]] == [False] * (len(docs) - 1)


def test_an_answer_of_nothing_is_legal() -> None:
    assert written() == [
        {
            "model": "m",
            "created_at": "2023-11-14T22:13:20Z",
            "message": {"role": "assistant", "content": ""},
            "done_reason": "stop",
            "done": True,
            "prompt_eval_count": 0,
            "eval_count": 0,
        }
    ]


def test_a_failure_is_the_last_line() -> None:
    docs = written(
        TextDelta(part=0, text="a"),
        CallStart(part=1, id="1", name="f"),
        CallDelta(part=1, arguments='{"half'),
        Failure(kind="overloaded", message="Busy."),
        TextDelta(part=0, text="too late"),
    )
    assert [doc.get("error") for doc in docs] == [None, "Busy."]


def test_closing_twice_is_closing_once() -> None:
    writer = WIRE.writer(reference(), Notes())
    writer.feed(End())
    assert writer.close() == b""
    assert writer.close(Problem(kind="server", message="late")) == b""


def test_a_keep_alive_is_no_line() -> None:
    writer = WIRE.writer(reference(), Notes())
    raw = WIRE.keep_alive + writer.feed(Ping()) + writer.feed(TextDelta(part=0, text="a"))
    assert json.loads(raw.decode().splitlines()[0])["message"]["content"] == "a"


def test_what_a_stream_cannot_say_is_named() -> None:
    notes = Notes()
    docs = written(
        TextDelta(part=0, text="a"),
        CitationDelta(part=0, citation=Citation(url="http://x")),
        TextDelta(part=1, text="b", choice=1),
        CallDelta(part=9, arguments="{}"),
        WholePart(part=2, content=Image(source=Source(data="QUJD"))),
        WholePart(part=3, content=Image(source=Source(url="http://x"))),
        LogprobsDelta(logprobs={"content": [{"token": "a", "logprob": -1}]}),
        End(),
        notes=notes,
    )
    assert notes.dropped == ["annotations", "n", "tool_calls[].arguments", "image_url"]
    assert [doc["message"].get("images") for doc in docs] == [None, ["QUJD"], None, None]
    assert docs[2]["logprobs"] == [{"token": "a", "logprob": -1}]


# ── errors, lists ──────────────────────────────────────────────────────────────────────────────────


def test_the_recorded_error() -> None:
    recording = recordings.load("ollama/ollama-error-records-model-name-0-b970d0")
    problem = WIRE.read_error(recording.status, {}, msgspec.json.encode(recording.body))
    assert (problem.kind, problem.status) == ("model_not_found", 404)
    assert problem.message == "model 'nonexistent-model:latest' not found"


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, b'{"error":"registry.ollama.ai/library/x does not support tools"}', "invalid_request"),
        (401, b'{"error":"unauthorized","signin_url":"https://x"}', "authentication"),
        (429, b'{"error":"too many requests"}', "rate_limit"),
        (
            503,
            b'{"error":"server busy, please try again.  maximum pending requests exceeded"}',
            "unavailable",
        ),
        (500, b'{"error":"the input length exceeds the context length"}', "context_length"),
        (502, b"<html>bad</html>", "bad_gateway"),
        (500, b"", "server"),
    ],
)
def test_errors_in(status: int, body: bytes, kind: str) -> None:
    problem = WIRE.read_error(status, {}, body)
    assert problem.kind == kind
    assert "<" not in problem.message


def test_errors_out() -> None:
    problem = Problem(
        kind="rate_limit", code="busy", message="Slow down.", tried=(Tried("p/m", "rate_limit", 429),)
    )
    assert WIRE.write_error(problem, "req_1") == {
        "error": "Slow down.",
        "code": "busy",
        "tried": [{"target": "p/m", "reason": "rate_limit", "status": 429}],
        "request_id": "req_1",
    }
    assert json.loads(WIRE.error_event(problem, ""))["error"] == "Slow down."


CARD = ModelCard(id="p/m", owner="p", created=1700000000, context=8192, capabilities=frozenset({"vision"}))


def test_the_list_of_models() -> None:
    (model,) = WIRE.write_models([CARD])["models"]
    assert (model["name"], model["model"], model["modified_at"]) == ("p/m", "p/m", "2023-11-14T22:13:20Z")
    assert len(model["digest"]) == 64


@pytest.mark.parametrize(
    "body, name",
    [
        (b'{"model":"p/m"}', "p/m"),
        (b'{"name":"p/m:latest"}', "p/m"),
        (b"{}", ""),
        (b"[]", ""),
        (b"no", ""),
        (b'{"model":7}', ""),
    ],
)
def test_what_show_asks_for(body: bytes, name: str) -> None:
    assert asked_model(body) == name


@pytest.mark.parametrize(
    "capabilities, said",
    [
        (frozenset({"vision"}), ["completion", "vision"]),
        (frozenset({"thinking", "tools", "json_schema"}), ["completion", "tools", "thinking"]),
        (None, ["completion", "tools"]),
    ],
)
def test_what_show_says(capabilities: frozenset[str] | None, said: list[str]) -> None:
    shown = write_model(msgspec.structs.replace(CARD, capabilities=capabilities))
    assert shown["capabilities"] == said
    assert shown["model_info"]["p.context_length"] == 8192
