"""What went wrong, in the shapes that several wires have for it: a delta of a stream, a problem, words of an error."""

from __future__ import annotations

from typing import get_args

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire.conversation import Doc, Failure

_KINDS: dict[str, ProblemKind] = {kind: kind for kind in get_args(ProblemKind)}

CUT = Failure(kind="bad_gateway", message="The upstream's stream ended before its answer did.")
"""The connection closed, and the terminal event had not come."""


def failure_of(problem: Problem) -> Failure:
    """The delta that tells of an error which a reader found in its stream."""
    return Failure(
        kind=problem.kind,
        message=problem.message,
        status=problem.status,
        native=problem.native,
        retry_after=problem.retry_after,
    )


def problem_of(failure: Failure) -> Problem:
    """The reverse; a kind that no problem has counts as a bad gateway."""
    return Problem(
        kind=_KINDS.get(failure.kind, "bad_gateway"),
        message=failure.message,
        status=failure.status,
        native=failure.native,
        retry_after=failure.retry_after,
    )


def words_of(problem: Problem) -> Doc:
    """What programs may want to test, to stand beside the sentence of an error."""
    doc: Doc = {}
    if problem.code is not None:
        doc["code"] = problem.code
    if problem.param is not None:
        doc["param"] = problem.param
    if problem.tried:
        doc["tried"] = [msgspec.to_builtins(step) for step in problem.tried]
    return doc
