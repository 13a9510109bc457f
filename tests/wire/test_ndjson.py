"""Lines of JSON, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream
from omniroute.wire import ndjson
from omniroute.wire.ndjson import LineSplitter, line


def split(*chunks: bytes) -> list[bytes]:
    splitter = LineSplitter()
    return [event.data for chunk in chunks for event in splitter.feed(chunk)] + [
        event.data for event in splitter.end()
    ]


@pytest.mark.parametrize(
    "raw, documents",
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n\n \n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b' {"a":1}\n', [b'{"a":1}']),  # our own keep-alive before it
        (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),  # no line end at the end
        (b"", []),
        (b"\n", []),
    ],
)
def test_documents(raw: bytes, documents: list[bytes]) -> None:
    assert split(raw) == documents
    assert split(*(raw[i : i + 1] for i in range(len(raw)))) == documents


@given(st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b and b.strip()), max_size=6), st.data())
def test_a_cut_anywhere_changes_nothing(documents: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(line(document) for document in documents)
    at = data.draw(st.integers(0, len(raw)))
    assert split(raw[:at], raw[at:]) == split(raw)


def test_a_line_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_EVENT", 10)
    splitter = LineSplitter()
    assert splitter.feed(b"12345678\n") != []
    splitter.feed(b"123456")
    with pytest.raises(MalformedStream):
        splitter.feed(b"789012")
