"""One load: read, merge, normalise, check, convert. All problems are told at once, or settings come out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omniroute.catalog.read import read_catalogue
from omniroute.config.check import Checking, Condition, check_form, jmespath_syntax, secrets_in
from omniroute.config.convert import to_settings
from omniroute.config.globs import spread_targets
from omniroute.config.includes import Files, Memory, Source
from omniroute.config.layout import find_config, shipped
from omniroute.config.marks import Map, Mark, find, lookup
from omniroute.config.meaning import check_meaning
from omniroute.config.merge import merge, with_catalogue
from omniroute.config.normalise import Names, normalise
from omniroute.config.order import give_way
from omniroute.config.report import Report
from omniroute.config.secrets import Secret
from omniroute.config.settings import Settings
from omniroute.config.shape import Record
from omniroute.config.substitution import Sources, reason
from omniroute.errors import ConfigError, ConfigUnreadable, Finding
from omniroute.registry import Registry

__all__ = ["Draft", "Loaded", "Memory", "Stages", "draft", "find_config", "load", "load_text"]

Catalogue = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stages:
    """The steps of a load, as `config show` prints them. `source` is each file as written."""

    source: tuple[Source, ...]
    merged: Map
    normalised: Map


@dataclass(frozen=True, slots=True)
class Draft:
    """A configuration that was read, and perhaps is wrong. `files` and `globs` are what to watch."""

    stages: Stages
    report: Report
    files: frozenset[Path]
    globs: tuple[str, ...]
    folder: Path
    digest: str
    root: Record
    names: Names

    def light(self) -> Draft:
        """The same without the steps that led to the normalised tree."""
        return replace(self, stages=Stages((), Map(), self.stages.normalised))

    def place(self, path: str) -> str:
        """`file:line:column` of a dotted path, or of the nearest thing above it that is written."""
        return str(self.mark(path).by(""))

    def blame(self, path: str) -> str:
        """Who set the value at a path: its place and, if any, the variable, file or catalogue entry."""
        return str(self.mark(path)) if find(self.stages.normalised, path) is not None else "default"

    def mark(self, path: str) -> Mark:
        """The mark of a dotted path, or of the nearest thing above it that is written."""
        tree = self.stages.normalised
        while path and find(tree, path) is None:
            path = path.rpartition(".")[0] if not path.endswith("]") else path.rpartition("[")[0]
        return lookup(tree, find(tree, path) or ())[1]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used. `findings` are its warnings and notes."""

    settings: Settings
    findings: tuple[Finding, ...]
    draft: Draft

    @property
    def stages(self) -> Stages:
        return self.draft.stages

    @property
    def files(self) -> frozenset[Path]:
        """Absolute paths of all that was read, or would have been."""
        return self.draft.files

    @property
    def globs(self) -> tuple[str, ...]:
        """Absolute patterns whose new matches would join."""
        return self.draft.globs

    @property
    def folder(self) -> Path:
        """The folder of the main file: what relative paths in it are relative to."""
        return self.draft.folder

    @property
    def digest(self) -> str:
        """Twelve hex digits that stand for the whole content."""
        return self.draft.digest

    def place(self, path: str) -> str:
        """`file:line:column` of a dotted path."""
        return self.draft.place(path)

    def blame(self, path: str) -> str:
        """Who set the value at a path."""
        return self.draft.blame(path)


def load(
    path: str | Path,
    *,
    env: Mapping[str, str],
    registry: Registry,
    lenient: bool = False,
    catalogue: Catalogue | None = None,
    condition: Condition = jmespath_syntax,
    stand_ins: bool = False,
) -> Loaded:
    """The settings of a file and all that belongs to it.

    `condition` compiles a `when`; `stand_ins` makes up for values that are missing here. Raises `ConfigError` with every finding, `ConfigUnreadable` when the main
    file cannot be read.
    """
    found = draft(
        path,
        env=env,
        registry=registry,
        lenient=lenient,
        catalogue=catalogue,
        condition=condition,
        stand_ins=stand_ins,
    )
    return finish(found)


def load_text(
    text: str,
    *,
    env: Mapping[str, str],
    registry: Registry,
    folder: Path | None = None,
    name: str = "omniroute.yaml",
    lenient: bool = False,
    catalogue: Catalogue | None = None,
    condition: Condition = jmespath_syntax,
) -> Loaded:
    """As `load`, from a text that stands as `name` in `folder`. Raises `ConfigError`."""
    path = (folder / name) if folder else Path(name)
    return finish(_draft(path, text, Sources(env), registry, lenient, catalogue, condition))


def draft(
    path: str | Path,
    *,
    env: Mapping[str, str],
    registry: Registry,
    lenient: bool = False,
    catalogue: Catalogue | None = None,
    condition: Condition = jmespath_syntax,
    memory: Memory | None = None,
    stand_ins: bool = False,
    sources: Sources | None = None,
) -> Draft:
    """What a file says, right or wrong. `memory` is what the load before it left, `stand_ins` makes up for values that
    are missing here; `sources` may take the place of both them and `env`. Raises `ConfigUnreadable`.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigUnreadable(f"cannot read {str(path)!r}: {reason(error)}") from None
    sources = sources if sources is not None else Sources(env, stand_ins)
    return _draft(path, text, sources, registry, lenient, catalogue, condition, memory)


def finish(draft: Draft) -> Loaded:
    """The settings of a draft. Raises `ConfigError`."""
    findings = draft.report.sorted()
    if draft.report.failed:
        raise ConfigError(findings)
    settings = to_settings(draft.stages.normalised, draft.root, draft.names)
    return Loaded(settings, tuple(findings), draft)


def _draft(
    path: Path,
    text: str,
    sources: Sources,
    registry: Registry,
    lenient: bool,
    catalogue: Catalogue | None,
    condition: Condition,
    memory: Memory | None = None,
) -> Draft:
    report = Report(str(path))
    memory = memory if memory is not None else Memory()
    files = Files(sources, report, memory)
    files.main(path, text)
    broken = report.failed
    files.beside(path.parent)
    memory.keep(str(source.file) for source in files.found)
    names = Names(registry, memory.shapes)
    root = names.shapes.of(Settings)
    merged = merge(files.found, root, report)
    entries = read_catalogue() if catalogue is None else catalogue
    merged = with_catalogue(merged, entries, report)
    names.learn(merged)
    normalised = give_way(normalise(merged, root, names, Mark(str(path), 1, 1)))
    if not broken:
        spread_targets(normalised, report)
        checking = Checking(names, report, lenient, condition)
        check_form(normalised, root, checking, Mark(str(path), 1, 1))
        check_meaning(normalised, names, entries, report)
        report.hide(secrets_in(normalised))
    return Draft(
        stages=Stages(tuple(files.found), merged, normalised),
        report=report,
        files=frozenset({*files.texts, *(p.absolute() for p in files.values.watched)}),
        globs=tuple(dict.fromkeys(files.globs)),
        folder=path.parent,
        digest=_digest(path.parent, files),
        root=root,
        names=names,
    )


def _digest(folder: Path, files: Files) -> str:
    """The same content gives the same digest on every machine; secrets count by their fingerprints."""
    whole = hashlib.sha256()
    base = folder.absolute()
    for path, text in sorted((_named(p, base), t) for p, t in files.texts.items()):
        whole.update(f"{path}\0{text}\0".encode("utf-8", "surrogatepass"))
    used = {**files.values.used, **{_named(p, base): t for p, t in files.values.files.items()}}
    for name, value in sorted(used.items()):
        whole.update(f"{name}\0{Secret(value).fingerprint()}\0".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()[:12]


def _named(path: Path, base: Path) -> str:
    """A path without the part that differs between machines."""
    home = shipped() if path.is_relative_to(shipped()) and not path.is_relative_to(base) else base
    return os.path.relpath(path, home)
