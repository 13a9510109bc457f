"""Values that a JSON Schema allows, the same ones for the same schema. https://json-schema.org/draft/2020-12"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil, floor, inf
from typing import Any, overload

from omniroute.wire.conversation import Doc

WORD = "demo"
DEEPEST = 24
"""Levels after which a schema that refers to itself is given up: what it requires cannot be built."""

Suggest = Callable[[str, Doc], Any]
"""Name and schema of a property → a value that fits its meaning, or None."""

_FORMATS: dict[str, str] = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1M",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_TRIED_FOR_PATTERNS = (
    WORD,
    "Demo",
    "DEMO",
    "a",
    "A",
    "1",
    "0000",
    "demo-1",
    "D1",
    "+10000000000",
    *_FORMATS.values(),
)

_CLUES: dict[str, str] = {"properties": "object", "required": "object", "items": "array", "minimum": "number"}
"""A keyword → the type that a schema without `type` must mean."""


def nothing_better(name: str, schema: Doc) -> Any:
    """The `Suggest` that has no suggestion."""
    return None


def value_for(schema: Doc, suggest: Suggest = nothing_better) -> Any:
    """A small value that satisfies `schema`: required properties only, first choices, defaults where given."""
    return _Maker(schema, suggest).make(schema, "", 0)


class _Maker:
    def __init__(self, root: Doc, suggest: Suggest) -> None:
        self._root = root
        self._suggest = suggest

    def make(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > DEEPEST:
            return WORD
        schema = self._settled(schema)
        given = _given(schema)
        if given is not None:
            return given[0]
        kind = _kind(schema)
        suggested = self._suggest(name, schema) if name else None
        if suggested is not None and _is(kind, suggested):
            return suggested
        return _MAKERS.get(kind, _Maker.string)(self, schema, name, depth)

    def _settled(self, schema: Doc) -> Doc:
        """The schema with its references followed, its alternatives chosen and its `allOf` merged."""
        for _ in range(DEEPEST):
            rest = dict(schema)
            if "$ref" in rest:
                parts = [self._referred(rest.pop("$ref"))]
            elif "allOf" in rest:
                parts = rest.pop("allOf")
            elif "anyOf" in rest or "oneOf" in rest:
                parts = [_first_choice(rest.pop("anyOf", None) or rest.pop("oneOf", None))]
            else:
                return schema
            schema = _merged([*parts, rest])
        return schema

    def _referred(self, reference: Any) -> Any:
        found: Any = self._root
        for step in str(reference).removeprefix("#").strip("/").split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) and key else found
        return found

    def object(self, schema: Doc, name: str, depth: int) -> Doc:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        wanted = [key for key in schema.get("required") or () if isinstance(key, str)]
        made = {key: self.make(properties.get(key, {}), key, depth + 1) for key in wanted}
        spare = [key for key in properties if key not in made]
        for key in spare[: max(0, _whole(schema, "minProperties", 0) - len(made))]:
            made[key] = self.make(properties[key], key, depth + 1)
        return made

    def array(self, schema: Doc, name: str, depth: int) -> list[Any]:
        """As many items as are demanded, and one where none is: an empty list shows nothing."""
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        most = _whole(schema, "maxItems", DEEPEST)
        count = min(max(_whole(schema, "minItems", 1), len(first)), most)
        schemas = [*first, *[schema.get("items", {})] * count][:count]
        return [self.make(item, name.removesuffix("s"), depth + 1) for item in schemas]

    def string(self, schema: Doc, name: str, depth: int) -> str:
        text = _FORMATS.get(str(schema.get("format")), WORD)
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            text = next((tried for tried in _TRIED_FOR_PATTERNS if _matches(pattern, tried)), text)
        least = _whole(schema, "minLength", 0)
        if len(text) < least:
            text = (text * least)[:least]
        return text[: _whole(schema, "maxLength", len(text))]

    def integer(self, schema: Doc, name: str, depth: int) -> int:
        return int(_within(schema, 1, 1))

    def number(self, schema: Doc, name: str, depth: int) -> float:
        return _within(schema, 1, _number(schema, "multipleOf") or 0.5)

    def boolean(self, schema: Doc, name: str, depth: int) -> bool:
        return False

    def null(self, schema: Doc, name: str, depth: int) -> None:
        return None


_MAKERS: dict[str, Callable[[_Maker, Doc, str, int], Any]] = {
    "object": _Maker.object,
    "array": _Maker.array,
    "string": _Maker.string,
    "integer": _Maker.integer,
    "number": _Maker.number,
    "boolean": _Maker.boolean,
    "null": _Maker.null,
}

_PYTHON: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
}
"""The types for which suggestions are taken."""


def _given(schema: Doc) -> tuple[Any] | None:
    """The value that the schema itself names, if it names one."""
    if "const" in schema:
        return (schema["const"],)
    if schema.get("default") is not None:
        return (schema["default"],)
    choices = schema.get("enum")
    return (choices[0],) if isinstance(choices, list) and choices else None


def _kind(schema: Doc) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    return next((meant for clue, meant in _CLUES.items() if clue in schema), "string")


def _is(kind: str, value: Any) -> bool:
    wanted = _PYTHON.get(kind)
    return wanted is not None and isinstance(value, wanted)


def _first_choice(choices: Any) -> Any:
    choices = choices if isinstance(choices, list) else []
    real = [c for c in choices if not (isinstance(c, dict) and c.get("type") == "null")]
    return real[0] if real else {}


def _merged(parts: list[Any]) -> Doc:
    whole: Doc = {}
    for part in parts:
        if isinstance(part, dict):
            properties = {**(whole.get("properties") or {}), **(part.get("properties") or {})}
            required = [*(whole.get("required") or ()), *(part.get("required") or ())]
            whole |= part
            whole |= {"properties": properties} if properties else {}
            whole |= {"required": list(dict.fromkeys(required))} if required else {}
    return whole


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        # Patterns are ECMAScript's: one that Python cannot read says nothing to us.
        return False


@overload
def _number(schema: Doc, key: str) -> float | None: ...
@overload
def _number(schema: Doc, key: str, otherwise: float) -> float: ...
def _number(schema: Doc, key: str, otherwise: float | None = None) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _whole(schema: Doc, key: str, otherwise: int) -> int:
    return int(_number(schema, key, otherwise))


def _within(schema: Doc, value: float, step: float) -> float:
    """The number nearest to `value` that the bounds allow; `step` away from an exclusive bound."""
    above, below = _number(schema, "exclusiveMinimum"), _number(schema, "exclusiveMaximum")
    lowest = max(_number(schema, "minimum", -inf), -inf if above is None else above + step)
    highest = min(_number(schema, "maximum", inf), inf if below is None else below - step)
    value = max(min(value, highest), lowest)
    multiple = _number(schema, "multipleOf")
    if not multiple:
        return value
    rounded = ceil(value / multiple) * multiple
    return rounded if rounded <= highest else floor(highest / multiple) * multiple
