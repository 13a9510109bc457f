"""The model changes, and nothing else does."""

from __future__ import annotations

import json
import timeit
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.splice import rename, replace_model, top_level, without_bulk
from tests.support.properties import examples

PROPERTY = examples(100)


CASES = [
    (b'{"model":"old"}', b'{"model":"new"}'),
    (b'{"model":"old","n":1}', b'{"model":"new","n":1}'),
    (b'{"n":1,"model":"old"}', b'{"n":1,"model":"new"}'),
    # White space inside values stays, that around the keys goes.
    (b' {\n "model" : "old" ,\t"m": [ {"a" : 1.0} ] }\r\n', b'{"model":"new","m":[ {"a" : 1.0} ]}'),
    # Keys, texts and objects that only look like it.
    (b'{"a":{"model":"old"},"model":"old"}', b'{"a":{"model":"old"},"model":"new"}'),
    (b'{"model":"old","a":[{"model":"old"}]}', b'{"model":"new","a":[{"model":"old"}]}'),
    (b'{"a":"{\\"model\\":\\"old\\"}","model":"old"}', b'{"a":"{\\"model\\":\\"old\\"}","model":"new"}'),
    (b'{"a":",\\"model\\":","model":"old"}', b'{"a":",\\"model\\":","model":"new"}'),
    (b'{"a":["model","old"],"model":"old"}', b'{"a":["model","old"],"model":"new"}'),
    (b'{"a":{"model":null},"model":"old"}', b'{"a":{"model":null},"model":"new"}'),
    (b'{"models":"old","model":"old"}', b'{"models":"old","model":"new"}'),
    # The last of repeated keys counts, and keys can be written with escapes.
    (b'{"model":"other","n":1,"model":"old"}', b'{"model":"new","n":1}'),
    (b'{"\\u006dodel":"old","a":{"model":"old"}}', b'{"model":"new","a":{"model":"old"}}'),
    (b'{"model":"old","mod\\u0065l":"old"}', b'{"model":"new"}'),
    # Values keep their bytes: escapes, big and small numbers, other alphabets.
    (b'{"a":"\\u00e9\\/\xc3\xa9","model":"old"}', b'{"a":"\\u00e9\\/\xc3\xa9","model":"new"}'),
    (
        b'{"a":1e400,"b":-0,"c":1234567890123456789012,"model":"old"}',
        b'{"a":1e400,"b":-0,"c":1234567890123456789012,"model":"new"}',
    ),
]


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_it_changes_the_model_of_the_request(raw: bytes, expected: bytes) -> None:
    assert replace_model(raw, "old", "new") == expected


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_in_its_place_it_is_the_same(raw: bytes, expected: bytes) -> None:
    document = top_level(rename(raw, "old", "new"))
    assert {k: bytes(v) for k, v in document.items()} == {k: bytes(v) for k, v in top_level(expected).items()}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b' {\n "model" : "old" ,\t"m": [ {"a" : 1.0} ] }\r\n',
            b' {\n "model" : "new" ,\t"m": [ {"a" : 1.0} ] }\r\n',
        ),
        (
            b'{"a":"{\\"model\\":\\"old\\"}", "model":\n"old"}',
            b'{"a":"{\\"model\\":\\"old\\"}", "model":\n"new"}',
        ),
        (b'{"text":"cut \\ud83d", "model":"old"}', b'{"text":"cut \\ud83d", "model":"new"}'),
        # Not where there is a doubt: these are taken apart.
        (b'{ "a":"model", "model":"old"}', b'{"a":"model","model":"new"}'),
        (b'{ "a":{"model":"old"}, "mod\\u0065l":"old"}', b'{"a":{"model":"old"},"model":"new"}'),
        (b'{ "a":{"model":"old"}, "\\u006Dodel":"old"}', b'{"a":{"model":"old"},"model":"new"}'),
        (b'{ "model":"\\u006fld"}', b'{"model":"new"}'),
        (b'{ "model":"o\\u006cd"}', b'{"model":"new"}'),
    ],
)
def test_white_space_stays_where_the_name_is_changed_in_its_place(raw: bytes, expected: bytes) -> None:
    assert rename(raw, "old", "new") == expected


@pytest.mark.parametrize("old", ["a/b", 'a"b', "中文", "a\\b"])
@pytest.mark.parametrize("escaped", [True, False])
def test_the_old_name_may_be_written_in_any_way(old: str, escaped: bool) -> None:
    raw = (
        json.dumps({"model": old, "n": 1}, ensure_ascii=escaped)
        .replace("/", "\\/" if escaped else "/")
        .encode()
    )
    assert json.loads(rename(raw, old, "new")) == {"model": "new", "n": 1}


def test_the_same_name_changes_no_byte() -> None:
    raw = b' { "model" : "old" } '
    assert replace_model(raw, "old", "old") is raw


@pytest.mark.parametrize("new", ['a"b', "a\\b", "中文", "a/b:c", "", "line\nbreak"])
def test_any_name_is_written_as_json(new: str) -> None:
    assert json.loads(replace_model(b'{"model":"old","n":1}', "old", new)) == {"model": new, "n": 1}


def test_half_a_surrogate_pair_passes() -> None:
    """JavaScript clients that cut a text in the middle of an emoji send these."""
    raw = b'{"model":"old","text":"cut \\ud83d"}'
    assert json.loads(replace_model(raw, "old", "new")) == {"model": "new", "text": "cut \ud83d"}


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
decoys = st.sampled_from(
    ["model", '"model":"old"', '{"model":"old"}', '\\"model\\":', "old", ',"model":"old"']
)
keys = st.one_of(names, st.sampled_from(["model", "models", "messages"]))
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        names,
        decoys,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@PROPERTY
@given(
    before=st.dictionaries(keys, values, max_size=4),
    after=st.dictionaries(keys, values, max_size=4),
    old=names,
    new=names,
    ascii=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
)
def test_it_agrees_with_a_parser(
    before: dict[str, Any], after: dict[str, Any], old: str, new: str, ascii: bool, indent: int | None
) -> None:
    after.pop("model", None)
    document = before | {"model": old} | after
    raw = json.dumps(document, ensure_ascii=ascii, indent=indent).encode()
    assert json.loads(replace_model(raw, old, new)) == document | {"model": new}
    assert json.loads(rename(raw, old, new)) == document | {"model": new}


def test_it_is_quick() -> None:
    """A hundred kilobytes take some 50 microseconds; the limit leaves room for a busy machine."""
    texts = [{"role": "user", "content": 'say "model": and {"model": "x"}\n' * 30} for _ in range(100)]
    raw = json.dumps({"messages": texts, "model": "old"}).encode()
    assert len(raw) > 100_000
    best = min(timeit.repeat(lambda: replace_model(raw, "old", "new"), number=20, repeat=5)) / 20
    assert best < 0.001


@pytest.mark.parametrize(
    "bulk",
    ["x" * 9000, ["x" * 9000], {"a": "x" * 9000}, int("1" * 4200)],
    ids=["text", "array", "object", "number"],
)
def test_what_is_large_stays_in_sight_as_something_small(bulk: object) -> None:
    raw = json.dumps({"model": "m", "bulk": bulk, "stream": True}).encode()
    seen = json.loads(without_bulk(top_level(raw)))
    assert (seen["model"], seen["stream"], type(seen["bulk"])) == ("m", True, type(bulk))
    assert replace_model(raw, "m", "n", top_level(raw)) == replace_model(raw, "m", "n")
