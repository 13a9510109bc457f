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

    __slots__ = ("_data", "_name", "_rest", "_size", "_skip_lf", "_started")

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._skip_lf = False
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        if not self._started:
            chunk = self._start(chunk)
        if self._skip_lf and chunk:
            # The CR that ended the last chunk was a whole line end; an LF now would be its second half.
            self._skip_lf = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        if not chunk:
            return []
        buffer = self._rest + chunk if self._rest else chunk
        if b"\r" in buffer:
            if buffer.endswith(b"\r"):
                self._skip_lf = True
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = buffer.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) + self._size > MAX_EVENT:
            raise MalformedStream(f"an event of the stream is larger than {MAX_EVENT} bytes")
        events: list[Event] = []
        for line in lines:
            if line:
                self._line(line)
            elif self._data:
                events.append(self._take())
            else:
                self._name = ""
        return events

    def end(self) -> list[Event]:
        """The stream is over. A last event without its blank line still counts: its payload has arrived."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""
        return [self._take()] if self._data else []

    def _start(self, chunk: bytes) -> bytes:
        buffer = self._rest + chunk
        if len(buffer) < 3 and _BOM.startswith(buffer):
            self._rest = buffer
            return b""
        self._started = True
        self._rest = b""
        return buffer[3:] if buffer.startswith(_BOM) else buffer

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


def frame(data: bytes, name: str = "") -> bytes:
    """One event, ready to send. `data` must hold no line break (JSON never does)."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients skip: a sign of life."""
    return b": " + text.encode() + b"\n\n"
