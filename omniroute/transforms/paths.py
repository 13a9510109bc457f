"""JMESPath as places to edit: an expression that, instead of values, selects where they are.

A place is a container and a key in it (`document["messages"][0]`, `"role"`), so it can be read, written
and deleted. Selecting follows JMESPath, with two differences that editing asks for: a name at the end of
a path is a place in an object even if nothing is there yet, and a null there is not left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from omniroute.transforms.evaluate import Node
from omniroute.transforms.expressions import Predicate, parse, predicate

Place = tuple[Any, Any]
"""A container (dict or list) and a key of it (str, or an index from 0)."""

Found = Any
"""A place, a list of what is found (JMESPath's projections, which may nest), or None."""

Step = Callable[[Found, bool], Found]
"""From a place to the places under it. The flag says whether missing objects are made on the way."""

MISSING = object()

_NOT_A_PLACE = {
    "literal": "a literal",
    "function_expression": "the result of a function",
    "multi_select_list": "a list made of several values",
    "multi_select_dict": "an object made of several values",
    "comparator": "a comparison",
    "and_expression": "a condition",
    "or_expression": "a choice",
    "not_expression": "a condition",
    "expref": "an expression reference",
}


class Path:
    """A compiled path.

    `plain`: names only (`a.b.c`), so it is always exactly one place. `many`: it selects a list, be it of
    one. `leaf`: the name at its end, if it ends in one. Raises ValueError for an expression that cannot
    name places.
    """

    __slots__ = ("_step", "leaf", "many", "plain", "text")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError(f"a path is a text, not {text!r}")
        tree = parse(text)
        self.text = text
        self._step = _Compiler(text).step(tree, tail=True)
        if _stays(tree):
            raise ValueError(f"{text!r} is the whole document: name a place in it, or use the op `template`")
        self.plain = _plain(tree)
        self.many = _many(tree)
        self.leaf = _leaf(tree)

    def find(self, document: Any) -> list[Place]:
        """The places that have a value, null included, in the order of the document."""
        found = _places(self._step(([document], 0), False))
        return [place for place in found if value_at(place) is not MISSING]

    def reach(self, document: Any) -> list[Place]:
        """The places to write to. Missing (or null) objects on the way to a name are made.

        None are found where the way is blocked by a text, a number or a list.
        """
        return list(_places(self._step(([document], 0), True)))


def value_at(place: Place) -> Any:
    """The value at a place, or MISSING."""
    container, key = place
    return container.get(key, MISSING) if isinstance(container, dict) else container[key]


def delete(places: list[Place]) -> None:
    """Take places away. Elements of a list go from its end, so that the indexes stay right."""
    for container, key in sorted(
        places, key=lambda place: place[1] if isinstance(place[0], list) else 0, reverse=True
    ):
        del container[key]


def _places(found: Found) -> Iterator[Place]:
    if isinstance(found, list):
        for one in found:
            yield from _places(one)
    elif found is not None:
        yield found


# ── facts of an expression ───────────────────────────────────────────────────────────────────────

_CHAINS = frozenset({"subexpression", "index_expression", "pipe"})
_LISTS = frozenset({"projection", "value_projection", "filter_projection", "flatten"})


def _stays(node: Node) -> bool:
    if node["type"] in _CHAINS:
        return all(_stays(child) for child in node["children"])
    return node["type"] in ("current", "identity")


def _plain(node: Node) -> bool:
    if node["type"] in _CHAINS:
        return all(_plain(child) for child in node["children"])
    return node["type"] in ("field", "current")


def _many(node: Node) -> bool:
    if node["type"] in _CHAINS:
        return _many(node["children"][-1])
    return node["type"] in _LISTS


def _leaf(node: Node) -> str | None:
    if node["type"] == "field":
        return str(node["value"])
    if node["type"] in _CHAINS:
        return _leaf(node["children"][-1])
    if node["type"] in _LISTS and len(node["children"]) > 1:
        return _leaf(node["children"][1])
    return None


# ── steps ────────────────────────────────────────────────────────────────────────────────────────


class _Compiler:
    """From nodes to steps. `tail` is true for the part of an expression that nothing comes after."""

    def __init__(self, text: str) -> None:
        self.text = text

    def step(self, node: Node, *, tail: bool) -> Step:
        kind = node["type"]
        if kind in _CHAINS:
            return self._chain(node["children"], tail)
        if kind in _NOT_A_PLACE:
            raise ValueError(
                f"{self.text!r} contains {_NOT_A_PLACE[kind]}, which is no place in a document: "
                "a path is made of names, indexes, *, [*], [?filters], [slices], [] and |"
            )
        build: Callable[[Node, bool], Step] = getattr(self, f"_{kind}")
        return build(node, tail)

    def _chain(self, nodes: list[Node], tail: bool) -> Step:
        steps = []
        for at, node in enumerate(nodes):
            steps.append(
                self.step(node, tail=tail and all(after["type"] == "field" for after in nodes[at + 1 :]))
            )

        def follow(found: Found, make: bool) -> Found:
            for step in steps:
                found = step(found, make)
                if found is None:
                    return None
            return found

        return follow

    def _field(self, node: Node, tail: bool) -> Step:
        name = node["value"]

        def field(found: Found, make: bool) -> Found:
            if isinstance(found, list):
                return None
            value = value_at(found)
            if isinstance(value, dict):
                return value, name
            if make and tail and (value is MISSING or value is None) and isinstance(found[0], dict):
                made = found[0][found[1]] = {}
                return made, name
            return None

        return field

    def _index(self, node: Node, tail: bool) -> Step:
        index = node["value"]

        def element(found: Found, make: bool) -> Found:
            elements = _elements(found)
            if elements is None or not -len(elements) <= index < len(elements):
                return None
            return elements[index]

        return element

    def _slice(self, node: Node, tail: bool) -> Step:
        cut = slice(*node["children"])

        def part(found: Found, make: bool) -> Found:
            elements = _elements(found)
            return None if elements is None else elements[cut]

        return part

    def _identity(self, node: Node, tail: bool) -> Step:
        return lambda found, make: found

    _current = _identity

    def _projection(self, node: Node, tail: bool) -> Step:
        return self._each(node, tail, _elements)

    def _value_projection(self, node: Node, tail: bool) -> Step:
        return self._each(node, tail, _members)

    def _filter_projection(self, node: Node, tail: bool) -> Step:
        holds: Predicate = predicate(node["children"][2])

        def chosen(found: Found) -> list[Found] | None:
            elements = _elements(found)
            return None if elements is None else [one for one in elements if holds(_value(one))]

        return self._each(node, tail, chosen)

    def _each(self, node: Node, tail: bool, elements: Callable[[Found], list[Found] | None]) -> Step:
        left = self.step(node["children"][0], tail=False)
        right = self.step(node["children"][1], tail=tail)

        def each(found: Found, make: bool) -> Found:
            base = left(found, make)
            every = None if base is None else elements(base)
            if every is None:
                return None
            results = [right(one, make) for one in every]
            return [one for one in results if one is not None and (tail or _value(one) is not None)]

        return each

    def _flatten(self, node: Node, tail: bool) -> Step:
        inner = self.step(node["children"][0], tail=False)

        def flat(found: Found, make: bool) -> Found:
            base = inner(found, make)
            every = None if base is None else _elements(base)
            if every is None:
                return None
            merged: list[Found] = []
            for one in every:
                nested = _elements(one)
                merged.extend([one] if nested is None else nested)
            return merged

        return flat


def _elements(found: Found) -> list[Found] | None:
    """What is in a list, or in a list of places; None for anything else."""
    if isinstance(found, list):
        return found
    value = value_at(found)
    return [(value, index) for index in range(len(value))] if isinstance(value, list) else None


def _members(found: Found) -> list[Found] | None:
    value = MISSING if isinstance(found, list) else value_at(found)
    return [(value, key) for key in value] if isinstance(value, dict) else None


def _value(found: Found) -> Any:
    """The value that JMESPath would see: null for what is missing, a list for a projection."""
    if isinstance(found, list):
        return [_value(one) for one in found]
    value = value_at(found)
    return None if value is MISSING else value
