"""What is made from a JSON Schema is what the schema allows."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from omniroute.upstream.demo_values import value_for

SCHEMAS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string"}, "demo"),
    ({"type": "string", "enum": ["b", "a"]}, "b"),
    ({"enum": [3, 4]}, 3),
    ({"const": {"a": 1}}, {"a": 1}),
    ({"type": "string", "default": "usual", "enum": ["other", "usual"]}, "usual"),
    ({"type": "string", "minLength": 6}, "demode"),
    ({"type": "string", "maxLength": 2}, "de"),
    ({"type": "string", "format": "date"}, "2025-01-01"),
    ({"type": "string", "pattern": "^[0-9]{4}$"}, "0000"),
    ({"type": "string", "pattern": "^[A-Z]+$"}, "DEMO"),
    ({"type": "integer"}, 1),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "maximum": -2}, -2),
    ({"type": "integer", "exclusiveMinimum": 3}, 4),
    ({"type": "integer", "exclusiveMaximum": 1}, 0),
    ({"type": "integer", "multipleOf": 5}, 5),
    ({"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 20}, 14),
    ({"type": "number", "exclusiveMinimum": 1}, 1.5),
    ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, 0.5),
    ({"type": "boolean"}, False),
    ({"type": "null"}, None),
    ({"type": ["null", "integer"]}, 1),
    ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 2}]}, 2),
    ({"oneOf": [{"type": "string"}, {"type": "integer"}], "minLength": 5}, "demod"),
    ({"type": "array", "items": {"type": "integer"}}, [1]),
    ({"type": "array", "items": {"type": "string"}, "minItems": 3}, ["demo"] * 3),
    ({"type": "array", "maxItems": 0}, []),
    ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, ["demo", 1]),
    ({"type": "object"}, {}),
    (
        {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]},
        {"a": 1},
    ),
    ({"properties": {"a": {"type": "integer"}}, "minProperties": 1}, {"a": 1}),
    (
        {
            "allOf": [
                {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        },
        {"a": 1, "b": "demo"},
    ),
    (
        {
            "$defs": {
                "Place": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
            },
            "properties": {"at": {"$ref": "#/$defs/Place"}},
            "required": ["at"],
        },
        {"at": {"x": 1}},
    ),
    ({}, "demo"),
]


@pytest.mark.parametrize("schema, value", SCHEMAS)
def test_a_schema_gives_a_value_that_it_allows(schema: dict[str, Any], value: Any) -> None:
    made = value_for(schema)
    assert made == value
    jsonschema.validate(made, schema)


def test_upper_case_types_are_types() -> None:
    assert value_for({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]}) == {
        "n": 1
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
        {
            "$defs": {"N": {"required": ["n"], "properties": {"n": {"$ref": "#/$defs/N"}}}},
            "$ref": "#/$defs/N",
        },
        {"type": "string", "pattern": "(?<name"},
        {"type": "no-such-type"},
        {"properties": 1, "required": "x", "items": 3},
        {"anyOf": []},
        {"type": "integer", "minimum": 5, "maximum": 2},
    ],
)
def test_a_schema_that_makes_no_sense_gives_something(schema: dict[str, Any]) -> None:
    value_for(schema)


def test_suggestions_are_taken_where_they_fit() -> None:
    schema = {
        "properties": {"command": {"type": "string"}, "n": {"type": "integer"}, "mode": {"enum": ["x"]}},
        "required": ["command", "n", "mode"],
    }
    assert value_for(schema, lambda name, _: f"for {name}") == {"command": "for command", "n": 1, "mode": "x"}
