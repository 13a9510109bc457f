"""Amazon's binary event stream: whole messages from bytes cut anywhere, and nothing else."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream
from omniroute.wire.aws_events import AwsSplitter, message
from omniroute.wire.codec import Event
from tests.support import aws_events, recordings

RECORDED = [name for name in recordings.ids("bedrock-converse-stream") if "streaming-error" not in name]


def split(raw: bytes, step: int | None = None) -> list[Event]:
    splitter = AwsSplitter()
    step = step or max(1, len(raw))
    found = [e for at in range(0, len(raw), step) for e in splitter.feed(raw[at : at + step])]
    return found + splitter.end()


def framed(headers: bytes, payload: bytes = b"{}") -> bytes:
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_streams_are_the_same_however_they_are_cut(name: str) -> None:
    raw = aws_events.recorded(recordings.load(name).body)
    whole = split(raw)
    assert [event.name for event in whole] == [next(iter(e)) for e in aws_events.events(raw)]
    for step in (1, 2, 3, 7, 12, 13, 100, 1000):
        assert split(raw, step) == whole


@pytest.mark.parametrize("name", RECORDED)
def test_written_messages_are_those_of_the_provider(name: str) -> None:
    raw = aws_events.recorded(recordings.load(name).body)
    assert b"".join(message(event.data, event.name) for event in split(raw)) == raw


@pytest.mark.parametrize(
    "names, payload, event",
    [
        ({":message-type": "event", ":event-type": "chunk"}, b"{}", Event("chunk", b"{}")),
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message":"slow"}',
            Event("exception/throttlingException", b'{"message":"slow"}'),
        ),
        (
            {":message-type": "error", ":error-code": "InternalError", ":error-message": "it broke"},
            b"",
            Event("error/InternalError", b'{"message":"it broke"}'),
        ),
        ({}, b"x", Event("", b"x")),
    ],
)
def test_what_kind_a_message_is(names: dict[str, str], payload: bytes, event: Event) -> None:
    (found,) = split(aws_events.raw_message(names, payload))
    assert found == event
    again = message(found.data, found.name)
    assert split(again) == [event]


def test_headers_that_are_no_text_are_passed_over() -> None:
    typed = [
        (0, b""),
        (1, b""),
        (2, b"1"),
        (3, b"12"),
        (4, b"1234"),
        (5, b"12345678"),
        (8, b"12345678"),
        (9, b"1" * 16),
    ]
    headers = b"".join(b"\x01a" + bytes([kind]) + value for kind, value in typed)
    headers += b"\x01b\x06\x00\x02xy" + b"\x0b:event-type\x07\x00\x04ping"
    assert split(framed(headers)) == [Event("ping", b"{}")]


GOOD = aws_events.message("messageStart", {"role": "assistant"})


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_one_wrong_bit_anywhere_is_found(at: int) -> None:
    damaged = GOOD[:at] + bytes([GOOD[at] ^ 1]) + GOOD[at + 1 :]
    with pytest.raises(MalformedStream):
        split(damaged)


@pytest.mark.parametrize("end", range(1, len(GOOD)))
def test_a_message_that_is_cut_off_is_found(end: int) -> None:
    with pytest.raises(MalformedStream, match="middle of a message"):
        split(GOOD[:end])


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_what_came_before_the_damage_is_kept(step: int) -> None:
    splitter, found = AwsSplitter(), []
    raw = GOOD * 2 + b"\0" * 16
    with pytest.raises(MalformedStream):
        for at in range(0, len(raw), step):
            found += splitter.feed(raw[at : at + step])
        found += splitter.end()
    assert [event.name for event in found] == ["messageStart"] * 2


@pytest.mark.parametrize(
    "headers, words",
    [
        (b"\x0b:event-type\x07\x00\x40short", "cut off"),
        (b"\x05a", "broken"),
        (b"\x01a\x0a", "unknown type 10"),
        (b"\x02\xff\xfe\x07\x00\x00", "broken"),
    ],
)
def test_broken_headers_are_told(headers: bytes, words: str) -> None:
    with pytest.raises(MalformedStream, match=words):
        split(framed(headers))


@pytest.mark.parametrize("total, headers", [(15, 0), (20, 8), (2**31, 0), (2**30, 2**20)])
def test_lengths_that_cannot_be_are_told_at_once(total: int, headers: int) -> None:
    prelude = struct.pack("!II", total, headers)
    with pytest.raises(MalformedStream, match="claims"):
        AwsSplitter().feed(prelude + struct.pack("!I", zlib.crc32(prelude)))


@given(st.binary(max_size=200))
def test_random_bytes_never_crash_it(raw: bytes) -> None:
    try:
        split(raw, 3)
    except MalformedStream:
        return
    assert raw == b""
