"""Where files are looked for: the folder of the user's omniroute.yaml first, then what is shipped; whole file wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import omniroute

MAIN = "omniroute.yaml"
FOLDERS = ("pipelines", "transforms")
"""Folders whose files hold one document each, by the section in which the document belongs."""


@cache
def shipped() -> Path:
    """The folder of the files that come with OmniRoute: in the wheel, or the checkout around the package."""
    package = Path(omniroute.__file__).resolve().parent
    defaults = package / "_defaults"
    return defaults if defaults.is_dir() else package.parent


def find_config(explicit: str | None, env: Mapping[str, str], cwd: Path) -> Path:
    """The main file: `--config`, OMNIROUTE_CONFIG, ./omniroute.yaml, the user's config folder, or the shipped one.

    A path that was asked for by name comes back whether it exists or not.
    """
    asked = explicit or env.get("OMNIROUTE_CONFIG")
    if asked:
        path = Path(asked).expanduser()
        return path / MAIN if path.is_dir() else path
    if (cwd / MAIN).is_file():
        return Path(MAIN) if cwd == Path.cwd() else cwd / MAIN
    mine = user_folder(env) / MAIN
    return mine if mine.is_file() else shipped() / MAIN


def user_folder(env: Mapping[str, str]) -> Path:
    """Where a user's own configuration lies (XDG Base Directory)."""
    base = env.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(env.get("HOME") or Path.home()) / ".config") / "omniroute"


@dataclass(frozen=True, slots=True)
class Document:
    """A file of `pipelines/` or `transforms/`. `own` tells the user's from a shipped one."""

    section: str
    path: Path
    own: bool


def documents(folder: Path) -> list[Document]:
    """The documents that count beside a configuration in `folder`, sorted: a user's file hides a shipped one."""
    found: dict[tuple[str, str], Document] = {}
    # Whoever runs what is shipped, in its own folder, has written none of it.
    for place, own in ((shipped(), False), (folder, folder.resolve() != shipped())):
        for section in FOLDERS:
            for path in sorted((place / section).glob("*.yaml")):
                found[section, path.stem] = Document(section, path, own)
    return [found[key] for key in sorted(found)]


def patterns(folder: Path) -> list[str]:
    """The globs of a user's documents, to watch for new ones."""
    return [str(folder.absolute() / section / "*.yaml") for section in FOLDERS]
