"""The checks of JSON shapes: requests are held to theirs, answers are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omniroute.errors import Refused
from omniroute.wire.shapes import (
    arguments_object,
    arguments_text,
    count_of,
    flag_at,
    integer_at,
    list_at,
    number_at,
    object_at,
    text_at,
    texts_at,
)


@pytest.mark.parametrize(
    "check, value, found",
    [
        (object_at, {"a": 1}, {"a": 1}),
        (list_at, None, []),
        (text_at, "", ""),
        (flag_at, False, False),
        (number_at, 1.5, 1.5),
        (integer_at, 5.0, 5),
        (texts_at, "a", ["a"]),
        (texts_at, ["a", "b"], ["a", "b"]),
    ],
)
def test_what_fits(check: Callable[[Any, str], Any], value: Any, found: Any) -> None:
    assert check(value, "x") == found


@pytest.mark.parametrize(
    "check, value, place",
    [
        (object_at, [], "x"),
        (list_at, {}, "x"),
        (text_at, None, "x"),
        (flag_at, 1, "x"),
        (number_at, True, "x"),
        (number_at, "1", "x"),
        (integer_at, 1.5, "x"),
        (integer_at, float("inf"), "x"),
        (integer_at, float("nan"), "x"),
        (texts_at, ["a", 1], "x[1]"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    check: Callable[[Any, str], Any], value: Any, place: str
) -> None:
    with pytest.raises(Refused) as caught:
        check(value, "x")
    assert caught.value.problem.param == place
    assert caught.value.problem.message.startswith(f"{place}: must be ")


@pytest.mark.parametrize(
    "value, count", [(3, 3), (3.0, 3), (-1, 0), (True, 0), ("3", 0), (None, 0), (1e300, 0)]
)
def test_counts(value: Any, count: int) -> None:
    assert count_of(value) == count


@pytest.mark.parametrize(
    "value, text",
    [({"a": 1}, '{"a":1}'), (None, "{}"), ("", "{}"), (" ", "{}"), ('{"a": 1}', '{"a": 1}'), ([], "[]")],
)
def test_arguments_as_text(value: Any, text: str) -> None:
    assert arguments_text(value) == text


@pytest.mark.parametrize(
    "text, found",
    [
        ("", {}),
        ("null", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", None),
        ("{", None),
        ("\ud800", None),
        ("[" * 100_000, None),
    ],
)
def test_arguments_as_an_object(text: str, found: Any) -> None:
    assert arguments_object(text) == found
