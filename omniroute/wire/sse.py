"""Server-sent events, after the WHATWG text: split and join, incrementally, over bytes.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event

MAX_EVENT = 64 * 1024 * 1024
"""An event larger than this many bytes is no event but an attack on our memory."""

_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Feed chunks cut anywhere; get whole events. Comments and fields that no wire uses are skipped.

    Raises `MalformedStream` when one event outgrows `MAX_EVENT`.
    """

    __slots__ = ("_data", "_name", "_pieces", "_size", "_skip_lf", "_started")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._skip_lf = False
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        if not self._started:
            chunk = self._start(chunk)
        elif chunk.endswith(b"\n\n") and not (self._pieces or self._data or self._name or self._skip_lf):
            one = _only(chunk)
            if one is not None:
                return [one]
        if self._skip_lf and chunk:
            # The CR that ended the last chunk was a whole line end; an LF now would be its second half.
            self._skip_lf = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        if not chunk:
            return []
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            # A long line in many chunks is joined once, at its end.
            self._keep(chunk)
            return []
        lines = chunk.split(b"\n")
        if self._pieces:
            lines[0] = self._line_so_far() + lines[0]
        rest = lines.pop()
        events: list[Event] = []
        for line in lines:
            if line:
                self._line(line)
            elif self._data:
                events.append(self._take())
            else:
                self._name = ""
        self._keep(rest)
        return events

    def end(self) -> list[Event]:
        """The stream is over. A last event without its blank line still counts: its payload has arrived."""
        rest = self._line_so_far()
        if rest:
            self._line(rest)
        return [self._take()] if self._data else []

    def _start(self, chunk: bytes) -> bytes:
        """The first chunk without the byte-order mark; empty until it is clear whether there is one."""
        buffer = self._line_so_far() + chunk
        if len(buffer) < 3 and _BOM.startswith(buffer):
            self._pieces = [buffer]
            return b""
        self._started = True
        return buffer[3:] if buffer.startswith(_BOM) else buffer

    def _keep(self, rest: bytes) -> None:
        """Keep what came of a line, unless its event is too large already."""
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
        if self._size > MAX_EVENT:
            raise MalformedStream(f"an event of the stream is larger than {MAX_EVENT} bytes")

    def _line_so_far(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        line = b"".join(pieces)
        self._size = max(0, self._size - len(line))
        return line

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._size += len(value)
        elif line.startswith(b"event:"):
            self._name = line[6:].decode("utf-8", "replace").removeprefix(" ")
        elif line == b"data":
            self._data.append(b"")

    def _take(self) -> Event:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = Event(self._name, data)
        self._name = ""
        self._data = []
        self._size = 0
        return event


def _only(chunk: bytes) -> Event | None:
    """The event of a chunk that ends with a blank line, where it is the only one and looks as most do: a line of data,
    perhaps after one with its name."""
    begin = chunk.find(b"\n") + 1 if chunk.startswith(b"event: ") else 0
    if not chunk.startswith(b"data: ", begin) or chunk.find(b"\n", begin) != len(chunk) - 2 or b"\r" in chunk:
        return None
    return Event(chunk[7 : begin - 1].decode("utf-8", "replace") if begin else "", chunk[begin + 6 : -2])


def frame(data: bytes, name: str = "") -> bytes:
    """One event, ready to send. `data` must hold no line break (JSON never does)."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients skip: a sign of life."""
    return b": " + text.encode() + b"\n\n"
