"""Values of JSON as Python has them: copying them, and words for them."""

from __future__ import annotations

import math
from collections.abc import Iterator, KeysView, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from typing import Any

from jinja2.runtime import Undefined

from omniroute.transforms.edit import EditFailed


def copied(value: Any) -> Any:
    """A value of JSON, with nothing in it that is part of something else. Raises EditFailed for what JSON has not."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return {_key(key): copied(member) for key, member in value.items()}
    if kind is list:
        return [copied(element) for element in value]
    return _copied_other(value)


def _copied_other(value: Any) -> Any:
    match value:
        case Undefined():
            return str(value)  # raises UndefinedError with Jinja's words for what is missing
        case float() if math.isfinite(value):
            return float(value)
        case str():
            return str.__str__(value)
        case Mapping():
            return {_key(key): copied(member) for key, member in value.items()}
        case list() | tuple() | range() | Iterator() | KeysView() | ValuesView() | AbstractSet():
            return [copied(element) for element in value]
        case _:
            raise EditFailed(f"a value of type {type(value).__name__} cannot be written as JSON")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise EditFailed("the names in an object must be texts")
    return key


def kind_of(value: Any) -> str:
    """What a value is, in words for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
