"""Gemini streams, both ways: SSE and JSON array, cut anywhere, and never a lost piece."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream, Problem
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    Answer,
    CallDelta,
    CallStart,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finish,
    Finished,
    LogprobsDelta,
    Notes,
    Opaque,
    PartEnd,
    Ping,
    RefusalDelta,
    Signature,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageDelta,
    WholePart,
)
from tests.support import recordings
from tests.support.gemini import GEMINI, chunk, deltas, events, plain, sse, written
from tests.support.streams import reference
from tests.wire.test_gemini_answer import json_values

STOP = Finished(finish=Finish(native="STOP"))
OWN = Signature(value="c2ln", wire="gemini")


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


def read(*chunks: Doc) -> list[Any]:
    return [delta for delta in deltas(sse(*chunks)) if not isinstance(delta, Start)]


def call(name: str, **rest: Any) -> Doc:
    return {"functionCall": {"name": name, "args": {}, **rest}}


@pytest.mark.parametrize(
    "chunks, found",
    [
        ([chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")], [TextDelta(part=0, text="a"), TextDelta(part=0, text="b"), PartEnd(part=0), STOP, End()]),
        # Thoughts and text are two pieces.
        ([chunk({"text": "a", "thought": True}, {"text": "b"}, finish="STOP")], [ThinkingDelta(part=0, text="a"), PartEnd(part=0), TextDelta(part=1, text="b"), PartEnd(part=1), STOP, End()]),
        # A signature seals the text that it comes with or after.
        ([chunk({"text": "a"}), chunk({"text": "", "thoughtSignature": "c2ln"}), chunk({"text": "b"}, finish="STOP")], [TextDelta(part=0, text="a"), SignatureDelta(part=0, signature=OWN), PartEnd(part=0), TextDelta(part=1, text="b"), PartEnd(part=1), STOP, End()]),
        ([chunk({"text": "", "thoughtSignature": "c2ln"}, finish="STOP")], [SignatureDelta(part=0, signature=OWN, redacted=True), PartEnd(part=0), STOP, End()]),
        # Old servers say STOP in every event.
        ([chunk({"text": "a"}, finish=1), chunk({"text": "b"}, finish=1)], [TextDelta(part=0, text="a"), TextDelta(part=0, text="b"), PartEnd(part=0), STOP, End()]),
        # Nothing but a reason.
        ([{"candidates": [{"finishReason": "SAFETY"}]}], [Finished(finish=Finish(reason="content_filter", native="SAFETY")), End()]),
        ([{"promptFeedback": {"blockReason": "OTHER"}}], [Finished(finish=Finish(reason="content_filter", native="OTHER")), End()]),
        # Content that nobody else knows.
        ([chunk({"executableCode": {"code": "1"}}, finish="STOP")], [WholePart(part=0, content=Opaque(wire="gemini", doc={"executableCode": {"code": "1"}}, label="executableCode")), STOP, End()]),
        # An error in mid-stream is the end.
        ([chunk({"text": "a"}), {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}, chunk({"text": "b"})], [TextDelta(part=0, text="a"), Failure(kind="overloaded", message="Busy.", status=503, native="UNAVAILABLE")]),
    ],
)  # fmt: skip
def test_events_are_read(chunks: list[Doc], found: list[Delta]) -> None:
    assert read(*chunks) == found


def test_several_calls_in_one_event_are_several_calls() -> None:
    found = read(
        chunk({"text": "Two:"}, call("add", args={"a": 1}), call("add", args={"a": 1}), finish="STOP")
    )
    starts = [delta for delta in found if isinstance(delta, CallStart)]
    assert [(start.part, start.name, start.id) for start in starts] == [
        (1, "add", "gcall_rid_1"),
        (2, "add", "gcall_rid_2"),
    ]
    assert [delta.arguments for delta in found if isinstance(delta, CallDelta)] == ['{"a":1}'] * 2
    assert Finished(finish=Finish(reason="tool_calls", native="STOP")) in found


def test_a_call_in_fragments() -> None:
    def fragment(*partial: Doc, more: bool = True, **rest: Any) -> Doc:
        done = {"willContinue": True} if more else {}
        return chunk(
            {"functionCall": {**({"partialArgs": list(partial)} if partial else {}), **done, **rest}}
        )

    found = read(
        fragment(name="send"),
        fragment({"jsonPath": "$.to[0].name", "stringValue": "An", "willContinue": True}),
        fragment({"jsonPath": "$.to[0].name", "stringValue": "na"}),
        fragment(
            {"jsonPath": "$.to[1]['age']", "numberValue": 7}, {"jsonPath": "$.urgent", "boolValue": True}
        ),
        fragment({"jsonPath": "$.cc", "nullValue": "NULL_VALUE"}),
        fragment(more=False),
        chunk({"functionCall": {"name": "next"}}, finish="STOP"),
    )
    assert [delta.name for delta in found if isinstance(delta, CallStart)] == ["send", "next"]
    first, second = (delta.arguments for delta in found if isinstance(delta, CallDelta))
    assert json.loads(first) == {"to": [{"name": "Anna"}, {"age": 7}], "urgent": True, "cc": None}
    assert second == "{}"


def test_the_last_usage_counts() -> None:
    found = read(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 78, "totalTokenCount": 78}),
        chunk(
            {"text": "b"}, finish="STOP", usageMetadata={"promptTokenCount": 33, "candidatesTokenCount": 12}
        ),
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
    )
    assert [delta.usage for delta in found if isinstance(delta, UsageDelta)][-1] == Usage(input=33, output=12)


def test_choices_are_told_apart() -> None:
    def event(index: int, text: str, **rest: Any) -> Doc:
        return {"candidates": [{"index": index, "content": {"parts": [{"text": text}]}, **rest}]}

    found = read(
        event(0, "a"), event(1, "b"), event(0, "c", finishReason="STOP"), event(1, "d", finishReason="STOP")
    )
    texts = [(delta.choice, delta.part, delta.text) for delta in found if isinstance(delta, TextDelta)]
    assert texts == [(0, 0, "a"), (1, 1, "b"), (0, 0, "c"), (1, 1, "d")]
    assert [delta.choice for delta in found if isinstance(delta, Finished)] == [0, 1]


@pytest.mark.parametrize(
    "raw", [b"", b": keep-alive\n\n", sse(chunk({"text": "half"})), sse({}), sse("[DONE]")]
)
def test_a_stream_without_a_finish_was_cut(raw: bytes) -> None:
    last = deltas(raw)[-1]
    assert isinstance(last, Failure) and last.kind == "bad_gateway"


def test_comments_and_line_ends_do_not_matter() -> None:
    stream = sse(chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP"))
    expected = plain(deltas(stream))
    for ending in (b"\n", b"\r"):
        other = b": OPEN" + ending * 2 + stream.replace(b"\r\n", ending) + b": bye" + ending * 2
        assert plain(deltas(other)) == expected
    assert plain(deltas(stream + b"data: [DONE]\n\n")) == expected


@pytest.mark.parametrize("data", [b"{", b"<html></html>", b"\xff"])
def test_broken_json(data: bytes) -> None:
    with pytest.raises(MalformedStream):
        list(GEMINI.reader().feed(Event("", data)))


@given(st.lists(json_values, max_size=5))
def test_no_event_is_too_odd(values: list[Any]) -> None:
    reader = GEMINI.reader()
    found = [delta for value in values for delta in reader.feed(Event("", json.dumps(value).encode()))]
    found += reader.end()
    assert isinstance(found[-1], End | Failure)
    for event in events(written(found)):
        if "error" not in event:
            types.GenerateContentResponse.model_validate(event)


STREAMS = recordings.ids("gemini-stream")


def recorded(name: str) -> bytes:
    recording = recordings.load(name)
    if recording.status != 200:
        pytest.skip("an error")
    body = recording.body
    return body.encode() if isinstance(body, str) else json.dumps(body, indent=1).encode()


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams(name: str) -> None:
    raw = recorded(name)
    found = deltas(raw)
    assert isinstance(found[0], Start) and isinstance(found[-1], End)
    again = deltas(written(found))
    assert meaning(again) == meaning(found)
    assert meaning(deltas(written(found, array=True))) == meaning(found)
    for event in events(written(found)):
        types.GenerateContentResponse.model_validate_json(json.dumps(event))


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_cut_anywhere(name: str) -> None:
    raw = recorded(name)
    expected = named(deltas(raw))
    step = max(1, len(raw) // 30)
    for cut in range(1, len(raw), step):
        assert named(deltas(raw[:cut], raw[cut:])) == expected


def named(found: Iterable[Delta]) -> str:
    """Deltas as text. Calls of an answer without an id get ids by chance."""
    return re.sub(r"gcall_[0-9a-f]{24}", "gcall", json.dumps(plain(found)))


def meaning(found: Iterable[Delta]) -> dict[str, Any]:
    """What a stream says, however it is cut into deltas."""
    said: dict[str, Any] = {
        "text": "",
        "thinking": "",
        "calls": [],
        "signatures": [],
        "usage": None,
        "finish": [],
    }
    for delta in found:
        if isinstance(delta, TextDelta):
            said["text"] += delta.text
        elif isinstance(delta, ThinkingDelta):
            said["thinking"] += delta.text
        elif isinstance(delta, CallStart):
            said["calls"].append([delta.id, delta.name, ""])
        elif isinstance(delta, CallDelta):
            said["calls"][-1][2] += delta.arguments
        elif isinstance(delta, SignatureDelta):
            said["signatures"].append(delta.signature)
        elif isinstance(delta, UsageDelta):
            said["usage"] = delta.usage
        elif isinstance(delta, Finished):
            said["finish"].append(delta.finish)
    return said


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def parts(stream: bytes) -> list[Doc]:
    """All parts that were sent, without the empty one that closes."""
    found = [
        p
        for event in events(stream)
        for c in event["candidates"]
        for p in c.get("content", {}).get("parts", [])
    ]
    return [part for part in found if part != {"text": ""}]


def sent_call(id: str, name: str, args: Doc) -> Doc:
    return {"functionCall": {"id": id, "name": name, "args": args}}


def test_an_event_leaves_as_soon_as_it_is_known() -> None:
    writer = GEMINI.writer(reference(), Notes())
    assert writer.feed(Start(id="rid")) == b""
    assert b'"text":"a"' in writer.feed(TextDelta(part=0, text="a"))
    assert writer.feed(CallStart(part=1, id="1", name="f")) == b""
    assert writer.feed(CallDelta(part=1, arguments='{"a"')) == b""
    assert writer.feed(CallDelta(part=1, arguments=":1}")) == b""
    assert b'"functionCall"' in writer.feed(PartEnd(part=1))
    assert writer.feed(STOP) == b""
    assert writer.feed(UsageDelta(usage=Usage(input=1, output=2))) == b""
    last = events(writer.feed(End()))
    assert last[0]["candidates"][0]["finishReason"] == "STOP"
    assert last[0]["usageMetadata"]["totalTokenCount"] == 3
    assert writer.close() == b""


def test_one_id_and_one_model_throughout() -> None:
    for given_deltas in ([Start(id="u1", model="up")], [Ping()]):
        stream = events(
            written([*given_deltas, TextDelta(part=0, text="a"), TextDelta(part=0, text="b"), STOP, End()])
        )
        assert len({event["responseId"] for event in stream}) == 1
        assert {event["modelVersion"] for event in stream} == {"m"}


@pytest.mark.parametrize(
    "feed, sent",
    [
        # The usual way: one call after the other.
        ([CallStart(part=0, id="1", name="f"), CallDelta(part=0, arguments='{"a":1}'), CallStart(part=1, id="2", name="g"), STOP], [sent_call("1", "f", {"a": 1}), sent_call("2", "g", {})]),
        # Interleaved fragments come out whole and in order.
        ([CallStart(part=0, id="1", name="f"), CallStart(part=1, id="2", name="g"), CallDelta(part=1, arguments='{"b"'), CallDelta(part=0, arguments='{"a":1'), CallDelta(part=1, arguments=":2}"), CallDelta(part=0, arguments="}"), STOP], [sent_call("1", "f", {"a": 1}), sent_call("2", "g", {"b": 2})]),
        # A complete call leaves when another piece begins.
        ([CallStart(part=0, id="1", name="f"), CallDelta(part=0, arguments="{}"), TextDelta(part=1, text="x"), STOP], [sent_call("1", "f", {}), {"text": "x"}]),
        # Reasoning after text, and text while a call is being written.
        ([TextDelta(part=0, text="x"), ThinkingDelta(part=1, text="t"), CallStart(part=2, id="1", name="f"), CallDelta(part=2, arguments='{"a"'), TextDelta(part=0, text="y"), CallDelta(part=2, arguments=":1}"), STOP], [{"text": "x"}, {"text": "t", "thought": True}, {"text": "y"}, sent_call("1", "f", {"a": 1})]),
        # Broken arguments and free text.
        ([CallStart(part=0, id="1", name="f"), CallDelta(part=0, arguments='{"a'), STOP], [sent_call("1", "f", {"_raw_arguments": '{"a'})]),
        ([CallStart(part=0, id="1", name="p", kind="custom"), CallDelta(part=0, arguments="{}"), PartEnd(part=0)], [sent_call("1", "p", {"input": "{}"})]),
        # Signatures go where their piece is.
        ([CallStart(part=0, id="1", name="f"), SignatureDelta(part=0, signature=OWN), PartEnd(part=0)], [{**sent_call("1", "f", {}), "thoughtSignature": "c2ln"}]),
        ([CallStart(part=0, id="1", name="f", signature=OWN), PartEnd(part=0)], [{**sent_call("1", "f", {}), "thoughtSignature": "c2ln"}]),
        ([ThinkingDelta(part=0, text="t"), SignatureDelta(part=0, signature=OWN)], [{"text": "t", "thought": True}, {"text": "", "thoughtSignature": "c2ln", "thought": True}]),
        ([TextDelta(part=0, text="t"), SignatureDelta(part=0, signature=OWN)], [{"text": "t"}, {"text": "", "thoughtSignature": "c2ln"}]),
        # Paragraphs of a summary stay paragraphs.
        ([ThinkingDelta(part=0, text="a"), ThinkingDelta(part=0, text="b", block=1)], [{"text": "a", "thought": True}, {"text": "\n\nb", "thought": True}]),
        ([RefusalDelta(part=0, text="No.")], [{"text": "No."}]),
        ([WholePart(part=0, content=Opaque(wire="other", doc={}, label="x"))], []),
        ([TextDelta(part=0, text=""), Ping()], []),
    ],
)  # fmt: skip
def test_pieces_are_written(feed: list[Delta], sent: list[Doc]) -> None:
    assert parts(written(feed)) == sent


def test_sources_leave_with_the_finish_counted_over_all_text() -> None:
    cited = Citation(url="https://a", start=0, end=2)
    feed: list[Delta] = [
        TextDelta(part=0, text="ä, "),
        TextDelta(part=1, text="ja"),
        CitationDelta(part=1, citation=cited),
        STOP,
    ]
    last = events(written(feed))[-1]["candidates"][0]
    assert last["groundingMetadata"]["groundingSupports"] == [
        {"segment": {"startIndex": 4, "endIndex": 6, "text": "ja"}, "groundingChunkIndices": [0]}
    ]


def test_log_probabilities_leave_in_an_event() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}]}
    first = events(written([LogprobsDelta(logprobs=logprobs)]))[0]
    assert first["candidates"][0]["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -1.0}]
    }


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(
    "feed", [[], [Start()], [TextDelta(part=0, text="a")], [CallStart(part=0, id="1", name="f")], [STOP]]
)
def test_close_is_a_legal_end_at_any_time(feed: list[Delta], array: bool) -> None:
    stream = written(feed, array=array)
    last = json.loads(stream)[-1] if array else events(stream)[-1]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["candidates"][0]["content"] == {"parts": [{"text": ""}], "role": "model"}


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("feed", [[], [TextDelta(part=0, text="a")], [CallStart(part=0, id="1", name="f")]])
def test_a_failure_is_the_last_event(feed: list[Delta], array: bool) -> None:
    failure = Failure(kind="rate_limit", message="Slow down.", retry_after=2.0)
    writer = GEMINI.writer(reference(array=array), Notes())
    stream = b"".join(writer.feed(delta) for delta in [*feed, failure, TextDelta(part=9, text="late"), End()])
    assert writer.close(Problem(kind="server", message="x")) == b""
    found = json.loads(stream) if array else events(stream)
    assert found[-1]["error"] == {
        "code": 429,
        "message": "Slow down.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}],
    }
    assert len(found) == len([d for d in feed if isinstance(d, TextDelta)]) + 1


pieces = st.sampled_from(["text", "thinking", "call", "fragment", "end"])


@given(st.lists(st.tuples(pieces, st.integers(0, 3)), max_size=20), st.booleans())
def test_no_piece_is_lost(script: list[tuple[str, int]], array: bool) -> None:
    numbers = itertools.count(10)
    feed: list[Delta] = []
    calls: dict[int, int] = {}
    for kind, which in script:
        if kind == "text":
            feed.append(TextDelta(part=100 + which, text="t"))
        elif kind == "thinking":
            feed.append(ThinkingDelta(part=200 + which, text="h"))
        elif kind == "call":
            number = next(numbers)
            calls[number] = 0
            feed.append(CallStart(part=number, id=str(number), name="f"))
        elif calls and kind == "fragment":
            number = sorted(calls)[which % len(calls)]
            feed.append(CallDelta(part=number, arguments='{"n":0' if not calls[number] else "0"))
            calls[number] += 1
    feed += [CallDelta(part=number, arguments="}") for number, fragments in calls.items() if fragments]
    found = meaning(deltas(written([*feed, STOP, End()], array=array)))
    assert found["text"] == "t" * len([d for d in feed if isinstance(d, TextDelta)])
    assert found["thinking"] == "h" * len([d for d in feed if isinstance(d, ThinkingDelta)])
    assert [c[0] for c in found["calls"]] == [str(number) for number in calls]
    assert [len(json.loads(c[2])) for c in found["calls"]] == [1 if n else 0 for n in calls.values()]


# ── the tap ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", STREAMS)
def test_the_tap_sees_what_the_reader_sees(name: str) -> None:
    raw = recorded(name)
    expected = meaning(deltas(raw))
    for size in (len(raw), 1000, 37):
        tap = GEMINI.tap()
        for at in range(0, len(raw), size):
            tap.feed(raw[at : at + size])
        assert (tap.usage, tap.finished) == (expected["usage"], True)
        assert tap.finish is not None and tap.finish.reason == expected["finish"][0].reason


@pytest.mark.parametrize(
    "raw, finished",
    [
        (b"", False),
        (b" \n", False),
        (sse(chunk({"text": "half"})), False),
        (sse({"promptFeedback": {"blockReason": "SAFETY"}}), True),
        (sse({"error": {"code": 500}}), False),
        (b"<html>finishReason</html>", False),
        (b"[1, 2]", False),
        (b'data: {"finishReason": broken\n\n', False),
    ],
)
def test_the_tap_is_not_fooled(raw: bytes, finished: bool) -> None:
    tap = GEMINI.tap()
    tap.feed(raw)
    tap.feed(b"")
    assert tap.finished is finished


def test_an_answer_and_a_stream_of_it_mean_the_same() -> None:
    answer = Answer(choices=[Choice(parts=[], finish=Finish(reason="length"))])
    doc = GEMINI.write_answer(answer, reference(), Notes())
    assert [d.finish.reason for d in deltas(sse(doc)) if isinstance(d, Finished)] == ["length"]
