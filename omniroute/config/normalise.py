"""Short forms become long ones, secrets become `Secret`, and `x-…` keys go. Wrong values stay for the check to name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omniroute.config.cassettes import Cassette
from omniroute.config.faults import Faults
from omniroute.config.marks import Bare, Map, Mark, Seq, Unresolved, ignored
from omniroute.config.reader import typed
from omniroute.config.secrets import Secret
from omniroute.config.settings import (
    Combo,
    ComboTarget,
    FormatEndpoint,
    Pipeline,
    Provider,
    ProviderAuth,
    Proxy,
)
from omniroute.config.shape import (
    COMPONENT_KEY,
    Anything,
    Component,
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
    shared_shapes,
)
from omniroute.registry import Registry

SHORT: Mapping[type, tuple[type, str]] = {
    Combo: (list, "targets"),
    Pipeline: (list, "stages"),
    ComboTarget: (str, "model"),
    Cassette: (str, "file"),
    Faults: (list, "script"),
    FormatEndpoint: (str, "base_url"),
    ProviderAuth: (str, "type"),
    Proxy: (str, "url"),
}
"""Records that may be written as one value: what kind of value, and the key that it stands for."""

SENSITIVE = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
"""Names of headers, and of unknown keys, whose values are never printed."""


@dataclass(slots=True)
class Names:
    """What a component's name may mean besides a registered one: the middleware and strategies declared."""

    registry: Registry
    shapes: Shapes = field(default_factory=shared_shapes)
    declared: dict[str, dict[str, str]] = field(default_factory=dict)

    def learn(self, merged: Map) -> None:
        """Which component each entry of `middleware` and `strategies` is."""
        for kind, section in (("stage", "middleware"), ("strategy", "strategies")):
            entries = merged.get(section)
            named = entries.items() if isinstance(entries, Map) else ()
            self.declared[kind] = {n: t for n, e in named if (t := component_name(e, kind)) is not None}

    def options(self, kind: str, name: str, *, declared: bool = True) -> Record | None:
        """The shape of a component's options, or None when nobody knows the name."""
        if declared:
            name = self.declared.get(kind, {}).get(name, name)
        found = self.registry.find(kind, name)  # type: ignore[arg-type]  # kind is a word of Kind
        return options_shape(self.shapes, found.cls) if found else None


def component_name(written: Any, kind: str) -> str | None:
    """The name in any of the forms in which a component is written."""
    if isinstance(written, str):
        return str(written)
    if not isinstance(written, Map):
        return None
    name = written.get(COMPONENT_KEY[kind])
    if name is None and COMPONENT_KEY[kind] not in written:
        own = [key for key in written if not ignored(key)]
        return own[0] if len(own) == 1 else None
    return str(name) if isinstance(name, str) else None


def normalise(value: Any, shape: Shape, names: Names, mark: Mark) -> Any:
    """A copy of `value` in the long form that `shape` describes."""
    if isinstance(value, Unresolved):
        return value
    step = _STEPS.get(type(shape))
    return step(value, shape, names, mark) if step else value


def _record(value: Any, shape: Record, names: Names, mark: Mark) -> Any:
    value = _long(value, shape, mark)
    if value is None and not shape.optional:
        value = Map(mark)
    if not isinstance(value, Map):
        return value
    result = Map(value.mark)
    for key, item in value.items():
        entry = shape.entries.get(key)
        if entry is None and ignored(key):
            continue
        result.take(key, value)
        at = value.value_mark(key)
        result[key] = normalise(item, entry.shape, names, at) if entry else guarded(item, key, at)
    return _with_formats(result) if shape.cls is Provider else result


def guarded(value: Any, key: str, mark: Mark) -> Any:
    """The value of an unknown key, in which what sounds like a secret is one: a slip must not print it."""
    if isinstance(value, Map):
        result = Map(value.mark)
        for name, item in value.items():
            result.take(name, value)
            result[name] = guarded(item, name, value.value_mark(name))
        return result
    return Secret(value, str(mark)) if isinstance(value, str) and SENSITIVE.search(key) else value


def _long(value: Any, shape: Record, mark: Mark) -> Any:
    kind, key = SHORT.get(shape.cls, (None, ""))
    if kind is None or not isinstance(value, (kind, Secret) if kind is str else kind):
        return value
    result = Map(mark)
    result.put(key, value, mark, mark)
    return result


def _table(value: Any, shape: Table, names: Names, mark: Mark) -> Any:
    if value is None and not shape.optional:
        return Map(mark)
    things = isinstance(shape.values, Record | Component)
    if isinstance(value, Seq) and things and not shape.names and all(isinstance(v, str) for v in value):
        value = _named(value)
    if not isinstance(value, Map):
        return value
    result = Map(value.mark)
    for key, item in value.items():
        if things and ignored(key):
            continue
        result.take(key, value)
        item = normalise(item, shape.values, names, value.value_mark(key))
        header = isinstance(shape.values, Text) and shape.values.header
        if header and isinstance(item, str) and SENSITIVE.search(key):
            item = Secret(item, str(value.value_mark(key)))
        result[key] = item
    return result


def _named(value: Seq) -> Map:
    """A list of names as a map of things that say nothing more."""
    result = Map(value.mark)
    for index, name in enumerate(value):
        mark = value.item_mark(index)
        result.put(str(name), Map(mark), mark, mark)
    return result


def _listed(value: Any, shape: Listed, names: Names, mark: Mark) -> Any:
    if value is None or (isinstance(value, Bare) and not value):
        return None if shape.optional else Seq(mark)
    if not isinstance(value, Seq):
        result = Seq(mark)
        result.add(normalise(value, shape.items, names, mark), mark)
        return result
    result = Seq(value.mark)
    for index, item in enumerate(value):
        at = value.item_mark(index)
        result.add(normalise(item, shape.items, names, at), at)
    return result


def _component(value: Any, shape: Component, names: Names, mark: Mark) -> Any:
    key = COMPONENT_KEY.get(shape.kind)
    if key is None:
        return value
    if isinstance(value, str):
        result = Map(mark)
        result.put(key, str(value), mark, mark)
        return result
    if not isinstance(value, Map):
        return value
    spread = _spread(value, key)
    name = spread.get(key)
    options = names.options(shape.kind, str(name)) if isinstance(name, str) else None
    if options is None:
        return spread
    result = Map(spread.mark)
    result.take(key, spread)
    rest = _record(spread.without(key), options, names, mark)
    for item in rest:
        result.take(item, rest)
    return result


def _spread(value: Map, key: str) -> Map:
    """`{retry: {attempts: 3}}` as `{stage: retry, attempts: 3}`; other maps as they are."""
    own = [k for k in value if not ignored(k)]
    if key in value or len(own) != 1 or not isinstance(value[own[0]], Map | None):
        return value
    name, mark = own[0], value.key_mark(own[0])
    result = Map(value.mark)
    result.put(key, name, mark, mark)
    for option in value[name] or ():
        result.take(option, value[name])
    return result


def _text(value: Any, shape: Text, names: Names, mark: Mark) -> Any:
    if isinstance(value, Bare):
        value = None if shape.optional and not shape.secret and not value else str(value)
    if shape.secret and isinstance(value, str):
        return Secret(value, str(mark))
    return value


def _words(value: Any, shape: Words, names: Names, mark: Mark) -> Any:
    if not isinstance(value, Bare):
        return value
    as_typed = typed(value)
    return as_typed if as_typed in shape.values or (shape.optional and as_typed is None) else str(value)


def _typed(value: Any, shape: Shape, names: Names, mark: Mark) -> Any:
    return typed(value) if isinstance(value, Bare) else value


def _anything(value: Any, shape: Shape, names: Names, mark: Mark) -> Any:
    if isinstance(value, Map):
        result = Map(value.mark)
        for key, item in value.items():
            result.take(key, value)
            result[key] = _anything(item, shape, names, mark)
        return result
    if isinstance(value, Seq):
        items = Seq(value.mark)
        for index, item in enumerate(value):
            items.add(_anything(item, shape, names, mark), value.item_mark(index))
        return items
    return typed(value) if isinstance(value, Bare) else value


def _one_of(value: Any, shape: OneOf, names: Names, mark: Mark) -> Any:
    return normalise(value, fitting(value, shape), names, mark)


_KINDS: Mapping[type[Shape], tuple[type, ...]] = {
    Text: (str, Secret),
    Words: (str, int),
    Flag: (bool,),
    Number: (int, float),
    Written: (int, float, str),
    Listed: (list,),
    Table: (dict,),
    Record: (dict,),
    Component: (dict, str),
    Anything: (object,),
}


def fitting(value: Any, shape: OneOf) -> Shape:
    """The first alternative for values of this kind; the first of all when none is."""
    if isinstance(value, Bare):
        value = typed(value)
    for alternative in shape.shapes:
        kinds = _KINDS.get(type(alternative), ())
        if isinstance(value, kinds) and not (
            isinstance(value, bool) and bool not in kinds and object not in kinds
        ):
            return alternative
    return shape.shapes[0]


def _with_formats(provider: Map) -> Map:
    """`format` and `base_url` of a provider become its entry of `formats`; a format that is there needs no word."""
    name, formats = provider.get("format"), provider.get("formats")
    if not isinstance(name, str) or not isinstance(formats, Map | None):
        return provider
    mark = provider.value_mark("format")
    whole = formats.without() if formats is not None else Map(mark)
    if "base_url" in provider:
        endpoint = whole[name].without() if isinstance(whole.get(name), Map) else Map(mark)
        endpoint.take("base_url", provider)
        whole.put(name, endpoint, mark, mark)
    elif name not in whole:
        return provider
    result = provider.without("format", "base_url", "formats")
    result.put("formats", whole, mark, mark)
    return result


_STEPS: Mapping[type[Shape], Any] = {
    Record: _record,
    Table: _table,
    Listed: _listed,
    Component: _component,
    Text: _text,
    Words: _words,
    Number: _typed,
    Flag: _typed,
    Written: _typed,
    Anything: _anything,
    OneOf: _one_of,
}
