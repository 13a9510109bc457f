"""What a failure means for what comes next: the table of BEHAVIOUR 2, which `catalog/outcomes.yaml` holds.

Read a row as: try the same target again? rest whom, for how long? go on to the next target?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

from omniroute.catalog.read import read_outcomes
from omniroute.config.settings import Outcome as Row
from omniroute.config.units import Duration
from omniroute.errors import Problem, ProblemKind
from omniroute.state.cooldowns import Pace

Onward = Literal["always", "never", "larger", "content_filter", "invalid_request"]

PACES: frozenset[str] = frozenset(get_args(Pace))


@dataclass(frozen=True, slots=True)
class Outcome:
    """`retry`: the same account may be tried again. `other_account`: another account of the target may.

    `rest` is the pace of the account's rest (None: it stays untouched), `seconds` its length where that is fixed,
    `lockout` whether only this model of the account rests. `next`: `larger` goes on to targets with a larger
    context only; `content_filter` and `invalid_request` only where the combo's `fallback_on` says so.
    """

    retry: bool = False
    other_account: bool = False
    rest: Pace | None = None
    seconds: float | None = None
    lockout: bool = False
    next: Onward = "always"


@dataclass(frozen=True, slots=True)
class Table:
    """The shipped outcomes."""

    kinds: Mapping[str, Outcome]
    codes: Mapping[str, Outcome]
    telling: Mapping[str, int]


@cache
def table() -> Table:
    """Read once: it is a constant of the program. Raises `KeyError` when it lacks a kind of problem."""
    written = read_outcomes()
    kinds = {kind: _outcome(written["kinds"][kind]) for kind in get_args(ProblemKind)}
    codes = {code: _outcome(row) for code, row in written["codes"].items()}
    return Table(kinds, codes, {kind: place for place, kind in enumerate(written["telling"])})


def outcome_of(problem: Problem) -> Outcome:
    """What the shipped table says of a problem: by its code, else by its kind."""
    known = table()
    by_code = known.codes.get(problem.code) if problem.code is not None else None
    return by_code if by_code is not None else known.kinds[problem.kind]


def by_code(problem: Problem) -> bool:
    """Whether the gateway itself found that one target cannot serve what another may."""
    return problem.code in table().codes


def changed(outcome: Outcome, row: Row) -> Outcome:
    """The outcome with what a provider's own row says otherwise."""
    if row.retry is not None:
        outcome = replace(outcome, retry=row.retry)
    if row.other_account is not None:
        outcome = replace(outcome, other_account=row.other_account)
    if row.lockout is not None:
        outcome = replace(outcome, lockout=row.lockout)
    if row.next is not None:
        outcome = replace(outcome, next=row.next)
    if row.cooldown is not None:
        seconds = float(row.cooldown)
        outcome = replace(outcome, rest="fixed" if seconds else None, seconds=seconds or None)
    return outcome


def most_telling(problems: list[Problem]) -> Problem:
    """The one of several failures that tells the client most. `problems` is not empty."""
    rank = table().telling
    return min(problems, key=lambda p: rank.get(p.kind, len(rank)))


def _outcome(row: dict[str, Any]) -> Outcome:
    cooldown = row.get("cooldown", "none")
    pace: Any = None if cooldown == "none" else cooldown if cooldown in PACES else "fixed"
    return Outcome(
        retry=row.get("retry", False),
        other_account=row.get("other_account", False),
        rest=pace,
        seconds=Duration.parse(cooldown) if pace == "fixed" else None,
        lockout=row.get("lockout", False),
        next=row.get("next", "always"),
    )
