"""What the gateway sees of Gemini answers that pass as bytes: usage, finish, and whether the stream was complete."""

from __future__ import annotations

from typing import Any

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Glance
from omniroute.wire.conversation import Finish, Usage
from omniroute.wire.gemini_answer import read_block, read_finish, read_usage
from omniroute.wire.gemini_errors import problem_of
from omniroute.wire.json_array import JsonArraySplitter
from omniroute.wire.sse import EventSplitter


class _SeenPart(msgspec.Struct):
    text: str | None = None
    functionCall: dict[str, Any] | None = None


class _SeenContent(msgspec.Struct):
    parts: list[_SeenPart] | None = None


class _SeenCandidate(msgspec.Struct):
    content: _SeenContent | None = None
    finishReason: str | int | None = None


class _Seen(msgspec.Struct):
    candidates: list[_SeenCandidate] | None = None
    promptFeedback: dict[str, Any] | None = None
    usageMetadata: dict[str, Any] | None = None
    modelVersion: str | None = None
    error: dict[str, Any] | None = None


class _Wrapped(msgspec.Struct):
    """The envelope of Code Assist."""

    response: _Seen = msgspec.field(default_factory=_Seen)
    error: dict[str, Any] | None = None


_SEEN = msgspec.json.Decoder(_Seen)
_WRAPPED = msgspec.json.Decoder(_Wrapped)


def _see(data: bytes, wrapped: bool) -> _Seen:
    if not wrapped:
        return _SEEN.decode(data)
    envelope = _WRAPPED.decode(data)
    return _Seen(error=envelope.error) if envelope.error else envelope.response


def glance(raw: bytes, *, wrapped: bool = False) -> Glance:
    """Of a plain answer, or of one in an envelope. Raises `msgspec.DecodeError` when it is none."""
    seen = _see(raw, wrapped)
    if seen.error:
        return Glance(problem=problem_of(seen.error))
    candidates = seen.candidates or []
    parts = [part for candidate in candidates if candidate.content for part in candidate.content.parts or []]
    filled = [part for part in parts if part.text or part.text is None]
    calls = any(part.functionCall is not None for part in parts)
    finish = read_block(seen.promptFeedback)
    if candidates:
        finish = read_finish(candidates[0].finishReason, calls=calls)
    return Glance(
        usage=read_usage(seen.usageMetadata),
        finish=finish,
        model=seen.modelVersion or "",
        empty=not filled and (finish is None or finish.reason == "stop"),
    )


class GeminiTap:
    """Looks at a stream that passes as bytes, be it SSE or a JSON array. The last counts are those that hold."""

    __slots__ = ("_blind", "_calls", "_splitter", "_wrapped", "finish", "finished", "usage")

    def __init__(self, *, wrapped: bool = False) -> None:
        self._wrapped = wrapped
        self._splitter: EventSplitter | JsonArraySplitter | None = None
        self._calls = False
        self._blind = False
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False

    def feed(self, chunk: bytes) -> None:
        if self._blind:
            return
        if self._splitter is None:
            start = chunk.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not start:
                return
            self._splitter = JsonArraySplitter() if start[:1] in b"[{" else EventSplitter()
        try:
            events = self._splitter.feed(chunk)
        except MalformedStream:
            # Whoever reads these bytes will judge them; there is nothing more to be seen here.
            self._blind = True
            return
        for event in events:
            self._look(event.data)

    def _look(self, data: bytes) -> None:
        self._calls = self._calls or b'"functionCall"' in data
        if not any(mark in data for mark in _MARKS):
            return
        try:
            seen = _see(data, self._wrapped)
        except msgspec.MsgspecError:
            return
        self.usage = read_usage(seen.usageMetadata) or self.usage
        reasons = [candidate.finishReason for candidate in seen.candidates or [] if candidate.finishReason]
        finish = read_finish(reasons[0], calls=self._calls) if reasons else read_block(seen.promptFeedback)
        if finish is not None:
            self.finish = finish
            self.finished = True


_MARKS = (b'"finishReason"', b'TokenCount"', b'"blockReason"')
