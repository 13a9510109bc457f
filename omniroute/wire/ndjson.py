"""A stream of JSON documents, one a line: split and join, incrementally, over bytes. https://github.com/ndjson/ndjson-spec"""

from __future__ import annotations

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.sse import MAX_EVENT

_BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may stand around a document; a byte-order mark may come first."""


class LineSplitter:
    """Feed chunks cut anywhere; get whole lines as events without a name. Empty lines are skipped.

    Raises `MalformedStream` when one line outgrows `MAX_EVENT`.
    """

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        if b"\n" not in chunk:
            # A long line in many chunks is joined once, at its end.
            self._keep(chunk)
            return []
        lines = chunk.split(b"\n")
        lines[0] = self._take() + lines[0]
        self._keep(lines.pop())
        return _events(lines)

    def end(self) -> list[Event]:
        """The stream is over. A last line without its end still counts: whether it is whole, its JSON tells."""
        return _events([self._take()])

    def _keep(self, rest: bytes) -> None:
        self._pieces.append(rest)
        self._size += len(rest)
        if self._size > MAX_EVENT:
            raise MalformedStream(f"a line of the stream is larger than {MAX_EVENT} bytes")

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        self._size = 0
        return b"".join(pieces)


def _events(lines: list[bytes]) -> list[Event]:
    return [Event("", data) for data in (line.strip(_BLANK) for line in lines) if data]


def line(data: bytes, name: str = "") -> bytes:
    """One document, ready to send. `data` must hold no line break (JSON from an encoder never does), and a
    line has no name."""
    return data + b"\n"
