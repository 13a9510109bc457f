"""Answers, streams and errors of Bedrock's Converse, recorded ones first."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import STATUS_OF, Problem
from omniroute.wire.aws_events import AwsSplitter
from omniroute.wire.bedrock import Bedrock
from omniroute.wire.codec import Dialect, Event, ModelCard
from omniroute.wire.conversation import (
    Answer,
    Audio,
    CallDelta,
    CallStart,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    End,
    Failure,
    File,
    Finish,
    Finished,
    Image,
    LogprobsDelta,
    Notes,
    Opaque,
    PartEnd,
    Ping,
    Signature,
    SignatureDelta,
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
from tests.support import aws_events, recordings, streams
from tests.support.properties import examples
from tests.support.streams import reference

WIRE = Bedrock()
PROPERTY = examples(100)

ERRORS = [
    *recordings.ids("bedrock-converse", feature="error"),
    *recordings.ids("bedrock-converse-stream", feature="error"),
]
ANSWERS = [name for name in recordings.ids("bedrock-converse") if name not in ERRORS]
STREAMS = [name for name in recordings.ids("bedrock-converse-stream") if name not in ERRORS]


def read(raw: bytes, step: int | None = None) -> list[Delta]:
    return streams.deltas_of(WIRE, raw, step=step)


def write(*deltas: Delta, notes: Notes | None = None) -> bytes:
    return streams.bytes_of(WIRE, deltas, notes)


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(aws_events.message(name, payload) for event in events for name, payload in event.items())


def piece(index: int, **delta: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": delta}}


def start(index: int, **named: Any) -> dict[str, Any]:
    return {"contentBlockStart": {"contentBlockIndex": index, "start": named}}


def stop(index: int) -> dict[str, Any]:
    return {"contentBlockStop": {"contentBlockIndex": index}}


def end(reason: str = "end_turn") -> tuple[dict[str, Any], ...]:
    return {"messageStop": {"stopReason": reason}}, {
        "metadata": {"usage": {"inputTokens": 1, "outputTokens": 2}}
    }


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
        "signatures": [d.signature.value for d in deltas if isinstance(d, SignatureDelta)],
        "calls": [(name, json.loads(arguments[part])) for part, name in names.items()],
        "citations": [d.citation.native for d in deltas if isinstance(d, CitationDelta)],
        "whole": [d.content for d in deltas if isinstance(d, WholePart)],
        "finish": [d.finish.native for d in deltas if isinstance(d, Finished)],
        "usage": [d.usage for d in deltas if isinstance(d, UsageDelta)],
    }


# ── answers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_keeps_its_meaning(name: str) -> None:
    body = recordings.load(name).body
    before = json.dumps(body)
    answer = WIRE.read_answer(body)
    assert json.dumps(body) == before, "reading must not change what it reads"
    assert answer.usage is not None
    assert answer.usage.total == body["usage"]["totalTokens"]
    assert answer.usage.output == body["usage"]["outputTokens"]
    assert len(answer.choices[0].parts) == len(body["output"]["message"]["content"])
    finish = answer.choices[0].finish
    assert finish is not None
    assert finish.native == body["stopReason"]
    again = WIRE.write_answer(answer, reference(), Notes())
    assert WIRE.read_answer(again) == answer
    glance = WIRE.glance(msgspec.json.encode(body))
    assert (glance.usage, glance.finish, glance.empty, glance.problem) == (answer.usage, finish, False, None)


@pytest.mark.parametrize(
    "doc",
    [
        {},
        {"output": None},
        {"output": {"message": {"content": None}}, "stopReason": None, "usage": None},
        {"output": {"message": {"content": [None, {}, {"text": ""}]}}, "stopReason": 7, "usage": {}},
    ],
)
def test_strange_answers_do_not_raise(doc: dict[str, Any]) -> None:
    assert WIRE.read_answer(doc).choices[0].parts == []


@pytest.mark.parametrize(
    "block",
    [
        {"hologram": {"x": 1}},
        {"toolUse": {"name": 7}},
        {"reasoningContent": {"other": 1}},
        {"image": {"format": "png"}},
        {"toolResult": {"toolUseId": None}},
    ],
)
def test_content_that_is_not_understood_stays_what_it_was(block: dict[str, Any]) -> None:
    answer = WIRE.read_answer({"output": {"message": {"content": [block]}}})
    assert answer.choices[0].parts == [Opaque(wire="bedrock-converse", doc=block, label=next(iter(block)))]
    assert WIRE.write_answer(answer, reference(), Notes())["output"]["message"]["content"] == [block]


@pytest.mark.parametrize(
    "usage, counted",
    [
        (None, None),
        ({}, None),
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, Usage(input=3, output=2)),
        (
            {"inputTokens": 2, "outputTokens": 5, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 30},
            Usage(input=132, output=5, cached=100, cache_write=30),
        ),
        (
            {
                "inputTokens": 2,
                "outputTokens": 5,
                "cacheWriteInputTokens": 30,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
            },
            Usage(input=32, output=5, cache_write=10, cache_write_1h=20),
        ),
        ({"inputTokens": True, "outputTokens": "x", "cacheDetails": [7]}, Usage()),
    ],
)
def test_usage(usage: Any, counted: Usage | None) -> None:
    answer = WIRE.read_answer({"output": {}, "usage": usage})
    assert answer.usage == counted
    again = WIRE.write_answer(answer, reference(), Notes())
    assert WIRE.read_answer(again).usage == (counted or Usage())


@pytest.mark.parametrize(
    "word, reason",
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("model_context_window_exceeded", "context_length"),
        ("malformed_tool_use", "malformed_call"),
        ("malformed_model_output", "other"),
        ("something_new", "other"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    answer = WIRE.read_answer({"output": {}, "stopReason": word})
    assert answer.choices[0].finish == Finish(reason=reason, native=word)  # type: ignore[arg-type]  # a table of words
    written = WIRE.write_answer(answer, reference(), Notes())["stopReason"]
    assert written == ("end_turn" if word == "something_new" else word)


@pytest.mark.parametrize(
    "finish, parts, word",
    [
        (Finish(reason="refusal"), [], "content_filtered"),
        (Finish(sequence="END"), [], "stop_sequence"),
        (Finish(reason="pause"), [], "end_turn"),
        (None, [ToolCall(id="", name="f")], "end_turn"),
        (Finish(reason="other"), [ToolCall(id="", name="f")], "tool_use"),
    ],
)
def test_stop_reasons_of_other_formats(finish: Finish | None, parts: list[Any], word: str) -> None:
    answer = Answer(choices=[Choice(parts=parts, finish=finish)])
    assert WIRE.write_answer(answer, reference(), Notes())["stopReason"] == word


def test_the_stop_sequence_is_read_where_the_model_tells_it() -> None:
    body = {
        "output": {},
        "stopReason": "stop_sequence",
        "additionalModelResponseFields": {"stop_sequence": "END"},
    }
    finish = WIRE.read_answer(body).choices[0].finish
    assert finish is not None
    assert finish.sequence == "END"


def test_what_an_answer_cannot_say_is_named() -> None:
    notes = Notes()
    parts = [
        Text(text="ab", citations=[Citation(url="http://x", title="X", quote="q")]),
        Image(source=Source(url="http://x/a.png")),
        Audio(source=Source(data="QUJD"), format="amr"),
        Audio(source=Source(data="QUJD"), transcript="heard"),
        File(source=Source(text="a")),
        Opaque(wire="gemini", doc={}, label="executableCode"),
        Thinking(text="t", signature=Signature(value="v", wire="gemini")),
        ToolCall(id="", name="f"),
    ]
    answer = Answer(choices=[Choice(parts=parts, logprobs={}), Choice()])
    content = WIRE.write_answer(answer, reference(), notes)["output"]["message"]["content"]
    assert content[0]["citationsContent"]["citations"] == [
        {"title": "X", "sourceContent": [{"text": "q"}], "location": {"web": {"url": "http://x"}}}
    ]
    assert content[1] == {"text": "heard"}
    assert content[2]["reasoningContent"]["reasoningText"]["signature"].startswith("or1.gemini.")
    assert content[3]["toolUse"]["toolUseId"] == "tooluse_1"
    assert notes.dropped == ["n", "logprobs", "image", "audio", "file", "executableCode"]


@pytest.mark.parametrize(
    "body, empty, kind",
    [
        ({"output": {"message": {"content": []}}, "stopReason": "end_turn"}, True, None),
        ({"output": {"message": {"content": []}}, "stopReason": "max_tokens"}, False, None),
        ({"output": {"message": {"content": [{"text": "a"}]}}}, False, None),
        (
            {"message": "Too many tokens, please wait before trying again.", "__type": "ThrottlingException"},
            True,
            "rate_limit",
        ),
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
    raw = aws_events.recorded(recordings.load(name).body)
    deltas = read(raw)
    assert isinstance(deltas[-1], End)
    meant = said(deltas)
    assert meant["text"] or meant["calls"]
    assert said(read(write(*deltas))) | {"usage": meant["usage"]} == meant
    events = aws_events.events(raw)
    figures = [event["metadata"]["usage"]["totalTokens"] for event in events if "metadata" in event]
    assert [usage.total for usage in meant["usage"]] == figures
    tap = WIRE.tap()
    for at in range(0, len(raw), 100):
        tap.feed(raw[at : at + 100])
    assert (tap.finished, tap.finish is not None) == (bool(figures), True)
    assert tap.usage == (meant["usage"][0] if figures else None)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_may_be_cut_anywhere(name: str) -> None:
    raw = aws_events.recorded(recordings.load(name).body)
    whole = read(raw)
    for step in (1, 7, 64, 1021):
        assert read(raw, step) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_ends_early_is_broken(name: str) -> None:
    raw = aws_events.recorded(recordings.load(name).body)
    last = raw.index(b"messageStop") - 12
    for at in range(0, last, max(1, last // 50)):
        splitter, reader = AwsSplitter(), WIRE.reader()
        deltas = [d for e in splitter.feed(raw[:at]) for d in reader.feed(e)] + list(reader.end())
        assert isinstance(deltas[-1], Failure)


def test_a_signature_in_pieces_is_one() -> None:
    deltas = read(
        stream(
            piece(0, reasoningContent={"text": "hm"}),
            piece(0, reasoningContent={"signature": "ab"}),
            piece(0, reasoningContent={"signature": "cd"}),
            stop(0),
            piece(1, reasoningContent={"redactedContent": "YWI="}),
            piece(1, reasoningContent={"redactedContent": "Y2Q="}),
            piece(2, text="so"),
            *end(),
        )
    )
    assert said(deltas)["signatures"] == ["abcd", "YWJjZA=="]
    assert [d.redacted for d in deltas if isinstance(d, SignatureDelta)] == [False, True]


def test_blocks_that_never_end_are_ended_with_the_message() -> None:
    deltas = read(
        stream(piece(0, text="a"), start(1, toolUse={"toolUseId": "t", "name": "f"}), *end("tool_use"))
    )
    assert [d.part for d in deltas if isinstance(d, PartEnd)] == [0, 1]
    assert said(deltas)["calls"] == [("f", {})]


def test_an_index_that_changes_from_thinking_to_text_is_a_new_piece() -> None:
    deltas = read(stream(piece(0, reasoningContent={"text": "t"}), piece(0, text="a"), *end()))
    parts = [(type(d), d.part) for d in deltas if isinstance(d, ThinkingDelta | TextDelta)]
    assert parts == [(ThinkingDelta, 0), (TextDelta, 1)]


def test_images_and_results_of_the_provider_come_whole() -> None:
    deltas = read(
        stream(
            start(0, image={"format": "png"}),
            piece(0, image={"source": {"bytes": "iVBO"}}),
            piece(0, image={"source": {"bytes": "Rw0K"}}),
            stop(0),
            start(1, toolUse={"toolUseId": "t", "name": "n", "type": "server_tool_use"}),
            piece(1, toolUse={"input": "{broken"}),
            stop(1),
            *end(),
        )
    )
    image, call = said(deltas)["whole"]
    assert image == Image(source=Source(data="iVBORw0K", media_type="image/png"))
    assert call.doc["toolUse"]["input"] == {}


def test_figures_without_a_reason_are_not_the_end() -> None:
    deltas = read(stream(piece(0, text="a"), end()[1]))
    assert isinstance(deltas[-1], Failure)


@pytest.mark.parametrize(
    "name, message, kind",
    [
        ("throttlingException", "Too many tokens, please wait before trying again.", "rate_limit"),
        ("throttlingException", "Too many tokens per day, please wait before trying again.", "quota"),
        ("validationException", "Input is too long for requested model.", "context_length"),
        ("validationException", "Malformed input request", "invalid_request"),
        ("modelStreamErrorException", "The system encountered an unexpected error", "server"),
        ("internalServerException", "The system encountered an unexpected error", "server"),
        ("serviceUnavailableException", "Bedrock is unable to process your request.", "unavailable"),
        ("modelTimeoutException", "too slow", "timeout"),
        ("someNewException", "what?", "server"),
    ],
)
def test_an_exception_in_mid_stream(name: str, message: str, kind: str) -> None:
    raw = stream(piece(0, text="a")) + aws_events.message(name, {"message": message}, kind="exception")
    deltas = read(raw + stream(*end()))
    assert deltas[-1] == Failure(kind=kind, message=message, native=name)
    tap = WIRE.tap()
    tap.feed(raw)
    assert (tap.finished, tap.finish) == (True, None)


def test_an_error_that_the_api_does_not_declare() -> None:
    raw = aws_events.raw_message(
        {":message-type": "error", ":error-code": "InternalError", ":error-message": "It broke."}, b""
    )
    assert read(raw)[-1] == Failure(kind="server", message="It broke.", native="InternalError")


KINDS = [
    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "new", "",
    "exception/x", "error/y",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "contentBlockIndex",
                    "delta",
                    "start",
                    "text",
                    "toolUse",
                    "toolResult",
                    "reasoningContent",
                    "citation",
                    "image",
                    "input",
                    "signature",
                    "redactedContent",
                    "type",
                    "source",
                    "bytes",
                    "usage",
                    "stopReason",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@PROPERTY
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.one_of(st.binary(max_size=20), JSON.map(msgspec.json.encode))),
        max_size=8,
    )
)
def test_garbage_is_malformed_or_read(payloads: list[tuple[str, bytes]]) -> None:
    streams.assert_survives(WIRE, [Event(name, payload) for name, payload in payloads])


def test_a_tap_that_meets_garbage_is_quiet() -> None:
    tap = WIRE.tap()
    tap.feed(b"not a stream of messages at all")
    tap.feed(stream(*end()))
    assert (tap.finished, tap.usage) == (False, None)


# ── streams out ────────────────────────────────────────────────────────────────────────────────────


def test_mixed_pieces_come_out_whole() -> None:
    notes = Notes()
    raw = write(
        TextDelta(part=0, text="a"),
        CallStart(part=1, id="", name="f"),
        CallStart(part=2, id="2", name="sh", kind="custom"),
        CallDelta(part=1, arguments='{"x":'),
        CallDelta(part=2, arguments="ls"),
        CallDelta(part=1, arguments="1}"),
        ThinkingDelta(part=3, text="t"),
        ThinkingDelta(part=3, text="u", block=1),
        SignatureDelta(part=3, signature=Signature(value="s", wire="bedrock-converse")),
        SignatureDelta(part=0, signature=Signature(value="of a text", wire="gemini")),
        Ping(),
        LogprobsDelta(logprobs={}),
        TextDelta(part=0, text="b"),
        TextDelta(part=4, text="other", choice=1),
        CallDelta(part=9, arguments="{}"),
        UsageDelta(usage=Usage(input=3, output=1)),
        Finished(finish=Finish(reason="tool_calls")),
        End(),
        notes=notes,
    )
    names = [next(iter(event)) for event in aws_events.events(raw)]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    assert names.count("contentBlockStop") == 4
    meant = said(read(raw))
    assert (meant["text"], meant["thinking"], meant["signatures"]) == ("ab", "t\n\nu", ["s"])
    assert meant["calls"] == [("f", {"x": 1}), ("sh", {"input": "ls"})]
    assert notes.dropped == ["logprobs", "n", "tool_calls[].arguments"]


def test_nothing_and_a_failure_are_legal() -> None:
    names = [next(iter(event)) for event in aws_events.events(write())]
    assert names == ["messageStart", "messageStop", "metadata"]
    failed = aws_events.events(
        write(TextDelta(part=0, text="a"), Failure(kind="rate_limit", message="Slow."))
    )
    assert failed[-1] == {"throttlingException": {"message": "Slow."}}
    writer = WIRE.writer(reference(), Notes())
    writer.feed(End())
    assert writer.close() == b""


def test_whole_parts() -> None:
    parts = [
        Text(text="a", citations=[Citation(url="http://x", wire="bedrock-converse", native={"title": "X"})]),
        ToolCall(id="1", name="f", arguments='{"x":1}'),
        Image(source=Source(data="QUJD", media_type="image/png")),
        Thinking(text="t", signature=Signature(value="s", wire="bedrock-converse")),
        Thinking(redacted=True, signature=Signature(value="c2VhbA==", wire="bedrock-converse")),
        Image(source=Source(url="http://x/a.png")),
    ]
    notes = Notes()
    raw = write(*[WholePart(part=n, content=part) for n, part in enumerate(parts)], notes=notes)
    meant = said(read(raw))
    assert (meant["text"], meant["thinking"]) == ("a", "t")
    assert meant["signatures"] == ["s", "c2VhbA=="]
    assert meant["calls"] == [("f", {"x": 1})]
    assert meant["citations"] == [{"title": "X"}]
    assert meant["whole"] == [parts[2]]
    assert notes.dropped == ["image"]


# ── errors, counts, lists, paths ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*ERRORS, *recordings.ids("bedrock-count-tokens", feature="error")])
def test_recorded_errors(name: str) -> None:
    recording = recordings.load(name)
    problem = WIRE.read_error(recording.status, {}, msgspec.json.encode(recording.body))
    wrong_model = "model identifier" in recording.body["message"]
    assert problem.kind == ("model_not_found" if wrong_model else "invalid_request")
    assert (problem.message, problem.status) == (recording.body["message"], 400)


@pytest.mark.parametrize(
    "status, name, message, kind, shown",
    [
        (400, "ValidationException", "Malformed input request", "invalid_request", 400),
        (400, "ValidationException", "Input is too long for requested model.", "context_length", 400),
        (400, "ValidationException", "prompt is too long: 9 tokens > 8 maximum", "context_length", 400),
        (
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn’t supported.",
            "model_not_found",
            400,
        ),
        (400, "ServiceQuotaExceededException", "too much", "quota", 400),
        (403, "AccessDeniedException", "User: x is not authorized to perform: bedrock:y", "permission", 403),
        (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", "model_not_found", 403),
        (403, "AccessDeniedException", "Bearer token is expired", "authentication", 403),
        (403, "UnrecognizedClientException", "The security token included in the request is invalid.", "authentication", 403),
        (403, "InvalidSignatureException", "The request signature we calculated does not match", "authentication", 403),
        (403, "ExpiredTokenException", "The security token included in the request is expired", "authentication", 403),
        (404, "ResourceNotFoundException", "Could not resolve the foundation model", "model_not_found", 404),
        (408, "ModelTimeoutException", "The model took too long", "timeout", 504),
        (413, "RequestEntityTooLargeException", "too large", "too_large", 413),
        (424, "ModelErrorException", "The model failed", "server", 500),
        (429, "ThrottlingException", "Too many requests, please wait before trying again.", "rate_limit", 429),
        (429, "ThrottlingException", "Too many tokens per day, please wait before trying again.", "quota", 429),
        (429, "ModelNotReadyException", "Model is not ready", "unavailable", 429),
        (500, "InternalServerException", "oops", "server", 500),
        (503, "ServiceUnavailableException", "unable to process", "unavailable", 503),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["header", "__type", "code"])
def test_errors_in(status: int, name: str, message: str, kind: str, shown: int, place: str) -> None:
    headers, body = {}, {"message": message}
    if place == "header":
        headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    else:
        body |= {place: f"com.amazon.coral.service#{name}"}
    problem = WIRE.read_error(status, headers, msgspec.json.encode(body))
    assert (problem.kind, problem.http_status, problem.native) == (kind, shown, name)
    assert problem.message == message


@pytest.mark.parametrize(
    "status, body, kind, message",
    [
        (403, b'{"Message":"Missing Authentication Token"}', "permission", "Missing Authentication Token"),
        (503, b"<html>down</html>", "unavailable", "The upstream answered with a page"),
        (500, b"", "server", "The upstream failed and gave no reason"),
        (500, b'{"message":', "server", "The upstream's error message was cut off"),
    ],
)
def test_bodies_of_another_shape(status: int, body: bytes, kind: str, message: str) -> None:
    problem = WIRE.read_error(status, {}, body)
    assert problem.kind == kind
    assert problem.message.startswith(message)


@pytest.mark.parametrize("kind", STATUS_OF)
def test_errors_out_are_read_as_what_they_were(kind: Any) -> None:
    problem = Problem(kind=kind, code="c", param="p", message="Sorry.")
    body = WIRE.write_error(problem, "req_1")
    assert (body["message"], body["code"], body["param"], body["request_id"]) == ("Sorry.", "c", "p", "req_1")
    again = WIRE.read_error(STATUS_OF[kind], {"x-amzn-errortype": body["__type"]}, msgspec.json.encode(body))
    same = {"billing": "permission", "not_found": "model_not_found", "overloaded": "unavailable"}
    vague = ("too_large", "context_length", "content_filter", "method_not_allowed")
    expected = "invalid_request" if kind in vague else same.get(kind, kind)
    assert again.kind == ("server" if kind in ("cancelled", "bad_gateway") else expected)


@pytest.mark.parametrize("name", [n for n in recordings.ids("bedrock-count-tokens") if "limit" in n])
def test_recorded_counts(name: str) -> None:
    recording = recordings.load(name)
    assert WIRE.read_count(recording.body) == recording.body["inputTokens"]
    assert recording.request is not None
    talk = WIRE.read_request(recording.request["body"]["input"]["converse"])

    written = WIRE.write_request(talk, Dialect(), Notes())
    asked = recording.request["body"]
    assert (
        WIRE.count_request(written, "m")["input"]["converse"]["messages"]
        == asked["input"]["converse"]["messages"]
    )


def test_lists_and_counts() -> None:
    assert WIRE.write_models([ModelCard(id="p/m")])["modelSummaries"][0]["modelId"] == "p/m"
    assert WIRE.read_count(WIRE.write_count(7)) == 7


@pytest.mark.parametrize(
    "model, stream, operation, path",
    [
        ("amazon.nova-pro-v1:0", False, "chat", "/model/amazon.nova-pro-v1%3A0/converse"),
        ("us.m.x-v1:0", True, "chat", "/model/us.m.x-v1%3A0/converse-stream"),
        ("arn:aws:bedrock:us-east-1:1:x/y", False, "chat", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/converse"),
        ("us.anthropic.claude-x", False, "count_tokens", "/model/anthropic.claude-x/count-tokens"),
        ("global.anthropic.claude-x", True, "count_tokens", "/model/anthropic.claude-x/count-tokens"),
        ("deepseek.v3.2", False, "count_tokens", "/model/deepseek.v3.2/count-tokens"),
    ],
)  # fmt: skip
def test_paths(model: str, stream: bool, operation: Any, path: str) -> None:
    assert WIRE.path(model, stream, operation) == path
