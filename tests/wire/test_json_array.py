"""A stream as one JSON array: whatever the chunks, the elements are the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import MalformedStream
from omniroute.wire import json_array
from omniroute.wire.json_array import JsonArraySplitter

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=3)


def split(*chunks: bytes) -> list[Any]:
    splitter = JsonArraySplitter()
    found = [event for chunk in chunks for event in splitter.feed(chunk)]
    return [json.loads(event.data) for event in [*found, *splitter.end()]]


@pytest.mark.parametrize(
    "raw, elements",
    [
        (b"[]", []),
        (b"", []),
        (b"\n [ \r\n]\n", []),
        (b'[{"a":1}]', [{"a": 1}]),
        (b'[{"a":1}\n,\r\n{"b":[2,{"c":"]}"}]}\n]\n', [{"a": 1}, {"b": [2, {"c": "]}"}]}]),
        (b'\xef\xbb\xbf[{"quote":"\\"}{[\\\\"}]', [{"quote": '"}{[\\'}]),
        (b'{"error":{"code":400}}', [{"error": {"code": 400}}]),
        (b'[{"a":1},{"b":', [{"a": 1}]),
    ],
)
def test_elements(raw: bytes, elements: list[Any]) -> None:
    assert split(raw) == elements
    assert split(*[raw[at : at + 1] for at in range(len(raw))]) == elements


@given(st.lists(objects, max_size=4), st.lists(st.integers(0, 400), max_size=6), st.sampled_from([None, 1]))
def test_cut_anywhere(elements: list[Any], cuts: list[int], indent: int | None) -> None:
    raw = json.dumps(elements, indent=indent, ensure_ascii=False).encode()
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    assert split(*[raw[a:b] for a, b in itertools.pairwise(places)]) == elements


@pytest.mark.parametrize("raw", [b"<html>", b'[{"a":1}, 2]', b'["a"]', b"data: {}\n\n"])
def test_what_is_no_array_of_objects(raw: bytes) -> None:
    with pytest.raises(MalformedStream):
        split(raw)


def test_an_element_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "MAX_EVENT", 100)
    splitter = JsonArraySplitter()
    splitter.feed(b'[{"a":"' + b"x" * 60)
    with pytest.raises(MalformedStream):
        splitter.feed(b"x" * 60)
