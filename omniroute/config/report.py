"""Where the findings of a load are collected, so that all problems are told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

import msgspec

from omniroute.config.codes import Code
from omniroute.config.excerpt import text_report
from omniroute.config.marks import NOWHERE, Mark, Path, written
from omniroute.config.secrets import Secret
from omniroute.errors import Finding

__all__ = ["Report", "Severity", "did_you_mean", "finding", "one_of", "text_report"]

SHORTEST = 6
"""Secrets with fewer characters are words that messages need."""

Severity = Literal["error", "warning", "note"]


class Report:
    """Findings in the order they were met; `sorted()` gives them by place, each once."""

    def __init__(self, main: str = "") -> None:
        self.main = main
        self._findings: dict[Finding, None] = {}
        self._hidden: tuple[str, ...] = ()

    def tell(
        self,
        code: Code,
        message: str,
        mark: Mark = NOWHERE,
        path: Path = (),
        *,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> None:
        self.add(finding(code, message, mark, path, hint=hint, severity=severity))

    def add(self, *findings: Finding) -> None:
        self._findings.update(dict.fromkeys(findings))

    @property
    def failed(self) -> bool:
        return any(f.severity == "error" for f in self._findings)

    def sorted(self) -> list[Finding]:
        """By place, the main file first."""
        found = [self._concealed(f) for f in self._findings]
        return sorted(found, key=lambda f: (f.file != self.main, f.file, f.line, f.column, f.code))

    def hide(self, secrets: Iterable[Secret]) -> None:
        """Take these out of every message, wherever they stand in the configuration."""
        texts = {secret.reveal() for secret in secrets}
        self._hidden = tuple(sorted((t for t in texts if len(t) >= SHORTEST), key=len, reverse=True))

    def _concealed(self, found: Finding) -> Finding:
        message = found.message
        for text in self._hidden:
            message = message.replace(text, "***")
        return msgspec.structs.replace(found, message=message) if message != found.message else found


def finding(
    code: Code,
    message: str,
    mark: Mark = NOWHERE,
    path: Path = (),
    *,
    hint: str | None = None,
    severity: Severity = "error",
) -> Finding:
    return Finding(
        code=code.value,
        message=message,
        path=written(path),
        file=mark.file,
        line=mark.line,
        column=mark.column,
        severity=severity,
        hint=hint,
    )


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean 'daily'?`, or None when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.65)
    return f"did you mean {near[0]!r}?" if near else None


def one_of(words: Iterable[object]) -> str:
    """`rolling, daily, weekly`; a long list is cut."""
    listed = [str(w) for w in words]
    return ", ".join(listed[:12]) + (f", … ({len(listed)} in all)" if len(listed) > 12 else "")
