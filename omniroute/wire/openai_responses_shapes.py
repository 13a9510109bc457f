"""The shapes of a Responses request: what stands at a place, or a refusal that names the place.

`null` is "not said" everywhere, as the API has it.
"""

from __future__ import annotations

from typing import Any

from omniroute.errors import Problem, Refused
from omniroute.wire.conversation import Doc

WIRE = "openai-responses"
"""The name of this wire: of its signatures, opaque content and extras."""


def wrong(place: str, message: str) -> Refused:
    """An `invalid_request` for the client, to raise; `place` is a path such as `input[2].content`."""
    return Refused(Problem(kind="invalid_request", message=f"{place}: {message}", param=place))


def list_at(value: Any, place: str) -> list[Any]:
    """A list; nothing counts as an empty one. Raises `Refused` for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(place, f"expected a list, not {_kind(value)}")
    return value


def object_at(value: Any, place: str) -> Doc:
    """An object; nothing counts as an empty one. Raises `Refused` for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(place, f"expected an object, not {_kind(value)}")
    return value


def text_in(doc: Doc, key: str, place: str) -> str:
    """The text under `key`, which has to be there. Raises `Refused`."""
    value = doc.get(key)
    if not isinstance(value, str):
        raise wrong(f"{place}.{key}", f"expected a string, not {_kind(value)}")
    return value


def said(doc: Doc, key: str) -> str | None:
    """A text, or None for one that is absent, null, empty or no text at all (never raises)."""
    value = doc.get(key)
    return value if isinstance(value, str) and value else None


def whole(value: Any, otherwise: int = 0) -> int:
    """A count, or `otherwise` for anything that is none (never raises)."""
    if isinstance(value, float):
        return int(value) if value == value and abs(value) < 1e15 else otherwise
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "nothing"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")
