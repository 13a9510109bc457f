"""YAML text → a marked tree. Types follow the YAML 1.2 core schema: `on` and `yes` are words, dates are text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from omniroute.config.codes import Code
from omniroute.config.marks import Bare, Map, Mark, Seq
from omniroute.config.report import Report
from omniroute.config.syntax import told

if TYPE_CHECKING or not yaml.__with_libyaml__:  # without libyaml: the same tree, slower
    from omniroute.config.slow_parser import SlowParser as _Parser
else:
    from yaml._yaml import CParser as _Parser

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
"""Values after anchors are followed; more is an attack or an accident."""

TAG = "tag:yaml.org,2002:"
NULL, BOOL, INT, FLOAT, TEXT = (TAG + name for name in ("null", "bool", "int", "float", "str"))
PLAIN = "plain"

WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER_START = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_BASED = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def typed(text: str) -> Any:
    """What an unquoted scalar means: null, a truth value, a number, or the text itself."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if _INT.fullmatch(text):
        return int(text)
    based = _BASED.fullmatch(text)
    if based:
        return int(based[1], 8) if based[1] else int(based[2], 16)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Composer(_Parser):
    """A parser that leaves every type to the reader: a plain scalar stays open, a quoted one is text."""

    def resolve(self, kind: type, value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return PLAIN if implicit[0] else TEXT
        return TAG + ("map" if kind is yaml.MappingNode else "seq")

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Paths do not matter to `resolve`."""

    def ascend_resolver(self) -> None:
        """Paths do not matter to `resolve`."""


def compose(text: str) -> yaml.Node | None:
    """The nodes of one document, with the places where each begins and ends. Raises `yaml.YAMLError`."""
    node: yaml.Node | None = _Composer(text).get_single_node()
    return node


def read(text: str, file: str, report: Report) -> Any:
    """The tree of one document, or None with the reason in `report`. `file` is the name shown to people."""
    reading = _Reading(text, file, report)
    try:
        tree = reading.document()
    except yaml.MarkedYAMLError as error:
        found = told(error, text)
        place = Mark(file, found.line + 1, found.column + 1)
        report.tell(Code.SYNTAX, f"not YAML: {found.message}", place, hint=found.hint)
        return None
    except (yaml.YAMLError, ValueError) as error:
        report.tell(Code.SYNTAX, _unprintable(error), Mark(file))
        return None
    except _TooMuch as error:
        report.tell(Code.TOO_DEEP, error.message, error.mark)
        return None
    if not text.strip("\ufeff \r\n\t"):
        report.tell(Code.EMPTY, "the file is empty", Mark(file))
        return None
    return tree


class _TooMuch(Exception):
    """Nesting, or anchors in anchors, beyond any sensible measure."""

    def __init__(self, message: str, mark: Mark) -> None:
        self.message = message
        self.mark = mark
        super().__init__(message)


Built = tuple[Any, int, Mark]
"""A value, how many values it has once anchors are followed, and where it begins."""


class _Reading:
    """The construction of one document from the events of the parser. An anchored value is built once and shared."""

    def __init__(self, text: str, file: str, report: Report) -> None:
        self._parser: Any = None
        self._text = text
        self._file = file
        self._report = report
        self._anchors: dict[str, Built] = {}
        self._open: dict[str, Mark] = {}

    def document(self) -> Any:
        """The tree; an empty map where the file holds comments alone. Raises `yaml.YAMLError`, `_TooMuch`."""
        parser: Any = _Composer(self._text)
        self._parser = parser
        parser.get_event()
        if parser.check_event(yaml.StreamEndEvent):
            return Map(Mark(self._file, 1, 1))
        parser.get_event()
        value, size, mark = self._value(parser.get_event(), 0)
        parser.get_event()
        if not parser.check_event(yaml.StreamEndEvent):
            second = parser.get_event().start_mark
            raise yaml.composer.ComposerError(
                "expected a single document", None, "but found another document", second
            )
        if size > MAX_VALUES:
            raise _TooMuch("anchors expand to more than a million values", mark)
        return value

    def _value(self, event: Any, depth: int) -> Built:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        mark = self._at(event)
        if kind is yaml.ScalarEvent:
            built: Built = (self._scalar(event, mark), 1, mark)
        else:
            built = self._collection(event, mark, depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _alias(self, event: Any) -> Built:
        known = self._anchors.get(event.anchor)
        if event.anchor in self._open:
            raise _TooMuch("an anchor contains itself", self._open[event.anchor])
        if known is None:
            raise yaml.composer.ComposerError(
                None, None, f"found undefined alias {event.anchor!r}", event.start_mark
            )
        return known

    def _collection(self, event: Any, mark: Mark, depth: int) -> Built:
        if depth > MAX_DEPTH + 1:
            raise _TooMuch(f"nested deeper than {MAX_DEPTH} levels", mark)
        if event.anchor is not None:
            self._open[event.anchor] = mark
        mapping = type(event) is yaml.MappingStartEvent
        if event.tag not in (None, "!", TAG + ("map" if mapping else "seq")):
            self._tag_refused(event.tag, mark)
        built = self._mapping(mark, depth) if mapping else self._sequence(mark, depth)
        if event.anchor is not None:
            del self._open[event.anchor]
        return built

    def _scalar(self, event: Any, mark: Mark) -> Any:
        text: str = event.value
        if event.tag is None or event.tag == "!":
            if not event.implicit[0]:
                return text
            return Bare(text) if text.startswith("${") else typed(text)
        if event.tag == TEXT:
            return text
        value = typed(text)
        kinds = {NULL: type(None), BOOL: bool, INT: int, FLOAT: float}
        if event.tag in kinds and type(value) is kinds[event.tag]:
            return value
        self._tag_refused(event.tag, mark)
        return None

    def _tag_refused(self, tag: str, mark: Mark) -> None:
        self._report.tell(Code.CUSTOM_TAG, f"the tag {tag.removeprefix(TAG)!r} has no meaning here", mark)

    def _sequence(self, mark: Mark, depth: int) -> Built:
        result, size = Seq(mark), 1
        get = self._parser.get_event
        while type(event := get()) is not yaml.SequenceEndEvent:
            value, below, at = self._value(event, depth)
            result.add(value, at)
            size += below
        return result, size, mark

    def _mapping(self, mark: Mark, depth: int) -> Built:
        result, size = Map(mark), 1
        shared: list[tuple[Any, Mark]] = []
        get = self._parser.get_event
        while type(event := get()) is not yaml.MappingEndEvent:
            key, plain, key_mark = self._key(event, depth)
            value, below, at = self._value(get(), depth)
            size += below
            if key is None:
                continue
            if plain and key == "<<":
                shared.append((value, at))
            elif key in result:
                first = result.key_mark(key)
                self._report.tell(
                    Code.DUPLICATE_KEY, f"the key {key!r} stands already in line {first.line}", key_mark
                )
            else:
                result.put(key, value, key_mark, at)
        for value, at in shared:
            self._merge(result, value, at)
        return result, size, mark

    def _key(self, event: Any, depth: int) -> tuple[str | None, bool, Mark]:
        """The text of a key, and whether it is without quotes and tag; None, and a finding, for what is no text."""
        mark = self._at(event)
        if type(event) is yaml.ScalarEvent and event.anchor is None:
            return event.value, event.implicit[0] and event.tag is None, mark
        value, _, _ = self._value(event, depth)
        if type(event) is yaml.ScalarEvent:
            return event.value, False, mark
        if not isinstance(value, Map | Seq):
            return str(value), False, mark
        hint = "a value that begins with `{{` needs quotes"
        self._report.tell(Code.ODD_KEY, "a key must be text", mark, hint=hint)
        return None, False, mark

    def _merge(self, result: Map, value: Any, mark: Mark) -> None:
        for source in value if isinstance(value, Seq) else [value]:
            if not isinstance(source, Map):
                self._report.tell(Code.BAD_MERGE_KEY, "`<<` takes a map or a list of maps", mark)
                continue
            for key in source:
                if key not in result:
                    result.take(key, source)

    def _at(self, event: Any) -> Mark:
        start = event.start_mark
        return Mark(self._file, start.line + 1, start.column + 1)


def _unprintable(error: Exception) -> str:
    where = getattr(error, "position", None)
    return (
        f"not YAML: a character that may not stand in a text file (position {where})"
        if where is not None
        else ("not YAML: text that cannot be read")
    )
