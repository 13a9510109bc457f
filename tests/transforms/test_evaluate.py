"""The fast evaluation gives what the library gives."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.transforms.evaluate import evaluator, is_true
from omniroute.transforms.expressions import parse

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, "", "a", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_atoms = st.sampled_from(
    ["a", "b", "a.b", "@", "'a'", "`1`", "`true`", "`null`", "`[]`", "a[0]", "b[*].c", "type(a)", "a[?b]"]
)
_expressions = st.recursive(
    _atoms,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["==", "!=", "&&", "||"]), inner)
        | st.builds("!({})".format, inner)
    ),
    max_leaves=5,
)


@given(_expressions, st.dictionaries(st.sampled_from("abc"), _json, max_size=3))
def test_as_the_library(text: str, document: dict[str, Any]) -> None:
    assert evaluator(parse(text))(document) == jmespath.search(text, document)


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (None, False),
        (False, False),
        ("", False),
        ([], False),
        ({}, False),
        (0, True),
        (0.0, True),
        ("0", True),
    ],
)
def test_truth(value: Any, truth: bool) -> None:
    assert is_true(value) is truth
