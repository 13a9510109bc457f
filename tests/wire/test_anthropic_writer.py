"""Streams of Anthropic Messages, written: legal for the official SDK, whatever comes and in whatever order."""

from __future__ import annotations

import json
from copy import deepcopy

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import Problem
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
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
    SignatureDelta,
    Source,
    Start,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Usage,
    UsageDelta,
    WholePart,
)
from tests.support.anthropic_messages import (
    ALIEN,
    OWN,
    WIRE,
    blocks_out,
    bytes_of,
    call,
    deltas_of,
    events_of,
    legal,
    sdk_message,
    text,
)
from tests.support.properties import examples
from tests.support.streams import reference

A, B = CallStart(part=1, id="a", name="f"), CallStart(part=2, id="b", name="g")

# A busy machine is slow; that is no finding.
PROPERTY = examples(100)


@pytest.mark.parametrize(
    ("deltas", "blocks"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([text(0, "a"), text(0, "b")], ["text: ab"], id="text"),
        pytest.param(
            [ThinkingDelta(part=0, text="hm"), text(1, "a"), ThinkingDelta(part=0, text="so"), text(1, "b")],
            ["thinking: hm", "text: a", "thinking: so", "text: b"],
            id="reasoning after text",
        ),
        pytest.param(
            [
                A,
                B,
                CallDelta(part=2, arguments='{"y"'),
                CallDelta(part=1, arguments='{"x"'),
                CallDelta(part=2, arguments=":2}"),
                CallDelta(part=1, arguments=":1}"),
            ],
            ['f({"x": 1})', 'g({"y": 2})'],
            id="fragments of two calls mixed",
        ),
        pytest.param(
            [A, CallDelta(part=1, arguments='{"x":1}'), B, CallDelta(part=2, arguments='{"y":2}')],
            ['f({"x": 1})', 'g({"y": 2})'],
            id="calls without an end",
        ),
        pytest.param(
            [A, B, PartEnd(part=1), PartEnd(part=2)], ["f({})", "g({})"], id="calls without arguments"
        ),
        pytest.param([A, B], ["f({})", "g({})"], id="calls without arguments and ends"),
        pytest.param(
            [
                A,
                CallDelta(part=1, arguments='{"x":'),
                ThinkingDelta(part=0, text="hm"),
                text(3, "t"),
                CallDelta(part=1, arguments="1}"),
                ThinkingDelta(part=0, text="so"),
            ],
            ['f({"x": 1})', "thinking: hm", "text: t", "thinking: so"],
            id="reasoning and text between the fragments of a call",
        ),
        pytest.param([RefusalDelta(part=0, text="no")], ["text: no"], id="a refusal"),
        pytest.param(
            [ThinkingDelta(part=0, text="a", block=0), ThinkingDelta(part=0, text="b", block=1)],
            ["thinking: a\n\nb"],
            id="paragraphs",
        ),
        pytest.param(
            [ThinkingDelta(part=0, text="hm"), SignatureDelta(part=0, signature=ALIEN)],
            ["thinking: hm [or1.gemini]"],
            id="a foreign signature",
        ),
        pytest.param(
            [SignatureDelta(part=0, signature=OWN), text(1, "x")],
            ["thinking:  [sig]", "text: x"],
            id="omitted reasoning",
        ),
        pytest.param(
            [SignatureDelta(part=0, signature=ALIEN, redacted=True), text(1, "x")],
            ["redacted: or1.gemini", "text: x"],
            id="redacted",
        ),
        pytest.param(
            [SignatureDelta(part=1, signature=ALIEN), A, CallDelta(part=1, arguments='{"x":1}')],
            ["redacted: or1.gemini", 'f({"x": 1})'],
            id="a call's signature before the call",
        ),
        pytest.param(
            [CallStart(part=1, id="a", name="f", signature=ALIEN), CallDelta(part=1, arguments='{"x":1}')],
            ["redacted: or1.gemini", 'f({"x": 1})'],
            id="a call's signature with the call",
        ),
        pytest.param(
            [CallStart(part=1, id="a", name="f", signature=OWN), CallDelta(part=1, arguments='{"x":1}')],
            ['f({"x": 1})'],
            id="a call's signature of our own, which has no place",
        ),
        pytest.param(
            [
                A,
                CallDelta(part=1, arguments='{"x":1}'),
                SignatureDelta(part=1, signature=ALIEN),
                PartEnd(part=1),
            ],
            ['f({"x": 1})', "redacted: or1.gemini"],
            id="a call's signature after the call",
        ),
        pytest.param(
            [text(0, "x"), SignatureDelta(part=0, signature=ALIEN), PartEnd(part=0)],
            ["text: x", "redacted: or1.gemini"],
            id="a text's signature",
        ),
        pytest.param(
            [SignatureDelta(part=0, signature=ALIEN)], ["thinking:  [or1.gemini]"], id="a signature alone"
        ),
        pytest.param(
            [SignatureDelta(part=0, signature=ALIEN), PartEnd(part=0)],
            ["thinking:  [or1.gemini]"],
            id="a signature alone, ended",
        ),
        pytest.param(
            [WholePart(part=0, content=call("a", "f", '{"x":1}'))], ['f({"x": 1})'], id="a whole call"
        ),
        pytest.param(
            [WholePart(part=0, content=Thinking(text="hm", signature=OWN))],
            ["thinking: hm [sig]"],
            id="whole reasoning",
        ),
        pytest.param(
            [WholePart(part=0, content=Image(source=Source(url="https://x")))],
            ["text: ![image](https://x)"],
            id="an image",
        ),
        pytest.param([CallStart(part=0, id="", name="f")], ["f({})"], id="a call without an id"),
        pytest.param(
            [
                CallStart(part=0, id="a", name="p", kind="custom"),
                CallDelta(part=0, arguments='say "hi"'),
                CallDelta(part=0, arguments="\n"),
            ],
            ['p({"input": "say \\"hi\\"\\n"})'],
            id="a free-form call",
        ),
        pytest.param([LogprobsDelta(logprobs={}), text(0, "x")], ["text: x"], id="logprobs"),
        pytest.param(
            [text(0, "x"), TextDelta(part=1, text="y", choice=1)], ["text: x"], id="a second choice"
        ),
        pytest.param(
            [CallDelta(part=7, arguments="{}"), text(0, "x")], ["text: x"], id="arguments of no call"
        ),
    ],
)
def test_pieces_come_out_one_after_the_other(deltas: list[Delta], blocks: list[str]) -> None:
    assert blocks_out(bytes_of(deltas)) == blocks


@pytest.mark.parametrize(
    "tail",
    [
        [UsageDelta(usage=Usage(input=7, output=3, cached=2)), Finished(finish=Finish(reason="length"))],
        [
            Finished(finish=Finish(reason="length")),
            UsageDelta(usage=Usage(input=7, output=3, cached=2)),
            End(),
        ],
    ],
)
def test_usage_may_come_after_the_finish(tail: list[Delta]) -> None:
    events = legal(bytes_of([Start(), text(0, "x"), *tail]))
    assert [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert events[-2]["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2,
        "output_tokens": 3,
    }


def test_usage_that_comes_first_stands_in_message_start() -> None:
    events = legal(bytes_of([Start(), UsageDelta(usage=Usage(input=9, cached=4)), text(0, "x")]))
    assert events[0]["message"]["usage"]["input_tokens"] == 5
    assert legal(bytes_of([text(0, "x")]))[0]["message"]["usage"]["input_tokens"] == 0


def test_an_event_leaves_as_soon_as_it_is_known() -> None:
    writer = WIRE.writer(reference(), Notes())
    out = [
        writer.feed(d) for d in (Start(), text(0, "a"), text(0, "b"), A, CallDelta(part=1, arguments='{"x'))
    ]
    assert [[e["type"] for e in events_of(raw)] for raw in out] == [
        [],
        ["message_start", "content_block_start", "content_block_delta"],
        ["content_block_delta"],
        ["content_block_stop", "content_block_start"],
        ["content_block_delta"],
    ]


@pytest.mark.parametrize("before", [[], [Start()], [text(0, "x")], [A, CallDelta(part=1, arguments="{"), B]])
def test_a_writer_ends_once_and_legally(before: list[Delta]) -> None:
    for problem in (None, Problem(kind="timeout", message="too slow")):
        writer = WIRE.writer(reference(), Notes())
        raw = b"".join(writer.feed(d) for d in before) + writer.close(problem)
        assert writer.close() == writer.close(problem) == writer.feed(text(0, "late")) == b""
        if problem is None:
            assert legal(raw)[-1]["type"] == "message_stop"
            sdk_message(raw)
        else:
            assert events_of(raw)[-1] == {
                "type": "error",
                "error": {"type": "timeout_error", "message": "too slow"},
            }
            with pytest.raises(anthropic.APIStatusError, match="too slow"):
                sdk_message(raw)


def test_a_failure_ends_the_stream_and_leaves_the_block_open() -> None:
    """Claude Code takes a closed call for complete, and would run it."""
    raw = bytes_of([text(0, "x"), Failure(kind="overloaded", message="busy"), text(0, "y"), End()])
    assert [e["type"] for e in legal(raw)][-2:] == ["content_block_delta", "error"]
    assert events_of(raw)[-1]["error"] == {"type": "overloaded_error", "message": "busy"}
    assert events_of(bytes_of([Failure(kind="strange", message="?")]))[-1]["error"]["type"] == "api_error"


def test_signs_of_life() -> None:
    assert events_of(WIRE.keep_alive) == [{"type": "ping"}]
    raw = WIRE.keep_alive + bytes_of([Ping(), text(0, "x"), Ping(), End()])
    assert sdk_message(raw).content[0].text == "x"


PIECES = st.lists(st.sampled_from(["text", "thinking", "call"]), min_size=1, max_size=5)


@PROPERTY
@given(PIECES, st.data())
def test_no_piece_of_a_mixed_stream_is_lost(kinds: list[str], data: st.DataObject) -> None:
    queues: list[list[Delta]] = []
    for part, kind in enumerate(kinds):
        ends: list[Delta] = [PartEnd(part=part)] if data.draw(st.booleans()) else []
        count = data.draw(st.integers(1, 4))
        if kind == "call":
            value = json.dumps({"part": part, "text": "x" * count})
            cuts = sorted(data.draw(st.lists(st.integers(0, len(value)), max_size=3)))
            fragments = [value[a:b] for a, b in zip([0, *cuts], [*cuts, len(value)], strict=True)]
            queues.append(
                [
                    CallStart(part=part, id=f"c{part}", name="f"),
                    *(CallDelta(part=part, arguments=f) for f in fragments),
                    *ends,
                ]
            )
        else:
            make = TextDelta if kind == "text" else ThinkingDelta
            queues.append([*(make(part=part, text=f"{part}.{i};") for i in range(count)), *ends])
    mixed: list[Delta] = []
    sent = deepcopy(queues)
    while any(queues):
        mixed.append(data.draw(st.sampled_from([q for q in queues if q])).pop(0))
    back = deltas_of(bytes_of(mixed))
    legal(bytes_of(mixed))
    for kind, type_ in (("text", TextDelta), ("thinking", ThinkingDelta)):
        said = "".join(d.text for d in back if isinstance(d, type_)).split(";")
        for part, queue in enumerate(sent):
            if kinds[part] == kind:
                mine = [f"{d.text}" for d in queue if isinstance(d, type_)]
                assert [f"{word};" for word in said if word.startswith(f"{part}.")] == mine
    calls: dict[int, str] = {}
    for d in back:
        if isinstance(d, CallDelta):
            calls[d.part] = calls.get(d.part, "") + d.arguments
    assert sorted(json.loads(c)["part"] for c in calls.values()) == [
        i for i, k in enumerate(kinds) if k == "call"
    ]
