"""A stream that is one JSON array: split it into its elements, incrementally, over bytes.

Gemini streams so without `alt=sse`: `[{…}\\n,\\r\\n{…}]`. Only the structure is looked at; whoever decodes an
element finds out whether it is JSON. A single object without an array around it (an error body) is one element.
"""

from __future__ import annotations

import re

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.sse import MAX_EVENT

_STRUCTURE = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'["\\]')
_BETWEEN = b" \t\r\n,[]\xef\xbb\xbf"
"""What may stand outside of elements; a byte-order mark may come first."""


class JsonArraySplitter:
    """Feed chunks cut anywhere; get whole elements as events without a name.

    Raises `MalformedStream` for anything but objects in the array, and for an element larger than `MAX_EVENT`.
    """

    __slots__ = ("_depth", "_in_string", "_pieces", "_size", "_skip")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._skip = 0

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        at = 0
        while at < len(chunk):
            if self._depth == 0:
                start = chunk.find(b"{", at)
                self._check_between(chunk[at:start] if start >= 0 else chunk[at:])
                if start < 0:
                    break
                at = start
            end = self._element(chunk, at)
            self._keep(chunk[at:end])
            at = end
            if self._depth == 0:
                events.append(self._take())
        return events

    def end(self) -> list[Event]:
        """The stream is over. An element that is not complete is no event: its rest never came."""
        self._take()
        self._depth = 0
        return []

    def _element(self, chunk: bytes, at: int) -> int:
        """Walk on from `at` inside an element; the index after its last byte, or the end of the chunk."""
        at += self._skip
        self._skip = 0
        while at < len(chunk):
            hit = (_STRING_END if self._in_string else _STRUCTURE).search(chunk, at)
            if hit is None:
                return len(chunk)
            at = hit.end()
            byte = hit.group()
            if byte == b"\\":
                at += 1
            elif byte == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if byte in b"{[" else -1
                if self._depth == 0:
                    return at
        self._skip = at - len(chunk)
        return len(chunk)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_EVENT:
            raise MalformedStream(f"an element of the stream is larger than {MAX_EVENT} bytes")
        self._pieces.append(piece)

    def _take(self) -> Event:
        event = Event("", b"".join(self._pieces))
        self._pieces = []
        self._size = 0
        self._in_string = False
        self._skip = 0
        return event

    def _check_between(self, between: bytes) -> None:
        if between.strip(_BETWEEN):
            raise MalformedStream("the stream is no JSON array of objects")
