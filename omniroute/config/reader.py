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
    try:
        node = compose(text)
    except yaml.MarkedYAMLError as error:
        found = told(error, text)
        place = Mark(file, found.line + 1, found.column + 1)
        report.tell(Code.SYNTAX, f"not YAML: {found.message}", place, hint=found.hint)
        return None
    except (yaml.YAMLError, ValueError) as error:
        report.tell(Code.SYNTAX, _unprintable(error), Mark(file))
        return None
    except RecursionError:
        report.tell(Code.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels", Mark(file))
        return None
    if not text.strip("\ufeff \r\n\t"):
        report.tell(Code.EMPTY, "the file is empty", Mark(file))
        return None
    if node is None:  # nothing but comments
        return Map(Mark(file, 1, 1))
    return _Reading(file, report).tree(node)


class _Reading:
    """The construction of one document. An anchored node is built once and shared."""

    def __init__(self, file: str, report: Report) -> None:
        self.file = file
        self.report = report
        self._built: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._refused = False

    def tree(self, node: yaml.Node) -> Any:
        value, size = self._build(node, 0)
        if size > MAX_VALUES:
            self.report.tell(Code.TOO_DEEP, "anchors expand to more than a million values", self._at(node))
            return None
        return None if self._refused else value

    def _build(self, node: yaml.Node, depth: int) -> tuple[Any, int]:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node), 1
        known = self._built.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open or depth > MAX_DEPTH:
            self._refuse(node)
            return None, 1
        self._open.add(id(node))
        build: Any = self._mapping if isinstance(node, yaml.MappingNode) else self._sequence
        built: tuple[Any, int] = build(node, depth + 1)
        self._built[id(node)] = built
        self._open.discard(id(node))
        return built

    def _refuse(self, node: yaml.Node) -> None:
        inside = id(node) in self._open
        why = "an anchor contains itself" if inside else f"nested deeper than {MAX_DEPTH} levels"
        if not self._refused:
            self.report.tell(Code.TOO_DEEP, why, self._at(node))
        self._refused = True

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == PLAIN:
            return Bare(text) if text.startswith("${") else typed(text)
        if node.tag == TEXT:
            return text
        return self._tagged(node)

    def _tagged(self, node: yaml.ScalarNode) -> Any:
        value = typed(node.value)
        kinds = {NULL: type(None), BOOL: bool, INT: int, FLOAT: float}
        if node.tag in kinds and type(value) is kinds[node.tag]:
            return value
        self._tag_refused(node)
        return None

    def _tag_refused(self, node: yaml.Node) -> None:
        tag = str(node.tag).removeprefix(TAG)
        self.report.tell(Code.CUSTOM_TAG, f"the tag {tag!r} has no meaning here", self._at(node))

    def _sequence(self, node: yaml.SequenceNode, depth: int) -> tuple[Any, int]:
        if node.tag != TAG + "seq":
            self._tag_refused(node)
        result, size = Seq(self._at(node)), 1
        for child in node.value:
            value, below = self._build(child, depth)
            result.add(value, self._at(child))
            size += below
        return result, size

    def _mapping(self, node: yaml.MappingNode, depth: int) -> tuple[Any, int]:
        if node.tag != TAG + "map":
            self._tag_refused(node)
        result, size = Map(self._at(node)), 1
        shared: list[tuple[Any, Mark]] = []
        for key_node, value_node in node.value:
            value, below = self._build(value_node, depth)
            size += below
            key = self._key(key_node, value_node)
            if key is None:
                continue
            if key == "<<" and key_node.tag == PLAIN:
                shared.append((value, self._at(value_node)))
            elif key in result:
                first = result.key_mark(key)
                self.report.tell(
                    Code.DUPLICATE_KEY,
                    f"the key {key!r} stands already in line {first.line}",
                    self._at(key_node),
                )
            else:
                result.put(key, value, self._at(key_node), self._at(value_node))
        for value, mark in shared:
            self._merge(result, value, mark)
        return result, size

    def _key(self, key: yaml.Node, value: yaml.Node) -> str | None:
        if isinstance(key, yaml.ScalarNode):
            return str(key.value)
        self.report.tell(
            Code.ODD_KEY,
            "a key must be text",
            self._at(key),
            hint="a value that begins with `{{` needs quotes",
        )
        return None

    def _merge(self, result: Map, value: Any, mark: Mark) -> None:
        for source in value if isinstance(value, Seq) else [value]:
            if not isinstance(source, Map):
                self.report.tell(Code.BAD_MERGE_KEY, "`<<` takes a map or a list of maps", mark)
                continue
            for key in source:
                if key not in result:
                    result.take(key, source)

    def _at(self, node: yaml.Node) -> Mark:
        start = node.start_mark
        return Mark(self.file, start.line + 1, start.column + 1)


def _unprintable(error: Exception) -> str:
    where = getattr(error, "position", None)
    return (
        f"not YAML: a character that may not stand in a text file (position {where})"
        if where is not None
        else ("not YAML: text that cannot be read")
    )
