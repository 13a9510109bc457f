"""JSON Schema in Gemini's subset: what survives, what moves into words, and what is noted as lost."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from omniroute.wire.conversation import Doc, Notes
from omniroute.wire.schema_lowering import lower_schema, raise_schema


def lower(schema: Doc) -> tuple[Doc, list[str]]:
    notes = Notes()
    before = copy.deepcopy(schema)
    lowered = lower_schema(schema, notes, "tool")
    assert schema == before
    # The SDK's type refuses what the subset does not have.
    types.Schema.model_validate(lowered)
    return lowered, [name.removeprefix("tool.") for name in notes.dropped]


STRING = {"type": "STRING"}
INTEGER = {"type": "INTEGER"}


@pytest.mark.parametrize(
    "schema, lowered",
    [
        ({"type": "string", "minLength": 2, "maxLength": 9, "pattern": "^a"}, {**STRING, "minLength": 2, "maxLength": 9, "pattern": "^a"}),
        ({"type": "number", "minimum": 0, "maximum": 1, "default": 0.5, "title": "T"}, {"type": "NUMBER", "minimum": 0, "maximum": 1, "default": 0.5, "title": "T"}),
        ({"$schema": "s", "$id": "i", "$comment": "c", "type": "boolean", "deprecated": True, "x-mine": 1}, {"type": "BOOLEAN"}),
        ({"type": ["string", "null"]}, {**STRING, "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [STRING, INTEGER]}),
        ({"type": ["string", "integer", "null"], "description": "d"}, {"anyOf": [{**STRING, "description": "d", "nullable": True}, {**INTEGER, "description": "d", "nullable": True}]}),
        ({"enum": ["a", "b"]}, {**STRING, "format": "enum", "enum": ["a", "b"]}),
        ({"enum": ["a", None]}, {**STRING, "format": "enum", "enum": ["a"], "nullable": True}),
        ({"const": "on"}, {**STRING, "format": "enum", "enum": ["on"]}),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}, {**INTEGER, "minimum": 1, "maximum": 9}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d", "default": None}, {**STRING, "description": "d", "nullable": True}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}], "title": "t"}, {"anyOf": [{**STRING, "title": "t"}, {**INTEGER, "title": "t"}]}),
        ({"anyOf": [{"type": "string"}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}]}, {"anyOf": [STRING, INTEGER]}),
        ({"type": "string", "format": "date-time"}, {**STRING, "format": "date-time"}),
        ({"type": "string", "format": "uri"}, {**STRING, "description": "format: uri"}),
        ({"type": "string", "format": "email", "description": "Whom."}, {**STRING, "description": "Whom. (format: email)"}),
        ({"type": "integer", "format": "int32"}, {**INTEGER, "format": "int32"}),
        ({"type": "string", "examples": ["x", "y"]}, {**STRING, "example": "x"}),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "ARRAY", "items": STRING, "minItems": 1}),
        ({"type": "object", "additionalProperties": False}, {"type": "OBJECT"}),
        ({"type": "object", "additionalProperties": True}, {"type": "OBJECT"}),
        ({"properties": {"a": {"type": "string"}}, "required": ["a", "gone"]}, {"type": "OBJECT", "properties": {"a": STRING}, "propertyOrdering": ["a"], "required": ["a"]}),
        ({"type": "object", "properties": {"never": False, "a": {"type": "string"}}}, {"type": "OBJECT", "properties": {"a": STRING}, "propertyOrdering": ["a"]}),
        ({"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]}, {"type": "OBJECT", "properties": {"a": STRING, "b": INTEGER}, "propertyOrdering": ["a", "b"], "required": ["a", "b"]}),
    ],
)  # fmt: skip
def test_what_keeps_its_meaning(schema: Doc, lowered: Doc) -> None:
    assert lower(schema) == (lowered, [])


@pytest.mark.parametrize(
    "schema, lowered, lost",
    [
        ({"type": "integer", "enum": [1, 2]}, {**INTEGER, "description": "one of: 1, 2"}, ["enum"]),
        ({"const": True, "description": "Must."}, {"type": "BOOLEAN", "description": "Must. (one of: True)"}, ["const"]),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "NUMBER", "minimum": 0}, ["exclusiveMinimum"]),
        ({"type": "array"}, {"type": "ARRAY", "items": STRING}, ["items"]),
        ({"type": "array", "items": {}}, {"type": "ARRAY", "items": STRING}, ["type"]),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}, {"type": "ARRAY", "items": {"anyOf": [STRING, INTEGER]}, "minItems": 2, "maxItems": 2}, ["prefixItems"]),
        ({"type": "array", "items": [{"type": "string"}, {"type": "string"}]}, {"type": "ARRAY", "items": STRING, "minItems": 2, "maxItems": 2}, ["prefixItems"]),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}, ["additionalProperties"]),
        ({"type": "object", "patternProperties": {"^x": {}}, "not": {"required": ["y"]}}, {"type": "OBJECT"}, ["not", "patternProperties"]),
        ({"type": "number", "multipleOf": 5}, {"type": "NUMBER"}, ["multipleOf"]),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, STRING, ["allOf"]),
        ({}, STRING, ["type"]),
        ({"$ref": "https://example.com/schema"}, {"type": "OBJECT"}, ["$ref"]),
        ({"$ref": "#/$defs/none", "description": "d"}, {"type": "OBJECT", "description": "d"}, ["$ref"]),
    ],
)  # fmt: skip
def test_what_is_lost_is_noted(schema: Doc, lowered: Doc, lost: list[str]) -> None:
    assert lower(schema) == (lowered, lost)


def test_references_are_inlined() -> None:
    schema = {
        "type": "object",
        "properties": {
            "home": {"$ref": "#/$defs/Address", "description": "Where."},
            "work": {"allOf": [{"$ref": "#/%24defs/Address"}]},
            "odd": {"$ref": "#/definitions/a~1b"},
        },
        "$defs": {"Address": {"type": "object", "properties": {"zip": {"type": "string"}}}},
        "definitions": {"a/b": {"type": "integer"}},
    }
    address = {"type": "OBJECT", "properties": {"zip": STRING}, "propertyOrdering": ["zip"]}
    lowered, lost = lower(schema)
    assert lowered["properties"] == {
        "home": {**address, "description": "Where."},
        "work": address,
        "odd": INTEGER,
    }
    assert lost == []


@pytest.mark.parametrize(
    "child",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"allOf": [{"$ref": "#"}, {"description": "d"}]},
        {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        {"type": "array", "items": {"$ref": "#"}},
    ],
)
def test_a_schema_that_holds_itself_ends_as_an_object(child: Doc) -> None:
    lowered, lost = lower({"type": "object", "properties": {"left": child, "right": child}})
    assert lowered["type"] == "OBJECT"
    assert lost == ["$ref"]


NAMES = [
    "const",
    "$ref",
    "type",
    "enum",
    "format",
    "any_of",
    "additionalProperties",
    "items",
    "required",
    "nullable",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_property_may_be_called_like_a_keyword(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    lowered, lost = lower(schema)
    assert lowered["properties"] == {name: STRING}
    assert lowered["required"] == [name]
    assert lost == []
    assert raise_schema(lowered) == schema


@pytest.mark.parametrize(
    "native, raised",
    [
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}, {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
        ({"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"any_of": [{"type": "STRING"}, {"type": "INTEGER"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
        ({"type": 6, "properties": {"a": {"type": 5, "items": {"type": 1}, "max_items": "3"}}}, {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "maxItems": 3}}}),
        ({"type": "TYPE_UNSPECIFIED", "description": "d"}, {"description": "d"}),
        ({"type": "STRING", "example": "x"}, {"type": "string", "examples": ["x"]}),
        ({"type": "OBJECT", "properties": {"a": {}, "b": {}}, "property_ordering": ["b", "a"]}, {"type": "object", "properties": {"b": {}, "a": {}}}),
        ({"type": "object", "$defs": {"X": {"type": "string"}}, "additionalProperties": False}, {"type": "object", "$defs": {"X": {"type": "string"}}, "additionalProperties": False}),
    ],
)  # fmt: skip
def test_back_to_json_schema(native: Doc, raised: Doc) -> None:
    before = copy.deepcopy(native)
    found = raise_schema(native)
    assert found == raised
    assert [*found.get("properties", {})] == [*raised.get("properties", {})]
    assert native == before


keywords = st.sampled_from(
    ["type", "properties", "items", "anyOf", "allOf", "enum", "const", "$ref", "required", "format", "minimum", "nullable"]
)  # fmt: skip
junk: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["string", "object", "array", "#", "#/properties/a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keywords | st.just("a"), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keywords, junk, max_size=5))
def test_no_schema_is_too_odd(schema: Doc) -> None:
    lower_schema(schema, Notes(), "tool")
    raise_schema(schema)
