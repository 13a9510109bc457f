"""`headers`: set and remove."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from omniroute.errors import TransformFailed
from tests.transforms.conftest import Compile

SENT = {"X-Team": "a", "x-stainless-os": "mac", "X-Stainless-Lang": "py", "Connection": "close"}


@pytest.mark.parametrize(
    ("options", "after"),
    [
        ({"set": {"x-new": "1"}}, {**SENT, "x-new": "1"}),
        (
            {"set": {"x-team": "b"}},
            {"x-stainless-os": "mac", "X-Stainless-Lang": "py", "Connection": "close", "x-team": "b"},
        ),
        ({"set": {"x-new": "{{ key }}/{{ request.n }}"}}, {**SENT, "x-new": "laptop/1"}),
        (
            {"set": {"x-n": 5, "x-b": True, "x-t": "{{ request.n }}"}},
            {**SENT, "x-n": "5", "x-b": "true", "x-t": "1"},
        ),
        (
            {"set": {"x-team": "{{ account }}"}},
            {"x-stainless-os": "mac", "X-Stainless-Lang": "py", "Connection": "close"},
        ),
        ({"remove": "X-TEAM"}, {"x-stainless-os": "mac", "X-Stainless-Lang": "py", "Connection": "close"}),
        ({"remove": ["x-stainless-*", "none"]}, {"X-Team": "a", "Connection": "close"}),
        ({"remove": ["*"], "set": {"x-team": "b"}}, {"x-team": "b", "Connection": "close"}),
        ({"set": {"x-old": "{{ headers['X-Team'] }}"}, "remove": []}, {**SENT, "x-old": "a"}),
    ],
)
def test_headers(compiled: Compile, options: dict[str, Any], after: dict[str, str]) -> None:
    headers = dict(SENT)
    assert compiled({"headers": options}).apply({"n": 1}, {"key": "laptop"}, headers) is None
    assert headers == after


def test_several_of_one_name_are_replaced(compiled: Compile) -> None:
    headers: CIMultiDict[str] = CIMultiDict([("Via", "a"), ("via", "b"), ("Accept", "c")])
    compiled({"headers": {"set": {"VIA": "d"}}}).apply({}, {}, headers)
    assert sorted(headers.items()) == [("Accept", "c"), ("VIA", "d")]


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "\x00", "a\x7f"])
def test_a_value_cannot_begin_another_header(compiled: Compile, value: str) -> None:
    transform = compiled({"headers": {"set": {"x-user": "{{ request.user }}"}}})
    with pytest.raises(TransformFailed, match="holds a control character"):
        transform.apply({"user": value}, {}, {})


def test_where_there_are_no_headers(compiled: Compile) -> None:
    with pytest.raises(TransformFailed, match="there are no headers here"):
        compiled({"headers": {"remove": "a"}}).apply({}, {}, None)


@pytest.mark.parametrize(
    ("options", "keys", "words"),
    [
        ({}, {}, "`set`, `remove` or both are needed"),
        ({"set": {"bad name": "x"}}, {}, "'bad name' is not a header name"),
        ({"set": {"a\nb": "x"}}, {}, "is not a header name"),
        ({"set": {"Content-Length": 5}}, {}, "belongs to the connection"),
        ({"remove": ["Transfer-Encoding"]}, {}, "belongs to the connection"),
        ({"set": {"x-*": "1"}}, {}, "one name and one value"),
        ({"set": {"x-a": ["1"]}}, {}, "one name and one value"),
        ({"sett": {}}, {}, "sett"),
        ({"remove": "a"}, {"on": "event"}, "an event has no headers"),
    ],
)
def test_what_does_not_compile(compiled: Compile, options: Any, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:
        compiled({"headers": options}, **keys)
    assert words in str(error.value)
