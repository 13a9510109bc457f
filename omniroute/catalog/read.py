"""Read the provider files: the same keys as `providers.ID` in a configuration, plus `like`.

`like: OTHER` starts from the file of another provider, one step and no more, by the rules of JSON Merge Patch
(RFC 7396): maps merge key by key, lists and scalars of the child win, and a null takes away what the other
file has.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from omniroute.errors import ConfigError, Finding

Doc = dict[str, Any]

SHIPPED = Path(__file__).parent / "providers"
"""One file for each provider that this version knows; the file's name is the provider's id."""

QUIRKS = Path(__file__).parent / "quirks.yaml"
"""The words of `quirks`, each with one sentence."""

OUTCOMES = Path(__file__).parent / "outcomes.yaml"
"""What failures mean for what comes next."""

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_catalogue(folder: Path | None = None) -> dict[str, Doc]:
    """Every provider of a folder (the shipped one by default) by id, sorted, with `like` resolved.

    Reads the files at each call, but those that are shipped only once. The documents share parts with each other, so treat
    them as constants. Raises `ConfigError` with a finding for every file that is wrong.
    """
    return _read(folder) if folder is not None else dict(_shipped())


@cache
def _shipped() -> dict[str, Doc]:
    return _read(SHIPPED)


def _read(folder: Path) -> dict[str, Doc]:
    found = sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    files = {path.stem: path for path in found}
    findings: list[Finding] = []
    written = {id: _map_in(path, findings) for id, path in files.items()}
    resolved = {id: _resolve(files[id], written, findings) for id in files}
    if findings:
        raise ConfigError(findings)
    return resolved


def read_quirks(path: Path = QUIRKS) -> dict[str, str]:
    """The words that codecs and the catalogue share, and what each means. Raises `ConfigError`."""
    findings: list[Finding] = []
    words = _map_in(path, findings)
    if findings:
        raise ConfigError(findings)
    return words


def read_outcomes(path: Path = OUTCOMES) -> Doc:
    """The table of outcomes, as `routing/outcomes.py` understands it. Raises `ConfigError`."""
    findings: list[Finding] = []
    rows = _map_in(path, findings)
    if findings:
        raise ConfigError(findings)
    return rows


def _map_in(path: Path, findings: list[Finding]) -> Doc:
    """The map that a file holds; an empty one, and a finding, when it holds none."""
    try:
        doc = yaml.load(path.read_bytes(), Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        findings.append(_finding("OR1002", path, f"not YAML: {error.problem}", **place))
        return {}
    except yaml.YAMLError as error:
        findings.append(_finding("OR1002", path, f"not YAML: {error}"))
        return {}
    except OSError as error:
        findings.append(_finding("OR1001", path, f"cannot be read: {error.strerror}"))
        return {}
    if not isinstance(doc, dict):
        findings.append(_finding("OR1004", path, "the file is not a map of keys"))
        return {}
    return doc


def _resolve(path: Path, written: dict[str, Doc], findings: list[Finding]) -> Doc:
    """The provider of a file without its `like`, or as it stands where `like` leads nowhere."""
    doc = {key: value for key, value in written[path.stem].items() if key != "like"}
    name = written[path.stem].get("like")
    if name is None:
        return doc
    if not isinstance(name, str) or name not in written:
        near = difflib.get_close_matches(str(name), written, n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        findings.append(_finding("OR1305", path, f"there is no provider {name!r}", path="like", hint=hint))
        return doc
    if "like" in written[name]:
        message = f"{name!r} is itself like another provider, and `like` goes one step only"
        findings.append(_finding("OR1305", path, message, path="like"))
        return doc
    return _merged(written[name], doc)


def _merged(base: Doc, patch: Doc) -> Doc:
    """`base` with the changes of `patch`; neither is changed, and a key keeps its place."""
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = _merged(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _finding(code: str, file: Path, message: str, **more: Any) -> Finding:
    return Finding(code=code, file=str(file), message=message, **more)
