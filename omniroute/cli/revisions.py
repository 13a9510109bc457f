"""Configurations by name: a file, or a file as it was in git (`git:REV` or `git:REV:PATH`)."""

from __future__ import annotations

import argparse
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from msgspec.structs import replace

from omniroute.config.load import find_config
from omniroute.errors import ConfigError, ConfigUnreadable, Finding

GIT = "git:"
LARGEST = 4 * 2**20
"""Bytes of a file in a commit that may still belong to a configuration."""


@dataclass(frozen=True, slots=True)
class Named:
    """A configuration to read: `path` is where it lies now, `shown` is what people know it as."""

    path: Path
    shown: str
    folder: str = ""

    def said(self, text: str) -> str:
        """A text about it, in which places in the temporary folder are places in the commit."""
        return text.replace(self.folder, self.shown.rpartition(":")[0] + ":") if self.folder else text

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of a load in this block have places in the commit."""
        try:
            yield
        except ConfigUnreadable as error:
            raise ConfigUnreadable(self.said(str(error))) from None
        except ConfigError as error:
            raise ConfigError([self._moved(finding) for finding in error.findings]) from None

    def _moved(self, finding: Finding) -> Finding:
        return replace(finding, file=self.said(finding.file), message=self.said(finding.message))


def add_stand_ins(parser: argparse.ArgumentParser) -> None:
    """The option for machines that have no secrets."""
    parser.add_argument(
        "--stand-ins",
        action="store_true",
        help="go on with a stand-in where a variable, file or sealed value is missing or empty: for CI without secrets",
    )


@contextmanager
def opened(written: str, beside: str | None = None) -> Iterator[Named]:
    """The configuration that a word of the command line names, for as long as the block lasts.

    `git:REV` alone means the file `beside`, as it was there. Raises `ConfigUnreadable`.
    """
    if not written.startswith(GIT):
        path = Path(written)
        yield Named(path / "omniroute.yaml" if path.is_dir() else path, written)
        return
    revision, _, path_in = written.removeprefix(GIT).partition(":")
    top = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").decode().strip())
    inner = path_in or _inner(top, beside)
    commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="omniroute-") as folder:
        _extract(top, commit.decode().strip(), Path(folder))
        yield Named(Path(folder) / inner, f"{GIT}{revision}:{inner}", f"{folder}{os.sep}")


def _inner(top: Path, beside: str | None) -> str:
    """The path in the repository of the file that stands here."""
    if beside and beside.startswith(GIT):
        written = beside.removeprefix(GIT).partition(":")[2]
        if written:
            return written
        beside = None
    path = Path(beside) if beside else find_config(None, os.environ, Path.cwd())
    path = path / "omniroute.yaml" if path.is_dir() else path
    try:
        return path.resolve().relative_to(top.resolve()).as_posix()
    except ValueError:
        raise ConfigUnreadable(f"{str(path)!r} is not in the repository {str(top)!r}") from None


def _git(folder: Path, *args: str) -> bytes:
    """What git prints. Raises `ConfigUnreadable` with its words."""
    try:
        done = subprocess.run(["git", *args], cwd=folder, capture_output=True, check=True)
    except FileNotFoundError:
        raise ConfigUnreadable("`git:REV` needs the program git") from None
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise ConfigUnreadable(f"git {args[0]}: {told or f'there is no {args[-1]!r}'}") from None
    return done.stdout


def _extract(top: Path, commit: str, folder: Path) -> None:
    """The files of a commit, but for those too large to be part of a configuration."""
    with subprocess.Popen(["git", "archive", "--format=tar", commit], cwd=top, stdout=subprocess.PIPE) as git:
        stream: IO[bytes] | None = git.stdout
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _write(archive, member, folder)
    if git.returncode:
        raise ConfigUnreadable(f"git archive failed for {commit}")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """One file, or a link to one. Nothing that a repository holds leads out of the folder."""
    path = folder / member.name
    if not path.resolve().is_relative_to(folder.resolve()):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.issym() and (path.parent / member.linkname).resolve().is_relative_to(folder.resolve()):
        path.symlink_to(member.linkname)
    elif member.isfile() and member.size <= LARGEST:
        content = archive.extractfile(member)
        if content is not None:
            path.write_bytes(content.read())
