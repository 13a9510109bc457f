"""The file of a cassette: YAML, one call after the other, events as readable text.

A tape is read whole when it is opened, and only ever added to, so that a process that dies loses nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from omniroute.config.reader import read, typed
from omniroute.config.report import Report
from omniroute.errors import Problem, Refused

HEAD = """\
# A cassette: what providers were asked, and what they answered. Secrets are left out; times are in seconds.
calls:
"""


class Piece(msgspec.Struct, omit_defaults=True):
    """A part of an answer. `at`: seconds after the request went out. One of `text` and `base64`."""

    at: float
    text: str | None = None
    base64: str | None = None

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.base64) if self.base64 is not None else (self.text or "").encode()


class Asked(msgspec.Struct, omit_defaults=True):
    """A request without its credential. `body` is JSON as YAML shows it."""

    method: str
    path: str
    body: Any = None


class Given(msgspec.Struct, omit_defaults=True):
    """An answer. `at` is when its head came; `broken` why it has no end, if it has none."""

    status: int = 0
    at: float = 0.0
    headers: dict[str, str] = {}
    body: list[Piece] = []
    broken: Problem | None = None


class Call(msgspec.Struct, omit_defaults=True):
    """A request to a provider, and its answer."""

    provider: str
    request: Asked
    answer: Given


class _Tape(msgspec.Struct):
    calls: list[Call] | None = None


def piece(at: float, data: bytes) -> Piece:
    """Bytes as text where they are."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Piece(round(at, 4), base64=base64.b64encode(data).decode())
    if not _plain(text):
        return Piece(round(at, 4), base64=base64.b64encode(data).decode())
    return Piece(round(at, 4), text=text)


def _plain(text: str) -> bool:
    """Whether YAML shows it as it is: it changes line ends of other systems, and cannot show control characters."""
    return text.replace("\n", "").replace("\t", "").isprintable()


def read_tape(path: Path) -> list[Call]:
    """The calls of a tape; none where there is no file. Raises `Refused` for one that is damaged."""
    if not path.is_file():
        return []
    report = Report(str(path))
    try:
        tree = read(path.read_text("utf-8"), str(path), report)
        if report.failed:
            raise ValueError(str(report.sorted()[0]))
        return msgspec.convert(tree, _Tape).calls or []
    except (OSError, ValueError, msgspec.ValidationError) as error:
        message = f"The cassette {path} cannot be read: {error}"
        raise Refused(Problem(kind="server", code="cassette_damaged", message=message)) from error


def append(path: Path, calls: Iterable[Call], *, anew: bool) -> None:
    """Add calls to a tape; `anew` begins it. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begins = anew or not path.exists() or not path.stat().st_size
    with path.open("w" if begins else "a", encoding="utf-8") as file:
        if begins:
            file.write(HEAD)
        for call in calls:
            file.write(_as_yaml(call))


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, as people do."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    if value.startswith("${") or not _plain(value) or not isinstance(typed(value), str):
        style = '"'  # what the reader would take for something else
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _as_yaml(call: Call) -> str:
    document = [msgspec.to_builtins(call)]
    written = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False
    )
    return "\n".join(
        f"  {line}" if line.strip() else line for line in written.removesuffix("...\n").split("\n")
    )
