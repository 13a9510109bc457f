"""Headers on their way out: each name once, and safe."""

from __future__ import annotations

import pytest

from omniroute.upstream.headers import LONGEST_HEADER, header_safe, merged


@pytest.mark.parametrize(
    "layers, expected",
    [
        ([{"a": "1"}, {"b": "2"}], {"a": "1", "b": "2"}),
        ([{"anthropic-version": "old"}, {"Anthropic-Version": "new"}], {"Anthropic-Version": "new"}),
        ([{"authorization": "a"}, {"Authorization": "b"}, {"AUTHORIZATION": "c"}], {"AUTHORIZATION": "c"}),
        ([{"X": "1"}, {}], {"X": "1"}),
    ],
)
def test_a_later_layer_replaces_in_any_case(layers: list[dict[str, str]], expected: dict[str, str]) -> None:
    assert merged(*layers) == expected


def test_what_may_stand_in_a_header() -> None:
    assert header_safe("a\r\nX-Evil: 1 é") == "a??X-Evil: 1 ?"
    assert len(header_safe("x" * 100_000)) == LONGEST_HEADER
