"""The short way that most events of a stream take leads to the same as the long one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream
from omniroute.wire.anthropic_reader import AnthropicReader
from omniroute.wire.codec import Event
from omniroute.wire.conversation import TextDelta
from omniroute.wire.openai_chat_stream import Reader
from omniroute.wire.sse import EventSplitter

WORDS = st.sampled_from(["", " word", "<think>", "</think>", "\n", '"content":"', "é", "�"])
RARE = st.none() | WORDS | st.just({}) | st.just([])


def mostly(common: Any) -> st.SearchStrategy[Any]:
    return st.just(common) | st.just(common) | RARE


CHAT_DELTA = st.fixed_dictionaries(
    {"content": WORDS},
    optional={
        "role": mostly("assistant"),
        "refusal": mostly(None),
        "reasoning_content": mostly(None),
        "tool_calls": st.just([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]),
        "annotations": st.just([{"type": "url_citation", "url_citation": {"url": "http://h", "title": "t"}}]),
    },
)
CHAT_CHOICE = st.fixed_dictionaries(
    {"delta": CHAT_DELTA},
    optional={
        "index": st.sampled_from([0, 0, 0, 1, "0"]),
        "finish_reason": st.sampled_from([None, None, None, "", "stop"]),
        "logprobs": st.sampled_from([None, {"content": [{"token": "a", "logprob": -1.0, "bytes": None}]}]),
        "usage": st.just({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    },
)
CHAT = st.fixed_dictionaries(
    {"choices": st.lists(CHAT_CHOICE, min_size=1, max_size=2)},
    optional={
        "id": mostly("c1"),
        "model": st.just("m"),
        "usage": st.sampled_from([None, {"prompt_tokens": 1, "completion_tokens": 2}]),
        "error": st.sampled_from([None, {"message": "no"}]),
        "citations": st.just(["http://h"]),
        "obfuscation": st.just("x"),
    },
)
BLOCKS = st.sampled_from(["text", "thinking", "tool_use", "server_tool_use"])
PIECE = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "text_delta", "thinking_delta"]), "text": WORDS},
    optional={"thinking": WORDS, "citation": st.just({})},
)
CLAUDE = st.one_of(
    st.builds(
        lambda i, k: {"type": "content_block_start", "index": i, "content_block": {"type": k}},
        st.integers(0, 1),
        BLOCKS,
    ),
    st.builds(
        lambda i, d: {"type": "content_block_delta", "index": i, "delta": d},
        st.sampled_from([0, 0, 1, 2, None]),
        PIECE,
    ),
    st.builds(lambda i: {"type": "content_block_stop", "index": i}, st.integers(0, 1)),
)


class LongChat(Reader):
    def _running_text(self, data: bytes) -> TextDelta | None:
        return None


class LongClaude(AnthropicReader):
    def _text_piece(self, data: bytes) -> TextDelta | None:
        return None


def read(reader: Any, documents: list[dict[str, Any]]) -> list[Any]:
    deltas: list[Any] = []
    for document in documents:
        try:
            deltas += reader.feed(Event("", msgspec.json.encode(document)))
        except MalformedStream as error:
            deltas.append(str(error))
    return [*deltas, *reader.end()]


@given(st.lists(CHAT, max_size=8))
def test_chat(chunks: list[dict[str, Any]]) -> None:
    assert read(Reader(), chunks) == read(LongChat(), chunks)


@given(st.lists(CLAUDE, max_size=10))
def test_claude(events: list[dict[str, Any]]) -> None:
    assert read(AnthropicReader(), events) == read(LongClaude(), events)


def test_it_is_taken() -> None:
    """Else the two above compare the long way with itself."""
    chunk = msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": "one two"}}]})
    reader = Reader()
    for _ in range(3):
        [*reader.feed(Event("", chunk))]
    assert reader._running_text(chunk) == TextDelta(part=0, text="one two")
    claude = AnthropicReader()
    [*claude.feed(Event("", b'{"type":"content_block_start","index":0,"content_block":{"type":"text"}}'))]
    piece = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one"}}'
    assert claude._text_piece(piece) == TextDelta(part=0, text="one")


@pytest.mark.parametrize("before", ["", "data: a\n\n", "event: e\n", "data: a\n", "data: a", "data: a\r"])
@pytest.mark.parametrize(
    "chunk",
    [
        "data: b\n\n", "data:b\n\n", "event: e\ndata: b\n\n", "event:e\ndata: b\n\n", "event: e\n\n",
        "data: b\n\ndata: c\n\n", "event: e\ndata: b\ndata: c\n\n", "event: e\nevent: f\ndata: b\n\n",
        "data: b\r\n\r\n", "data: b\r\n\n", "event: \ndata: b\n\n", "data: \n\n", ": c\n\n", "event: e\n: c\ndata: b\n\n",
    ],
)  # fmt: skip
def test_events_are_the_same_however_they_are_cut(before: str, chunk: str) -> None:
    whole, single = EventSplitter(), EventSplitter()
    found = [*whole.feed(b"data: first\n\n"), *whole.feed(before.encode()), *whole.feed(chunk.encode())]
    text = b"data: first\n\n" + before.encode() + chunk.encode()
    alone = [event for byte in text for event in single.feed(bytes([byte]))]
    assert [*found, *whole.end()] == [*alone, *single.end()]
