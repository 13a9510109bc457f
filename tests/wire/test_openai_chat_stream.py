"""Streamed Chat Completions answers: what many servers send is read, and what is written is what the SDK expects."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream, Problem
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    Audio,
    CallDelta,
    CallStart,
    Citation,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finish,
    Finished,
    Image,
    LogprobsDelta,
    Notes,
    Opaque,
    PartEnd,
    Ping,
    Refusal,
    RefusalDelta,
    Signature,
    SignatureDelta,
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
from omniroute.wire.openai_chat import OpenAIChat
from omniroute.wire.sse import EventSplitter
from tests.support import recordings, streams
from tests.support.properties import examples
from tests.support.streams import reference

PROPERTY = examples(100)

WIRE = OpenAIChat()
FORMATS = ("openai-chat", "mistral-chat")
STREAMS = [name for format in FORMATS for name in recordings.ids(format, streaming=True)]
WITH_USAGE: Doc = {"stream_options": {"include_usage": True}}


def read(*chunks: bytes) -> list[Delta]:
    return streams.deltas_of(WIRE, *chunks)


def write(deltas: Iterable[Delta], request: Doc | None = None, notes: Notes | None = None) -> bytes:
    return streams.bytes_of(WIRE, deltas, notes, reference(request))


def meaning(deltas: list[Delta]) -> Any:
    """What was said in each choice: reasoning, text, refusal, calls, finish; and the last usage."""
    choices: dict[int, dict[str, Any]] = {}
    calls: dict[int, list[str]] = {}
    usage = None
    for delta in deltas:
        if isinstance(delta, UsageDelta):
            usage = delta.usage
        choice = choices.setdefault(
            getattr(delta, "choice", 0), {"thinking": "", "text": "", "refusal": "", "calls": []}
        )
        if isinstance(delta, ThinkingDelta):
            choice["thinking"] += delta.text
        elif isinstance(delta, TextDelta):
            choice["text"] += delta.text
        elif isinstance(delta, RefusalDelta):
            choice["refusal"] += delta.text
        elif isinstance(delta, CallStart):
            calls[delta.part] = [delta.id, delta.name, ""]
            choice["calls"].append(calls[delta.part])
        elif isinstance(delta, CallDelta):
            calls[delta.part][2] += delta.arguments
        elif isinstance(delta, Finished):
            choice["finish"] = delta.finish.reason
    for choice in choices.values():
        choice["calls"] = [(id, name, arguments or "{}") for id, name, arguments in choice["calls"]]
    return choices, usage


# ── real streams ─────────────────────────────────────────────────────────────────────────────────


def recorded(name: str) -> bytes:
    body = recordings.load(name).body
    if not isinstance(body, str) or "data:" not in body:
        pytest.skip("no stream came of it")
    return body.encode()


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_keeps_its_meaning(name: str) -> None:
    deltas = read(recorded(name))
    if "error" in recordings.load(name).features and isinstance(deltas[-1], Failure):
        return
    assert isinstance(next(d for d in deltas if not isinstance(d, Ping)), Start)
    assert isinstance(deltas[-1], End)
    again = read(write(deltas, WITH_USAGE))
    assert normal(meaning(again)) == normal(meaning(deltas))


def normal(found: Any) -> Any:
    """Reasoning in several pieces is shown with an empty line between them."""
    choices, usage = found
    for choice in choices.values():
        choice["thinking"] = "".join(choice["thinking"].split())
    return choices, usage


@pytest.mark.parametrize("name", STREAMS)
def test_a_cut_anywhere_changes_nothing(name: str) -> None:
    raw = recorded(name)
    whole = read(raw)
    cuts = range(1, len(raw)) if len(raw) < 30 else random.Random(7).sample(range(1, len(raw)), 30)
    for cut in cuts:
        splitter = EventSplitter()
        events = splitter.feed(raw[:cut]) + splitter.feed(raw[cut:]) + splitter.end()
        reader = WIRE.reader()
        found = [delta for event in events for delta in reader.feed(event)]
        assert [*found, *reader.end()] == whole, f"cut at {cut}"


@pytest.mark.parametrize("name", STREAMS)
def test_the_tap_sees_what_the_reader_sees(name: str) -> None:
    raw = recorded(name)
    deltas = read(raw)
    usage = [delta.usage for delta in deltas if isinstance(delta, UsageDelta)]
    finish = [delta.finish for delta in deltas if isinstance(delta, Finished) and delta.finish.native]
    for size in (len(raw), 1000, 13):
        tap = WIRE.tap()
        for start in range(0, len(raw), size):
            tap.feed(raw[start : start + size])
        assert tap.usage == (usage[-1] if usage else None)
        assert tap.finish == (finish[0] if finish else None)
        assert tap.finished is (b"[DONE]" in raw or bool(finish))


@pytest.mark.parametrize("name", STREAMS)
def test_the_sdk_understands_what_is_written(name: str) -> None:
    deltas = read(recorded(name))
    if isinstance(deltas[-1], Failure):
        pytest.skip("a stream that failed")
    completion = through_sdk(write(deltas, WITH_USAGE))
    choices, usage = meaning(deltas)
    for choice in completion.choices:
        expected = choices[choice.index]
        assert (choice.message.content or "") == expected["text"]
        calls = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or []]
        assert calls == expected["calls"]
        reasoning = getattr(choice.message, "reasoning_content", None) or ""
        assert "".join(reasoning.split()) == "".join(expected["thinking"].split())
    if usage is not None:
        assert completion.usage.completion_tokens == usage.output
        assert completion.usage.prompt_tokens == usage.input


def through_sdk(raw: bytes) -> Any:
    """The completion that OpenAI's own accumulator makes of a stream."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)
        with client.chat.completions.stream(model="m", messages=[]) as stream:
            try:
                for _ in stream:
                    pass
                return stream.get_final_completion()
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                # Thrown so that nobody parses what was cut; the completion is there all the same.
                return stream.current_completion_snapshot


# ── in: dialects ─────────────────────────────────────────────────────────────────────────────────


def chunk(delta: Doc, finish: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "x", "choices": [choice], **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def calls(*entries: Doc) -> bytes:
    return chunk({"tool_calls": list(entries)})


def called(*chunks: bytes) -> list[tuple[str, str]]:
    choices, _ = meaning(read(*chunks, DONE))
    return [(name, arguments) for _, name, arguments in choices[0]["calls"]]


def call(name: str = "", arguments: Any = None, **more: Any) -> Doc:
    function = {"name": name} if name else {}
    return {"function": function | ({} if arguments is None else {"arguments": arguments}), **more}


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        # Fragments, as OpenAI sends them.
        (
            [
                calls(call("f", "", index=0, id="a", type="function")),
                calls(call(arguments='{"x"', index=0)),
                calls(call(arguments=":1}", index=0)),
            ],
            [("f", '{"x":1}')],
        ),
        # Fragments of two calls, mixed.
        (
            [
                calls(call("f", "[", index=0, id="a"), call("g", "(", index=1, id="b")),
                calls(call(arguments="]", index=0)),
                calls(call(arguments=")", index=1)),
            ],
            [("f", "[]"), ("g", "()")],
        ),
        # Whole calls without an index, without a type, in one delta or in several.
        ([calls(call("f", "{}", id="a"), call("g", "{}", id="b"))], [("f", "{}"), ("g", "{}")]),
        ([calls(call("f", "{}", id="a")), calls(call("g", "{}", id="b"))], [("f", "{}"), ("g", "{}")]),
        # … without an id either; equal ones are still two.
        ([calls(call("f", "{}")), calls(call("f", "{}"))], [("f", "{}"), ("f", "{}")]),
        # All under index 0, told apart by their ids, or only by their names.
        (
            [calls(call("f", "{}", index=0, id="a")), calls(call("f", "{}", index=0, id="b"))],
            [("f", "{}"), ("f", "{}")],
        ),
        (
            [calls(call("f", "{}", index=0, id="")), calls(call("g", "{}", index=0, id=""))],
            [("f", "{}"), ("g", "{}")],
        ),
        # Empty ids, repeated names and types in later fragments.
        (
            [
                calls(call("f", "", index=0, id="a", type="function")),
                calls(call("f", '{"x"', index=0, id="", type="function")),
                calls(call("f", ":1}", index=0, id=None, type=None)),
            ],
            [("f", '{"x":1}')],
        ),
        # The id comes first, the name later: the arguments wait.
        (
            [calls(call(arguments="{", index=0, id="a")), calls(call("f", "}", index=0))],
            [("f", "{}")],
        ),
        # Arguments that are an object already.
        ([calls(call("f", {"x": 1}, index=0, id="a"))], [("f", '{"x":1}')]),
        # Nothing but zero values is nothing.
        ([calls(call("", "", index=0, id=""))], []),
        ([chunk({"tool_calls": None}), chunk({"tool_calls": []})], []),
        # The legacy form.
        (
            [
                chunk({"function_call": {"name": "f", "arguments": ""}}),
                chunk({"function_call": {"arguments": "{}"}}),
            ],
            [("f", "{}")],
        ),
        # A whole choice instead of a delta.
        (
            [
                b'data: {"choices":[{"index":0,"message":{"tool_calls":[{"id":"a","function":{"name":"f"}}]}}]}\n\n'
            ],
            [("f", "{}")],
        ),
        # Free-form tools.
        (
            [
                calls({"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "4 "}}),
                calls({"index": 0, "custom": {"input": "+ 4"}}),
            ],
            [("f", "4 + 4")],
        ),
    ],
)
def test_calls_of_many_servers(chunks: list[bytes], expected: list[tuple[str, str]]) -> None:
    assert called(*chunks) == expected


def test_an_id_is_never_overwritten_nor_missing() -> None:
    first = calls(call("f", "", index=0, id="a"))
    deltas = read(first, calls(call(arguments="{}", index=0, id="")), calls(call("g", "{}")), DONE)
    ids = [delta.id for delta in deltas if isinstance(delta, CallStart)]
    assert ids[0] == "a" and ids[1].startswith("call_")
    assert deltas == read(first, calls(call(arguments="{}", index=0, id="")), calls(call("g", "{}")), DONE), (
        "a made id stays the same"
    )


@pytest.mark.parametrize(
    ("chunks", "thinking", "text"),
    [
        ([chunk({"reasoning_content": "hm"}), chunk({"content": "a"})], "hm", "a"),
        ([chunk({"reasoning": "hm", "channel": "analysis"}), chunk({"content": "a"})], "hm", "a"),
        (
            [chunk({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]})],
            "hm",
            "",
        ),
        ([chunk({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]})], "hm", ""),
        ([chunk({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]})], "hm", ""),
        ([chunk({"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}]})], "hm", ""),
        ([chunk({"content": [{"type": "text", "text": "a"}]})], "", "a"),
        (
            [chunk({"content": "<think>h"}), chunk({"content": "m</th"}), chunk({"content": "ink>a"})],
            "hm",
            "a",
        ),
        ([chunk({"content": "<"}), chunk({"content": "b>"})], "", "<b>"),
        ([chunk({"content": "<think"})], "", "<think"),
        ([chunk({"content": None, "reasoning_content": None, "reasoning": ""})], "", ""),
    ],
)
def test_reasoning_of_many_servers(chunks: list[bytes], thinking: str, text: str) -> None:
    choice = meaning(read(*chunks, DONE))[0].get(0, {"thinking": "", "text": ""})
    assert (choice["thinking"], choice["text"]) == (thinking, text)


def test_reasoning_and_text_take_turns_as_parts() -> None:
    deltas = read(
        chunk({"reasoning_content": "a"}),
        chunk({"content": "b"}),
        chunk({"reasoning_content": "c"}),
        chunk({"content": "d"}, "stop"),
    )
    parts = [(d.part, d.text) for d in deltas if isinstance(d, TextDelta | ThinkingDelta)]
    assert parts == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


@pytest.mark.parametrize(
    ("chunks", "outputs"),
    [
        ([chunk({}, "stop", usage={"completion_tokens": 5})], [5]),
        ([chunk({}, "stop"), b'data: {"choices":[],"usage":{"completion_tokens":5}}\n\n'], [5]),
        (
            [chunk({}, usage={"completion_tokens": 1}), chunk({}, "stop", usage={"completion_tokens": 5})],
            [1, 5],
        ),
        (
            [
                chunk(
                    {},
                    "stop",
                    usage={"completion_tokens": 5},
                    x_groq={"usage": {"completion_tokens": 5}},
                )
            ],
            [5],
        ),
        ([chunk({}, "stop", x_groq={"usage": {"completion_tokens": 5}})], [5]),
        ([chunk({}, "stop", usage=None)], []),
        (
            [b'data: {"choices":[{"index":0,"finish_reason":"stop","usage":{"completion_tokens":5}}]}\n\n'],
            [5],
        ),
        ([chunk({}, "stop", usage={"completion_tokens": 5}), DONE, DONE], [5]),
    ],
)
def test_usage_comes_anywhere(chunks: list[bytes], outputs: list[int]) -> None:
    deltas = read(*chunks)
    assert [delta.usage.output for delta in deltas if isinstance(delta, UsageDelta)] == outputs
    assert isinstance(deltas[-1], End)


@pytest.mark.parametrize(
    ("chunks", "finish", "last"),
    [
        ([chunk({"content": "a"}, "stop"), DONE], Finish(native="stop"), End()),
        ([chunk({"content": "a"}, "stop")], Finish(native="stop"), End()),  # no [DONE]
        ([chunk({"content": "a"}), DONE], Finish(), End()),  # no finish reason
        ([chunk({"content": "a"}, ""), DONE], Finish(), End()),
        ([chunk({}, "length"), chunk({}, "length"), DONE], Finish(reason="length", native="length"), End()),
        (
            [calls(call("f", "{}")), chunk({}, "stop"), DONE],
            Finish(reason="tool_calls", native="stop"),
            End(),
        ),
    ],
)
def test_the_end_of_a_stream(chunks: list[bytes], finish: Finish, last: Delta) -> None:
    deltas = read(*chunks)
    assert [delta.finish for delta in deltas if isinstance(delta, Finished)] == [finish]
    assert deltas[-1] == last


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b"<html><body>Bad gateway</body></html>"],
        [b": keep-alive\n\n"],
        [chunk({"role": "assistant"}), chunk({"content": "a"})],
        [chunk({"content": "a"}, "stop"), chunk({}, index=1).replace(b'"index": 0', b'"index": 1')],
    ],
)
def test_a_stream_without_its_end_is_broken(chunks: list[bytes]) -> None:
    last = read(*chunks)[-1]
    assert isinstance(last, Failure) and last.kind == "bad_gateway"


@pytest.mark.parametrize(
    ("event", "kind", "native"),
    [
        (b'data: {"error":{"message":"Overloaded","code":503}}\n\n', "overloaded", "503"),
        (b'data: {"error":"rate limit reached"}\n\n', "rate_limit", None),
        (b'event: error\ndata: {"message":"x","type":"server_error"}\n\n', "server", "server_error"),
        (b'data: {"object":"error","message":"x","code":404}\n\n', "not_found", "404"),
        (
            b'event: error\ndata: {"error":{"code":"tool_use_failed","status_code":400}}\n\n',
            "invalid_request",
            "tool_use_failed",
        ),
        (
            b'data: {"id":"x","error":{"code":502,"message":"x"},"choices":[{"index":0,"delta":{"content":""}}]}\n\n',
            "bad_gateway",
            "502",
        ),
    ],
)
def test_an_error_in_the_stream(event: bytes, kind: str, native: str | None) -> None:
    deltas = read(chunk({"content": "a"}), event, chunk({"content": "never seen"}), DONE)
    failures = [delta for delta in deltas if isinstance(delta, Failure)]
    assert [(failure.kind, failure.native) for failure in failures] == [(kind, native)]
    assert deltas[-1] is failures[0]
    assert meaning(deltas)[0][0]["text"] == "a"


@pytest.mark.parametrize("data", [b"{", b"{'a': 1}", b"\xff", b'{"a":}'])
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedStream):
        list(WIRE.reader().feed(Event("", data)))


@pytest.mark.parametrize(
    "data", [b"", b" ", b"null", b"7", b"[]", b'"x"', b"{}", b'{"choices":null}', b'{"choices":[null]}']
)
def test_odd_json_is_only_a_sign_of_life(data: bytes) -> None:
    assert list(WIRE.reader().feed(Event("", data))) in ([], [Ping()])


def test_azure_like_first_chunk_without_id_or_choices() -> None:
    deltas = read(
        b'data: {"choices":[],"created":0,"id":"","model":"","prompt_filter_results":[]}\n\n',
        chunk({"role": "assistant"}, model="gpt", created=5),
        chunk({"content": "a"}, "stop"),
    )
    assert [d for d in deltas if isinstance(d, Start)] == [Start(id="x", model="gpt", created=5)]


def test_sources_in_every_chunk_are_cited_once() -> None:
    sources = {"citations": ["https://a", "https://b"]}
    deltas = read(chunk({"content": "a"}, **sources), chunk({"content": "b"}, "stop", **sources), DONE)
    cited = [delta.citation.url for delta in deltas if isinstance(delta, CitationDelta)]
    assert cited == ["https://a", "https://b"]


def test_audio_in_pieces_is_one_audio() -> None:
    deltas = read(
        chunk({"audio": {"id": "a1", "transcript": "he"}}),
        chunk({"audio": {"data": "AQ=="}}),
        chunk({"audio": {"data": "AgM=", "transcript": "y"}}),
        chunk({"audio": {"expires_at": 9}}, "stop"),
    )
    audio = [delta.content for delta in deltas if isinstance(delta, WholePart)]
    source = Source(data="AQID", media_type="audio/pcm")
    assert audio == [Audio(source=source, transcript="hey", id="a1")]


OWN = '{"type":"reasoning.text","signature":"s","index":0}'


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (
            [
                chunk({"reasoning_content": "hm"}),
                chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
            ],
            [(0, Signature(value=OWN, wire="openai-chat"), False)],
        ),
        (
            [
                chunk({"reasoning_content": "hm"}),
                chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]}),
            ],
            [
                (
                    1,
                    Signature(value='{"type":"reasoning.encrypted","data":"d"}', wire="openai-chat"),
                    True,
                )
            ],
        ),
        (
            [calls(call("f", "{}", id="a") | {"extra_content": {"google": {"thought_signature": "s"}}})],
            [(0, Signature(value="s", wire="openai-chat"), False)],
        ),
        (
            [chunk({"content": "a", "extra_content": {"google": {"thought_signature": "s"}}})],
            [(0, Signature(value="s", wire="openai-chat"), False)],
        ),
    ],
)
def test_signatures_are_read(chunks: list[bytes], expected: list[Any]) -> None:
    deltas = read(*chunks, DONE)
    assert [(d.part, d.signature, d.redacted) for d in deltas if isinstance(d, SignatureDelta)] == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.sampled_from(["stop", "f", "{}"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "id", "index", "delta", "message", "content", "role", "tool_calls", "function", "name",
                "arguments", "custom", "input", "type", "text", "thinking", "finish_reason", "usage",
                "reasoning", "reasoning_content", "reasoning_details", "signature", "data", "logprobs",
                "prompt_tokens", "completion_tokens_details", "reasoning_tokens", "error", "code", "audio",
                "extra_content", "google", "thought_signature", "images", "image_url", "annotations",
                "url_citation", "refusal", "function_call", "citations", "search_results", "url",
            ]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@PROPERTY
@given(st.lists(st.lists(json_values, max_size=3), max_size=5))
def test_any_json_is_read(choices: list[list[Any]]) -> None:
    """Whatever the servers of the world send, as long as it is JSON, nothing but deltas comes of it."""
    reader = WIRE.reader()
    deltas = [d for c in choices for d in reader.feed(Event("", json.dumps({"choices": c}).encode()))]
    deltas += reader.end()
    assert isinstance(deltas[-1], End | Failure)
    assert events(write(deltas))[-1] == "[DONE]"
    numbers = [d.part for d in deltas if isinstance(d, CallStart | WholePart)]
    assert len(numbers) == len(set(numbers)), "no number stands for two pieces"


@PROPERTY
@given(st.dictionaries(st.sampled_from(["id", "choices", "usage", "error", "model", "created"]), json_values))
def test_any_document_is_read(doc: Doc) -> None:
    data = json.dumps(doc).encode()
    for delta in WIRE.reader().feed(Event("", data)):
        assert isinstance(delta, Delta)
    tap = WIRE.tap()
    tap.feed(b"data: " + data + b"\n\n")
    WIRE.glance(data)


@PROPERTY
@given(st.binary(max_size=60))
def test_garbage_is_malformed_or_nothing(data: bytes) -> None:
    reader = WIRE.reader()
    try:
        deltas = list(reader.feed(Event("", data)))
    except MalformedStream:
        return
    assert all(isinstance(delta, Ping | End | Failure) for delta in deltas)


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


def events(raw: bytes) -> list[Any]:
    splitter = EventSplitter()
    found = splitter.feed(raw) + splitter.end()
    return ["[DONE]" if e.data == b"[DONE]" else json.loads(e.data) for e in found]


def said(raw: bytes) -> list[Any]:
    """The deltas of the first choice that hold something, and its finish reasons."""
    found: list[Any] = []
    for event in events(raw):
        for choice in event["choices"] if "choices" in event else []:
            found += [choice["delta"]] if choice["delta"].keys() - {"role"} else []
            found += [choice["finish_reason"]] if choice["finish_reason"] else []
    return found[1:] if found and found[0] == {"role": "assistant", "content": "", "refusal": None} else found


FOREIGN = Signature(value="c2ln", wire="anthropic-messages")


def test_every_golden_stream_suits_the_sdk() -> None:
    root = Path(__file__).resolve().parents[1] / "golden"
    seen = 0
    for path in sorted(root.glob("*/*/deltas.jsonl")):
        deltas = [
            msgspec.json.decode(line, type=Delta)  # type: ignore[arg-type]  # a union is a type here
            for line in path.read_text().splitlines()
        ]
        customs = any(isinstance(d, CallStart) and d.kind == "custom" for d in deltas)
        if customs or not isinstance(deltas[-1], End):
            continue  # the SDK's own stream types know no custom calls
        completion = through_sdk(write(deltas, WITH_USAGE))
        assert completion.choices[0].finish_reason, path
        seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([], ["stop"]),
        ([Start(id="x"), End()], ["stop"]),
        ([TextDelta(part=0, text="a")], [{"content": "a"}, "stop"]),
        (
            [TextDelta(part=0, text="a"), Finished(finish=Finish(reason="length")), Finished(finish=Finish())],
            [{"content": "a"}, "length"],
        ),
        ([RefusalDelta(part=0, text="no")], [{"refusal": "no"}, "stop"]),
        # Pieces of reasoning, and the blocks of one piece, stand apart.
        (
            [
                ThinkingDelta(part=0, text="a"),
                ThinkingDelta(part=0, text="b"),
                ThinkingDelta(part=0, text="c", block=1),
                ThinkingDelta(part=1, text="d"),
            ],
            [
                {"reasoning_content": "a"},
                {"reasoning_content": "b"},
                {"reasoning_content": "\n\nc"},
                {"reasoning_content": "\n\nd"},
                "stop",
            ],
        ),
        # Calls that come mixed go out mixed, each under its index; one without arguments gets an empty object.
        (
            [
                CallStart(part=3, id="a", name="f"),
                CallStart(part=5, id="b", name="g"),
                CallDelta(part=5, arguments="{"),
                CallDelta(part=5, arguments="}"),
            ],
            [
                {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
                {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
                {"tool_calls": [{"index": 1, "function": {"arguments": "{"}}]},
                {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
                "tool_calls",
            ],
        ),
        (
            [CallStart(part=0, id="", name="f"), PartEnd(part=0), Finished(finish=Finish(reason="stop"))],
            [
                {"tool_calls": [{"index": 0, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
                "tool_calls",
            ],
        ),
        # Fragments of a call that was never opened belong to nothing.
        ([CallDelta(part=9, arguments="{}")], ["stop"]),
        (
            [
                WholePart(part=0, content=Text(text="a")),
                WholePart(part=1, content=Refusal(text="no")),
                WholePart(part=2, content=Thinking(text="hm")),
                WholePart(part=3, content=ToolCall(id="c", name="f", arguments="{}")),
                WholePart(part=4, content=Image(source=Source(url="https://a"))),
            ],
            [
                {"content": "a"},
                {"refusal": "no"},
                {"reasoning_content": "hm"},
                {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
                {"images": [{"index": 0, "type": "image_url", "image_url": {"url": "https://a"}}]},
                "tool_calls",
            ],
        ),
        (
            [
                TextDelta(part=0, text="ab"),
                TextDelta(part=1, text="cd"),
                CitationDelta(part=1, citation=Citation(url="https://a", title="A")),
                CitationDelta(part=0, citation=Citation(kind="file", file_id="f")),
            ],
            [
                {"content": "ab"},
                {"content": "cd"},
                {
                    "annotations": [
                        {
                            "index": 0,
                            "type": "url_citation",
                            "url_citation": {"url": "https://a", "title": "A", "start_index": 2, "end_index": 4},
                        }
                    ]
                },
                "stop",
            ],
        ),
        ([TextDelta(part=0, text="a"), Ping()], [{"content": "a"}, "stop"]),
    ],
)  # fmt: skip
def test_what_is_written(deltas: list[Delta], expected: list[Any]) -> None:
    raw = write(deltas)
    assert said(raw) == expected
    assert events(raw)[-1] == "[DONE]" and events(raw).count("[DONE]") == 1
    through_sdk(raw)


def test_an_event_leaves_as_soon_as_it_is_known() -> None:
    writer = WIRE.writer(reference(), Notes())
    for delta in (
        Start(),
        TextDelta(part=0, text="a"),
        ThinkingDelta(part=1, text="b"),
        CallStart(part=2, id="c", name="f"),
        CallDelta(part=2, arguments="{}"),
        Finished(finish=Finish()),
        End(),
    ):
        assert writer.feed(delta).endswith(b"\n\n"), delta


@pytest.mark.parametrize(
    ("request_body", "usage"),
    [
        (WITH_USAGE, True),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": None}, False),
        ({}, False),
    ],
)
def test_usage_is_told_to_those_who_asked(request_body: Doc, usage: bool) -> None:
    deltas: list[Delta] = [
        TextDelta(part=0, text="a"),
        UsageDelta(usage=Usage(input=3, output=1)),
        Finished(finish=Finish()),
        UsageDelta(usage=Usage(input=3, output=2, cached=1)),
        End(),
    ]
    found = events(write(deltas, request_body))[:-1]
    counted = [event for event in found if event.get("usage")]
    assert len(counted) == (1 if usage else 0)
    if usage:
        assert counted[0] is found[-1] and counted[0]["choices"] == []
        assert counted[0]["usage"]["completion_tokens"] == 2
        assert all(event["usage"] is None for event in found[:-1])
    else:
        assert all("usage" not in event for event in found)


def test_several_choices_stay_apart() -> None:
    deltas: list[Delta] = [
        Start(id="chatcmpl-9"),
        TextDelta(part=0, text="a", choice=0),
        TextDelta(part=1, text="b", choice=1),
        CallStart(part=2, id="c", name="f", choice=1),
        Finished(finish=Finish(), choice=0),
        Finished(finish=Finish(reason="tool_calls"), choice=1),
        End(),
    ]
    completion = through_sdk(write(deltas))
    assert [c.message.content for c in completion.choices] == ["a", "b"]
    assert [c.finish_reason for c in completion.choices] == ["stop", "tool_calls"]
    assert completion.choices[1].message.tool_calls[0].function.name == "f"
    assert completion.id == "chatcmpl-9"


def test_logprobs_are_passed_on() -> None:
    logprobs = {
        "content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}],
        "refusal": None,
    }
    completion = through_sdk(write([TextDelta(part=0, text="a"), LogprobsDelta(logprobs=logprobs)]))
    assert completion.choices[0].logprobs.content[0].token == "a"


@pytest.mark.parametrize(
    ("deltas", "place"),
    [
        (
            [ThinkingDelta(part=0, text="hm"), SignatureDelta(part=0, signature=FOREIGN)],
            Thinking(text="hm", signature=FOREIGN),
        ),
        (
            [SignatureDelta(part=0, signature=FOREIGN, redacted=True)],
            Thinking(signature=FOREIGN, redacted=True),
        ),
        (
            [CallStart(part=0, id="c", name="f"), SignatureDelta(part=0, signature=FOREIGN)],
            ToolCall(id="c", name="f", signature=FOREIGN),
        ),
        (
            [CallStart(part=0, id="c", name="f", signature=FOREIGN)],
            ToolCall(id="c", name="f", signature=FOREIGN),
        ),
        (
            [TextDelta(part=0, text="a"), SignatureDelta(part=0, signature=FOREIGN)],
            Text(text="a", signature=FOREIGN),
        ),
    ],
)
def test_foreign_signatures_come_back_through_the_sdk(deltas: list[Delta], place: Any) -> None:
    """A client that sends back the message its SDK made gives every signature back."""
    message = through_sdk(write(deltas)).choices[0].message.model_dump(mode="json")
    talk = WIRE.read_request({"model": "m", "messages": [message]})
    assert place in talk.turns[0].parts


def test_a_signature_that_is_known_stands_where_the_call_begins() -> None:
    """The AI SDK looks for it nowhere else."""
    raw = write([CallStart(part=0, id="c", name="f", signature=FOREIGN)])
    calls = [call for delta in said(raw) if isinstance(delta, dict) for call in delta.get("tool_calls", ())]
    assert [("name" in call["function"], "extra_content" in call) for call in calls] == [
        (True, True),
        (False, False),
    ]


def test_a_client_of_the_legacy_functions() -> None:
    deltas: list[Delta] = [
        CallStart(part=0, id="a", name="f"),
        CallDelta(part=0, arguments="{}"),
        CallStart(part=1, id="b", name="g"),
        CallDelta(part=1, arguments="{}"),
    ]
    notes = Notes()
    raw = write(deltas, {"functions": [{"name": "f"}]}, notes)
    assert said(raw) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        "function_call",
    ]
    assert notes.dropped == ["tool_calls[1:]"]


def test_a_free_form_tool_gets_its_text() -> None:
    request = {"tools": [{"type": "custom", "custom": {"name": "f"}}]}
    deltas: list[Delta] = [
        CallStart(part=0, id="a", name="f"),
        CallDelta(part=0, arguments='{"input":"4 '),
        CallDelta(part=0, arguments='+ 4"}'),
    ]
    assert said(write(deltas, request)) == [
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "4 + 4"}}]},
        "tool_calls",
    ]


def test_content_that_has_no_place_is_noted() -> None:
    notes = Notes()
    content = Opaque(wire="gemini", doc={}, label="executableCode")
    write([WholePart(part=0, content=content)], notes=notes)
    assert notes.dropped == ["executableCode"]


SOME: list[Delta] = [
    Start(),
    ThinkingDelta(part=0, text="hm"),
    SignatureDelta(part=0, signature=FOREIGN),
    TextDelta(part=1, text="a"),
    CallStart(part=2, id="c", name="f"),
    CallDelta(part=2, arguments="{"),
    UsageDelta(usage=Usage(input=1)),
    Finished(finish=Finish(reason="tool_calls")),
    End(),
]


@pytest.mark.parametrize("length", range(len(SOME) + 1))
def test_a_stream_can_be_closed_at_any_time(length: int) -> None:
    writer = WIRE.writer(reference(WITH_USAGE), Notes())
    raw = b"".join(writer.feed(delta) for delta in SOME[:length]) + writer.close()
    assert events(raw)[-1] == "[DONE]" and raw.count(b"[DONE]") == 1
    through_sdk(raw)
    assert (writer.close(), writer.feed(SOME[1])) == (b"", b"")


@pytest.mark.parametrize("length", range(len(SOME)))
def test_a_stream_can_fail_at_any_time(length: int) -> None:
    problem = Problem(kind="overloaded", message="Too busy.")
    closed = WIRE.writer(reference(), Notes())
    raw = b"".join(closed.feed(delta) for delta in SOME[:length]) + closed.close(problem)
    failed = WIRE.writer(reference(), Notes())
    told = [*SOME[:length], Failure(kind="overloaded", message="Too busy.")]
    assert b"".join(failed.feed(delta) for delta in told) == raw
    assert closed.close() == failed.close() == b""
    assert events(raw)[-2]["error"]["message"] == "Too busy."
    assert events(raw)[-1] == "[DONE]"
    with pytest.raises(openai.APIError, match="Too busy"):
        through_sdk(raw)


def test_the_error_event_of_a_stream_that_passed_as_bytes() -> None:
    raw = WIRE.error_event(Problem(kind="bad_gateway", message="It broke."), "req_1")
    assert events(raw)[0]["error"]["request_id"] == "req_1"
    assert events(raw)[1] == "[DONE]"
    assert WIRE.keep_alive.startswith(b":") and events(WIRE.keep_alive) == []


delta_lists = st.lists(
    st.one_of(
        st.builds(TextDelta, part=st.just(0), text=st.text(max_size=3), choice=st.integers(0, 1)),
        st.builds(ThinkingDelta, part=st.integers(1, 2), text=st.text(max_size=3), block=st.integers(0, 1)),
        st.builds(SignatureDelta, part=st.integers(0, 6), signature=st.just(FOREIGN), redacted=st.booleans()),
        st.builds(CallStart, part=st.integers(3, 5), id=st.sampled_from(["", "a"]), name=st.just("f")),
        st.builds(CallDelta, part=st.integers(3, 6), arguments=st.text(max_size=3)),
        st.builds(PartEnd, part=st.integers(0, 6)),
        st.builds(Finished, finish=st.just(Finish()), choice=st.integers(0, 1)),
        st.builds(UsageDelta, usage=st.just(Usage(input=1))),
        st.just(Ping()),
    ),
    max_size=12,
)


@PROPERTY
@given(delta_lists)
def test_any_order_is_written_legally(deltas: list[Delta]) -> None:
    """Every stream starts with the role, ends with one `[DONE]`, and gives each choice one finish reason."""
    found = events(write(deltas, WITH_USAGE))
    assert found[-1] == "[DONE]" and found.count("[DONE]") == 1
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    choices = [choice for event in found[:-1] for choice in event["choices"]]
    for index in {choice["index"] for choice in choices}:
        assert [c["finish_reason"] for c in choices if c["index"] == index].count(None) == (
            len([c for c in choices if c["index"] == index]) - 1
        )


# ── the tap ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "output", "reason", "finished"),
    [
        (chunk({"content": "a"}), None, None, False),
        (chunk({"content": '"usage":{ [DONE] "finish_reason":"stop"'}), None, None, False),
        (chunk({}, "stop"), None, "stop", True),
        (chunk({}, "length", usage={"completion_tokens": 5}), 5, "length", True),
        (calls(call("f", "{}")) + chunk({}, "stop"), None, "tool_calls", True),
        (b'data:{"usage":{"completion_tokens":5}}\n\ndata:[DONE]\n\n', 5, None, True),
        (b'data: {"usage" : {"completion_tokens": 5}, "finish_reason": "x"}\r\n\r\n', 5, None, False),
        (b'data: {"usage":{"completion_tokens":5}}', 5, None, False),  # no line end
        (b"data: [DONE]", None, None, True),
        (b'data: {"usage":{"completion_tokens":5}}\r\rdata: [DONE]\r\r', 5, None, True),
        (b'data: {"usage":{broken\n\n', None, None, False),
        (b"", None, None, False),
    ],
)
def test_the_tap(raw: bytes, output: int | None, reason: str | None, finished: bool) -> None:
    for size in (len(raw) or 1, 5, 1):
        tap = WIRE.tap()
        for start in range(0, len(raw), size):
            tap.feed(raw[start : start + size])
        assert (tap.usage and tap.usage.output, tap.finish and tap.finish.reason) == (output, reason)
        assert tap.finished is finished
