"""What a key takes, in words for the person editing YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from omniroute.config.normalise import SHORT
from omniroute.config.schema import written_default
from omniroute.config.shape import (
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
    Table,
    Text,
    Words,
    Written,
)
from omniroute.config.units import Count, Duration, Money, Size
from omniroute.reference.markdown import code, link

Named = Callable[[Record], str]
"""How a page speaks of a map with known keys: usually as a link to where its keys are listed."""

QUANTITIES: Mapping[type, str] = {
    Duration: "duration",
    Size: "size",
    Count: "count",
    Money: "US dollars",
}
KINDS: Mapping[str, tuple[str, str]] = {
    "stage": ("stage", "stages/index.md"),
    "strategy": ("strategy", "strategies/index.md"),
    "transform_op": ("op", "transform-ops/index.md"),
    "wire": ("wire format", "wires/index.md"),
    "credential": ("kind of authentication", "credentials/index.md"),
    "transport": ("transport", "transports/index.md"),
}
"""Kind of component → the noun for it, and the page that lists them."""


class Speaker:
    """Words for shapes. `base` leads from the page to the folder of the reference; `named` speaks of records."""

    def __init__(self, named: Named, base: str = "") -> None:
        self._named = named
        self._base = base

    def type(self, shape: Shape) -> str:
        """The type in words."""
        return _WORDS[type(shape)](self, shape)

    def component(self, kind: str) -> str:
        noun, page = KINDS[kind]
        return link(noun, self._base + page)

    def record(self, shape: Record) -> str:
        return self._named(shape)


def default_words(entry: Entry) -> str:
    """The default as it would be written, or that there is none."""
    if entry.required:
        return "*required*"
    value = written_default(entry.default) if entry.default is not NO_DEFAULT else None
    if value is None or value in ([], {}, ""):
        return "—"
    return code(flow(value))


def flow(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum():
        return value
    return json.dumps(value, ensure_ascii=False)


def either(words: list[str]) -> str:
    """`a`, `b` or `c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _text(speaker: Speaker, shape: Text) -> str:
    if shape.known:
        return f"name of a {speaker.component(shape.known)}"
    if shape.syntax == "jmespath":
        return "JMESPath expression"
    return "secret text" if shape.secret else "text"


def _number(speaker: Speaker, shape: Number) -> str:
    noun = "whole number" if shape.whole else "number"
    if shape.ge is not None and shape.le is not None:
        return f"{noun}, {shape.ge:g} to {shape.le:g}"
    bounds = (
        (shape.ge, "at least"),
        (shape.gt, "more than"),
        (shape.le, "at most"),
        (shape.lt, "less than"),
    )
    told = " and ".join(f"{words} {bound:g}" for bound, words in bounds if bound is not None)
    return f"{noun}, {told}" if told else noun


def _listed(speaker: Speaker, shape: Listed) -> str:
    return f"list: {speaker.type(shape.items)}"


def _table(speaker: Speaker, shape: Table) -> str:
    keys = f"{KINDS[shape.known][0]}s" if shape.known else "names"
    return f"map from {keys} to {speaker.type(shape.values)}"


def _component(speaker: Speaker, shape: Component) -> str:
    return speaker.component(shape.kind)


def _one_of(speaker: Speaker, shape: OneOf) -> str:
    return either([speaker.type(s) for s in shape.shapes])


_WORDS: Mapping[type[Shape], Callable[[Speaker, Any], str]] = {
    Text: _text,
    Words: lambda speaker, shape: either([code(str(v)) for v in shape.values]),
    Flag: lambda speaker, shape: "`true` or `false`",
    Number: _number,
    Written: lambda speaker, shape: QUANTITIES[shape.quantity],
    Listed: _listed,
    Table: _table,
    OneOf: _one_of,
    Component: _component,
    Record: Speaker.record,
    Anything: lambda speaker, shape: "any value",
}


def short_form(record: Record) -> str:
    """What a record may be written as instead, in a sentence; empty when there is no short form."""
    kind, key = SHORT.get(record.cls, (None, ""))
    if kind is None:
        return ""
    noun = "list" if kind is list else "text"
    return f"Short form: a {noun} stands for `{{{key}: …}}`."
