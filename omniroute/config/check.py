"""The form of every value: unknown keys, types, words, bounds, quantities, components. All problems at once."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Mark, Path, Seq, Unresolved, ignored
from omniroute.config.normalise import Names, fitting
from omniroute.config.reader import typed
from omniroute.config.report import Report, did_you_mean, one_of
from omniroute.config.secrets import Secret
from omniroute.config.shape import (
    COMPONENT_KEY,
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
from omniroute.declare import Kind

Condition = Callable[[str], object]
"""Compiles a condition; raises `ValueError` with words for the person editing."""

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "transport": ("http",),
    "credential": ("bearer", "header", "query", "none"),
}
"""Names that need no component."""

NOUNS: Mapping[str, str] = {
    "stage": "stage or middleware",
    "strategy": "strategy",
    "transform_op": "op",
    "wire": "wire format",
    "credential": "kind of authentication",
    "transport": "transport",
}


OP_CONDITION = Text(syntax="jmespath")
"""An op may have a condition of its own beside it."""


@dataclass(slots=True)
class Checking:
    """What a check needs to know, and where it tells what it finds."""

    names: Names
    report: Report
    lenient: bool
    condition: Condition

    def tell(self, code: Code, message: str, mark: Mark, path: Path, hint: str | None = None) -> None:
        self.report.tell(code, message, mark, path, hint=hint)


def jmespath_syntax(text: str) -> object:
    """Compile a JMESPath expression. Raises `ValueError`."""
    try:
        return jmespath.compile(text)
    except JMESPathError as error:
        where = getattr(error, "lex_position", getattr(error, "lexer_position", None))
        at = f" (at character {where + 1})" if isinstance(where, int) and where >= 0 else ""
        raise ValueError(f"{text!r} is not a JMESPath expression{at}") from None


def check_form(value: Any, shape: Shape, checking: Checking, mark: Mark, path: Path = ()) -> None:
    """Tell everything about `value` that `shape` does not allow."""
    if isinstance(value, Unresolved):
        checking.report.add(*value.findings)
    elif value is None and shape.optional:
        return
    else:
        step = _STEPS.get(type(shape))
        if step is not None:
            step(value, shape, checking, mark, path)


def _wrong(
    expected: str, value: Any, checking: Checking, mark: Mark, path: Path, hint: str | None = None
) -> None:
    checking.tell(Code.WRONG_TYPE, f"expected {expected}, got {_kind(value)}", mark, path, hint)


def _kind(value: Any) -> str:
    """What a value is, in words and without showing it."""
    words = {bool: "true or false", int: "a number", float: "a number", str: "text", Secret: "text"}
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else words.get(type(value), "text")


def _record(
    value: Any, shape: Record, checking: Checking, mark: Mark, path: Path, *, whole: bool = True
) -> None:
    if not isinstance(value, Map):
        return _wrong("a map", value, checking, mark, path)
    for key, item in value.items():
        entry = shape.entries.get(key)
        if entry is not None:
            if entry.deprecated:
                _deprecated(entry, checking, value.key_mark(key), (*path, key))
            check_form(item, entry.shape, checking, value.value_mark(key), (*path, key))
        elif not ignored(key):
            _unknown_key(key, shape.entries, checking, value.key_mark(key), path)
    for entry in shape.entries.values() if whole else ():
        if entry.required and entry.key not in value:
            _missing(entry.key, checking, mark, path)


def _deprecated(entry: Entry, checking: Checking, mark: Mark, path: Path) -> None:
    message = "deprecated: it works for now"
    checking.report.tell(Code.DEPRECATED, message, mark, path, hint=entry.deprecated, severity="warning")


def _unknown_key(key: str, known: Iterable[str], checking: Checking, mark: Mark, path: Path) -> None:
    checking.report.tell(
        Code.UNKNOWN_KEY,
        f"unknown key {key!r}",
        mark,
        path,
        hint=did_you_mean(key, known),
        severity="warning" if checking.lenient else "error",
    )


def _missing(key: str, checking: Checking, mark: Mark, path: Path) -> None:
    if not path and key == "version":
        checking.tell(
            Code.VERSION, "the file does not say its version", mark, path, "begin it with `version: 1`"
        )
    else:
        checking.tell(Code.MISSING_KEY, f"`{key}` is missing", mark, path)


def _table(value: Any, shape: Table, checking: Checking, mark: Mark, path: Path) -> None:
    if not isinstance(value, Map):
        return _wrong("a map", value, checking, mark, path)
    for key, item in value.items():
        at = value.key_mark(key)
        if shape.names and not re.match(shape.names, key):
            checking.tell(Code.BAD_NAME, f"{key!r} is not a name", at, (*path, key), _name_hint(key))
        if shape.known:
            _known(key, shape.known, checking, at, path)
        check_form(item, shape.values, checking, value.value_mark(key), (*path, key))


def _name_hint(key: str) -> str:
    near = re.sub(r"[^a-z0-9._-]+", "-", key.lower()).strip("-._")
    return (
        f"names are small letters, digits, `.`, `_` and `-`: {near!r}"
        if near
        else ("names are small letters, digits, `.`, `_` and `-`")
    )


def _listed(value: Any, shape: Listed, checking: Checking, mark: Mark, path: Path) -> None:
    if not isinstance(value, Seq):
        return _wrong("a list", value, checking, mark, path)
    for index, item in enumerate(value):
        check_form(item, shape.items, checking, value.item_mark(index), (*path, index))
    _length(len(value), "item", shape, checking, mark, path)


def _length(length: int, noun: str, shape: Listed | Text, checking: Checking, mark: Mark, path: Path) -> None:
    least, most = shape.min_length, shape.max_length
    if least is not None and length < least:
        message = f"needs at least {least} {noun}{'s' if least != 1 else ''}, has {length}"
        checking.tell(Code.OUT_OF_BOUNDS, message, mark, path)
    if most is not None and length > most:
        message = f"takes at most {most} {noun}{'s' if most != 1 else ''}, has {length}"
        checking.tell(Code.OUT_OF_BOUNDS, message, mark, path)


def _text(value: Any, shape: Text, checking: Checking, mark: Mark, path: Path) -> None:
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str):
        hint = "put it in quotes" if isinstance(value, int | float) else None
        return _wrong("text", value, checking, mark, path, hint)
    shown = "the value" if isinstance(value, Secret) else repr(text)
    if shape.pattern and not re.search(shape.pattern, text):
        checking.tell(Code.BAD_TEXT, f"{shown} does not match {shape.pattern}", mark, path)
    _length(len(text), "character", shape, checking, mark, path)
    if shape.known:
        _known(text, shape.known, checking, mark, path)
    if shape.syntax == "jmespath":
        try:
            checking.condition(text)
        except ValueError as error:
            checking.tell(Code.BAD_JMESPATH, str(error), mark, path)


def _known(name: str, kind: Kind, checking: Checking, mark: Mark, path: Path) -> None:
    known = [*BUILT_IN.get(kind, ()), *checking.names.registry.names(kind)]
    if not checking.names.registry.names(kind) or name in known:
        return
    code = Code.UNKNOWN_FORMAT if kind == "wire" else Code.UNKNOWN_COMPONENT
    message = f"{name!r} is not a {NOUNS.get(kind, kind)}: there are {one_of(sorted(set(known)))}"
    checking.tell(code, message, mark, path, did_you_mean(name, known))


def _words(value: Any, shape: Words, checking: Checking, mark: Mark, path: Path) -> None:
    text = value.reveal() if isinstance(value, Secret) else value
    if any(text == word and type(text) is type(word) for word in shape.values):
        return
    if path == ("version",):
        return checking.tell(Code.VERSION, "this version of OmniRoute reads `version: 1`", mark, path)
    if isinstance(text, dict | list) or text is None:
        return _wrong(f"one of {one_of(shape.values)}", value, checking, mark, path)
    shown = "the value" if isinstance(value, Secret) else repr(text)
    hint = did_you_mean(str(text), [str(w) for w in shape.values])
    checking.tell(Code.NOT_ONE_OF, f"{shown} is not one of {one_of(shape.values)}", mark, path, hint)


def _flag(value: Any, shape: Flag, checking: Checking, mark: Mark, path: Path) -> None:
    if isinstance(opened(value), bool):
        return
    word = isinstance(value, str) and value.lower() in ("yes", "no", "on", "off")
    hint = "YAML 1.2 knows `true` and `false`" if word else _quoted(value, mark)
    _wrong("true or false", value, checking, mark, path, hint)


def opened(value: Any) -> Any:
    """A secret that is to be a number or a truth value, as what its text means."""
    return typed(value.reveal()) if isinstance(value, Secret) else value


def _quoted(value: Any, mark: Mark) -> str | None:
    """A substitution in quotes is text, whatever its value looks like."""
    if isinstance(value, str) and mark.origin and not isinstance(typed(str(value)), str):
        return "only a `${…}` without quotes is typed by its value: write it on a line of its own"
    return None


def _number(value: Any, shape: Number, checking: Checking, mark: Mark, path: Path) -> None:
    number = opened(value)
    if isinstance(number, bool) or not isinstance(number, int if shape.whole else int | float):
        expected = "a whole number" if shape.whole else "a number"
        return _wrong(expected, value, checking, mark, path, _quoted(value, mark))
    shown = "the value" if isinstance(value, Secret) else str(number)
    for bound, holds, words in (
        (shape.ge, operator.ge, "less than"),
        (shape.gt, operator.gt, "not more than"),
        (shape.le, operator.le, "more than"),
        (shape.lt, operator.lt, "not less than"),
    ):
        if bound is not None and not holds(number, bound):
            checking.tell(Code.OUT_OF_BOUNDS, f"{shown} is {words} {bound}", mark, path)


def _written(value: Any, shape: Written, checking: Checking, mark: Mark, path: Path) -> None:
    text = value.reveal() if isinstance(value, Secret) else value
    if isinstance(text, dict | list) or text is None:
        return _wrong(f"a quantity such as {shape.quantity.EXAMPLES}", value, checking, mark, path)
    try:
        parsed = shape.quantity.parse(text)
    except (ValueError, OverflowError):
        shown = "the value" if isinstance(value, Secret) else repr(text)
        message = f"{shown} is not of the form {shape.quantity.EXAMPLES}"
        checking.tell(Code.BAD_QUANTITY, message, mark, path)
    else:
        if not 0 <= parsed < float("inf"):
            checking.tell(Code.OUT_OF_BOUNDS, f"{text} is less than 0, or without end", mark, path)


def _one_of(value: Any, shape: OneOf, checking: Checking, mark: Mark, path: Path) -> None:
    check_form(value, fitting(value, shape), checking, mark, path)


def _component(value: Any, shape: Component, checking: Checking, mark: Mark, path: Path) -> None:
    if shape.kind == "transform_op":
        return _op(value, checking, mark, path)
    key = COMPONENT_KEY[shape.kind]
    if not isinstance(value, Map):
        return _wrong(f"the name of a {NOUNS[shape.kind]}, or a map", value, checking, mark, path)
    name = value.get(key)
    if name is None:
        return checking.tell(Code.MISSING_KEY, f"`{key}` is missing", mark, path)
    if isinstance(name, Unresolved):
        return checking.report.add(*name.findings)
    if not isinstance(name, str):
        return _wrong("text", name, checking, value.value_mark(key), (*path, key))
    declares = len(path) == 2 and path[0] in ("middleware", "strategies")
    options = checking.names.options(shape.kind, name, declared=not declares)
    if options is None:
        return _unknown_component(name, shape.kind, checking, value.value_mark(key), path, declares)
    refers = not declares and name in checking.names.declared.get(shape.kind, {})
    _record(value.without(key), options, checking, mark, path, whole=not refers)


def _unknown_component(
    name: str, kind: str, checking: Checking, mark: Mark, path: Path, declares: bool
) -> None:
    declared = {} if declares else checking.names.declared.get(kind, {})
    if name in declared:  # its own entry is wrong, and that is told there
        return
    known = [*checking.names.registry.names(kind), *declared]  # type: ignore[arg-type]  # kind is a word of Kind
    noun = kind if declares else NOUNS[kind]
    checking.tell(
        Code.UNKNOWN_COMPONENT, f"there is no {noun} {name!r}", mark, path, did_you_mean(name, known)
    )


def _op(value: Any, checking: Checking, mark: Mark, path: Path) -> None:
    if not isinstance(value, Map):
        return _wrong("an op, such as `set: {…}`", value, checking, mark, path)
    own = [key for key in value if key != "when" and not ignored(key)]
    if len(own) != 1:
        message = f"one op is expected here, not {len(own)}" + (f" ({', '.join(own)})" if own else "")
        return checking.tell(Code.WRONG_TYPE, message, mark, path)
    if "when" in value:
        check_form(value["when"], OP_CONDITION, checking, value.value_mark("when"), (*path, "when"))
    name, registry = own[0], checking.names.registry
    found = registry.find("transform_op", name)
    if found is None:
        if registry.names("transform_op"):
            _unknown_component(name, "transform_op", checking, value.key_mark(name), path, False)
        return
    if isinstance(value[name], Unresolved):
        return checking.report.add(*value[name].findings)
    unresolved = [f for u in _unresolved(value[name]) for f in u.findings]
    checking.report.add(*unresolved)
    if not unresolved:
        _compiled_op(found.cls, value[name], checking, value.value_mark(name), (*path, name))


def _compiled_op(cls: Any, value: Any, checking: Checking, mark: Mark, path: Path) -> None:
    """Ask the op itself. Its words may quote what it was given, so secrets are taken out of them."""
    try:
        cls.parse(revealed(value)).compile()
    except ValueError as error:
        message = str(error)
        for secret in secrets_in(value):
            message = message.replace(secret.reveal(), "***") if secret else message
        checking.tell(Code.BAD_OP, message, mark, path)


def _unresolved(tree: Any) -> Iterable[Unresolved]:
    if isinstance(tree, Unresolved):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _unresolved(item)


def secrets_in(tree: Any) -> Iterable[Secret]:
    """Every secret of a tree."""
    if isinstance(tree, Secret):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from secrets_in(item)


def revealed(tree: Any) -> Any:
    """The tree as plain data with its secrets in clear: for what is about to use it, never for people."""
    if isinstance(tree, dict):
        return {key: revealed(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [revealed(item) for item in tree]
    return tree.reveal() if isinstance(tree, Secret) else tree


_STEPS: Mapping[type[Shape], Any] = {
    Record: _record,
    Table: _table,
    Listed: _listed,
    Text: _text,
    Words: _words,
    Flag: _flag,
    Number: _number,
    Written: _written,
    OneOf: _one_of,
    Component: _component,
}
