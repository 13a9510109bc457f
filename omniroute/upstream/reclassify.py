"""The `outcomes` of a provider: rows that say what its answers mean, before the built-in table is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from omniroute.config.settings import Outcome as Row
from omniroute.errors import Problem, ProblemKind
from omniroute.routing.outcomes import Outcome, changed, outcome_of

KINDS = frozenset(get_args(ProblemKind))


def reclassified(
    problem: Problem, rows: Sequence[Row], status: int, headers: Mapping[str, str]
) -> tuple[Problem, Outcome | None]:
    """The problem with the kind of the first row that fits, and what that row says comes next (None: what the kind
    says). `headers` have lower-case names."""
    for row in rows:
        if row.kind in KINDS and _fits(row, problem, status, headers):
            problem = msgspec.structs.replace(problem, kind=row.kind, status=0)
            return problem, changed(outcome_of(problem), row)
    return problem, None


def _fits(row: Row, problem: Problem, status: int, headers: Mapping[str, str]) -> bool:
    if row.status and status not in row.status:
        return False
    if row.text is not None and row.text.lower() not in f"{problem.native or ''} {problem.message}".lower():
        return False
    if row.header is None:
        return True
    name, _, value = row.header.partition(":")
    found = headers.get(name.strip().lower())
    return found is not None and (not value.strip() or found == value.strip())
