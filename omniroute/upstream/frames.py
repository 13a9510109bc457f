"""The bytes of a streamed answer, cut where its events end and otherwise untouched."""

from __future__ import annotations

import re
from typing import Literal

Framing = Literal["sse", "ndjson", "aws", "none"]

_KINDS: tuple[tuple[str, Framing], ...] = (
    ("text/event-stream", "sse"),
    ("application/x-ndjson", "ndjson"),
    ("application/vnd.amazon.eventstream", "aws"),
)
_SSE_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


def framing_of(content_type: str) -> Framing:
    """How the events of an answer of this type are told apart; `none` when it is one whole."""
    kind = content_type.lower()
    return next((framing for start, framing in _KINDS if kind.startswith(start)), "none")


class Frames:
    """Feed chunks cut anywhere, get whole events with the bytes that end them. A whole is one event, at the end."""

    __slots__ = ("_buffer", "_framing")

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._buffer = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        self._buffer += chunk
        frames: list[bytes] = []
        while (end := self._end()) is not None:
            frames.append(self._buffer[:end])
            self._buffer = self._buffer[end:]
        return frames

    def rest(self) -> bytes:
        """What has no end yet."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _end(self) -> int | None:
        """Where the first event ends, or None when it has not."""
        if self._framing == "sse":
            found = _SSE_END.search(self._buffer)
            return found.end() if found is not None else None
        if self._framing == "ndjson":
            return self._buffer.find(b"\n") + 1 or None
        if self._framing == "aws" and len(self._buffer) >= 4:
            # Each message begins with its own length, four bytes, big end first.
            length = int.from_bytes(self._buffer[:4], "big")
            return length if 0 < length <= len(self._buffer) else None
        return None
