"""Where an answer begins: what is seen in the bytes is never there before a reader would find content."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from omniroute.errors import MalformedStream
from omniroute.upstream.commit import hold
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.codec import Wire
from omniroute.wire.conversation import CONTENT
from tests.support import recordings
from tests.support.crossing import wires

FOLDERS = {
    "openai-chat": "openai-chat",
    "mistral-chat": "openai-chat",
    "anthropic-messages": "anthropic-messages",
}
STREAMS = [
    (name, wire) for folder, wire in FOLDERS.items() for name in recordings.ids(folder, streaming=True)
]


def lines_of(text: str) -> list[bytes]:
    return [event.encode() + b"\n\n" for event in text.replace("\r\n", "\n").split("\n\n") if event.strip()]


def content_at(wire: Wire, chunks: list[bytes]) -> int:
    """The number of the chunk in which a reader finds content; their number if in none."""
    splitter, reader = SPLITTERS[wire.framing](), wire.reader()
    for number, chunk in enumerate(chunks):
        try:
            deltas = [delta for event in splitter.feed(chunk) for delta in reader.feed(event)]
        except MalformedStream:
            break
        if any(type(delta) in CONTENT for delta in deltas):
            return number
    return len(chunks)


async def given(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("name, wire", STREAMS)
def test_recorded_streams_do_not_begin_before_their_content(name: str, wire: str) -> None:
    if name == "missing":
        recordings.require("recordings")
    recording, spoken = recordings.load(name), wires()[wire]
    if recording.status != 200 or not isinstance(recording.body, str):
        pytest.skip("an error is no stream, whatever was asked for")
    chunks = lines_of(recording.body)
    assert spoken.said is not None
    seen = next(
        (n for n, c in enumerate(chunks) if spoken.said.search(c) and b'"error"' not in c), len(chunks)
    )
    assert seen >= content_at(spoken, chunks)


ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
THINK = b'data: {"choices":[{"index":0,"delta":{"content":"<think>"}}]}\n\n'
TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
SPACED = b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\n'
REASON = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n'
ERROR = b'data: {"error":{"message":"no","content":"Hi"}}\n\n'
QUOTED = b'data: {"error":{"message":"you sent \\"content\\":\\"Hi\\""}}\n\n'
DONE = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    "chunks, held, problem",
    [
        ([ROLE, TEXT, DONE], 2, None),
        ([ROLE + TEXT, DONE], 1, None),
        ([ROLE, SPACED, DONE], 2, None),
        ([ROLE, REASON, DONE], 2, None),
        ([ROLE, TEXT[:-20], TEXT[-20:], DONE], 3, None),
        ([ROLE, THINK, TEXT, DONE], 3, None),
        ([ROLE, DONE], 2, "empty_answer"),
        ([ROLE, ERROR, DONE], 2, "bad_gateway"),
        ([ROLE, QUOTED, DONE], 2, "bad_gateway"),
        ([ROLE, THINK, ERROR], 3, "bad_gateway"),
    ],
    ids=[
        "role-first",
        "at-once",
        "spaced",
        "reasoning",
        "in-two",
        "tag",
        "empty",
        "error",
        "quoted",
        "tag-then-error",
    ],
)
async def test_what_is_held(chunks: list[bytes], held: int, problem: str | None) -> None:
    found = await hold(given(chunks), wires()["openai-chat"])
    assert found.chunks == chunks[:held]
    assert (found.problem.code or found.problem.kind if found.problem else None) == problem
