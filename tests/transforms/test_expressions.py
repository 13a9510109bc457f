"""Conditions over names."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from omniroute.transforms.edit import NAMES, EditFailed
from omniroute.transforms.expressions import condition, parse, roots

SEEN: dict[str, Any] = dict.fromkeys(NAMES) | {
    "request": {"model": "m", "tokens": 5000, "messages": [{"role": "user"}], "stream": False},
    "model": "m",
    "provider": "glm",
    "headers": CIMultiDict({"X-Team": "research"}),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("request.tokens < `100000`", True),
        ("request.tokens < `100`", False),
        ("provider == 'glm' && model == 'm'", True),
        ("provider == 'other' || request.stream", False),
        ("headers.\"x-team\" == 'research'", True),
        ("request.messages[?role=='user']", True),
        ("request.messages[?role=='tool']", False),
        ("length(request.messages) == `1`", True),
        ("starts_with(model, 'm')", True),
        ("contains(['glm', 'zai'], provider)", True),
        ("response", False),  # no answer yet: null
        ("!account", True),
        ("request.top_p == `null`", True),
    ],
)
def test_condition(text: str, holds: bool) -> None:
    assert condition(text)(SEEN) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("messages[0].role == 'user'", "'messages' is not one of request, response, model"),
        ("key == null", "'null' is not one of"),
        ("requesd.model", "(did you mean 'request'?)"),
        ("length(modex) > `1`", "(did you mean 'model'?)"),
        ("request.model ==", "it ends too early"),
        ("request.model = 'm'", "is not a JMESPath expression"),
        ("lngth(model)", "there is no function lngth() (did you mean length()?)"),
        ("contains(model)", "contains() takes 2 argument(s), not 1"),
        ("not_null()", "not_null() takes at least 1 argument(s), not 0"),
        ("(" * 5000, "it is nested too deeply"),
    ],
)
def test_what_cannot_be_a_condition(text: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        condition(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("length(request.tokens) > `1`", "length() cannot take a value of type number"),
        ("model < request.tokens", "a condition cannot be decided (TypeError)"),
    ],
)
def test_what_cannot_be_decided(text: str, words: str) -> None:
    with pytest.raises(EditFailed) as error:
        condition(text)(SEEN)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.b.c", ["a"]),
        ("a[?b == c].d", ["a"]),
        ("a | b", ["a"]),
        ("a == b && !c", ["a", "b", "c"]),
        ("max_by(a, &b)", ["a"]),
        ("[a, {x: b}]", ["a", "b"]),
        ("a.*.b | [0]", ["a"]),
        ("a[].b[1:]", ["a"]),
        ("`1`", []),
    ],
)
def test_roots(text: str, names: list[str]) -> None:
    assert list(roots(parse(text))) == names
