"""Pictures are cut out of a JSON text and put back: what comes out is what went in, to the byte."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Generator
from functools import lru_cache
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.bulk import PROBE, TURN, WINDOW, Bulk, cut_out, joined, put_back
from tests.support.properties import examples

PROPERTY = examples(60)
T = TypeVar("T")

BEGINNINGS = ("iVBORw0KGgoA", "/9j/4AAQ", "R0lGODdh", "UklGRhI0VnhXRUJQ")
FILES = ("JVBERi0xLjc", "UklGRv////9XQVZFZm10IA", "SUQzBA", "T2dnUwA", "ZkxhQw")


def run(work: Generator[None, None, T]) -> T:
    return turns(work)[0]


def turns(work: Generator[None, None, T]) -> tuple[T, int]:
    """What it gives, and how often others had their turn."""
    count = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, count
        count += 1


@lru_cache(64)
def picture(size: int, beginning: str = BEGINNINGS[0], seed: int = 1) -> str:
    """Base64 of a picture of so many characters, of the usual alphabet."""
    text = base64.b64encode(random.Random(seed).randbytes(size * 3 // 4)).decode()
    return (beginning + text)[:size]


def request(*contents: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": list(contents)}]}).encode()


def cut(text: bytes) -> Bulk:
    found = run(cut_out(text))
    assert found is not None
    return found


@pytest.mark.parametrize("beginning", [*BEGINNINGS, *FILES])
@pytest.mark.parametrize("url", ["", "data:image/png;base64,", "data:application/pdf;name=x.pdf;base64,"])
def test_a_large_picture_is_cut_out_and_put_back(beginning: str, url: str) -> None:
    text = request({"image_url": {"url": url + picture(10 * WINDOW, beginning)}}, "and?")
    bulk = cut(text)
    assert len(bulk.outline) < 600
    assert run(put_back(bulk.outline, bulk)) == text
    (given,) = [c["image_url"]["url"] for c in json.loads(bulk.outline)["messages"][0]["content"][:1]]
    assert given.startswith(url + beginning)
    missing = 0 if beginning in BEGINNINGS else len(text) - len(bulk.outline)
    assert bulk.unseen == missing
    # Who asks how the base64 is padded gets the same answer.
    assert len(given) % 4 == len(url + picture(10 * WINDOW, beginning)) % 4


def test_each_of_several_pictures_comes_back_to_its_place() -> None:
    same = picture(5 * WINDOW)
    text = request(
        same, picture(3 * WINDOW, seed=2), "text", same, picture(9 * WINDOW, BEGINNINGS[1], seed=3)
    )
    bulk = cut(text)
    assert len(bulk.cuts) == 4
    assert run(put_back(bulk.outline, bulk)) == text


def test_many_pictures_leave_little() -> None:
    """A session of screenshots: each of them is found, wherever it begins."""
    text = request(*[picture(2 * PROBE + 999 * n, seed=n) for n in range(40)])
    bulk = cut(text)
    assert len(bulk.cuts) == 40
    assert len(bulk.outline) < 40 * 400
    assert run(put_back(bulk.outline, bulk)) == text


def test_a_word_that_is_left_out_or_repeated() -> None:
    bulk = cut(request(picture(5 * WINDOW)))
    ((word, middle),) = bulk.cuts.items()
    assert run(put_back(b"none", bulk)) == b"none"
    assert run(put_back(word + b"," + word, bulk)) == bytes(middle) + b"," + bytes(middle)


def test_the_same_request_has_the_same_outline() -> None:
    text = request(picture(5 * WINDOW))
    assert cut(text).outline == cut(bytes(bytearray(text))).outline


@pytest.mark.parametrize("before", range(TURN - 80, TURN + 10, 7))
def test_a_word_at_the_border_of_two_turns(before: int) -> None:
    text = b'["' + b"x" * before + b'","' + picture(5 * WINDOW).encode() + b'"]'
    bulk = cut(text)
    assert run(put_back(bulk.outline, bulk)) == text


def test_a_text_that_knows_the_words_is_left_whole() -> None:
    """It would get what is not its own."""
    image = picture(5 * WINDOW)
    (word,) = cut(request(image)).cuts
    assert run(cut_out(request(image, word.decode()))) is None


WHOLE = {
    "small": request(picture(PROBE)),
    "text": request("word " * WINDOW),
    "base64-of-who-knows-what": request(picture(5 * WINDOW, "QUJDREVG")),
    "in-mid-text": request("see " + picture(5 * WINDOW)),
    "other-alphabet": request(picture(5 * WINDOW).replace("+", "-").replace("/", "_")),
    "escaped-slashes": request(picture(5 * WINDOW)).replace(b"/", b"\\/"),
    "wrapped": request("\n".join(picture(5 * WINDOW)[at : at + 76] for at in range(0, 5 * WINDOW, 76))),
    "not-ascii": request("é".join(picture(5 * WINDOW)[at : at + 999] for at in range(0, 5 * WINDOW, 999))),
    "json-in-a-string": request(json.dumps({"image": picture(5 * WINDOW)})),
    "a-control": b'{"a":"' + picture(5 * WINDOW).encode().replace(b"A", b"\n") + b'"}',
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
def test_what_is_left_whole(text: bytes) -> None:
    assert run(cut_out(text)) is None


def test_what_is_cut_outside_of_a_string_makes_no_json() -> None:
    """The outline of what is no JSON must not become one."""
    for text in (
        b'{"a" ' + b'"' + picture(5 * WINDOW).encode() + b"}",
        b'{"a":"b"' + picture(5 * WINDOW).encode() + b'"}',
        b'["x"iVBORw0KGgo' + b"1" * 5 * WINDOW + b"]",
    ):
        found = run(cut_out(text))
        with pytest.raises(ValueError):
            json.loads(found.outline if found is not None else text)


strings = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda beginning, size, seed, end: picture(size, beginning, seed) + end,
        st.sampled_from([*BEGINNINGS, *FILES, "QUJD", "data:image/png;base64,iVBORw0KGgo", "/9j/\\", ""]),
        st.integers(PROBE, 3 * WINDOW),
        st.integers(0, 3),
        st.sampled_from(["", "=", "é", '"', "\\", "-"]),
    ),
)
documents = st.recursive(
    st.one_of(strings, st.integers(), st.none()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@PROPERTY
@given(documents, st.booleans())
def test_any_document(document: Any, ascii: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii).encode()
    bulk = run(cut_out(text))
    if bulk is None:
        return
    assert run(put_back(bulk.outline, bulk)) == text
    # Read and written again, as a codec does.
    written = json.dumps(json.loads(bulk.outline), ensure_ascii=ascii).encode()
    assert json.loads(run(put_back(written, bulk))) == document


def test_others_have_their_turn() -> None:
    """Every step is about a megabyte."""
    text = request(picture(20 * TURN))
    bulk, while_cutting = turns(cut_out(text))
    assert bulk is not None
    put, while_putting = turns(put_back(bulk.outline, bulk))
    assert put == text
    assert while_cutting >= 19
    assert while_putting >= 19
    assert turns(joined([b"x"] * 10)) == (b"x" * 10, 0)
    # Also of many files, and of much text beside one.
    many = request(*[picture(3 * PROBE, seed=n) for n in range(100)])
    much = request("word " * TURN, picture(10 * PROBE))
    for text, least in ((many, len(many) // TURN - 1), (much, 2 * (len(much) // TURN) - 1)):
        bulk, while_cutting = turns(cut_out(text))
        assert bulk is not None and while_cutting >= least
        assert run(put_back(bulk.outline, bulk)) == text
