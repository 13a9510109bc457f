"""The shapes of a JSON document: what stands at a place, or a refusal that names the place.

Requests are held to their shape: the functions with a `path` raise `Refused`. Answers are read without complaint:
the functions without one take null, absent, empty and nonsense as one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

import msgspec

from omniroute.errors import Problem, Refused
from omniroute.wire.conversation import Doc

_MOST = 2**53
"""No count of anything is larger; beyond it a float has lost its last digit."""


def refused(message: str, path: str) -> Refused:
    """The client's request has a wrong shape at `path`, such as `messages[2].content`."""
    return Refused(Problem(kind="invalid_request", message=f"{path}: {message}", param=path))


# ── in requests ──────────────────────────────────────────────────────────────────────────────────


def object_at(value: Any, path: str) -> Doc:
    if not isinstance(value, dict):
        raise refused("must be an object", path)
    return value


def list_at(value: Any, path: str) -> list[Any]:
    """A list; null and absent count as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused("must be a list", path)
    return value


def objects_at(value: Any, path: str) -> Iterator[tuple[Doc, str]]:
    """The objects of a list, each with its place; null and absent count as an empty list."""
    for index, item in enumerate(list_at(value, path)):
        place = f"{path}[{index}]"
        yield object_at(item, place), place


def text_at(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise refused("must be a string", path)
    return value


def text_in(doc: Doc, key: str, path: str) -> str:
    """The string that the object at `path` holds under `key`."""
    value = doc.get(key)
    if not isinstance(value, str):
        raise refused("must be a string", f"{path}.{key}")
    return value


def flag_at(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise refused("must be true or false", path)
    return value


def number_at(value: Any, path: str) -> float:
    """A number; JSON's true is none here."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused("must be a number", path)
    return value


def integer_at(value: Any, path: str) -> int:
    """A whole number, however it is written."""
    number = number_at(value, path)
    if number != number or abs(number) > _MOST or int(number) != number:
        raise refused("must be a whole number", path)
    return int(number)


def texts_at(value: Any, path: str) -> list[str]:
    """A list of strings, or a single one."""
    if isinstance(value, str):
        return [value]
    return [text_at(item, f"{path}[{index}]") for index, item in enumerate(list_at(value, path))]


# ── in answers ───────────────────────────────────────────────────────────────────────────────────


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def doc_of(value: Any) -> Doc:
    return value if isinstance(value, dict) else {}


def docs_of(value: Any) -> list[Doc]:
    """The objects of what should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def count_of(value: Any) -> int:
    """A number of tokens, or 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < _MOST else 0


def rest_of(doc: Doc, known: Container[str]) -> Doc:
    """What a document says beside the keys that are known; null says nothing."""
    return {key: value for key, value in doc.items() if value is not None and key not in known}


# ── the arguments of a call ──────────────────────────────────────────────────────────────────────


def arguments_text(value: Any) -> str:
    """The JSON text of arguments that came as a value; text is taken for JSON already, and nothing for no arguments."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return "{}" if value is None else msgspec.json.encode(value).decode()


def arguments_object(text: str) -> Doc | None:
    """The object that arguments are; an empty one for none, and None for text that is no JSON object."""
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None
