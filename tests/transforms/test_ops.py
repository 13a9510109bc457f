"""The ops on places: a document, an op, the document after it. `...` stands for: as it was, and None is returned."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from omniroute.errors import TransformFailed
from tests.transforms.conftest import Compile

AS_IT_WAS = ...


def check(compiled: Compile, document: dict[str, Any], op: dict[str, Any], after: Any) -> None:
    before = copy.deepcopy(document)
    returned = compiled(op).apply(document, {"key": "laptop", "model": "m"})
    if after is AS_IT_WAS:
        assert returned is None
        assert document == before
    else:
        assert returned is document
        assert document == after


@pytest.mark.parametrize(
    ("document", "values", "after"),
    [
        ({}, {"temperature": 0}, {"temperature": 0}),
        ({"temperature": 1}, {"temperature": 0}, {"temperature": 0}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({}, {"metadata.user.id": "{{ key }}"}, {"metadata": {"user": {"id": "laptop"}}}),
        ({"metadata": None}, {"metadata.x": 1}, {"metadata": {"x": 1}}),
        ({"m": [{"a": 1}, {}]}, {"m[*].a": 2}, {"m": [{"a": 2}, {"a": 2}]}),
        (
            {"m": [{"r": "x"}, {"r": "y"}]},
            {"m[?r=='y'].a.b": [1]},
            {"m": [{"r": "x"}, {"r": "y", "a": {"b": [1]}}]},
        ),
        ({"m": [1, 2, 3]}, {"m[-1]": 9}, {"m": [1, 2, 9]}),
        ({"m": [1, 2, 3]}, {"m[1:]": 9}, {"m": [1, 9, 9]}),
        ({"m": [[1], [2]]}, {"m[][]": 9}, {"m": [[9], [9]]}),
        (
            {"m": [{"r": 1}, {"r": 2}, {"r": 1}]},
            {"m[?r==`1`] | [-1].z": 1},
            {"m": [{"r": 1}, {"r": 2}, {"r": 1, "z": 1}]},
        ),
        ({"p": {"a": 1, "b": 2}}, {"p.*": 0}, {"p": {"a": 0, "b": 0}}),
        ({"m": []}, {"m[0].a": 1}, AS_IT_WAS),
        ({"m": "text"}, {"m[*].a": 1}, AS_IT_WAS),
        ({"n": 5}, {"half": "{{ request.n / 2 }}", "n": "{{ request.half * 4 }}"}, {"n": 10.0, "half": 2.5}),
        ({"a": {"b": 1}}, {"c": "{{ request.a }}", "a.b": 2}, {"a": {"b": 2}, "c": {"b": 1}}),
        ({"a": 1}, {"self": "{{ request }}"}, {"a": 1, "self": {"a": 1}}),  # a copy: no circle
        ({}, {'"x-y"."a.b"': 1}, {"x-y": {"a.b": 1}}),
    ],
)
def test_set(compiled: Compile, document: dict[str, Any], values: dict[str, Any], after: Any) -> None:
    check(compiled, document, {"set": values}, after)


@pytest.mark.parametrize(
    ("document", "values", "after"),
    [
        ({}, {"max_tokens": 10}, {"max_tokens": 10}),
        ({"max_tokens": None}, {"max_tokens": 10}, {"max_tokens": 10}),
        ({"max_tokens": 5}, {"max_tokens": 10}, AS_IT_WAS),
        ({"flag": False, "n": 0, "t": ""}, {"flag": True, "n": 1, "t": "x"}, AS_IT_WAS),
        ({}, {"a.b": 1}, {"a": {"b": 1}}),
        ({"a": "text"}, {"a.b": 1}, AS_IT_WAS),
        ({"m": [{"a": 1}, {}]}, {"m[*].a": 2}, {"m": [{"a": 1}, {"a": 2}]}),
    ],
)
def test_default(compiled: Compile, document: dict[str, Any], values: dict[str, Any], after: Any) -> None:
    check(compiled, document, {"default": values}, after)


@pytest.mark.parametrize(
    ("document", "paths", "after"),
    [
        ({"a": 1, "b": 2}, "a", {"b": 2}),
        ({"a": None}, "a", {}),
        ({"a": {"b": 1, "c": 2}, "d": 3}, ["a.b", "d", "none"], {"a": {"c": 2}}),
        ({"m": [{"r": "x"}, {"r": "y"}, {"r": "x"}]}, "m[?r=='x']", {"m": [{"r": "y"}]}),
        ({"m": [{"r": 1, "n": 2}, {"r": 3}]}, "m[*].n", {"m": [{"r": 1}, {"r": 3}]}),
        ({"m": [[1, 2], [3, 1]]}, "m[*][?@==`1`]", {"m": [[2], [3]]}),
        ({"m": [1, 2, 3, 4]}, "m[::2]", {"m": [2, 4]}),
        ({"m": [1, 2]}, "m[-1]", {"m": [1]}),
        ({"p": {"a": 1, "b": 2}}, "p.*", {"p": {}}),
        ({"a": 1}, ["b", "c.d", "a.b", "m[*].x"], AS_IT_WAS),
    ],
)
def test_remove(compiled: Compile, document: dict[str, Any], paths: Any, after: Any) -> None:
    check(compiled, document, {"remove": paths}, after)


@pytest.mark.parametrize(
    ("document", "paths", "after"),
    [
        ({"a": 1, "b": 2, "c": 3}, ["a", "c", "d"], {"a": 1, "c": 3}),
        ({"a": {"b": 1, "c": {"d": 1}}, "e": 1}, ["a.c"], {"a": {"c": {"d": 1}}}),
        ({"m": [{"r": 1, "x": 1}, {"x": 2}, {"r": 2}]}, ["m[*].r"], {"m": [{"r": 1}, {"r": 2}]}),
        ({"a": 1, "b": {"c": None}}, ["a", "b"], AS_IT_WAS),
        ({"a": 1}, ["none"], {}),
    ],
)
def test_keep(compiled: Compile, document: dict[str, Any], paths: Any, after: Any) -> None:
    check(compiled, document, {"keep": paths}, after)


@pytest.mark.parametrize(
    ("document", "names", "after"),
    [
        ({"old": 1}, {"old": "new"}, {"new": 1}),
        ({"old": 1, "new": 2}, {"old": "new"}, {"new": 1}),
        ({"old": 1}, {"old": "old"}, {"old": 1}),
        ({"m": [{"a": 1}, {"b": 2}]}, {"m[*].a": "z"}, {"m": [{"z": 1}, {"b": 2}]}),
        ({"x": {"a": None}}, {"x.a": "b"}, {"x": {"b": None}}),
        ({"new": 2}, {"old": "new"}, AS_IT_WAS),
    ],
)
def test_rename(compiled: Compile, document: dict[str, Any], names: dict[str, str], after: Any) -> None:
    check(compiled, document, {"rename": names}, after)


@pytest.mark.parametrize(
    ("document", "paths", "after"),
    [
        ({"a": 1}, {"a": "b.c"}, {"b": {"c": 1}}),
        ({"a": 1}, {"a": "a.b"}, {"a": {"b": 1}}),  # wrap
        ({"a": {"b": 1, "c": 2}}, {"a.b": "a"}, {"a": 1}),  # unwrap
        ({"a": {"b": 1}}, {"a.b": "a.b"}, {"a": {"b": 1}}),
        ({"m": [1, 2, 3]}, {"m[0]": "first"}, {"m": [2, 3], "first": 1}),
        (
            {"m": [{"r": "s", "t": 1}, {"r": "u"}]},
            {"m[?r=='s']": "s"},
            {"m": [{"r": "u"}], "s": [{"r": "s", "t": 1}]},
        ),
        (
            {"m": [{"r": "s", "t": 1}, {"r": "u"}]},
            {"m[?r=='s'] | [0].t": "s"},
            {"m": [{"r": "s"}, {"r": "u"}], "s": 1},
        ),
        ({"m": [{"x": 0}], "a": 1}, {"a": "m[0].x"}, {"m": [{"x": 1}]}),
        ({"b": 1}, {"a": "b", "m[*]": "b"}, AS_IT_WAS),
    ],
)
def test_move(compiled: Compile, document: dict[str, Any], paths: dict[str, str], after: Any) -> None:
    check(compiled, document, {"move": paths}, after)


@pytest.mark.parametrize(
    ("document", "paths", "after"),
    [
        ({"a": [1]}, {"a": "b.c"}, {"a": [1], "b": {"c": [1]}}),
        ({"a": {"x": 1}}, {"a": "a.b"}, {"a": {"x": 1, "b": {"x": 1}}}),
        ({"m": [{"r": 1}, {"r": 2}]}, {"m[*].r": "all"}, {"m": [{"r": 1}, {"r": 2}], "all": [1, 2]}),
        ({"a": None}, {"a": "b"}, {"a": None, "b": None}),
        ({"b": 1}, {"a": "b"}, AS_IT_WAS),
    ],
)
def test_copy(compiled: Compile, document: dict[str, Any], paths: dict[str, str], after: Any) -> None:
    check(compiled, document, {"copy": paths}, after)


def test_a_copy_is_its_own(compiled: Compile) -> None:
    document = {"a": {"n": [1]}}
    compiled({"copy": {"a": "b"}}, {"append": {"b.n": 2}}).apply(document, {})
    assert document == {"a": {"n": [1]}, "b": {"n": [1, 2]}}


@pytest.mark.parametrize(
    ("document", "op", "after"),
    [
        ({"stop": ["a"]}, {"append": {"stop": "b"}}, {"stop": ["a", "b"]}),
        ({"stop": ["a"]}, {"append": {"stop": ["b", "c"]}}, {"stop": ["a", "b", "c"]}),
        ({"stop": ["a"]}, {"append": {"stop": [["b"]]}}, {"stop": ["a", ["b"]]}),
        ({"stop": ["c"]}, {"prepend": {"stop": ["a", "b"]}}, {"stop": ["a", "b", "c"]}),
        ({}, {"append": {"a.stop": "b"}}, {"a": {"stop": ["b"]}}),
        ({"stop": None}, {"prepend": {"stop": "b"}}, {"stop": ["b"]}),
        ({"system": "Hi."}, {"append": {"system": " {{ model }}"}}, {"system": "Hi. m"}),
        ({"system": "Hi."}, {"prepend": {"system": "1 "}}, {"system": "1 Hi."}),
        ({"m": [{"t": [1]}, {"t": []}]}, {"append": {"m[*].t": 2}}, {"m": [{"t": [1, 2]}, {"t": [2]}]}),
        ({"m": [{"t": None}, {}]}, {"append": {"m[*].t": 2}}, AS_IT_WAS),
        ({"stop": ["a"]}, {"append": {"stop": []}}, {"stop": ["a"]}),
    ],
)
def test_append_and_prepend(
    compiled: Compile, document: dict[str, Any], op: dict[str, Any], after: Any
) -> None:
    check(compiled, document, op, after)


@pytest.mark.parametrize(
    ("document", "op", "words"),
    [
        ({"a": "text"}, {"set": {"a.b": 1}}, "ops[0].set: there is no place 'a.b'"),
        ({"a": 1, "b": 2}, {"move": {"a": "b.c"}}, "ops[0].move: there is no place 'b.c'"),
        ({"a": 1}, {"copy": {"a": "m[0]"}}, "ops[0].copy: there is no place 'm[0]'"),
        ({"a": 1}, {"append": {"a": 2}}, "ops[0].append: a number cannot be added at 'a', which is a number"),
        ({"a": "t"}, {"append": {"a": {}}}, "an object cannot be added at 'a', which is a text"),
        ({}, {"set": {"a": "{{ request.none }}"}}, "ops[0].set: a template failed"),
        ({"n": 1}, {"remove": "[?x]"}, None),
        (
            {"m": [1]},
            {"remove": "m[?length(@) > `1`]"},
            "ops[0].remove: length() cannot take a value of type number",
        ),
    ],
)
def test_what_fails(
    compiled: Compile, document: dict[str, Any], op: dict[str, Any], words: str | None
) -> None:
    transform = compiled(op)
    if words is None:
        assert transform.apply(document, {}) is None
        return
    with pytest.raises(TransformFailed) as error:
        transform.apply(document, {})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ({"set": {}}, "an object is expected here, such as {temperature: 0}"),
        ({"set": ["a"]}, "not a list"),
        ({"set": {1: 2}}, "a text is expected on both sides"),
        ({"set": {"length(a)": 1}}, "the result of a function"),
        ({"set": {"a": "{{ nope }}"}}, "'nope' is not one of"),
        ({"default": {"a[": 1}}, "is not a JMESPath expression"),
        ({"remove": []}, "a path or a list of paths"),
        ({"remove": {"a": 1}}, "a path or a list of paths"),
        ({"remove": ["a", 1]}, "a path or a list of paths"),
        ({"keep": "@"}, "is the whole document"),
        ({"rename": {"a": "b.c"}}, "use the op `move`"),
        ({"rename": {"a[*]": "b"}}, "does not end in a name"),
        ({"rename": {"a": 1}}, "a text is expected on both sides"),
        ({"move": {"a": "b[*].c"}}, "selects several places"),
        ({"copy": {"a": ""}}, "a text is expected on both sides"),
    ],
)
def test_what_does_not_compile(compiled: Compile, op: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:
        compiled(op)
    assert words in str(error.value)
    assert str(error.value).startswith(f"ops[0].{next(iter(op))}: ")
