"""Amazon's binary event stream (`application/vnd.amazon.eventstream`): split and join, incrementally, over bytes.

A message is a prelude (its length, that of its headers, a CRC-32 of both), typed headers, a payload, and a CRC-32 of all
that. The header `:message-type` says what it is: an `event`, an `exception` that the API declares, or an `error` that it
does not. https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.sse import MAX_EVENT

EXCEPTION = "exception/"
ERROR = "error/"
"""How the names of events begin that are exceptions and errors; other events have their bare name."""

STREAM_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_MOST_HEADERS = 128 * 1024
_USUAL_HEADERS = 256
_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header type → bytes of its value; types 6 and 7 say their length themselves."""
_SIZED = frozenset({6, _STRING})


class AwsSplitter:
    """Feed chunks cut anywhere; get whole events.

    Raises `MalformedStream` for a message that is damaged, cut off, or larger than `MAX_EVENT`; once the good ones
    before it are out.
    """

    __slots__ = ("_broken", "_pieces", "_size", "_wanted")

    def __init__(self) -> None:
        self._broken: MalformedStream | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = _PRELUDE.size
        """Bytes without which there is nothing to look at."""

    def feed(self, chunk: bytes) -> list[Event]:
        if self._broken is not None:
            raise self._broken
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size < self._wanted:
            # A long message in many chunks is joined once, at its end.
            return []
        events: list[Event] = []
        try:
            self._split(b"".join(self._pieces), events)
        except MalformedStream as error:
            self._broken = error
            if not events:
                raise
        return events

    def end(self) -> list[Event]:
        """The stream is over. Raises `MalformedStream` for a message that is not whole."""
        if self._broken is not None:
            raise self._broken
        if self._size:
            raise MalformedStream("the stream ends in the middle of a message")
        return []

    def _split(self, data: bytes, events: list[Event]) -> None:
        start = 0
        while (length := _length_at(data, start)) and len(data) - start >= length:
            events.append(_event(data[start : start + length]))
            start += length
        self._pieces = [data[start:]]
        self._size = len(data) - start
        self._wanted = length or _PRELUDE.size


def _length_at(data: bytes, start: int) -> int:
    """The length of the message that begins there; 0 while its prelude is not whole."""
    if len(data) - start < _PRELUDE.size:
        return 0
    length, headers, checksum = _PRELUDE.unpack_from(data, start)
    if crc32(data[start : start + 8]) != checksum:
        raise MalformedStream("the checksum of a message's prelude is wrong")
    if length > MAX_EVENT or headers > _MOST_HEADERS or length < _LEAST + headers:
        raise MalformedStream(f"a message claims {length} bytes, {headers} of them headers")
    return int(length)


def _event(message: bytes) -> Event:
    (checksum,) = _CRC.unpack_from(message, len(message) - _CRC.size)
    if crc32(message[: -_CRC.size]) != checksum:
        raise MalformedStream("the checksum of a message is wrong")
    after_headers = _PRELUDE.size + _PRELUDE.unpack_from(message)[1]
    headers = _headers_of(message[_PRELUDE.size : after_headers])
    payload = message[after_headers : -_CRC.size]
    kind = headers.get(":message-type", "event")
    if kind == "event":
        return Event(headers.get(":event-type", ""), payload)
    if kind == "exception":
        return Event(EXCEPTION + headers.get(":exception-type", ""), payload)
    told = {"message": headers.get(":error-message", "")}
    return Event(ERROR + headers.get(":error-code", ""), payload or msgspec.json.encode(told))


def _headers_of(data: bytes) -> Mapping[str, str]:
    """The same few bytes come again and again: with each event of a kind."""
    return _known(data) if len(data) <= _USUAL_HEADERS else _texts(data)


@lru_cache(maxsize=64)
def _known(data: bytes) -> Mapping[str, str]:
    return _texts(data)


def _texts(data: bytes) -> dict[str, str]:
    """The headers that are text; others have no meaning here."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            start = name_end + 1
            size = _FIXED_SIZES.get(kind)
            if size is None:
                if kind not in _SIZED:
                    raise MalformedStream(f"a header of a message has the unknown type {kind}")
                size = int.from_bytes(data[start : start + 2])
                start += 2
            at = start + size
            if at > len(data):
                raise MalformedStream("a header of a message is cut off")
            if kind == _STRING:
                headers[name] = data[start:at].decode()
    except (IndexError, UnicodeDecodeError) as error:
        raise MalformedStream("a header of a message is broken") from error
    return headers


def message(data: bytes, name: str = "") -> bytes:
    """One message, ready to send: an event of that name or, by how the name begins, an exception or an error."""
    headers = _headers(name)
    prelude = _PRELUDE.pack(_LEAST + len(headers) + len(data), len(headers), 0)[:8]
    head = prelude + _CRC.pack(crc32(prelude)) + headers + data
    return head + _CRC.pack(crc32(head))


def _headers(name: str) -> bytes:
    if name.startswith(ERROR):
        return _header(":error-code", name.removeprefix(ERROR)) + _header(":message-type", "error")
    kind = "exception" if name.startswith(EXCEPTION) else "event"
    return (
        _header(f":{kind}-type", name.removeprefix(EXCEPTION))
        + _header(":content-type", "application/json")
        + _header(":message-type", kind)
    )


def _header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return bytes([len(name)]) + name.encode() + bytes([_STRING]) + len(encoded).to_bytes(2) + encoded
