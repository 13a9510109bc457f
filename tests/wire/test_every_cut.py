"""Every recorded stream, cut in two at every byte and read byte by byte: always the same events."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from omniroute.errors import MalformedStream
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.codec import Event, Splitter
from omniroute.wire.conversation import CallStart, Delta
from omniroute.wire.json_array import JsonArraySplitter
from tests.support import aws_events, recordings
from tests.support.crossing import wires

FOLDERS = {
    "openai-chat": "openai-chat",
    "mistral-chat": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic-messages",
    "gemini-stream": "gemini",
    "cohere-chat": "cohere",
    "bedrock-converse-stream": "bedrock-converse",
    "ollama": "ollama",
}
STREAMS = [
    (name, wire) for folder, wire in FOLDERS.items() for name in recordings.ids(folder, streaming=True)
]
EVERY = 250
"""A stream of up to so many bytes is cut at each of them; a longer one at so many, and around every line's end."""


def raw_of(name: str, wire: str) -> bytes:
    if name == "missing":
        recordings.require("recordings")
    recording = recordings.load(name)
    if recording.status != 200:
        # An error is no stream, whatever was asked for.
        return b""
    if wire == "bedrock-converse":
        return bytes(aws_events.recorded(recording.body))
    if isinstance(recording.body, list):
        return json.dumps(recording.body).encode()
    return recording.body.encode() if isinstance(recording.body, str) else b""


def splitter_of(raw: bytes, wire: str) -> Splitter:
    return JsonArraySplitter() if raw[:1] == b"[" else SPLITTERS[wires()[wire].framing]()


def events(pieces: list[bytes], raw: bytes, wire: str) -> list[Event] | str:
    """The events, or what the splitter says of bytes that are none of its streams."""
    splitter = splitter_of(raw, wire)
    found: list[Event] = []
    try:
        for piece in pieces:
            found += splitter.feed(piece)
        return found + splitter.end()
    except MalformedStream:
        return "malformed"


def places(raw: bytes) -> Iterator[int]:
    step = max(1, len(raw) // EVERY)
    yield from range(0, len(raw), step)
    if step > 1:
        at = raw.find(b"\n")
        while at >= 0:
            yield from (at, at + 1)
            at = raw.find(b"\n", at + 4 * step)


@pytest.mark.parametrize(("name", "wire"), STREAMS)
def test_a_cut_anywhere_changes_no_event(name: str, wire: str) -> None:
    raw = raw_of(name, wire)
    whole = events([raw], raw, wire)
    wrong = [at for at in places(raw) if events([raw[:at], raw[at:]], raw, wire) != whole]
    assert wrong == []


def deltas(pieces: list[bytes], raw: bytes, wire: str) -> list[Delta] | str:
    splitter, reader = splitter_of(raw, wire), wires()[wire].reader()
    found: list[Delta] = []
    try:
        for piece in pieces:
            for event in splitter.feed(piece):
                found += reader.feed(event)
        for event in splitter.end():
            found += reader.feed(event)
        return [_known(delta) for delta in (*found, *reader.end())]
    except MalformedStream:
        return "malformed"


def _known(delta: Delta) -> Delta:
    """Ids of our own making are new every time."""
    own = isinstance(delta, CallStart) and delta.id.startswith("gcall_")
    return msgspec.structs.replace(delta, id="") if own else delta


@pytest.mark.parametrize(("name", "wire"), STREAMS)
def test_a_stream_byte_by_byte_means_the_same(name: str, wire: str) -> None:
    raw = raw_of(name, wire)
    single = [raw[at : at + 1] for at in range(min(len(raw), 20_000))] + [raw[20_000:]]
    assert deltas(single, raw, wire) == deltas([raw], raw, wire)
