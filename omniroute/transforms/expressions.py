"""JMESPath, compiled once: conditions over names, and predicates over a document's elements.

The grammar is that of https://jmespath.org/specification.html. The library leaves names and functions that
do not exist to run time; here they are errors of the configuration.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, cast

import jmespath
from jmespath.exceptions import (
    EmptyExpressionError,
    IncompleteExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.functions import Functions

from omniroute.transforms.edit import NAMES, EditFailed
from omniroute.transforms.evaluate import Node, evaluator, is_true

Predicate = Callable[[Any], bool]


def parse(text: str) -> Node:
    """The syntax tree of an expression. Raises ValueError saying what is wrong and where."""
    try:
        tree = cast("Node", jmespath.compile(text).parsed)
        _check(tree)
    except (JMESPathError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a JMESPath expression: {_wrong(error)}") from None
    return tree


def condition(text: str, names: Collection[str] = NAMES) -> Callable[[Mapping[str, Any]], bool]:
    """A test over names. Null, false and what is empty count as false, as JMESPath has it.

    Raises ValueError for an expression that cannot be parsed or that begins with another name.
    """
    tree = parse(text)
    for name in roots(tree):
        if name not in names:
            raise ValueError(f"{text!r}: {unknown(name, names)}")
    return predicate(tree)


def unknown(name: str, names: Collection[str]) -> str:
    """Words for a name that is not one of `names`."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"'{name}' is not one of {', '.join(names)}{hint}"


def predicate(tree: Node) -> Predicate:
    """A test of one value. It raises EditFailed when a function gets what it cannot take."""
    evaluate = evaluator(tree)

    def holds(value: Any) -> bool:
        try:
            found = evaluate(value)
        except JMESPathTypeError as error:
            raise EditFailed(
                f"{error.function_name}() cannot take a value of type {error.actual_type}"
            ) from None
        except (JMESPathError, TypeError, ValueError, ArithmeticError) as error:
            raise EditFailed(f"a condition cannot be decided ({type(error).__name__})") from None
        return is_true(found)

    return holds


# ── what the library does not check ──────────────────────────────────────────────────────────────


def _check(node: Node) -> None:
    if node["type"] == "function_expression":
        _check_call(node["value"], len(node["children"]))
    if node["type"] == "slice":
        if node["children"][2] == 0:
            raise JMESPathError("the step of a slice cannot be 0")
        return
    for child in node["children"]:
        _check(child)


def _check_call(name: str, given: int) -> None:
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        near = difflib.get_close_matches(name, Functions.FUNCTION_TABLE, n=1)
        raise JMESPathError(
            f"there is no function {name}()" + (f" (did you mean {near[0]}()?)" if near else "")
        )
    signature = known["signature"]
    variadic = bool(signature) and signature[-1].get("variadic", False)
    if given < len(signature) or (given > len(signature) and not variadic):
        least = "at least " if variadic else ""
        raise JMESPathError(f"{name}() takes {least}{len(signature)} argument(s), not {given}")


_AT_ROOT_FIRST = frozenset(
    {
        "subexpression",
        "index_expression",
        "pipe",
        "projection",
        "value_projection",
        "filter_projection",
        "flatten",
    }
)
_AT_ROOT_ALL = frozenset(
    {
        "comparator",
        "and_expression",
        "or_expression",
        "not_expression",
        "function_expression",
        "multi_select_list",
        "multi_select_dict",
        "key_val_pair",
    }
)


def roots(node: Node) -> Iterator[str]:
    """The names that an expression reads from the top of what it is given."""
    if node["type"] == "field":
        yield node["value"]
    elif node["type"] in _AT_ROOT_FIRST:
        yield from roots(node["children"][0])
    elif node["type"] in _AT_ROOT_ALL:
        for child in node["children"]:
            yield from roots(child)


def _wrong(error: Exception) -> str:
    match error:
        case EmptyExpressionError():
            return "it is empty"
        case IncompleteExpressionError():
            return "it ends too early"
        case LexerError():
            return f"{error.message} at column {error.lexer_position + 1}"
        case ParseError():
            return f"unexpected {error.token_value!r} at column {error.lex_position + 1}"
        case RecursionError():
            return "it is nested too deeply"
        case _:
            return str(error)
