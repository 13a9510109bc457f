"""What an op takes, from its own JSON Schema."""

from __future__ import annotations

from typing import Any

from omniroute.reference.markdown import code, table
from omniroute.reference.words import either, flow

Doc = dict[str, Any]

NOUNS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "map",
    "null": "nothing",
}


def value_block(cls: Any) -> str:
    """The value of an op: a table of its keys, or a sentence."""
    schema: Doc = cls.schema()
    properties: Doc = schema.get("properties", {})
    if not properties:
        return f"{type_words(schema).capitalize()}."
    required = schema.get("required", [])
    rows = (
        (
            code(key),
            type_words(about),
            "*required*" if key in required else _default(about),
            about.get("description", "—"),
        )
        for key, about in properties.items()
    )
    return table(("key", "takes", "default", "meaning"), rows)


def type_words(schema: Doc) -> str:
    """A schema in words."""
    if "anyOf" in schema:
        return either([type_words(one) for one in schema["anyOf"] if one.get("type") != "null"])
    if "enum" in schema:
        return either([code(flow(value)) for value in schema["enum"]])
    kind = schema.get("type")
    if isinstance(kind, list):
        return either([NOUNS[one] for one in kind if one != "null"])
    if kind == "array":
        items = schema.get("items", {})
        return f"list: {type_words(items)}" if isinstance(items, dict) else "list"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return _pairs(schema["additionalProperties"])
    if kind is None:
        return "any value"
    return PATHS.get(schema.get("description", ""), NOUNS[kind])


PATHS = {
    "A place in the document, as a JMESPath expression.": "path",
    "The new name, not a path.": "new name",
}


def _pairs(right: Doc) -> str:
    value = type_words(right)
    return f"map from path to {value}" if value else "map"


def _default(about: Doc) -> str:
    value = about.get("default")
    return "—" if value in (None, [], {}, "") else code(flow(value))
