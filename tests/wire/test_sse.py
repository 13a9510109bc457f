"""Server-sent events come out whole, however they were written and cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream
from omniroute.wire import sse
from omniroute.wire.codec import Event
from omniroute.wire.sse import EventSplitter, comment, frame
from tests.support.properties import examples

PROPERTY = examples(100)


def split(*chunks: bytes) -> list[tuple[str, bytes]]:
    splitter = EventSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return [tuple(event) for event in events + splitter.end()]  # type: ignore[misc]  # a pair of its fields


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data:  a \n\n", [("", b" a ")]),
        (b"event: x\ndata: a\n\n", [("x", b"a")]),
        (b"data: a\nevent: x\n\n", [("x", b"a")]),  # some write the name after the payload
        (b"event:x\ndata: a\n\n", [("x", b"a")]),
        (b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b"data\n\n", [("", b"")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"data: a\r\n\ndata: b\n\r\n", [("", b"a"), ("", b"b")]),
        (b": comment\n\ndata: a\n\n", [("", b"a")]),
        (b":\ndata: a\n:\n\n", [("", b"a")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [("", b"a")]),
        (b"other: 7\n data: b\ndata: a\n\n", [("", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data: \xef\xbb\xbfa\n\n", [("", b"\xef\xbb\xbfa")]),
        (b"\n\n\ndata: a\n\n\n", [("", b"a")]),
        (b"event: x\n\ndata: a\n\n", [("", b"a")]),  # a name without data names nothing
        (b"data: a\n", [("", b"a")]),
        (b"data: a", [("", b"a")]),  # a last event without its blank line has arrived all the same
        (b"data: a\r\n", [("", b"a")]),
        (b"<html>\n<p>no stream</p>\n", []),
        (b"", []),
        (b"\xef\xbb", []),
        ("data: größe 🙂\n\n".encode(), [("", "größe 🙂".encode())]),
    ],
)
def test_it_reads(raw: bytes, events: list[tuple[str, bytes]]) -> None:
    assert split(raw) == events
    assert split(*(raw[i : i + 1] for i in range(len(raw)))) == events, "byte by byte"
    for cut in range(len(raw) + 1):
        assert split(raw[:cut], b"", raw[cut:]) == events, f"cut at {cut}"


payloads = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
fields = st.builds(
    lambda name, data, note: (name, data, note),
    st.text(alphabet="abc._", max_size=6),
    st.lists(payloads, min_size=1, max_size=3),
    st.booleans(),
)


@PROPERTY
@given(
    items=st.lists(fields, max_size=6),
    ending=st.sampled_from(["\n", "\r", "\r\n"]),
    mark=st.booleans(),
    cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=8),
)
def test_any_cut_gives_the_same(
    items: list[tuple[str, list[str], bool]], ending: str, mark: bool, cuts: list[int]
) -> None:
    text = "\ufeff" if mark else ""
    for name, data, note in items:
        lines = [": a note"] if note else []
        lines += [f"event: {name}"] if name else []
        lines += [f"data: {piece}" for piece in data]
        text += ending.join([*lines, "", ""])
    raw = text.encode()
    expected = [(name, "\n".join(data).encode()) for name, data, _ in items]
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    assert split(*(raw[a:b] for a, b in itertools.pairwise(places))) == expected


@PROPERTY
@given(chunks=st.lists(st.binary(max_size=30), max_size=6))
def test_garbage_is_read_the_same_in_one_piece(chunks: list[bytes]) -> None:
    assert split(*chunks) == split(b"".join(chunks))


@PROPERTY
@given(
    name=st.text(alphabet="abc._", max_size=6),
    data=st.binary(max_size=40).filter(lambda b: not set(b) & {10, 13}),
)
def test_what_is_framed_is_read_again(name: str, data: bytes) -> None:
    assert split(comment("alive") + frame(data, name)) == [(name, data)]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 200],  # one line without an end
        [b"data: ", *[b"x" * 20] * 10],  # the same in many chunks
        [b"data: " + b"x" * 60 + b"\n"] * 3,  # many lines
        [b": " + b"x" * 200],  # a comment is no way around it
    ],
)
def test_an_event_without_end_is_refused(chunks: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    splitter = EventSplitter()
    with pytest.raises(MalformedStream, match="larger than 100 bytes"):
        for chunk in chunks:
            splitter.feed(chunk)


def test_many_small_events_are_no_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    splitter = EventSplitter()
    for _ in range(100):
        assert splitter.feed(b"data: " + b"x" * 60 + b"\n\n") == [Event("", b"x" * 60)]


def test_a_long_line_in_small_chunks_is_not_copied_for_each() -> None:
    """Ten megabytes in a thousand chunks: joined once at the end, not a thousand times."""
    splitter = EventSplitter()
    splitter.feed(b"data: ")
    for _ in range(1000):
        assert splitter.feed(b"x" * 10_000) == []
    assert [len(event.data) for event in splitter.feed(b"\n\n")] == [10_000_000]
