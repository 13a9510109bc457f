"""What the client is told when nobody could serve its request: the most telling of all failures, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from omniroute.errors import Problem, Tried
from omniroute.routing.directory import Directory
from omniroute.routing.outcomes import most_telling
from omniroute.routing.plan import Plan

OURS: dict[str, tuple[str, str]] = {
    "authentication": ("bad_gateway", "upstream_authentication"),
    "permission": ("bad_gateway", "upstream_permission"),
    "billing": ("unavailable", "upstream_billing"),
}
"""Failures that are between the gateway and its provider: told as they are, a client would blame its own key."""


LIMITED = ("rate limit", "quota")
"""How the reason of a rest begins that is over when a limit is lifted."""


def all_failed(made: Plan, wait: float | None, failed: Sequence[Tried], problems: list[Problem]) -> Problem:
    """The end of a plan. `wait` is in how many seconds the first of its targets is back, `failed` who was tried, and
    `problems` what they said."""
    tried = (*failed, *_not_tried(made, {t.target for t in failed}))
    if not problems:
        return _none_usable(made, wait, tried)
    if len(problems) == 1 and len(made.steps) == 1:
        problem = problems[0]
        return msgspec.structs.replace(_as_ours(problem), retry_after=problem.retry_after or wait)
    telling = _as_ours(most_telling(problems))
    return msgspec.structs.replace(
        telling,
        message=f"All targets of {made.asked!r} failed; the most telling: {telling.message}",
        retry_after=wait if wait is not None else telling.retry_after,
        tried=tried,
    )


def _as_ours(problem: Problem) -> Problem:
    ours = OURS.get(problem.kind)
    if ours is None:
        return problem
    kind, code = ours
    return msgspec.structs.replace(
        problem,
        kind=kind,
        code=code,
        status=0,
        message=f"The provider refused the gateway: {problem.message}",
    )


def _not_tried(made: Plan, tried: set[str]) -> list[Tried]:
    return [
        Tried(s.target.name, s.reason) for s in made.steps if s.verdict != "in" and s.target.name not in tried
    ]


def _none_usable(made: Plan, wait: float | None, tried: tuple[Tried, ...]) -> Problem:
    causes = {step.cause for step in made.steps}
    if causes == {"forbidden"}:
        return Problem(
            kind="permission", code="model_not_allowed", message=f"You may not use the model {made.asked!r}."
        )
    if causes == {"disabled"}:
        return Problem(
            kind="model_not_found",
            code="model_disabled",
            message=f"The model {made.asked!r} is switched off: {made.steps[0].reason}.",
        )
    if "budget" in causes and causes <= {"budget", "disabled", "forbidden"}:
        spent = next(step for step in made.steps if step.cause == "budget")
        return Problem(
            kind="billing",
            code="budget_spent",
            message=f"No target of {made.asked!r} may be paid for now: {spent.reason}.",
            retry_after=wait,
            tried=tried,
        )
    if "unsupported" in causes and causes <= {"unsupported", "disabled", "forbidden"}:
        return Problem(
            kind="not_found",
            code="unsupported_operation",
            message=f"No target of {made.asked!r} has embeddings.",
            tried=tried,
        )
    if causes & {"incapable", "too_small"} and causes <= _UNFIT:
        return _unfit(made, tried)
    limited = any(s.verdict == "later" and s.reason.startswith(LIMITED) for s in made.steps)
    why = "; ".join(f"{t.target}: {t.reason.rstrip('.')}" for t in tried) or "the combo has no targets"
    return Problem(
        kind="rate_limit" if limited else "unavailable",
        code="no_target",
        message=f"No target of {made.asked!r} can be used now: {why}.",
        retry_after=wait,
        tried=tried,
    )


_UNFIT = frozenset({"incapable", "too_small", "disabled", "forbidden"})


def _unfit(made: Plan, tried: tuple[Tried, ...]) -> Problem:
    """The request asks for what no target has: no other time is better, and the client can mend it."""
    lacking = sorted({capability for step in made.steps for capability in step.lacking})
    why = "; ".join(f"{t.target}: {t.reason}" for t in tried)
    if not lacking:
        return Problem(
            kind="context_length",
            code="context_length_exceeded",
            message=f"The request is too long for every target of {made.asked!r}: {why}.",
            tried=tried,
        )
    needs = " and ".join(f"`{capability}`" for capability in lacking)
    return Problem(
        kind="invalid_request",
        code="lacks_capability",
        message=f"The request needs {needs}, which no target of {made.asked!r} has: {why}.",
        tried=tried,
    )


def unknown(model: str, directory: Directory) -> Problem:
    """Nothing has that name."""
    if not model:
        return Problem(
            kind="invalid_request",
            code="missing_model",
            param="model",
            message="The request names no `model`.",
        )
    near = directory.near(model)
    hint = (
        f" Did you mean {', '.join(repr(n) for n in near)}?"
        if near
        else " `GET /v1/models` lists what there is."
    )
    return Problem(
        kind="model_not_found",
        code="model_not_found",
        param="model",
        message=f"There is no model, alias or combo {model!r}.{hint}",
    )
