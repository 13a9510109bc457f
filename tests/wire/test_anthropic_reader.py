"""Streams of Anthropic Messages, read: recorded ones, cut ones, odd ones; and the tap that only looks."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    Delta,
    End,
    Failure,
    Finish,
    Finished,
    Opaque,
    PartEnd,
    Ping,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.sse import EventSplitter
from tests.support import recordings
from tests.support.anthropic_messages import (
    FORMATS,
    MESSAGE,
    NAME,
    STOP,
    WIRE,
    Doc,
    block,
    bytes_of,
    deltas_of,
    events_of,
    sdk_message,
    sse,
)
from tests.support.properties import examples

# ── streams in ─────────────────────────────────────────────────────────────────────────────────────

STREAMS = [n for f in FORMATS for n in recordings.ids(f, streaming=True)]

# A busy machine is slow; that is no finding.
PROPERTY = examples(100)


def meaning(deltas: list[Delta]) -> list[Delta]:
    """Deltas without how they were cut: neighbours joined, no pings, only the last usage."""
    joined: list[Delta] = []
    usage = [d for d in deltas if isinstance(d, UsageDelta)][-1:]
    for delta in deltas:
        if isinstance(delta, Ping | UsageDelta | Start):
            continue
        last = joined[-1] if joined else None
        if (
            isinstance(delta, TextDelta | ThinkingDelta)
            and type(last) is type(delta)
            and last.part == delta.part
        ):
            joined[-1] = msgspec.structs.replace(delta, text=last.text + delta.text)  # type: ignore[union-attr]
        elif isinstance(delta, CallDelta) and isinstance(last, CallDelta) and last.part == delta.part:
            joined[-1] = CallDelta(part=delta.part, arguments=last.arguments + delta.arguments)
        else:
            joined.append(delta)
    return joined + list(usage)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_keeps_its_meaning(name: str) -> None:
    raw = recordings.load(name).body.encode()
    deltas = deltas_of(raw)
    assert isinstance(deltas[-1], End)
    again = bytes_of(deltas)
    assert meaning(deltas_of(again)) == meaning(deltas)
    first, second = sdk_message(_first_message(raw)), sdk_message(again)
    assert [_said(b) for b in second.content] == [_said(b) for b in first.content]
    assert (second.stop_reason, second.stop_sequence) == (first.stop_reason, first.stop_sequence)
    assert second.usage.input_tokens == first.usage.input_tokens
    assert second.usage.output_tokens == first.usage.output_tokens
    assert second.usage.cache_read_input_tokens == (first.usage.cache_read_input_tokens or 0)


def _first_message(raw: bytes) -> bytes:
    """Some recordings hold several answers, one after the other."""
    end = raw.index(b"message_stop", raw.index(b"message_stop") + 1)
    return raw[:end] + raw[end:].split(b"\n", 1)[0] + b"\n\n"


def _said(block: Any) -> Doc:
    said = {k: v for k, v in block.to_dict().items() if k != "caller" and v is not None}
    return {k: v for k, v in said.items() if not (k == "citations" and not v)}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_may_be_cut_anywhere(name: str) -> None:
    raw = recordings.load(name).body.encode()
    whole = deltas_of(raw)
    for step in (1, 7, 64, 1021):
        assert deltas_of(raw, step=step) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_ends_early_is_broken(name: str) -> None:
    raw = recordings.load(name).body.encode()
    finish = raw.index(b"message_delta")
    for at in range(0, finish, max(1, finish // 30)):
        splitter, reader = EventSplitter(), WIRE.reader()
        deltas = [d for event in splitter.feed(raw[:at]) for d in reader.feed(event)] + list(reader.end())
        assert isinstance(deltas[-1], Failure)
        assert deltas[-1].kind == "bad_gateway"
        assert events_of(bytes_of(deltas))[-1]["type"] == "error"


@pytest.mark.parametrize("name", STREAMS)
def test_the_tap_sees_what_the_reader_reads(name: str) -> None:
    raw = recordings.load(name).body.encode()
    deltas = deltas_of(raw)
    for step in (1, 50, 4096):
        tap = WIRE.tap()
        for at in range(0, len(raw), step):
            tap.feed(raw[at : at + step])
        assert tap.finished
        assert tap.usage == [d.usage for d in deltas if isinstance(d, UsageDelta)][-1]
        assert tap.finish == next(d.finish for d in deltas if isinstance(d, Finished))


@pytest.mark.parametrize(
    ("docs", "expected"),
    [
        pytest.param([MESSAGE, MESSAGE, STOP], [End()], id="two beginnings"),
        pytest.param(
            [STOP, *block(0, {"type": "text", "text": "late"})], [End()], id="nothing counts after the end"
        ),
        pytest.param(
            [*block(0, {"type": "text", "text": "whole"}), STOP],
            [TextDelta(part=0, text="whole"), PartEnd(part=0), End()],
            id="a text that is there at once",
        ),
        pytest.param(
            [{"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}, STOP],
            [TextDelta(part=0, text="x"), PartEnd(part=0), End()],
            id="a delta without its start",
        ),
        pytest.param(
            [
                *block(
                    None,
                    {"type": "text"},
                    {"type": "text_delta", "text": "x"},
                    {"type": "text_delta", "text": None},
                ),
                STOP,
            ],
            [TextDelta(part=0, text="x"), PartEnd(part=0), End()],
            id="no index, null text",
        ),
        pytest.param(
            [*block(0, {"type": "thinking", "thinking": "", "signature": ""}), STOP],
            [End()],
            id="an empty block is nothing",
        ),
        pytest.param(
            [*block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}), STOP],
            [
                CallStart(part=0, id="a", name="f"),
                CallDelta(part=0, arguments='{"x":1}'),
                PartEnd(part=0),
                End(),
            ],
            id="a call with its whole input",
        ),
        pytest.param(
            [
                *block(
                    0,
                    {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                    {"type": "input_json_delta", "partial_json": ""},
                ),
                STOP,
            ],
            [CallStart(part=0, id="a", name="f"), CallDelta(part=0, arguments="{}"), PartEnd(part=0), End()],
            id="a call without arguments",
        ),
        pytest.param(
            [
                {
                    "type": "message_start",
                    "message": {"content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}]},
                },
                *block(0, {"type": "text", "text": "x"}),
                STOP,
            ],
            [
                CallStart(part=0, id="a", name="f"),
                CallDelta(part=0, arguments='{"x":1}'),
                PartEnd(part=0),
                TextDelta(part=1, text="x"),
                PartEnd(part=1),
                End(),
            ],
            id="content in message_start",
        ),
        pytest.param(
            [
                *block(
                    0, {"type": "compaction", "content": "a"}, {"type": "compaction_delta", "content": "b"}
                ),
                STOP,
            ],
            [
                WholePart(
                    part=0,
                    content=Opaque(
                        wire=NAME, doc={"type": "compaction", "content": "ab"}, label="compaction"
                    ),
                ),
                End(),
            ],
            id="a block that only this wire knows",
        ),
        pytest.param([{"type": "news"}, {"type": "ping"}, STOP], [Ping(), End()], id="unknown events"),
        pytest.param(
            [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}],
            [Finished(finish=Finish(native="end_turn")), End()],
            id="a stop reason is an end, too",
        ),
        pytest.param(
            [{"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}, STOP],
            [Failure(kind="rate_limit", message="slow down", native="rate_limit_error")],
            id="an error",
        ),
        pytest.param(
            [
                {"type": "message_delta", "delta": None, "usage": None},
                {"type": "content_block_stop", "index": 9},
            ],
            [
                Failure(
                    kind="bad_gateway", message="The upstream's stream ended before its answer was complete."
                )
            ],
            id="nulls, and no end",
        ),
    ],
)
def test_odd_streams(docs: list[Doc], expected: list[Delta]) -> None:
    deltas = [d for d in deltas_of(sse(*docs)) if not isinstance(d, Start | UsageDelta)]
    assert deltas == expected


def test_totals_of_message_delta_replace_those_of_message_start() -> None:
    start = {
        "type": "message_start",
        "message": {
            "usage": {
                "input_tokens": 5,
                "cache_read_input_tokens": 10,
                "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 0},
                "output_tokens": 1,
            }
        },
    }
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 7, "output_tokens": 9},
    }
    usages = [d.usage for d in deltas_of(sse(start, delta, STOP)) if isinstance(d, UsageDelta)]
    assert usages[-1] == Usage(input=20, output=9, cached=10, cache_write_1h=3)


@pytest.mark.parametrize("data", [b"{", b"<html>", b"\xff", b'{"type": "message_sto'])
def test_broken_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedStream):
        list(WIRE.reader().feed(Event("", data)))


@pytest.mark.parametrize("data", [b"", b"  ", b"[DONE]", b"[]", b"3", b'"x"', b"null", b"{}"])
def test_what_is_no_event_is_skipped(data: bytes) -> None:
    assert list(WIRE.reader().feed(Event("", data))) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "index", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = ["type", "index", "delta", "content_block", "message", "usage", "error"]
TYPES = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
]
INNER = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            [
                "text",
                "thinking",
                "tool_use",
                "server_tool_use",
                "text_delta",
                "input_json_delta",
                "citations_delta",
            ]
        )
        | JSON,
        **dict.fromkeys(
            (
                "text",
                "thinking",
                "partial_json",
                "input",
                "id",
                "usage",
                "content",
                "stop_reason",
                "citation",
                "citations",
            ),
            JSON,
        ),
    },
)
STRANGE = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "index": JSON,
        "delta": INNER | JSON,
        "content_block": INNER | JSON,
        "message": INNER | JSON,
        "usage": JSON,
        "error": JSON,
    },
)


@PROPERTY
@given(st.lists(STRANGE, max_size=8))
def test_strange_but_legal_json_never_raises(docs: list[Doc]) -> None:
    deltas = deltas_of(b"".join(b"data: %s\n\n" % json.dumps(doc).encode() for doc in docs))
    assert isinstance(deltas[-1], End | Failure)
    names = [event["type"] for event in events_of(bytes_of(deltas))]
    assert names[-1] in ("message_stop", "error")


@PROPERTY
@given(st.binary(max_size=200))
def test_bytes_that_are_no_stream_are_malformed_or_cut(raw: bytes) -> None:
    tap = WIRE.tap()
    tap.feed(raw)
    try:
        deltas = deltas_of(raw)
    except MalformedStream:
        return
    assert isinstance(deltas[-1], Failure)


# ── taps ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_tap_is_not_taken_in_by_texts_and_knows_an_error() -> None:
    tap = WIRE.tap()
    tap.feed(sse(*block(0, {"type": "text", "text": 'say {"type":"message_stop"}'})))
    assert not tap.finished
    tap.feed(sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}))
    assert tap.finished and tap.finish is None


def test_the_tap_sees_a_last_event_without_its_blank_line() -> None:
    for raw in (sse(STOP).rstrip(), sse(STOP).replace(b"\n", b"\r\n"), sse(STOP).replace(b"\n", b"\r")):
        tap = WIRE.tap()
        for i in range(len(raw)):
            tap.feed(raw[i : i + 1])
        assert tap.finished
