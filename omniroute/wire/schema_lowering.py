"""JSON Schema to the subset of OpenAPI 3.0 that Gemini calls `Schema`, and back.

`lower_schema` keeps what the subset can say, says in the description what it can say only there, and notes what is
lost. `raise_schema` reads such a schema as JSON Schema. Both leave the names of properties alone, also where a
property is called like a keyword. https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from omniroute.wire.conversation import Doc, Notes
from omniroute.wire.gemini_doc import as_list, camel

_TYPES = {
    "string": "STRING",
    "number": "NUMBER",
    "integer": "INTEGER",
    "boolean": "BOOLEAN",
    "array": "ARRAY",
    "object": "OBJECT",
}
_TYPE_NUMBERS = (None, "string", "number", "integer", "boolean", "array", "object", "null")
"""Requests with enums as numbers write `Type` so; 0 is unspecified."""

_KEPT = (
    "title",
    "description",
    "default",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)
_FORMATS = {
    "STRING": frozenset({"enum", "date-time"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
_HINTED = ("format", "contentMediaType", "contentEncoding")
"""Annotations that go into the description where the subset does not know them: the model reads both."""

_LOST = (
    "not",
    "if",
    "then",
    "else",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "multipleOf",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
)
"""Keywords whose meaning the subset cannot carry. Annotations that are not listed anywhere go in silence."""

_TYPE_OF_KEYWORD = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "patternProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
    "format": "string",
}
_MAX_NODES = 5000
_MAX_DEPTH = 40
"""Inlined references can grow without bound; beyond these a schema becomes a plain object."""


def lower_schema(schema: Doc, notes: Notes, place: str) -> Doc:
    """`schema` in Gemini's subset. `place` is the client's name for it (`tools[].parameters`), for the notes."""
    return _Lowering(schema, notes, place).lower(schema)


class _Lowering:
    """One schema on its way down. Holds the root, for references into it, and the references being inlined."""

    def __init__(self, root: Doc, notes: Notes, place: str) -> None:
        self._root = root
        self._notes = notes
        self._place = place
        self._open: list[str] = []
        self._nodes = 0
        self._depth = 0

    def lower(self, schema: Any) -> Doc:
        self._nodes += 1
        if self._nodes > _MAX_NODES or self._depth > _MAX_DEPTH:
            return self._anything("$ref", "object")
        self._depth += 1
        try:
            return self._lower(schema)
        finally:
            self._depth -= 1

    def _lower(self, schema: Any) -> Doc:
        if not isinstance(schema, dict):
            return self._anything("true", "string")
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._inlined(reference, schema)
        if schema.get("allOf"):
            return self._whole(schema)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(branches, list) and branches:
            return self._union(schema, branches)
        types = schema.get("type")
        if isinstance(types, list):
            return self._typed_union(schema, types)
        return self._plain(schema)

    # references ─────────────────────────────────────────────────────────────────────────────────
    def _inlined(self, reference: str, schema: Doc) -> Doc:
        target = self._resolve(reference)
        if target is None or reference in self._open:
            return {**self._anything("$ref", "object"), **_described(schema)}
        self._open.append(reference)
        beside = {key: value for key, value in schema.items() if key not in ("$ref", "$defs", "definitions")}
        try:
            return self.lower({**target, **beside})
        finally:
            self._open.pop()

    def _resolve(self, reference: str) -> Doc | None:
        if not reference.startswith("#"):
            return None
        node: Any = self._root
        for step in unquote(reference[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else None

    def _whole(self, schema: Doc) -> Doc:
        """A schema with `allOf`. What it refers to stays open below it, as with any reference."""
        outside = len(self._open)
        try:
            return self.lower(self._merged(schema))
        finally:
            del self._open[outside:]

    def _merged(self, schema: Doc) -> Doc:
        """`allOf` as one schema: what the parts demand together. Demands that clash are noted."""
        whole = {key: value for key, value in schema.items() if key != "allOf"}
        parts = schema["allOf"] if isinstance(schema["allOf"], list) else []
        if len(parts) == 1 and isinstance(parts[0], dict):
            return {**parts[0], **whole}
        for part in parts:
            found = self._followed(part)
            for key, value in found.items():
                whole[key] = self._both(key, whole[key], value) if key in whole else value
        return whole

    def _followed(self, part: Any) -> Doc:
        if not isinstance(part, dict):
            return {}
        reference = part.get("$ref")
        if isinstance(reference, str) and reference not in self._open:
            self._open.append(reference)
            rest = {key: value for key, value in part.items() if key != "$ref"}
            return {**self._followed(self._resolve(reference)), **rest}
        return self._merged(part) if part.get("allOf") else part

    def _both(self, key: str, one: Any, other: Any) -> Any:
        if (
            key in ("properties", "$defs", "definitions")
            and isinstance(one, dict)
            and isinstance(other, dict)
        ):
            return {**one, **other}
        if key == "required" and isinstance(one, list) and isinstance(other, list):
            return [*one, *(name for name in other if name not in one)]
        if one != other and key not in ("description", "title", "additionalProperties"):
            self._lose("allOf")
        return one

    # unions ─────────────────────────────────────────────────────────────────────────────────────
    def _union(self, schema: Doc, branches: list[Any]) -> Doc:
        """Gemini wants `anyOf` to stand alone, so what stood beside it moves into the branches."""
        beside = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf", "$defs", "definitions")}
        real = [branch for branch in branches if not _is_null(branch)]
        nullable = len(real) < len(branches) or beside.get("nullable") is True
        lowered = [self.lower(self._joined(beside, branch)) for branch in real]
        return _any_of(_distinct(lowered), nullable)

    def _joined(self, beside: Doc, branch: Any) -> Doc:
        found = branch if isinstance(branch, dict) else {}
        joined = {**beside, **found}
        for key in ("properties", "required"):
            if key in beside and key in found:
                joined[key] = self._both(key, beside[key], found[key])
        return joined

    def _typed_union(self, schema: Doc, types: list[Any]) -> Doc:
        real = [word for word in types if word != "null"]
        if not real:
            return self._plain({**schema, "type": None, "nullable": True})
        lowered = [self._plain(_of_type(schema, word)) for word in real]
        return _any_of(_distinct(lowered), len(real) < len(types) or schema.get("nullable") is True)

    # one type ───────────────────────────────────────────────────────────────────────────────────
    def _plain(self, schema: Doc) -> Doc:
        word = self._type(schema)
        lowered: Doc = {"type": _TYPES[word]}
        lowered |= {key: schema[key] for key in _KEPT if schema.get(key) is not None}
        if schema.get("nullable") is True:
            lowered["nullable"] = True
        self._note_lost(schema)
        self._hints(schema, lowered)
        self._bounds(schema, lowered)
        self._values(schema, lowered)
        finish = {"object": self._object, "array": self._array}.get(word)
        if finish is not None:
            finish(schema, lowered)
        return lowered

    def _type(self, schema: Doc) -> str:
        word = schema.get("type")
        if isinstance(word, str) and word.lower() in _TYPES:
            return word.lower()
        for keyword, implied in _TYPE_OF_KEYWORD.items():
            if keyword in schema:
                return implied
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        kinds = {_type_of(value) for value in as_list(values) if value is not None}
        if len(kinds) == 1:
            return kinds.pop()
        self._lose("type")
        return "string"

    def _hints(self, schema: Doc, lowered: Doc) -> None:
        hints = [f"{key}: {schema[key]}" for key in _HINTED if isinstance(schema.get(key), str)]
        format_word = schema.get("format")
        if isinstance(format_word, str) and format_word in _FORMATS.get(lowered["type"], ()):
            lowered["format"] = format_word
            hints.pop(0)
        examples = schema.get("examples")
        if isinstance(examples, list) and examples:
            lowered["example"] = examples[0]
        elif "example" in schema:
            lowered["example"] = schema["example"]
        _describe(lowered, hints)

    def _bounds(self, schema: Doc, lowered: Doc) -> None:
        """Open bounds: exact for integers, one point too wide for numbers."""
        for keyword, bound, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
            limit = schema.get(keyword)
            if limit is True or not isinstance(limit, int | float):
                continue
            whole = lowered["type"] == "INTEGER" and float(limit).is_integer()
            lowered[bound] = int(limit) + step if whole else limit
            if not whole:
                self._lose(keyword)

    def _values(self, schema: Doc, lowered: Doc) -> None:
        """`enum` and `const`. The subset lists strings only: other values are named in the description."""
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if not isinstance(values, list):
            return
        if None in values:
            lowered["nullable"] = True
        real = [value for value in values if value is not None]
        if lowered["type"] == "STRING" and all(isinstance(value, str) for value in real):
            if real:
                lowered["enum"] = real
                lowered["format"] = "enum"
            return
        _describe(lowered, ["one of: " + ", ".join(str(value) for value in real)])
        self._lose("const" if "const" in schema else "enum")

    def _object(self, schema: Doc, lowered: Doc) -> None:
        properties = schema.get("properties")
        declared = properties if isinstance(properties, dict) else {}
        found = {name: inner for name, inner in declared.items() if inner is not False}
        if found:
            lowered["properties"] = {name: self.lower(inner) for name, inner in found.items()}
            lowered["propertyOrdering"] = list(found)
        required = schema.get("required")
        names = [name for name in as_list(required) if isinstance(name, str) and name in found]
        if names:
            lowered["required"] = names
        if isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
            self._lose("additionalProperties")

    def _array(self, schema: Doc, lowered: Doc) -> None:
        items = schema.get("items")
        places = schema.get("prefixItems") if "prefixItems" in schema else items
        if isinstance(places, list) and places:
            lowered["items"] = _any_of(_distinct([self.lower(place) for place in places]), False)
            if items is False or isinstance(items, list):
                lowered["minItems"] = lowered["maxItems"] = len(places)
            self._lose("prefixItems")
        elif isinstance(items, dict):
            lowered["items"] = self.lower(items)
        else:
            lowered["items"] = self._anything("items", "string")

    # what cannot be said ────────────────────────────────────────────────────────────────────────
    def _note_lost(self, schema: Doc) -> None:
        for keyword in _LOST:
            if schema.get(keyword) not in (None, False, {}, []):
                self._lose(keyword)

    def _anything(self, keyword: str, word: str) -> Doc:
        self._lose(keyword)
        return {"type": _TYPES[word]}

    def _lose(self, keyword: str) -> None:
        self._notes.drop(f"{self._place}.{keyword}")


def _any_of(branches: list[Doc], nullable: bool) -> Doc:
    """One branch is no union; `nullable` stands in each branch, since `anyOf` must stand alone."""
    marked = [{**branch, "nullable": True} for branch in branches] if nullable else branches
    if not marked:
        return {"type": "STRING", "nullable": True}
    return marked[0] if len(marked) == 1 else {"anyOf": marked}


def _distinct(schemas: list[Doc]) -> list[Doc]:
    flat = [branch for schema in schemas for branch in schema.get("anyOf", [schema])]
    return [schema for index, schema in enumerate(flat) if schema not in flat[:index]]


def _of_type(schema: Doc, word: Any) -> Doc:
    """One arm of a type list, with only the values that it allows."""
    arm = {**schema, "type": word}
    values = schema.get("enum")
    if isinstance(values, list):
        arm["enum"] = [value for value in values if value is None or _type_of(value) == word]
        if not [value for value in arm["enum"] if value is not None]:
            del arm["enum"]
    return arm


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") in ("null", ["null"]) or ("const" in schema and schema["const"] is None)
    )


def _type_of(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "string")


def _described(schema: Doc) -> Doc:
    return {key: schema[key] for key in ("title", "description") if isinstance(schema.get(key), str)}


def _describe(lowered: Doc, hints: list[str]) -> None:
    if hints:
        text = lowered.get("description")
        lowered["description"] = f"{text} ({'; '.join(hints)})" if text else "; ".join(hints)


# ── back ─────────────────────────────────────────────────────────────────────────────────────────────

_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def raise_schema(schema: Any) -> Any:
    """A `Schema` of Gemini as JSON Schema. What is JSON Schema already comes back as it is.

    Reads snake_case keywords (`any_of`) and types as numbers too; `schema` is not changed.
    """
    if not isinstance(schema, dict):
        return schema
    raised: Doc = {}
    for key, value in schema.items():
        name = camel(key)
        inner = _RAISED.get(name)
        result = inner(value) if inner else value
        if name not in _ONLY_OPENAPI and result is not None:
            raised[name] = result
    found = {camel(key): value for key, value in schema.items()}
    if found.get("nullable") is True:
        _allow_null(raised)
    if found.get("format") == "enum":
        del raised["format"]
    if "example" in found and "examples" not in raised:
        raised["examples"] = [found["example"]]
    _order(raised, found.get("propertyOrdering"))
    return raised


_ONLY_OPENAPI = ("nullable", "example", "propertyOrdering")


def _raise_type(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return _TYPE_NUMBERS[value] if 0 <= value < len(_TYPE_NUMBERS) else None
    if isinstance(value, str):
        return None if value == "TYPE_UNSPECIFIED" else value.lower()
    return value


def _raise_map(value: Any) -> Any:
    return {name: raise_schema(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _raise_list(value: Any) -> Any:
    return [raise_schema(inner) for inner in value] if isinstance(value, list) else raise_schema(value)


def _raise_count(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


_RAISED: dict[str, Callable[[Any], Any]] = {
    "type": _raise_type,
    "properties": _raise_map,
    "$defs": _raise_map,
    "definitions": _raise_map,
    "items": _raise_list,
    "prefixItems": _raise_list,
    "anyOf": _raise_list,
    "oneOf": _raise_list,
    "allOf": _raise_list,
    "additionalProperties": raise_schema,
    **dict.fromkeys(_COUNTS, _raise_count),
}


def _allow_null(raised: Doc) -> None:
    if isinstance(raised.get("anyOf"), list):
        raised["anyOf"] = [*raised["anyOf"], {"type": "null"}]
    elif isinstance(raised.get("type"), str):
        raised["type"] = [raised["type"], "null"]
    if isinstance(raised.get("enum"), list) and None not in raised["enum"]:
        raised["enum"] = [*raised["enum"], None]


def _order(raised: Doc, order: Any) -> None:
    """`propertyOrdering` becomes the order in which the properties stand."""
    properties = raised.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        raised["properties"] = {**first, **properties}
