"""Edits of files as text: one scalar is replaced, and every other byte stays where it is."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from omniroute.config.marks import Mark
from omniroute.config.reader import compose

_LINES = re.compile(r".*?(?:\r\n|\r|\n|\Z)", re.DOTALL)


def replaced(text: str, mark: Mark, value: str) -> str:
    """`text` in which the scalar that begins at a mark is another one, in double quotes.

    Raises `ValueError` when no scalar of one line begins there.
    """
    for node in _scalars(compose(text)):
        start, end = node.start_mark, node.end_mark
        if (start.line + 1, start.column + 1) == (mark.line, mark.column) and end.line == start.line:
            begin, stop = _offset(text, start), _offset(text, end)
            return text[:begin] + quoted(value) + text[stop:]
    raise ValueError(f"no value of one line stands at {mark}")


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.CollectionNode):
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                yield from _scalars(part)


def quoted(value: str) -> str:
    """A text as a double-quoted scalar of YAML; ours hold nothing but printable characters."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _offset(text: str, mark: yaml.Mark) -> int:
    starts = [match.start() for match in _LINES.finditer(text)]
    return starts[mark.line] + mark.column


def text_of(path: Path) -> str:
    """What a file holds, with the line ends that it has. Raises `OSError`, `ValueError`."""
    return path.read_bytes().decode("utf-8")


def write(path: Path, text: str) -> None:
    """Replace a file whole or not at all; its mode stays, and a symbolic link still leads to it."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        if path.exists():
            os.chmod(name, path.stat().st_mode & 0o7777)
        else:
            os.chmod(name, 0o600)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
