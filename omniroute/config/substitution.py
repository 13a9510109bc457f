"""`${…}` in scalars, resolved after parsing: a value can never change structure or move a line number.

${NAME} ${env:NAME}     the variable; unset is an error, empty is empty
${NAME:-default}        the default where the variable is unset or empty; it may hold `${…}` again
${NAME:?message}        an error with that message where the variable is unset or empty
${file:PATH}            the contents of a file without one trailing newline; a secret
${sealed:v1:…}          a sealed value; a secret
$${                     a literal `${`
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from omniroute.config.codes import Code
from omniroute.config.marks import Bare, Map, Mark, Path, Seq, Unresolved, ignored
from omniroute.config.report import finding
from omniroute.config.sealed import master_key, open_sealed
from omniroute.config.secrets import Secret

_NAME = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?", re.DOTALL)


class Unfit(Exception):
    """A substitution that has no value. `message` holds no secret."""

    def __init__(self, code: Code, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(slots=True)
class Sources:
    """Where values come from, and what was taken from there.

    `stand_ins`: what is missing gets a value that says so, for a look at a configuration where its secrets are not.
    """

    env: Mapping[str, str]
    stand_ins: bool = False
    files: dict[FilePath, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    watched: set[FilePath] = field(default_factory=set)

    def variable(self, name: str, default: str | None) -> str | None:
        """`default` is what the place has for a variable that is not set, if anything."""
        value = self.env.get(name)
        self.used[name] = value or ""
        return value

    def file(self, path: FilePath) -> str:
        """Contents without one trailing newline. Raises `Unfit`."""
        self.watched.add(path)
        if path not in self.files:
            self.files[path] = read_text(path)
        return self.files[path].removesuffix("\n").removesuffix("\r")

    def sealed(self, text: str) -> str:
        try:
            key = master_key(self.env)
            if not key:
                raise Unfit(Code.SEALED, "a sealed value needs OMNIROUTE_MASTER_KEY, which is not set")
            return open_sealed(text, key)
        except (OSError, ValueError) as error:
            raise Unfit(Code.SEALED, reason(error)) from None


def read_text(path: FilePath) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise Unfit(Code.FILE_UNREADABLE, f"cannot read {str(path)!r}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """The words of an error from the system, without its number and path."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return (
        (getattr(error, "strerror", None) or str(error)).lower() if isinstance(error, OSError) else str(error)
    )


def substitute(
    tree: Any, sources: Sources, folder: FilePath, mark: Mark, path: Path = ()
) -> tuple[Any, Mark]:
    """`tree` with every `${…}` replaced: a copy, or the tree itself where it has none. What fails becomes
    `Unresolved` at its place.

    `folder` is what relative paths are relative to. The mark that comes back names the origin of the value.
    """
    if isinstance(tree, Map):
        return _map(tree, sources, folder, path), mark
    if isinstance(tree, Seq):
        return _list(tree, sources, folder, path), mark
    if not isinstance(tree, str) or "${" not in tree:
        return tree, mark
    return _scalar(tree, sources, folder, mark, path)


def _map(tree: Map, sources: Sources, folder: FilePath, path: Path) -> Map:
    result = Map(tree.mark)
    changed = not path  # the user's own keys go, and the sections may be added to
    for key, value in tree.items():
        if path or not ignored(key):
            new, mark = substitute(value, sources, folder, tree.value_mark(key), (*path, key))
            result.put(key, new, tree.key_mark(key), mark)
            changed = changed or new is not value
    return result if changed else tree


def _list(tree: Seq, sources: Sources, folder: FilePath, path: Path) -> Seq:
    items = Seq(tree.mark)
    changed = False
    for index, item in enumerate(tree):
        new, mark = substitute(item, sources, folder, tree.item_mark(index), (*path, index))
        items.add(new, mark)
        changed = changed or new is not item
    return items if changed else tree


def _scalar(text: str, sources: Sources, folder: FilePath, mark: Mark, path: Path) -> tuple[Any, Mark]:
    filled, unfit, origin, secret = "", [], "", False
    pieces = [piece for piece in _pieces(text) if piece]
    for piece in pieces:
        try:
            value, where, hidden = _value(piece, sources, folder)
        except Unfit as error:
            unfit.append(finding(error.code, error.message, mark, path))
            continue
        filled += value
        origin = origin or where
        secret = secret or hidden
    if unfit:
        return Unresolved(tuple(unfit)), mark
    mark = mark.by(origin)
    if secret:
        return Secret(filled, str(mark)), mark
    return (Bare(filled) if isinstance(text, Bare) and len(pieces) == 1 else filled), mark


def _value(piece: str, sources: Sources, folder: FilePath) -> tuple[str, str, bool]:
    """The value of a piece, where it came from, and whether it is a secret."""
    try:
        value, origin, hidden = _found(piece, sources, folder)
    except Unfit as error:
        if not sources.stand_ins or error.code is Code.BAD_SUBSTITUTION:
            raise
        return stand_in(piece), "a stand-in", False
    if not value and sources.stand_ins and piece.startswith("${"):
        return stand_in(piece), "a stand-in", hidden
    return value, origin, hidden


def stand_in(piece: str) -> str:
    """A text for a substitution that has no value here: the same for the same one, fit for a URL or a header."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", piece[2:-1].partition(":-")[0]).strip("-")
    return f"stand-in-{name.lower()[:40]}"


def _found(piece: str, sources: Sources, folder: FilePath) -> tuple[str, str, bool]:
    if piece == "$${":
        return "${", "", False
    if not piece.startswith("${"):
        return piece, "", False
    if not piece.endswith("}"):
        raise Unfit(Code.BAD_SUBSTITUTION, "`${` without `}`: write `$${` for a literal `${`")
    inner = piece[2:-1]
    if inner.startswith("file:"):
        path = folder / FilePath(os.path.expanduser(inner.removeprefix("file:").strip()))
        return sources.file(path), f"file {path}", True
    if inner.startswith("sealed:"):
        return sources.sealed(inner.removeprefix("sealed:")), "sealed", True
    return _variable(inner, sources, folder)


def _variable(inner: str, sources: Sources, folder: FilePath) -> tuple[str, str, bool]:
    match = _NAME.fullmatch(inner)
    if match is None:
        raise Unfit(
            Code.BAD_SUBSTITUTION, "`${…}` holds no name of a variable: write `$${` for a literal `${`"
        )
    name, operator, argument = match[1], match[2], match[3] or ""
    value = sources.variable(name, argument if operator == ":-" else None)
    if value or (value is not None and operator is None):
        return value, f"env {name}", False
    if operator == ":-":
        return _default(name, argument, sources, folder)
    if operator == ":?":
        raise Unfit(Code.UNSET, argument.strip() or f"the variable {name} is not set")
    raise Unfit(Code.UNSET, f"the variable {name} is not set")


def _default(name: str, text: str, sources: Sources, folder: FilePath) -> tuple[str, str, bool]:
    values = [_value(piece, sources, folder) for piece in _pieces(text)]
    return "".join(v[0] for v in values), f"default of ${{{name}}}", any(v[2] for v in values)


def _pieces(text: str) -> Iterator[str]:
    """Literal text, `$${` and `${…}` in turn; braces inside a substitution are balanced."""
    start = 0
    while (at := text.find("${", start)) >= 0:
        if at > start and text[at - 1] == "$":
            yield text[start : at - 1]
            yield "$${"
            start = at + 2
            continue
        yield text[start:at]
        start = _closing(text, at + 2)
        yield text[at:start]
    yield text[start:]


def _closing(text: str, start: int) -> int:
    """The index after the `}` that closes a substitution, or the end of the text."""
    depth, at = 1, start
    while depth and at < len(text):
        if text.startswith("${", at):
            depth, at = depth + 1, at + 2
            continue
        depth -= text[at] == "}"
        at += 1
    return at
