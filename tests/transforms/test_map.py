"""`map`: values in place of values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.conftest import Compile


@pytest.mark.parametrize(
    ("document", "options", "after"),
    [
        (
            {"m": [{"r": "dev"}, {"r": "user"}]},
            {"path": "m[?r=='dev'].r", "value": "sys"},
            {"m": [{"r": "sys"}, {"r": "user"}]},
        ),
        ({"a": 1}, {"path": "a", "value": None}, {"a": None}),
        ({"a": 3}, {"path": "a", "value": "{{ value * 2 }}"}, {"a": 6}),
        (
            {"a": 3},
            {"path": "a", "value": {"was": "{{ value }}", "of": "{{ key }}"}},
            {"a": {"was": 3, "of": "k"}},
        ),
        ({"a": "x"}, {"path": "a", "template": "<{{ value }}>"}, {"a": "<x>"}),
        ({"a": "high"}, {"path": "a", "values": {"high": 3, "low": 1}}, {"a": 3}),
        ({"a": 3}, {"path": "a", "values": {"3": "{{ value }}!"}}, {"a": "3!"}),
        (
            {"a": [True, None, 1, 1.5, "1"]},
            {"path": "a[*]", "values": {"true": "t", "null": "n", "1": "i", "1.5": "f"}},
            {"a": ["t", "n", "i", "f", "i"]},
        ),
        ({"a": "other"}, {"path": "a", "values": {"high": 3}}, None),
        ({"a": {"high": 1}}, {"path": "a", "values": {"high": 3}}, None),
        ({}, {"path": "a", "value": 1}, None),  # nothing there, so nothing to replace
    ],
)
def test_map(compiled: Compile, document: dict[str, Any], options: dict[str, Any], after: Any) -> None:
    returned = compiled({"map": options}).apply(document, {"key": "k"})
    assert returned == after


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "a"}, "one of `value`, `values` and `template` is needed"),
        ({"path": "a", "value": 1, "template": "x"}, "only one"),
        ({"value": 1}, "path"),
        ({"path": "a", "valux": 1}, "valux"),
        ({"path": "a", "template": "{{ valux }}"}, "(did you mean 'value'?)"),
        ({"path": "a()", "value": 1}, "there is no function a()"),
        ("a", "object"),
    ],
)
def test_what_does_not_compile(compiled: Compile, options: Any, words: str) -> None:
    with pytest.raises(ValueError) as error:
        compiled({"map": options})
    assert words in str(error.value)
