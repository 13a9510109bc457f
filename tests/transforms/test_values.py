"""Literals and the templates in them."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.config.secrets import Secret
from omniroute.transforms.values import maker

SEEN = {"request": {"n": 3, "list": [1]}, "model": "m", "key": None}


@pytest.mark.parametrize(
    ("literal", "made"),
    [
        (0, 0),
        (None, None),
        ("plain", "plain"),
        ("a { b } %}", "a { b } %}"),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("{{ request.n }}", 3),
        ({"a": ["{{ model }}", {"b": "n={{ request.n }}"}], "c": 1.5}, {"a": ["m", {"b": "n=3"}], "c": 1.5}),
        (["{{ key }}"], [None]),
        ({"{{ model }}": 1}, {"{{ model }}": 1}),  # names are never templates
        (Secret("{{ sk }}"), "{{ sk }}"),  # nor is a secret
        ({"a": [Secret("sk")]}, {"a": ["sk"]}),
    ],
)
def test_maker(literal: Any, made: Any) -> None:
    assert maker(literal)(SEEN) == made


def test_each_value_is_new() -> None:
    literal = {"a": [1]}
    make = maker(literal)
    make(SEEN)["a"].append(2)
    literal["a"].append(3)
    assert make(SEEN) == {"a": [1]}


@pytest.mark.parametrize("literal", [float("nan"), {1: 2}, [object()], {"a": "{{ nope }}"}])
def test_what_is_no_value(literal: Any) -> None:
    with pytest.raises(ValueError):
        maker(literal)
