"""Nesting is counted exactly, however the text is taken apart for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.nesting import is_deeper

VALUES = st.recursive(
    st.none() | st.integers() | st.text('ab{}[]"\\\\', max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('k{["', max_size=3), inner, max_size=4)
    ),
    max_leaves=40,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(VALUES)
def test_all_levels_count(value: Any) -> None:
    text = json.dumps(value).encode()
    for most in range(6):
        assert is_deeper(text, most) == (depth(value) > most)


@pytest.mark.parametrize("wide", [1, 50])
@pytest.mark.parametrize("deep", [3, 8, 30, 199, 200, 201, 900])
def test_deep_and_wide(deep: int, wide: int) -> None:
    inner = ", ".join(["[" * deep + '"]"' + "]" * deep] * wide)
    text = f'{{"a": [{inner}]}}'.encode()
    assert is_deeper(text, 200) == (deep + 2 > 200)


def test_what_is_no_json_is_followed_as_far_as_it_goes() -> None:
    assert is_deeper(b"[" * 300, 200)
    assert not is_deeper(b"[}" * 300, 200)
