"""A Gemini document as it may really come: camelCase or snake_case at any level, one thing where a list belongs.

`normalise` gives the one spelling that the rest of the codec reads. It walks a table of message types and renames
keys only there: what a user put into `args`, `response`, a schema or metadata is never looked at.
Names are those of https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from omniroute.errors import Problem, Refused
from omniroute.wire.conversation import Doc

_SHAPES: dict[str, dict[str, str]] = {
    "request": {
        "contents": "content[]",
        "systemInstruction": "content",
        "tools": "tool[]",
        "toolConfig": "toolConfig",
        "generationConfig": "generationConfig",
        "safetySettings": "safetySetting[]",
        "generateContentRequest": "request",
    },
    "content": {"parts": "part[]"},
    "part": {
        "inlineData": "plain",
        "fileData": "plain",
        "functionCall": "plain",
        "functionResponse": "functionResponse",
        "executableCode": "plain",
        "codeExecutionResult": "plain",
        "toolCall": "plain",
        "toolResponse": "plain",
        "videoMetadata": "plain",
        "mediaResolution": "plain",
    },
    "functionResponse": {"parts": "part[]"},
    "tool": {"functionDeclarations": "plain[]"},
    "toolConfig": {"functionCallingConfig": "plain", "retrievalConfig": "plain"},
    "generationConfig": {"thinkingConfig": "plain"},
    "safetySetting": {},
    "plain": {},
}
"""Message type → the fields that hold further messages; `[]` is a list of them."""

_FROM_TEXT: dict[str, Callable[[str], Doc]] = {
    "content": lambda text: {"parts": [{"text": text}]},
    "part": lambda text: {"text": text},
}
"""Messages that may be given as a bare string."""

_SNAKE = re.compile(r"_([a-z0-9])")


def camel(name: str) -> str:
    """`system_instruction` → `systemInstruction`; names without an underscore stay as they are."""
    return _SNAKE.sub(lambda hit: hit.group(1).upper(), name) if "_" in name else name


def normalise(doc: Doc) -> Doc:
    """A request with every protocol key in camelCase; `doc` itself is not changed, user data is shared with it.

    Raises `Refused` where a message or a list of them has another JSON type.
    """
    return _message(doc, "request", "")


def _message(value: Any, shape: str, path: str) -> Doc:
    if isinstance(value, str) and shape in _FROM_TEXT:
        value = _FROM_TEXT[shape](value)
    if isinstance(value, list) and shape == "content":
        value = {"parts": value}
    if not isinstance(value, dict):
        raise wrong_shape(path, "an object")
    fields = _SHAPES[shape]
    found: Doc = {}
    for key, inner in value.items():
        name = camel(key)
        if inner is None or (name != key and name in value):
            continue
        found[name] = _field(inner, fields.get(name), f"{path}.{name}" if path else name)
    return found


def _field(value: Any, shape: str | None, path: str) -> Any:
    if shape is None:
        return value
    if not shape.endswith("[]"):
        return _message(value, shape, path)
    items = value if isinstance(value, list) else [value]
    return [_message(item, shape[:-2], f"{path}[{index}]") for index, item in enumerate(items)]


def wrong_shape(path: str, wanted: str) -> Refused:
    """The error for a value of a wrong JSON type at `path`."""
    return Refused(
        Problem(kind="invalid_request", message=f"{path or 'the request'} must be {wanted}", param=path)
    )


# ── answers are read without complaint: what has a wrong type counts as absent ───────────────────────


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_count(value: Any) -> int:
    """A number of tokens; int64 fields of JSON-mapped protocol buffers may be strings."""
    if isinstance(value, str) and value.isdecimal():
        return int(value[:18])
    return (
        int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**53
        else 0
    )


def given(**fields: Any) -> Doc:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
