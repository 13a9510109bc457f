"""The `outcomes` of a provider: rows that say what its answers mean, before the built-in table is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from omniroute.config.settings import Outcome
from omniroute.errors import Problem, ProblemKind

KINDS = frozenset(get_args(ProblemKind))


def reclassified(
    problem: Problem, rows: Sequence[Outcome], status: int, headers: Mapping[str, str]
) -> Problem:
    """The problem with the kind of the first row that fits. `headers` have lower-case names."""
    for row in rows:
        if row.kind in KINDS and _fits(row, problem, status, headers):
            return msgspec.structs.replace(problem, kind=row.kind, status=0)
    return problem


def _fits(row: Outcome, problem: Problem, status: int, headers: Mapping[str, str]) -> bool:
    if row.status and status not in row.status:
        return False
    if row.text is not None and row.text.lower() not in f"{problem.native or ''} {problem.message}".lower():
        return False
    if row.header is None:
        return True
    name, _, value = row.header.partition(":")
    found = headers.get(name.strip().lower())
    return found is not None and (not value.strip() or found == value.strip())
