"""What a path selects, and what it makes on the way."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.transforms.paths import Path, delete, value_at

CHAT: dict[str, Any] = {
    "model": "m",
    "temperature": None,
    "metadata": {"user-id": "u1", "tags": ["a", "b"]},
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image", "url": "i"}]},
        {"role": "assistant", "content": None, "name": "x"},
        {"role": "user", "content": "u"},
    ],
    "nested": [[1, 2], [3], 4],
    "by_id": {"a": {"n": 1}, "b": {"n": 2}, "c": 3},
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("model", ["m"]),
        ("temperature", [None]),  # a null is there
        ("top_p", []),
        ("metadata.tags[0]", ["a"]),
        ("metadata.tags[-1]", ["b"]),
        ("metadata.tags[9]", []),
        ('metadata."user-id"', ["u1"]),
        ("model.length", []),  # a text has no members
        ("messages[*].role", ["system", "user", "assistant", "user"]),
        ("messages[*].name", ["x"]),
        ("messages[*].content", ["s", CHAT["messages"][1]["content"], None, "u"]),
        ("messages[?role=='user'].content[*].type", ["text", "image"]),
        ("messages[?role=='user'] | [-1].content", ["u"]),
        ("messages[?role=='user'] | [0]", [CHAT["messages"][1]]),
        ("messages[*].name | [0]", ["x"]),  # nulls are left out of a projection that something follows
        ("messages[*].content[] | [1].type", ["text"]),
        ("messages[1:3].role", ["user", "assistant"]),
        ("messages[::-2].role", ["user", "user"]),
        ("messages[:-1] | [-1].role", ["assistant"]),
        ("messages[?content[?type=='image']].role", ["user"]),
        ("nested[]", [1, 2, 3, 4]),
        ("nested[*][0]", [1, 3]),
        ("nested[0][1]", [2]),
        ("by_id.*.n", [1, 2]),
        ("by_id.*", [{"n": 1}, {"n": 2}, 3]),
        ("*.tags[]", ["a", "b"]),
        ("@.model", ["m"]),
        ("messages.role", []),  # a list has no members
        ("messages[*] | role", []),
    ],
)
def test_find(path: str, values: list[Any]) -> None:
    assert [value_at(place) for place in Path(path).find(CHAT)] == values


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("a.b.c", {"a": {"b": {"c": 1}}}),
        ("list[*].b.c", {"list": [{"b": {"c": 1}}, {"b": {"c": 1}}, None, 3], "a": None}),
        ("list[0].x", {"list": [{"x": 1}, {"b": None}, None, 3], "a": None}),
        ("a.b[0].c", {"a": None}),  # an index is not made, so nothing before it is either
        ("list[7].x", {"list": [{}, {"b": None}, None, 3], "a": None}),
        ("list[3].x", {"list": [{}, {"b": None}, None, 3], "a": None}),
    ],
)
def test_reach_makes_what_is_missing(path: str, after: dict[str, Any]) -> None:
    document = {"a": None, "list": [{}, {"b": None}, None, 3]} if "list" in path else {"a": None}
    for container, key in Path(path).reach(document):
        container[key] = 1
    assert document == after


def test_find_changes_nothing() -> None:
    document = copy.deepcopy(CHAT)
    for path in ("x.y.z", "messages[*].a.b", "by_id.*.m.n", "temperature.a"):
        assert Path(path).find(document) == []
    assert document == CHAT


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("length(messages)", "the result of a function"),
        ("messages[0].[role, content]", "a list made of several values"),
        ("{a: model}", "an object made of several values"),
        ("'text'", "a literal"),
        ("a || b", "a choice"),
        ("a == b", "a comparison"),
        ("@", "is the whole document"),
        ("@ | @", "is the whole document"),
        ("messages[", "it ends too early"),
        ("", "it is empty"),
        ("a b", "unexpected 'b' at column 3"),
        ("max-tokens", "not a JMESPath expression"),
        ("a[::0]", "the step of a slice cannot be 0"),
        ("a[?nope(@)]", "there is no function nope()"),
        ("a[?starts_with(@)]", "starts_with() takes 2 argument(s), not 1"),
    ],
)
def test_a_path_that_names_no_place(path: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        Path(path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("path", "plain", "many", "leaf"),
    [
        ("a", True, False, "a"),
        ("a.b", True, False, "b"),
        ("a[0].b", False, False, "b"),
        ("a[0]", False, False, None),
        ("a[*].b", False, True, "b"),
        ("a[*].b.c", False, True, "c"),
        ("a[?b] | [0].c", False, False, "c"),
        ("a[]", False, True, None),
        ("a[1:]", False, True, None),
        ("a.*", False, True, None),
    ],
)
def test_facts_of_a_path(path: str, plain: bool, many: bool, leaf: str | None) -> None:
    compiled = Path(path)
    assert (compiled.plain, compiled.many, compiled.leaf) == (plain, many, leaf)


def test_delete_several_of_one_list() -> None:
    document = {"list": [1, 2, 3, 4, 5]}
    delete(Path("list[?@ > `1` && @ < `5`]").find(document))
    assert document == {"list": [1, 5]}


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
_documents = st.dictionaries(st.sampled_from("abc"), _json, max_size=3)
_tails = st.sampled_from(
    [".a", ".b", "[0]", "[-1]", "[*]", "[]", ".*", "[?a]", "[?@]", "[?b!=`1`]", "[1:]", " | [0]", " | a"]
)


@given(_documents, st.sampled_from("abc"), st.lists(_tails, max_size=4))
def test_the_places_are_those_whose_values_jmespath_gives(document: Any, head: str, tails: list[str]) -> None:
    text = head + "".join(tails)
    values = [value_at(place) for place in Path(text).find(document)]
    assert list(_scalars(values)) == list(_scalars(jmespath.search(text, document)))


def _scalars(value: Any) -> Iterator[Any]:
    """What is in a value, however deep; nulls aside, which a path keeps at its end."""
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _scalars(member)
    elif value is not None:
        yield value
