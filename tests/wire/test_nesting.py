"""Nesting is counted exactly, however the text is taken apart for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.nesting import Shallow, is_deeper
from omniroute.wire.splice import top_level

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


@given(st.lists(st.dictionaries(st.sampled_from(["messages", "tools"]), VALUES, min_size=1), max_size=4))
def test_what_was_seen_before_changes_nothing(bodies: list[dict[str, Any]]) -> None:
    for most in (1, 3):
        shallow = Shallow(most)
        for body in [*bodies, *bodies]:
            text = json.dumps(body).encode()
            assert is_deeper(text, most, top_level(text), shallow) == (depth(body) > most)


def test_a_deep_value_as_long_as_a_known_one_is_not_let_through() -> None:
    shallow = Shallow(10)
    wide, deep = b"[" + b"[],[],[],[],[],[],[],[],[],[]" + b"]", b"[" * 15 + b"0" + b"]" * 15
    assert len(wide) == len(deep)
    assert not shallow.is_deeper("tools", wide)
    assert not shallow.is_deeper("tools", wide)
    assert shallow.is_deeper("tools", deep)


def test_little_is_kept() -> None:
    shallow = Shallow(3)
    values = [b"[" + b",".join([b"[]"] * n) + b"]" for n in range(2, 40)]
    for name in "abcdefghijk":
        assert not any(shallow.is_deeper(name, value) for value in values)
    assert len(shallow._values) == Shallow.NAMES
    assert {len(kept) for kept in shallow._values.values()} == {Shallow.PER_NAME}
    large = b"[" + b",".join([b"[]"] * Shallow.LARGEST) + b"]"
    assert not shallow.is_deeper("a", large)
    assert len(large) not in shallow._values["a"]
