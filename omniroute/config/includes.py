"""The files of one configuration: the main one, what it includes, and the documents beside it."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omniroute.config.codes import Code
from omniroute.config.layout import documents, patterns
from omniroute.config.marks import Map, Mark, Seq, Unresolved
from omniroute.config.reader import read
from omniroute.config.report import Report
from omniroute.config.shape import Shapes, shared_shapes
from omniroute.config.substitution import Sources, Unfit, read_text, substitute

TESTS = ".test.yaml"
"""Files of config tests lie beside the configuration and are never part of it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as written (`tree`) and with its substitutions made (`filled`)."""

    file: str
    tree: Any
    filled: Any
    section: str = ""
    name: str = ""
    own: bool = True


@dataclass(slots=True)
class Memory:
    """What one load leaves for the next: trees of files whose text is still the same, and the shapes of the language.

    Trees are shared between loads, so nobody changes one.
    """

    shapes: Shapes = field(default_factory=shared_shapes)
    trees: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def read(self, text: str, file: str, report: Report) -> Any:
        """As `reader.read`; what could not be read is read, and told, again."""
        known = self.trees.get(file)
        if known is not None and known[0] == text:
            return known[1]
        tree = read(text, file, report)
        if tree is None:
            self.trees.pop(file, None)
        else:
            self.trees[file] = (text, tree)
        return tree

    def keep(self, files: Iterable[str]) -> None:
        """Forget all other files."""
        kept = set(files)
        self.trees = {file: known for file, known in self.trees.items() if file in kept}


@dataclass(slots=True)
class Files:
    """What is read for one load, in the order in which it counts."""

    values: Sources
    report: Report
    memory: Memory = field(default_factory=Memory)
    found: list[Source] = field(default_factory=list)
    texts: dict[Path, str] = field(default_factory=dict)
    globs: list[str] = field(default_factory=list)

    def main(self, path: Path, text: str) -> None:
        """The main file and all that it includes."""
        self._file(path, text, ())

    def beside(self, folder: Path) -> None:
        """The documents of `pipelines/` and `transforms/`, shipped and the user's."""
        self.globs += patterns(folder)
        for document in documents(folder):
            text = self._text(document.path, Mark(str(document.path)))
            tree = self._tree(document.path, text) if text is not None else None
            if tree is None:
                continue
            filled, _ = substitute(tree, self.values, document.path.parent, Mark(str(document.path)))
            name = filled.get("name") if isinstance(filled, Map) else None
            named = name if isinstance(name, str) else document.path.stem
            if isinstance(filled, Map):
                filled = filled.without("name")
            self.found.append(Source(str(document.path), tree, filled, document.section, named, document.own))

    def _file(self, path: Path, text: str, above: tuple[Path, ...]) -> None:
        tree = self._tree(path, text)
        if tree is None:
            return
        if not isinstance(tree, Map):
            self.report.tell(
                Code.NOT_A_MAP,
                "a configuration is a map of sections, such as `version: 1`",
                Mark(str(path), 1, 1),
            )
            return
        filled, _ = substitute(tree, self.values, path.parent, tree.mark)
        self.found.append(Source(str(path), tree, filled))
        for pattern, mark in self._patterns(filled):
            self._include(path, pattern, mark, (*above, path.resolve()))

    def _tree(self, path: Path, text: str) -> Any:
        self.texts[path.absolute()] = text
        return self.memory.read(text, str(path), self.report)

    def _text(self, path: Path, mark: Mark) -> str | None:
        try:
            return read_text(path)
        except Unfit as error:
            self.texts[path.absolute()] = ""
            self.report.tell(Code.UNREADABLE, error.message, mark)
            return None

    def _patterns(self, filled: Map) -> Iterator[tuple[str, Mark]]:
        """The `include` of a file; what has another form is left to the check."""
        written = filled.get("include")
        if isinstance(written, str):
            yield str(written), filled.value_mark("include")
        if isinstance(written, Unresolved):
            self.report.add(*written.findings)
        for index, item in enumerate(written if isinstance(written, Seq) else ()):
            if isinstance(item, str) and isinstance(written, Seq):
                yield str(item), written.item_mark(index)
            elif isinstance(item, Unresolved):
                self.report.add(*item.findings)

    def _include(self, path: Path, pattern: str, mark: Mark, above: tuple[Path, ...]) -> None:
        wanted = path.parent / Path(pattern).expanduser()
        several = glob.has_magic(pattern)
        if several:
            self.globs.append(str(wanted.absolute()))
            matches = [
                Path(m) for m in sorted(glob.glob(str(wanted), recursive=True)) if not m.endswith(TESTS)
            ]
        else:
            matches = [wanted]
        for match in matches:
            self._included(match, mark, above, several)

    def _included(self, path: Path, mark: Mark, above: tuple[Path, ...], several: bool) -> None:
        if path.resolve() in above:
            if not several:
                self.report.tell(Code.INCLUDE_CYCLE, f"{str(path)!r} includes this file", mark, ("include",))
            return
        if path.absolute() in self.texts or path.is_dir():
            return
        if not path.exists():
            self.texts[path.absolute()] = ""
            self.report.tell(Code.INCLUDE_MISSING, f"there is no file {str(path)!r}", mark, ("include",))
            return
        text = self._text(path, mark)
        if text is not None:
            self._file(path, text, above)
