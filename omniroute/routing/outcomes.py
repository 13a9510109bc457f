"""What a failure means for what comes next: the table of BEHAVIOUR 2, as data.

Read a row as: try the same target again? rest whom, for how long? go on to the next target?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omniroute.errors import Problem, ProblemKind
from omniroute.state.cooldowns import Pace

Onward = Literal["yes", "no", "larger", "content_filter", "invalid_request"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`again`: the same account may be tried again. `other`: another account of the target may.

    `rest` is the pace of the account's rest (None: it stays untouched), `seconds` its length where that is fixed,
    `model_only` whether only this model of the account rests. `onward`: `larger` goes on to targets with a larger
    context only; `content_filter` and `invalid_request` only where the combo's `fallback_on` says so.
    """

    again: bool = False
    other: bool = False
    rest: Pace | None = None
    seconds: float | None = None
    model_only: bool = False
    onward: Onward = "yes"


_UNWELL = Outcome(again=True, other=True, rest="transient")
_LIMITED = Outcome(other=True, rest="limited")
_CLIENTS_MISTAKE = Outcome(onward="invalid_request")

OUTCOMES: dict[ProblemKind, Outcome] = {
    "bad_gateway": _UNWELL,
    "server": _UNWELL,
    "overloaded": _UNWELL,
    "unavailable": _UNWELL,
    "timeout": _UNWELL,
    "rate_limit": _LIMITED,
    "quota": _LIMITED,
    "authentication": Outcome(other=True, rest="permanent"),
    "permission": Outcome(other=True, rest="fixed", seconds=600),
    "billing": Outcome(other=True, rest="fixed", seconds=3600),
    "model_not_found": Outcome(other=True, rest="fixed", seconds=600, model_only=True),
    "not_found": Outcome(other=True, rest="fixed", seconds=600, model_only=True),
    "context_length": Outcome(onward="larger"),
    "too_large": Outcome(onward="larger"),
    "content_filter": Outcome(onward="content_filter"),
    "invalid_request": _CLIENTS_MISTAKE,
    "method_not_allowed": _CLIENTS_MISTAKE,
    "cancelled": Outcome(onward="no"),
}

_TELLING: tuple[ProblemKind, ...] = (
    "invalid_request",
    "content_filter",
    "context_length",
    "too_large",
    "rate_limit",
    "quota",
    "overloaded",
    "timeout",
    "unavailable",
    "server",
    "bad_gateway",
    "billing",
    "model_not_found",
    "not_found",
    "permission",
    "authentication",
)
"""Which failure to tell the client of when all targets failed: the first in this order says most."""


_OTHER_TARGET = Outcome()

OUTCOMES_BY_CODE: dict[str, Outcome] = {
    "cannot_express": _OTHER_TARGET,
    "unsupported_content": _OTHER_TARGET,
    "unsupported_operation": _OTHER_TARGET,
    "previous_response_not_found": _OTHER_TARGET,
}
"""What one target's format cannot say another's may: the request is at fault only if all refuse it."""


def outcome_of(problem: Problem) -> Outcome:
    by_code = OUTCOMES_BY_CODE.get(problem.code) if problem.code is not None else None
    return by_code if by_code is not None else OUTCOMES[problem.kind]


def most_telling(problems: list[Problem]) -> Problem:
    """The one of several failures that tells the client most. `problems` is not empty."""
    rank = {kind: place for place, kind in enumerate(_TELLING)}
    return min(problems, key=lambda p: rank.get(p.kind, len(rank)))
