"""One layout for configuration files: sections in the order of the language, two spaces a level, nothing lost.

Lines are moved and indented; what stands in them stays as it was: comments, quotes, anchors, short forms, alignment. A
library that writes a parsed tree again (ruamel.yaml is the good one) keeps comments too, but ties each to what stands
before it, so that a section that moves leaves its comment behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from omniroute.config.marks import Map, Seq
from omniroute.config.reader import compose, read
from omniroute.config.report import Report

STEP = 2
BLANK = " \t"
"""White space of YAML; other spaces are text."""
HEAD = re.compile(r"# *(yaml-language-server|vim|-\*-)|#!|%|---")
"""Lines at the top that belong to the file, and not to its first section."""
DASHES = re.compile(r" *(?:- +)*-(?= |$)")


class Unformattable(ValueError):
    """YAML that is right and that this formatter does not take apart; the words say why."""


def formatted(text: str, sections: Iterable[str] = ()) -> str:
    """The text in its one layout; the same text again when there is nothing to do. It means the same as before.

    `sections` are the top-level keys in their order. Raises `Unformattable`, and `yaml.YAMLError` for what is no YAML.
    """
    if any(mark in text for mark in "\x85\u2028\u2029"):
        raise Unformattable("a line ends with a character that is no line end in most editors")
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    laid = _indented(lines)
    ordered = _ordered(laid, list(sections))
    for candidate in (ordered, laid):
        result = _joined(candidate)
        if same_meaning(text, result):
            return result
    raise Unformattable("the result would not mean the same: this is a mistake of the formatter")


def same_meaning(old: str, new: str) -> bool:
    """Whether two texts hold the same values, the same names in the same order below the sections, and the same
    comments."""
    trees = [read(text, "", Report()) for text in (old, new)]
    return _equal(trees[0], trees[1], top=True) and _comments(old) == _comments(new)


def _equal(a: Any, b: Any, *, top: bool = False) -> bool:
    if isinstance(a, Map) and isinstance(b, Map):
        keys = set(a) == set(b) if top else list(a) == list(b)
        return keys and all(_equal(value, b[key]) for key, value in a.items())
    if isinstance(a, Seq) and isinstance(b, Seq):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and (a == b or a != a)


def _comments(text: str) -> list[str]:
    return sorted(
        part.strip(BLANK)
        for line in re.split(r"\r\n|\r|\n", text)
        if (part := line.strip(BLANK)).startswith("#")
    )


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n") + "\n" if any(lines) else ""


# ── indentation ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Level:
    """A block collection: the column at which its entries stand, and the one at which they should."""

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry that begins a line: the levels it opens there, outermost first, and the column of what it says."""

    levels: tuple[_Level, ...]
    content: int
    dashes: int


class _Layout:
    """Where every line of a file belongs."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.entries: dict[int, _Entry] = {}
        self.shifts: dict[int, int] = {}
        self._seen: set[int] = set()

    def visit(self, node: yaml.Node, new: int, above: tuple[_Level, ...] = ()) -> None:
        """A node whose entries, if it is a block, should stand at column `new`."""
        if id(node) in self._seen:  # an alias: it was laid out where its anchor is
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
            self._mapping(node, new, above)
        elif isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
            self._sequence(node, new, above)
        else:
            self._whole(node, above)

    def _mapping(self, node: yaml.MappingNode, new: int, above: tuple[_Level, ...]) -> None:
        level = _Level(node.value[0][0].start_mark.column, new)
        for key, value in node.value:
            mark = key.start_mark
            self._begin(mark.line, mark.column, level, above, 0)
            self._whole(key, (*above, level))
            self.visit(value, new + STEP, (*above, level))

    def _sequence(self, node: yaml.SequenceNode, new: int, above: tuple[_Level, ...]) -> None:
        for item in node.value:
            line, column = self._dash(item.start_mark)
            level = _Level(column, new)
            content = item.start_mark.column if item.start_mark.line == line else column + 1
            self._begin(line, column, level, above, 1, content)
            self.visit(item, new + STEP, (*above, level))

    def _dash(self, mark: yaml.Mark) -> tuple[int, int]:
        """Line and column of the dash before an item."""
        before = self.lines[mark.line][: mark.column].rstrip(" ")
        if before.endswith("-"):
            return mark.line, len(before) - 1
        for line in range(mark.line - 1, -1, -1):
            text = self.lines[line]
            match = DASHES.match(text)
            if match and not text[match.end() :].split("#", 1)[0].strip(BLANK):
                return line, match.end() - 1
            if text.strip(BLANK) and not text.lstrip(BLANK).startswith("#"):
                break
        raise Unformattable(f"line {mark.line + 1}: a list item that is written in an unusual way")

    def _begin(
        self,
        line: int,
        column: int,
        level: _Level,
        above: tuple[_Level, ...],
        dash: int,
        content: int | None = None,
    ) -> None:
        content = column if content is None else content
        known = self.entries.get(line)
        before = self.lines[line][:column]
        if known is None and not before.strip(BLANK):
            self.entries[line] = _Entry((*above, level), content, dash)
        elif known is not None and not before.replace("-", "").strip(BLANK):
            self.entries[line] = _Entry(known.levels, content, known.dashes + dash)
        else:
            raise Unformattable(f"line {line + 1}: a key that is written in an unusual way")

    def _whole(self, node: yaml.Node, above: tuple[_Level, ...]) -> None:
        """A scalar or a flow collection: its later lines move as far as its owner does."""
        self._know(node)
        last = node.end_mark.line - (node.end_mark.column == 0)
        shift = above[-1].new - above[-1].old if above else 0
        for line in range(node.start_mark.line + 1, last + 1):
            self.shifts[line] = shift

    def _know(self, node: yaml.Node) -> None:
        """All of a flow collection is laid out with it, whoever refers to a part of it later."""
        todo = [node]
        while todo:
            found = todo.pop()
            for child in found.value if isinstance(found, yaml.CollectionNode) else ():
                parts = child if isinstance(child, tuple) else (child,)
                todo += [part for part in parts if id(part) not in self._seen]
                self._seen.update(map(id, parts))


def _indented(lines: list[str]) -> list[str]:
    node = compose("\n".join(lines))
    layout = _Layout(lines)
    if node is not None:
        layout.visit(node, 0)
    result: list[str] = []
    for number, line in enumerate(lines):
        if number in layout.shifts:
            result.append(_shifted(line, layout.shifts[number]))
        elif number in layout.entries:
            result.append(_entry(line, layout.entries[number]).rstrip(BLANK))
        elif line.strip(BLANK):
            result.append(_comment(number, line, layout).rstrip(BLANK))
        elif result and result[-1]:
            result.append("")
    return result


def _entry(line: str, entry: _Entry) -> str:
    return " " * entry.levels[-1].new + "- " * entry.dashes + line[entry.content :].lstrip(" ")


def _shifted(line: str, shift: int) -> str:
    """A line of a longer scalar: white space at its end may count."""
    if not line.strip(BLANK):
        return line[-shift:] if shift < 0 else line
    return " " * shift + line if shift >= 0 else line[min(-shift, len(line) - len(line.lstrip(" "))) :]


def _comment(number: int, line: str, layout: _Layout) -> str:
    """A comment stands with the entries beside which it was written: those above or below at its column."""
    column = len(line) - len(line.lstrip(" "))
    above = next((layout.entries[n] for n in range(number, -1, -1) if n in layout.entries), None)
    below = next((layout.entries[n] for n in range(number, len(layout.lines)) if n in layout.entries), None)
    levels = [level for entry in (below, above) if entry is not None for level in entry.levels]
    fitting = [level for level in levels if level.old <= column]
    if not fitting:
        return line.lstrip(" ") if not levels else " " * min(x.new for x in levels) + line.lstrip(" ")
    level = max(fitting, key=lambda found: found.old)
    return " " * (level.new + column - level.old) + line.lstrip(" ")


# ── order ────────────────────────────────────────────────────────────────────────────────────────


def _ordered(lines: list[str], sections: list[str]) -> list[str]:
    """The lines with the sections in their order; each takes the comments and the blank line above it along."""
    node = compose("\n".join(lines))
    if not sections or not isinstance(node, yaml.MappingNode) or node.flow_style or not node.value:
        return lines
    starts = [_start(lines, key.start_mark.line) for key, _ in node.value]
    starts[0] = _after_head(lines, starts[0], node.value[0][0].start_mark.line)
    tail = _tail(lines, starts[-1])
    blocks = [lines[a:b] for a, b in zip(starts, [*starts[1:], tail], strict=True)]
    names = [str(key.value) for key, _ in node.value]
    order = sorted(range(len(names)), key=lambda index: _rank(names[index], sections))
    if order == list(range(len(names))):
        return lines
    gaps = [len(block) - len(_stripped(block)) for block in blocks]
    first = order[0]
    gaps[first], gaps[0] = gaps[0], gaps[first]  # the first has no line above it to stand apart from
    moved = [line for index in order for line in [*[""] * gaps[index], *_stripped(blocks[index])]]
    return [*lines[: starts[0]], *moved, *lines[tail:]]


def _start(lines: list[str], line: int) -> int:
    """The first of the comments and blank lines above a top-level key; what is indented belongs to the one before."""
    while line > 0 and (not lines[line - 1] or lines[line - 1].startswith("#")):
        line -= 1
    return line


def _after_head(lines: list[str], start: int, key: int) -> int:
    """Where the first section begins: after what belongs to the file, which ends with a blank line or a directive."""
    begin = start
    for number in range(start, key):
        if HEAD.match(lines[number]) or not lines[number]:
            begin = number + 1
    return begin


def _tail(lines: list[str], start: int) -> int:
    """Where comments at the end of the file begin that stand apart."""
    end = len(lines)
    while end > start and (not lines[end - 1] or lines[end - 1].startswith("#")):
        end -= 1
    apart = next((n for n in range(end, len(lines)) if not lines[n]), len(lines))
    return apart


def _stripped(block: list[str]) -> list[str]:
    first = next((n for n, line in enumerate(block) if line), len(block))
    return block[first:]


def _rank(name: str, sections: list[str]) -> tuple[int, int]:
    """Known sections in their order; `x-…`, which others may refer to, right after the version."""
    if name.startswith("x-") or name == "<<":
        return 1, 0
    if name in sections:
        return (0, 0) if sections.index(name) == 0 else (2, sections.index(name))
    return 3, 0
