"""A JMESPath syntax tree → a function of a value, several times faster than the library's interpreter.

Conditions run for each message of a body, and for each event of a stream. What they are mostly made of (names, literals,
comparisons, `&&`, `||`, `!`) becomes closures here; all else is left to the interpreter. Both give the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from jmespath.visitor import TreeInterpreter

Node = dict[str, Any]
"""A node of a parsed expression: `type`, `children` and, for some types, `value`."""

Evaluate = Callable[[Any], Any]


def evaluator(tree: Node) -> Evaluate:
    """The function. It raises what the library raises."""
    visit = cast("Callable[[Node, Any], Any]", TreeInterpreter().visit)
    return _compile(tree, visit)


def is_true(value: Any) -> bool:
    """JMESPath's truth: null, false and what is empty are false; 0 is true."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


def _compile(node: Node, visit: Callable[[Node, Any], Any]) -> Evaluate:
    build = _CLOSURES.get(node["type"])
    closure = build(node, [_compile(child, visit) for child in node["children"]]) if build else None
    return closure or (lambda value: visit(node, value))


def _field(node: Node, children: list[Evaluate]) -> Evaluate:
    name = node["value"]

    def field(value: Any) -> Any:
        try:
            return value.get(name)
        except AttributeError:
            return None

    return field


def _literal(node: Node, children: list[Evaluate]) -> Evaluate:
    literal = node["value"]
    return lambda value: literal


def _subexpression(node: Node, children: list[Evaluate]) -> Evaluate:
    def follow(value: Any) -> Any:
        for child in children:
            value = child(value)
        return value

    return follow


def _comparator(node: Node, children: list[Evaluate]) -> Evaluate | None:
    left, right = children
    if node["value"] == "eq":
        return lambda value: _equal(left(value), right(value))
    if node["value"] == "ne":
        return lambda value: not _equal(left(value), right(value))
    return None


def _equal(one: Any, other: Any) -> bool:
    # In Python True == 1; in JSON a boolean is no number.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _and(node: Node, children: list[Evaluate]) -> Evaluate:
    left, right = children

    def both(value: Any) -> Any:
        found = left(value)
        return right(value) if is_true(found) else found

    return both


def _or(node: Node, children: list[Evaluate]) -> Evaluate:
    left, right = children

    def either(value: Any) -> Any:
        found = left(value)
        return found if is_true(found) else right(value)

    return either


_CLOSURES: dict[str, Callable[[Node, list[Evaluate]], Evaluate | None]] = {
    "field": _field,
    "literal": _literal,
    "subexpression": _subexpression,
    "comparator": _comparator,
    "and_expression": _and,
    "or_expression": _or,
    "current": lambda node, children: lambda value: value,
}
