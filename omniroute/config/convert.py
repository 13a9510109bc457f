"""The checked tree → `Settings`: quantities parsed, components resolved to what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from omniroute.config.check import revealed
from omniroute.config.marks import Map, Mark, Seq, ignored
from omniroute.config.normalise import Names, fitting
from omniroute.config.reader import typed
from omniroute.config.secrets import Secret
from omniroute.config.settings import Settings, Spec
from omniroute.config.shape import (
    COMPONENT_KEY,
    Component,
    Listed,
    OneOf,
    Record,
    Shape,
    Table,
    Text,
    Words,
    Written,
)
from omniroute.config.units import Count, Duration, Money, Size
from omniroute.declare import Declaration, Options

Doc = dict[str, Any]


def dec_hook(type_: type, value: Any) -> Any:
    """For `msgspec.convert`: quantities and secrets from how they are written."""
    if isinstance(value, type_):
        return value
    if issubclass(type_, Duration | Size | Count | Money):
        return type_.parse(value)
    if type_ is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(f"{type_.__name__} is not written in a configuration")


def options_of(declaration: Declaration, spec: Spec) -> Options:
    """The options object of a component, ready to be built. Raises `msgspec.ValidationError`."""
    return cast("Options", msgspec.convert(spec.options, declaration.cls, dec_hook=dec_hook))


def to_settings(tree: Map, root: Record, names: Names) -> Settings:
    """The settings that a checked, normalised tree means."""
    linked = _Linker(names, tree)
    return cast("Settings", linked.record(tree, root))


class _Linker:
    """Knows what the names of middleware and strategies stand for."""

    def __init__(self, names: Names, tree: Map) -> None:
        self.names = names
        self.entries = {"stage": tree.get("middleware", {}), "strategy": tree.get("strategies", {})}

    def record(self, value: Map, shape: Record) -> Any:
        return shape.cls(**{shape.entries[k].attribute: v for k, v in self.fields(value, shape).items()})

    def fields(self, value: Map, shape: Record) -> Doc:
        return {
            key: self.value(item, shape.entries[key].shape, value.value_mark(key))
            for key, item in value.items()
            if key in shape.entries
        }

    def value(self, value: Any, shape: Shape, mark: Mark) -> Any:
        if value is None:
            return None
        step = _STEPS.get(type(shape))
        if step is not None:
            return step(self, value, shape, mark)
        value = revealed(value)
        return typed(value) if isinstance(value, str) and not isinstance(shape, Text) else value

    def options(self, value: Map, shape: Record) -> Doc:
        """Options as a document: what `msgspec.convert` takes."""
        return {key: self._plain(item) for key, item in self.fields(value, shape).items()}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, msgspec.Struct) and not isinstance(value, Spec):
            fields = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
            return {key: self._plain(getattr(value, name)) for name, key in fields}
        if isinstance(value, tuple | list | set | frozenset):
            return [self._plain(item) for item in value]
        if isinstance(value, dict):
            return {key: self._plain(item) for key, item in value.items()}
        return value

    def component(self, value: Any, shape: Component, mark: Mark) -> Any:
        if shape.kind == "transform_op":
            return {key: revealed(item) for key, item in value.items() if not ignored(key)}
        key = COMPONENT_KEY[shape.kind]
        written = str(value[key])
        own = self._options(value, shape.kind, written)
        entry = self.entries[shape.kind].get(written)
        if entry is None or entry is value:
            return self._spec(shape.kind, written, written, own, mark)
        name = str(entry[key])
        return self._spec(shape.kind, name, written, {**self._options(entry, shape.kind, name), **own}, mark)

    def _options(self, value: Map, kind: str, name: str) -> Doc:
        shape = self.names.options(kind, name)
        return self.options(value.without(COMPONENT_KEY[kind]), shape) if shape is not None else {}

    def _spec(self, kind: str, name: str, written: str, options: Doc, mark: Mark) -> Spec:
        found = self.names.registry.find(kind, name)  # type: ignore[arg-type]  # kind is a word of Kind
        place = f"{mark.file}:{mark.line}" if mark.line else mark.file
        return Spec(kind=found.name if found else name, name=written, options=options, place=place)


def _record(linker: _Linker, value: Map, shape: Record, mark: Mark) -> Any:
    return linker.record(value, shape)


def _table(linker: _Linker, value: Map, shape: Table, mark: Mark) -> Any:
    return {key: linker.value(item, shape.values, value.value_mark(key)) for key, item in value.items()}


def _listed(linker: _Linker, value: Seq, shape: Listed, mark: Mark) -> Any:
    items = (linker.value(item, shape.items, value.item_mark(i)) for i, item in enumerate(value))
    return shape.kind(items)


def _text(linker: _Linker, value: Any, shape: Text, mark: Mark) -> Any:
    if shape.secret:
        return value if isinstance(value, Secret) else Secret(str(value), str(mark))
    return revealed(value)


def _words(linker: _Linker, value: Any, shape: Words, mark: Mark) -> Any:
    return revealed(value)


def _written(linker: _Linker, value: Any, shape: Written, mark: Mark) -> Any:
    return shape.quantity.parse(revealed(value))


def _one_of(linker: _Linker, value: Any, shape: OneOf, mark: Mark) -> Any:
    return linker.value(value, fitting(value, shape), mark)


def _component(linker: _Linker, value: Any, shape: Component, mark: Mark) -> Any:
    return linker.component(value, shape, mark)


_STEPS: Mapping[type[Shape], Any] = {
    Record: _record,
    Table: _table,
    Listed: _listed,
    Text: _text,
    Words: _words,
    Written: _written,
    OneOf: _one_of,
    Component: _component,
}
