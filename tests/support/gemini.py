"""Short ways to run the Gemini codec in tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from omniroute.wire.conversation import Delta, Doc, Notes, Part, Text, Thinking, ToolCall
from omniroute.wire.gemini import Gemini
from omniroute.wire.json_array import JsonArraySplitter
from omniroute.wire.sse import EventSplitter
from tests.support import streams
from tests.support.streams import reference

GEMINI = Gemini()


def sse(*events: Doc | str) -> bytes:
    """Events as Google frames them."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {text}\r\n\r\n" for text in texts).encode()


def chunk(*parts: Doc, finish: str | int | None = None, **rest: Any) -> Doc:
    """One event of a stream, or a whole answer."""
    candidate: Doc = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "rid"} | rest


def deltas(*chunks: bytes) -> list[Delta]:
    """What the reader makes of a stream that arrives in these chunks, be it SSE or a JSON array."""
    is_array = b"".join(chunks).lstrip()[:1] in (b"[", b"{")
    splitter: Any = JsonArraySplitter() if is_array else EventSplitter()
    reader = GEMINI.reader()
    events = [event for piece in chunks for event in splitter.feed(piece)]
    found = [delta for event in [*events, *splitter.end()] for delta in reader.feed(event)]
    return [*found, *reader.end()]


def plain(items: Iterable[Any]) -> list[Any]:
    return [msgspec.to_builtins(item) for item in items]


def written(feed: Iterable[Delta], *, array: bool = False, notes: Notes | None = None) -> bytes:
    return streams.bytes_of(GEMINI, feed, notes, reference(array=array))


def events(stream: bytes) -> list[Doc]:
    """The JSON of every event of an SSE stream."""
    splitter = EventSplitter()
    return [json.loads(event.data) for event in [*splitter.feed(stream), *splitter.end()]]


def meaning(parts: Iterable[Part]) -> dict[str, Any]:
    """What an answer says, however it is cut into parts."""
    found = list(parts)
    return {
        "text": "".join(part.text for part in found if isinstance(part, Text)),
        "thinking": "".join(part.text for part in found if isinstance(part, Thinking)),
        "calls": [(part.name, json.loads(part.arguments)) for part in found if isinstance(part, ToolCall)],
    }
