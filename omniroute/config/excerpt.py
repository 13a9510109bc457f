"""Findings for people: one line each, with the source under it. Whatever looks like a secret is `***`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from omniroute.errors import Finding

SECRET_FIELDS = re.compile(
    r"""((?:^|[\s{,"'-])(?:(?:[A-Za-z0-9_-]*[_-])?(?:(?:api)?key|token|secret|password|passwd|authorization|cookie)|url|store)["']?\s*:\s+)"""
    r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}\]{\["'#][^,}\]#]*)""",
    re.IGNORECASE,
)
"""Keys whose values an excerpt does not show, whether they are in the right place or not."""

SECRET_WORDS = re.compile(r"\b(?:sk|ork|pk|rk|gsk|xai|ghp|AIza|eyJ)[-_]?[A-Za-z0-9_\-.]{12,}")
"""What keys and tokens look like."""

WIDEST = 160


def text_report(findings: Iterable[Finding], *, excerpt: bool = False, hidden: Sequence[str] = ()) -> str:
    """All findings as text. `hidden` are texts that are not shown in excerpts, whatever they look like."""
    lines: list[str] = []
    sources: dict[str, list[str]] = {}
    for finding in findings:
        lines.append(headline(finding))
        if excerpt and finding.line:
            if finding.file not in sources:
                sources[finding.file] = _lines(finding.file)
            lines += _excerpt(finding, sources[finding.file], hidden)
    return "\n".join(lines)


def headline(finding: Finding) -> str:
    """`omniroute.yaml:31:7: providers.glm: … (did you mean …) [OR1203]`, with the word for what is no error."""
    word = "" if finding.severity == "error" else f"{finding.severity}: "
    return f"{word}{finding} [{finding.code}]"


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return []


def _excerpt(finding: Finding, lines: list[str], hidden: Sequence[str]) -> list[str]:
    if finding.line > len(lines):
        return []
    line = lines[finding.line - 1]
    # A mask as long as what it hides, so that the caret still points at the right column.
    shown = concealed(line, hidden).replace("\t", " ")[:WIDEST]
    number = f"{finding.line:>5} | "
    caret = " " * (len(number) + max(0, min(finding.column, WIDEST) - 1)) + "^"
    return [f"{number}{shown}", caret]


def concealed(line: str, hidden: Sequence[str] = ()) -> str:
    """A line of a configuration in which secrets are stars, of the same length."""
    for secret in hidden:
        line = line.replace(secret, _stars(secret))
    line = SECRET_FIELDS.sub(_masked_field, line)
    return SECRET_WORDS.sub(lambda match: _stars(match[0]), line)


def _masked_field(match: re.Match[str]) -> str:
    value = match[2]
    inner = value.strip("\"'")
    if inner.startswith("${") or not inner.strip():
        return match[0]
    return match[1] + _stars(value)


def _stars(text: str) -> str:
    return "***".ljust(len(text), "*")
