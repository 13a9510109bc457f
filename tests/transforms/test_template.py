"""`template`: a whole body."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.errors import TransformFailed
from tests.transforms.conftest import Compile

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("template", "after"),
    [
        ({"prompt": "{{ request.messages[-1].content }}", "n": 1}, {"prompt": "hi", "n": 1}),
        ({}, {}),
        ("{{ {'inner': request} }}", {"inner": BODY}),
        ('{"model": {{ request.model | tojson }}, "user": {{ key | tojson }}}', {"model": "m", "user": None}),
    ],
)
def test_template(compiled: Compile, template: Any, after: dict[str, Any]) -> None:
    document = {**BODY}
    returned = compiled({"template": template}).apply(document, {})
    assert returned == after
    assert returned is not document
    assert document == BODY


def test_what_follows_works_on_the_new_body(compiled: Compile) -> None:
    transform = compiled({"template": {"n": 1}}, {"set": {"twice": "{{ request.n * 2 }}"}}, {"remove": "n"})
    assert transform.apply({**BODY}, {}) == {"twice": 2}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ request.messages }}", "a body must be an object, not a list"),
        ("{{ request.model }}!", "is not JSON"),
        ('[{{ "1" }}]', "a body must be an object, not a list"),
    ],
)
def test_what_is_no_body(compiled: Compile, template: str, words: str) -> None:
    with pytest.raises(TransformFailed) as error:
        compiled({"template": template}).apply({**BODY}, {})
    assert words in str(error.value)


@pytest.mark.parametrize("template", ["plain", 1, ["{{ model }}"], None])
def test_what_does_not_compile(compiled: Compile, template: Any) -> None:
    with pytest.raises(ValueError, match="is expected here"):
        compiled({"template": template})
