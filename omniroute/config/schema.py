"""Shapes → JSON Schema (Draft 2020-12).

Two dialects: *source* is what people write, for editors: short forms, written quantities, `${…}` and `x-…` keys
everywhere. *strict* is a normalised tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omniroute.config.cases import TestFile
from omniroute.config.normalise import SHORT
from omniroute.config.policy_file import PolicyFile
from omniroute.config.secrets import Secret
from omniroute.config.settings import Pipeline, Provider, Settings, Spec, Transform
from omniroute.config.shape import (
    COMPONENT_KEY,
    NO_DEFAULT,
    Anything,
    Component,
    Entry,
    Flag,
    Listed,
    Number,
    OneOf,
    Record,
    Shape,
    Shapes,
    Table,
    Text,
    Words,
    Written,
    options_shape,
)
from omniroute.config.units import Count, Duration, Money, Size
from omniroute.declare import Declaration
from omniroute.registry import Registry

Doc = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
X_KEYS: Doc = {"^x-": {}}
SUBSTITUTION: Doc = {
    "type": "string",
    "pattern": r"\$\{.+\}",
    "description": "${NAME}, ${NAME:-default}, ${NAME:?message}, ${file:PATH} or ${sealed:…}",
}
NULL: Doc = {"type": "null"}
REF = "#/$defs/"
MAIN = "omniroute.schema.json"


class Schemas:
    """The schemas of one registry. `source` picks the dialect."""

    def __init__(self, registry: Registry, *, source: bool) -> None:
        self.registry = registry
        self.source = source
        self.substitutes = source
        self.shapes = Shapes()
        self._defs: dict[str, Doc] = {}
        self._entries = _entry_classes(self.shapes)

    def omniroute(self) -> Doc:
        """The whole file."""
        body = self.record(self.shapes.of(Settings))
        if not self.source:
            return self._document("OmniRoute configuration", body)
        # What a part that is included may lack stands here, so that both share the rest.
        required = self._defs["Settings"].pop("required")
        return self._document("OmniRoute configuration", {**body, "required": required})

    def part(self) -> Doc:
        """A file that another one includes: the same sections, and no version of its own."""
        return {
            "$schema": DRAFT,
            "title": "A part of a configuration of OmniRoute",
            "$ref": f"{MAIN}{REF}Settings",
        }

    def pipeline(self) -> Doc:
        """A file of `pipelines/`."""
        return self._named("A pipeline of OmniRoute", self.shapes.of(Pipeline))

    def transform(self) -> Doc:
        """A file of `transforms/`."""
        return self._named("A transform of OmniRoute", self.shapes.of(Transform))

    def policy(self) -> Doc:
        """A file for `validate --policy`."""
        return self._document(
            "Policies for configurations of OmniRoute", self._object(self.shapes.of(PolicyFile), {})
        )

    def provider(self) -> Doc:
        """A file of the catalogue."""
        like = {"type": "string", "description": "Another entry of the catalogue to start from."}
        body = self._object(self.shapes.of(Provider), {"like": like})
        return self._document("A provider of OmniRoute's catalogue", body)

    def test(self) -> Doc:
        """A file of tests, `*.test.yaml`. Nothing is substituted in it."""
        self.substitutes = False
        return self._document("Tests of an OmniRoute configuration", self.record(self.shapes.of(TestFile)))

    def _named(self, title: str, shape: Record) -> Doc:
        name = {"type": "string", "description": "Its name, if not that of the file."}
        body: Doc = self._object(shape, {"name": name})
        kind, key = SHORT.get(shape.cls, (None, ""))
        if self.source and kind is list:
            body = {"anyOf": [body, self.shape(shape.entries[key].shape)]}
        return self._document(title, body)

    def _document(self, title: str, body: Doc) -> Doc:
        head: Doc = {"$schema": DRAFT, "title": title, **body}
        if self.source:
            self._defs["substitution"] = SUBSTITUTION
        used = _used(head, self._defs)
        return {**head, "$defs": {name: self._defs[name] for name in sorted(used)}}

    # ── shapes ───────────────────────────────────────────────────────────────────────────────────

    def shape(self, shape: Shape) -> Doc:
        """The schema of values of a shape."""
        schema = _SCHEMAS[type(shape)](self, shape)
        return _either(schema, NULL) if shape.optional and not isinstance(shape, Anything) else schema

    def record(self, shape: Record) -> Doc:
        """A reference to the schema of a struct."""
        name = shape.cls.__name__
        if name not in self._defs:
            self._defs[name] = {}
            self._defs[name] = self._object(shape, {})
        reference: Doc = {"$ref": REF + name}
        kind, key = SHORT.get(shape.cls, (None, ""))
        if self.source and kind is not None:
            return _either(reference, self.shape(shape.entries[key].shape))
        return reference

    def _object(self, shape: Record, more: Doc) -> Doc:
        properties = {key: self.entry(entry) for key, entry in shape.entries.items()}
        if self.source and shape.cls in self._entries:
            more = {**more, "override": OVERRIDE}
        return {
            **({"description": _first(shape.description)} if shape.description else {}),
            **_closed({**more, **properties}, [e.key for e in shape.entries.values() if e.required]),
            **({"patternProperties": X_KEYS} if self.source else {}),
        }

    def entry(self, entry: Entry) -> Doc:
        """The schema of a key, with all that is known about it."""
        schema = self.shape(entry.shape)
        if self.source and isinstance(entry.shape, Record | Table | Listed) and not entry.shape.optional:
            schema = _either(schema, NULL)
        about: Doc = {"description": entry.description} if entry.description else {}
        default = written_default(entry.default)
        if default is not None:
            about["default"] = default
        if entry.examples:
            about["examples"] = list(entry.examples)
        if entry.deprecated:
            about |= {"deprecated": True, "deprecationMessage": entry.deprecated}
        about["x-reload"] = "restart" if entry.restart else "live"
        return {**schema, **about}

    def scalar(self, schema: Doc) -> Doc:
        """In the source, a substitution may stand for any scalar."""
        return _either(schema, {"$ref": REF + "substitution"}) if self.substitutes else schema

    # ── components ───────────────────────────────────────────────────────────────────────────────

    def component(self, shape: Component) -> Doc:
        """A reference to the schema of all components of a kind."""
        name = shape.kind
        if name not in self._defs:
            self._defs[name] = {}
            self._defs[name] = self._op() if shape.kind == "transform_op" else self._any_of(shape.kind)
        return {"$ref": REF + name}

    def _any_of(self, kind: Any) -> Doc:
        key, declarations = COMPONENT_KEY[kind], self.registry.all(kind)
        long = [{"$ref": REF + self._long(d, key)} for d in declarations]
        declared = {
            "type": "string",
            "not": {"enum": self.registry.names(kind)},
            "description": f"The name under which this configuration declares a {kind}",
        }
        refers = _closed({key: declared}, [key])
        refers["additionalProperties"] = True
        if not self.source:
            return {"anyOf": [*long, refers]}
        names = {
            "type": "string",
            "description": f"The name of a {kind}",
            "examples": [d.name for d in declarations],
        }
        options = {d.name: _either({"$ref": REF + self._options(d)}, NULL) for d in declarations}
        single = {
            **_closed(options, []),
            "patternProperties": X_KEYS,
            "minProperties": 1,
        }
        return {"anyOf": [names, *long, single, refers]}

    def _options(self, declaration: Declaration) -> str:
        name = f"{declaration.kind}.{declaration.name}.options"
        if name not in self._defs:
            self._defs[name] = {}
            self._defs[name] = self._object(options_shape(self.shapes, declaration.cls), {})
        return name

    def _long(self, declaration: Declaration, key: str) -> str:
        name = f"{declaration.kind}.{declaration.name}"
        if name not in self._defs:
            self._defs[name] = {}
            names = [declaration.name, *declaration.aliases]
            chosen: Doc = {"const": names[0]} if len(names) == 1 else {"enum": names}
            more = {key: {**chosen, "description": declaration.summary}}
            if self.source:
                more["override"] = OVERRIDE
            body = self._object(options_shape(self.shapes, declaration.cls), more)
            self._defs[name] = {**body, "required": [key, *body.get("required", [])]}
        return name

    def _op(self) -> Doc:
        condition = self.scalar({"type": "string", "description": "JMESPath; the op runs where it is true."})
        ops = {d.name: _op_schema(self, d) for d in self.registry.all("transform_op")}
        body = _closed({"when": condition, **ops}, [])
        return {**body, "minProperties": 1, **({"patternProperties": X_KEYS} if self.source else {})}


OVERRIDE: Doc = {
    "type": "boolean",
    "description": "Whether this entry replaces the one of the same name in another file.",
}


def _entry_classes(shapes: Shapes) -> set[type]:
    """The structs that are entries of the sections of a file."""
    tables = (e.shape for e in shapes.of(Settings).entries.values() if isinstance(e.shape, Table))
    return {t.values.cls for t in tables if isinstance(t.values, Record)}


def _closed(properties: Doc, required: list[str]) -> Doc:
    schema: Doc = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _either(*schemas: Doc) -> Doc:
    flat: list[Doc] = []
    for schema in schemas:
        flat += schema["anyOf"] if list(schema) == ["anyOf"] else [schema]
    return {"anyOf": flat}


def _first(text: str) -> str:
    """The first paragraph, in one line."""
    return " ".join(text.split("\n\n", 1)[0].split())


def _text(schemas: Schemas, shape: Text) -> Doc:
    known = schemas.registry.names(shape.known) if shape.known else []
    bounds = {"pattern": shape.pattern, "minLength": shape.min_length, "maxLength": shape.max_length}
    schema = {"type": "string", **{key: value for key, value in bounds.items() if value is not None}}
    if shape.secret:
        schema["x-secret"] = True
    if known:
        return _either(schemas.scalar({"type": "string", "enum": _with_built_in(shape, known)}))
    return schemas.scalar(schema) if len(schema) > 2 or shape.pattern else schema


def _with_built_in(shape: Text, known: list[str]) -> list[str]:
    return sorted({*known, "http"}) if shape.known == "transport" else known


def _words(schemas: Schemas, shape: Words) -> Doc:
    return schemas.scalar({"enum": list(shape.values)})


def _flag(schemas: Schemas, shape: Flag) -> Doc:
    return schemas.scalar({"type": "boolean"})


def _number(schemas: Schemas, shape: Number) -> Doc:
    bounds = {
        "minimum": shape.ge,
        "exclusiveMinimum": shape.gt,
        "maximum": shape.le,
        "exclusiveMaximum": shape.lt,
    }
    schema: Doc = {"type": "integer" if shape.whole else "number"}
    return schemas.scalar({**schema, **{key: value for key, value in bounds.items() if value is not None}})


def _written(schemas: Schemas, shape: Written) -> Doc:
    text = {"type": "string", "pattern": shape.quantity.PATTERN}
    examples = shape.quantity.EXAMPLES.split(", ")
    return _either({"type": "number", "minimum": 0}, schemas.scalar({**text, "examples": examples}))


def _listed(schemas: Schemas, shape: Listed) -> Doc:
    items = schemas.shape(shape.items)
    bounds = {"minItems": shape.min_length, "maxItems": shape.max_length}
    array = {"type": "array", "items": items, **{k: v for k, v in bounds.items() if v is not None}}
    return _either(array, items) if schemas.source else array


def _table(schemas: Schemas, shape: Table) -> Doc:
    values = schemas.shape(shape.values)
    if schemas.source and isinstance(shape.values, Record):
        values = _either(values, NULL)
    schema: Doc = {"type": "object", "additionalProperties": values}
    if schemas.source and isinstance(shape.values, Record | Component):
        schema["patternProperties"] = X_KEYS
    if shape.names and not schemas.source:
        schema["propertyNames"] = {"pattern": shape.names}
    if shape.known and schemas.registry.names(shape.known):
        allowed: Doc = {"enum": schemas.registry.names(shape.known)}
        schema["propertyNames"] = _either(allowed, {"pattern": "^x-"}) if schemas.source else allowed
    if schemas.source and isinstance(shape.values, Record) and not shape.names:
        names = {"type": "array", "items": {"type": "string"}}
        return _either(schema, names)
    return schema


def _one_of(schemas: Schemas, shape: OneOf) -> Doc:
    return _either(*(schemas.shape(s) for s in shape.shapes))


def _op_schema(schemas: Schemas, declaration: Declaration) -> Doc:
    cls: Any = declaration.cls
    if hasattr(cls, "schema"):
        schema: Doc = cls.schema()
    else:
        schema = schemas._object(options_shape(schemas.shapes, cls), {})
    return {**schema, "description": declaration.summary} if "description" not in schema else schema


_SCHEMAS: Mapping[type[Shape], Callable[[Schemas, Any], Doc]] = {
    Record: Schemas.record,
    Table: _table,
    Listed: _listed,
    Text: _text,
    Words: _words,
    Flag: _flag,
    Number: _number,
    Written: _written,
    OneOf: _one_of,
    Component: Schemas.component,
    Anything: lambda schemas, shape: {},
}


def written_default(value: Any) -> Any:
    """A default as people write it, or None when there is none to show."""
    if value is NO_DEFAULT or value is None:
        return None
    if isinstance(value, Spec):
        return value.name
    if isinstance(value, Secret):  # a declared default is public
        return value.reveal()
    if isinstance(value, Duration | Size | Count | Money):
        return written_quantity(value)
    if isinstance(value, tuple | list | frozenset | set):
        items = [written_default(item) for item in value]
        return None if any(item is None for item in items) else items
    if isinstance(value, dict):
        return dict(value)
    return value if isinstance(value, bool | int | float | str) else None


_READABLE: Mapping[type, tuple[str, ...]] = {
    Duration: ("d", "h", "m", "s", "ms"),
    Size: ("GiB", "MiB", "KiB"),
    Count: ("M", "k"),
    Money: (),
}


def written_quantity(value: Duration | Size | Count | Money) -> str | int | float:
    """The shortest honest way to write a quantity: `30s`, `32MiB`, `200k`."""
    for unit in _READABLE[type(value)]:
        scaled = float(value) / type(value).UNITS[unit]
        if scaled >= 1 and scaled == int(scaled):
            return f"{int(scaled)}{unit}"
    return int(value) if float(value) == int(value) else float(value)


def _used(schema: Any, defs: Mapping[str, Doc]) -> set[str]:
    """The names of all definitions that a schema refers to."""
    found: set[str] = set()
    todo = [schema]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo += item
        elif isinstance(item, dict):
            todo += item.values()
            reference = item.get("$ref")
            if isinstance(reference, str) and (name := reference.removeprefix(REF)) not in found:
                found.add(name)
                todo.append(defs[name])
    return found


FILES: Mapping[str, Callable[[Schemas], Doc]] = {
    "omniroute.schema.json": Schemas.omniroute,
    "part.schema.json": Schemas.part,
    "pipeline.schema.json": Schemas.pipeline,
    "transform.schema.json": Schemas.transform,
    "provider.schema.json": Schemas.provider,
    "test.schema.json": Schemas.test,
    "policy.schema.json": Schemas.policy,
}
"""The files of `schemas/`, for editors."""


def source_schemas(registry: Registry) -> dict[str, Doc]:
    """Every schema file by name, in the source dialect."""
    return {name: build(Schemas(registry, source=True)) for name, build in FILES.items()}


def strict_schema(registry: Registry) -> Doc:
    """The schema of a normalised configuration."""
    return Schemas(registry, source=False).omniroute()
