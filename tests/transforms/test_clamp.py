"""`clamp`: numbers within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Compile


@pytest.mark.parametrize(
    ("before", "bounds", "after"),
    [
        (9000, {"max": 8192}, 8192),
        (8192, {"max": 8192}, None),
        (0, {"min": 1, "max": 5}, 1),
        (0.5, {"min": 1}, 1),
        (2.5, {"max": 1.5}, 1.5),
        (3, {"min": 1, "max": 5}, None),
        ("9000", {"max": 1}, None),  # no number: left alone
        (True, {"max": 0}, None),
        (None, {"min": 1}, None),
    ],
)
def test_clamp(compiled: Compile, before: Any, bounds: dict[str, Any], after: Any) -> None:
    returned = compiled({"clamp": {"path": "n", **bounds}}).apply({"n": before}, {})
    assert (returned and (returned["n"], type(returned["n"]))) == (after and (after, type(after)))


def test_each_of_several(compiled: Compile) -> None:
    transform = compiled({"clamp": {"path": "m[*].n", "max": 2}})
    assert transform.apply({"m": [{"n": 1}, {"n": 3}, {}]}, {}) == {"m": [{"n": 1}, {"n": 2}, {}]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "n"}, "`min`, `max` or both are needed"),
        ({"path": "n", "min": 2, "max": 1}, "`min` (2) is greater than `max` (1)"),
        ({"path": "n", "max": "1"}, "max"),
    ],
)
def test_what_does_not_compile(compiled: Compile, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:
        compiled({"clamp": options})
    assert words in str(error.value)
