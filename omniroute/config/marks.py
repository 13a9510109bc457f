"""Values that remember where they were written: the mark travels with them through merge and normalise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from omniroute.config.secrets import Secret
from omniroute.errors import Finding

Path = tuple[str | int, ...]
"""The way to a value: map keys and list indexes."""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A place in a file. Line and column count from 1; 0 is the whole file.

    `origin` tells what else set the value: `env NAME`, `file PATH`, `sealed`, `catalogue:ID`, or nothing.
    Every value has one, so they are kept from the garbage collector: its pauses are those of requests.
    """

    file: str
    line: int = 0
    column: int = 0
    origin: str = ""

    def __str__(self) -> str:
        place = ":".join(str(p) for p in (self.file, self.line, self.column) if p)
        return f"{place} ({self.origin})" if self.origin and self.origin != self.file else place

    def by(self, origin: str) -> Mark:
        """The same place, set by something else."""
        return Mark(self.file, self.line, self.column, origin)


NOWHERE = Mark("")
SHIPPED = "shipped"
"""The origin of a document that comes with OmniRoute."""


class Map(dict[str, Any]):
    """A mapping with the marks of its keys and values."""

    __slots__ = ("key_marks", "mark", "value_marks")

    def __init__(self, mark: Mark = NOWHERE) -> None:
        super().__init__()
        self.mark = mark
        self.key_marks: dict[str, Mark] = {}
        self.value_marks: dict[str, Mark] = {}

    def put(self, key: str, value: Any, key_mark: Mark, value_mark: Mark) -> None:
        self[key] = value
        self.key_marks[key] = key_mark
        self.value_marks[key] = value_mark

    def take(self, key: str, other: Map) -> None:
        """The entry `key` of `other`, with its marks."""
        self.put(key, other[key], other.key_mark(key), other.value_mark(key))

    def key_mark(self, key: str) -> Mark:
        return self.key_marks.get(key, self.mark)

    def value_mark(self, key: str) -> Mark:
        return self.value_marks.get(key, self.mark)

    def without(self, *keys: str) -> Map:
        """A copy that lacks `keys`."""
        rest = Map(self.mark)
        for key in self:
            if key not in keys:
                rest.take(key, self)
        return rest


class Seq(list[Any]):
    """A list with the marks of its items."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark = NOWHERE) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []

    def add(self, item: Any, mark: Mark) -> None:
        self.append(item)
        self.marks.append(mark)

    def item_mark(self, index: int) -> Mark:
        return self.marks[index] if index < len(self.marks) else self.mark


class Bare(str):
    """The text of an unquoted scalar that is one substitution: its type is open until a field asks."""

    __slots__ = ()


class Unresolved:
    """Stands where a substitution failed. Its findings count only if the value is used."""

    __slots__ = ("findings",)

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings


def ignored(key: str) -> bool:
    """Whether a key is the user's own (`x-…`)."""
    return key.startswith("x-")


def written(path: Path) -> str:
    """`combos.always-on.targets[1]`; a name with a dot or a slash is put in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        plain = re.fullmatch(r"[A-Za-z0-9_-]+", step)
        text += ("." if text else "") + (step if plain else f'"{step}"')
    return text


def find(tree: Any, text: str) -> Path | None:
    """The path that `text` means in `tree`, or None. Names with dots need no quotes where they exist."""
    found: list[str | int] = []
    rest = text
    while rest:
        step, rest = _step(tree, rest)
        if step is None:
            return None
        tree = tree[step]
        found.append(step)
    return tuple(found)


def _step(tree: Any, text: str) -> tuple[str | int | None, str]:
    if isinstance(tree, list):
        match = re.match(r"\[(\d+)\]\.?|(\d+)(?:\.|(?=\[)|$)", text)
        index = int(match[1] or match[2]) if match else -1
        return (index, text[match.end() :]) if match and index < len(tree) else (None, text)
    if not isinstance(tree, dict):
        return None, text
    for key in sorted(tree, key=len, reverse=True):
        for form in (f'"{key}"', key):
            after = text[len(form) :]
            if text.startswith(form) and (not after or after[0] in ".["):
                return key, after.removeprefix(".")
    return None, text


def lookup(tree: Any, path: Path) -> tuple[Any, Mark]:
    """The value at `path` and its mark; where the path ends early, the nearest thing above it."""
    mark = getattr(tree, "mark", NOWHERE)
    for step in path:
        if isinstance(tree, Map) and step in tree:
            mark, tree = tree.value_mark(str(step)), tree[str(step)]
        elif isinstance(tree, Seq) and isinstance(step, int) and step < len(tree):
            mark, tree = tree.item_mark(step), tree[step]
        else:
            return None, mark
    return tree, mark


def leaves(tree: Any, path: Path = (), mark: Mark = NOWHERE) -> Iterator[tuple[Path, Any, Mark]]:
    """Every scalar (and empty collection) under `tree`, with its path and mark."""
    if isinstance(tree, Map) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key), tree.value_mark(key))
    elif isinstance(tree, Seq) and tree:
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index), tree.item_mark(index))
    else:
        yield path, tree, mark


def marked(value: Any, mark: Mark) -> Any:
    """Plain data as a marked tree in which everything carries the same mark."""
    if isinstance(value, dict):
        result = Map(mark)
        for key, item in value.items():
            result.put(str(key), marked(item, mark), mark, mark)
        return result
    if isinstance(value, list | tuple):
        items = Seq(mark)
        for item in value:
            items.add(marked(item, mark), mark)
        return items
    return value


def plain(tree: Any) -> Any:
    """The tree as plain data, with secrets as `***`."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(item) for item in tree]
    if isinstance(tree, Secret):
        return "***"
    if isinstance(tree, Unresolved):
        return None
    return str(tree) if isinstance(tree, str) else tree
