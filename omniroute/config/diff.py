"""What changed between two configurations, in names: never the value of anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from omniroute.config.settings import Settings, Spec
from omniroute.config.shape import Record, Shapes

Way = tuple[str, ...]

NOUNS: Mapping[str, str] = {
    "keys": "key",
    "providers": "provider",
    "proxies": "proxy",
    "combos": "combo",
    "strategies": "strategy",
    "models": "alias",
    "middleware": "middleware",
    "transforms": "transform",
    "pipelines": "pipeline",
}
"""What an entry of each section is called."""


def differences(old: Settings, new: Settings) -> list[str]:
    """`+ provider glm`, `~ combo always-on: targets`, `- key ci`, `~ server: listen`; in the order of the file."""
    return [line for section in Settings.__struct_fields__ for line in _section(section, old, new)]


def needs_restart(old: Settings, new: Settings) -> list[str]:
    """The dotted paths of changed fields that are read at start-up only."""
    return [field for field, way in _at_start() if not same(_at(old, way), _at(new, way))]


def _section(name: str, old: Settings, new: Settings) -> Iterator[str]:
    before, after = getattr(old, name), getattr(new, name)
    noun = NOUNS.get(name)
    if noun is not None:
        yield from _entries(noun, before, after)
    elif isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
        changed = _changed(before, after)
        if changed:
            yield f"~ {name}: {', '.join(changed)}"
    elif not same(before, after):
        yield f"~ {name}"


def _entries(noun: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in before:
        if name not in after:
            yield f"- {noun} {name}"
    for name, entry in after.items():
        if name not in before:
            yield f"+ {noun} {name}"
        elif not same(before[name], entry):
            changed = _changed(before[name], entry)
            yield f"~ {noun} {name}" + (f": {', '.join(changed)}" if changed else "")


def _changed(before: Any, after: Any) -> list[str]:
    """The names of the fields that differ; for a component, those of its options."""
    if isinstance(before, Spec) and isinstance(after, Spec):
        names = [*before.options, *(k for k in after.options if k not in before.options)]
        kind = [] if before.kind == after.kind else ["type"]
        return kind + [n for n in names if not same(before.options.get(n), after.options.get(n))]
    if not isinstance(before, msgspec.Struct) or not isinstance(after, msgspec.Struct):
        return []
    # Not `msgspec.structs.fields`, which evaluates the annotations of a class anew each time.
    fields = zip(before.__struct_fields__, before.__struct_encode_fields__, strict=True)
    return [key for name, key in fields if not same(getattr(before, name), getattr(after, name))]


def same(a: Any, b: Any) -> bool:
    """Whether two values mean the same; where a component was written does not matter."""
    if a is b:  # what is not written is one object in all settings
        return True
    if isinstance(a, Spec) and isinstance(b, Spec):
        return (a.kind, a.name) == (b.kind, b.name) and same(a.options, b.options)
    if isinstance(a, msgspec.Struct) and type(a) is type(b):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@cache
def _at_start() -> tuple[tuple[str, Way], ...]:
    """All fields that are read at start-up only: the dotted path of each, and the attributes that lead to it."""
    return tuple(_restarting(Shapes().of(Settings), "", ()))


def _restarting(shape: Record, path: str, way: Way) -> Iterator[tuple[str, Way]]:
    for entry in shape.entries.values():
        here = (*way, entry.attribute)
        if entry.restart:
            yield f"{path}{entry.key}", here
        elif isinstance(entry.shape, Record):
            yield from _restarting(entry.shape, f"{path}{entry.key}.", here)


def _at(settings: Any, way: Way) -> Any:
    for name in way:
        settings = getattr(settings, name, None)
    return settings
