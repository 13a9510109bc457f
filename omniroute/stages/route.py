"""From a model name to a target, and to the next one when that fails."""

from __future__ import annotations

import asyncio

import msgspec

from omniroute.declare import Options, stage
from omniroute.errors import Problem, Refused, Tried, UpstreamError
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Around, Handler
from omniroute.pipeline.site import Site
from omniroute.routing.directory import Directory
from omniroute.routing.explain import explanation
from omniroute.routing.facts import Facts, facts_of
from omniroute.routing.outcomes import by_code, most_telling, outcome_of
from omniroute.routing.plan import Plan, Step, combo_turn, plan
from omniroute.state.state import State

EXPLAIN = "x-omniroute-explain"


@stage("route", gives=["target"], example="route")
class Route(Options, frozen=True, kw_only=True):
    """Makes a plan for the model asked for and goes through it until a target answers.

    A failure before the first content goes on to the next target, as the outcome table says; after that, never.
    With the header `X-OmniRoute-Explain: 1` the plan itself is the answer, and nothing is sent.
    """

    def build(self, site: Site) -> Around:
        directory, state = site.directory, site.state

        async def run(exchange: Exchange, proceed: Handler) -> Reply:
            facts = facts_of(exchange)
            asked = exchange.request.headers.get(EXPLAIN) in ("1", "true")
            made = plan(directory, facts, state, now=state.clock(), dice=state.dice, explain=asked)
            if made is None:
                return refusal(_unknown(exchange.model, directory))
            if asked:
                body = msgspec.json.encode(explanation(made, state.clock()))
                return Reply(200, body=body, headers={"Content-Type": "application/json"})
            made = await _wait_for_one(made, facts, directory, state)
            exchange.plan = made
            return await _Journey(exchange, facts, made, state).through(proceed, directory)

        return Around(run)


async def _wait_for_one(made: Plan, facts: Facts, directory: Directory, state: State) -> Plan:
    """A short rest of all targets may be waited for, where the combo allows it."""
    combo = made.combo
    if combo is None or not combo.max_wait or made.usable or made.ready_at is None:
        return made
    wait = made.ready_at - state.clock()
    if wait > combo.max_wait:
        return made
    await asyncio.sleep(max(0.0, wait))
    return plan(directory, facts, state, now=state.clock(), dice=state.dice) or made


class _Journey:
    """One request on its way through its plan."""

    __slots__ = ("_exchange", "_facts", "_larger_than", "_plan", "_problems", "_state")

    def __init__(self, exchange: Exchange, facts: Facts, made: Plan, state: State) -> None:
        self._exchange = exchange
        self._facts = facts
        self._plan = made
        self._state = state
        self._problems: list[Problem] = []
        self._larger_than: int | None = None

    async def through(self, proceed: Handler, directory: Directory) -> Reply:
        last: Reply | None = None
        for step in self._plan.steps:
            if step.verdict != "in" or not self._fits(step):
                continue
            self._taken(step)
            last = reply = await self._try(step, proceed)
            if reply.problem is None:
                return reply
            if not self._goes_on(step, reply, reply.problem):
                return reply
        refused = refusal(self._all_failed(directory))
        if last is not None and len(self._problems) == 1:
            # One target spoke for all: what it says of its limits holds.
            refused.headers = last.headers
        return refused

    async def _try(self, step: Step, proceed: Handler) -> Reply:
        exchange = self._exchange
        exchange.target = step.target
        exchange.member = step.member
        exchange.account = None
        try:
            reply = await proceed(exchange)
        except UpstreamError as error:
            reply = refusal(error.problem)
        except Refused as error:
            if not by_code(error.problem):
                raise
            reply = refusal(error.problem)
        if reply.problem is not None:
            exchange.tried.append(Tried(step.target.name, reply.problem.message, reply.problem.http_status))
        return reply

    def _goes_on(self, step: Step, reply: Reply, problem: Problem) -> bool:
        """Whether the next target is tried after this failure (the table of outcomes)."""
        self._problems.append(problem)
        onward = (reply.outcome or outcome_of(problem)).next
        if onward == "larger":
            self._larger_than = step.target.facts.context or self._larger_than or 0
            return len(self._plan.steps) > 1
        if onward in ("always", "never"):
            return onward == "always"
        return any(onward in combo.fallback_on for combo, _ in step.path)

    def _fits(self, step: Step) -> bool:
        """After "too long", only a larger context is worth a try; one that is not known may be."""
        context = step.target.facts.context
        return self._larger_than is None or context is None or context > self._larger_than

    def _taken(self, step: Step) -> None:
        now = self._state.clock()
        for combo, member in step.path:
            combo.strategy.taken(
                member.name, combo_turn(combo, self._facts, self._state, now, self._state.dice)
            )

    def _all_failed(self, directory: Directory) -> Problem:
        state = self._state
        after = plan(directory, self._facts, state, now=state.clock(), dice=state.dice) or self._plan
        ready = after.ready_at
        wait = max(1.0, ready - state.clock()) if ready is not None else None
        tried = (*self._exchange.tried, *_not_tried(self._plan, {t.target for t in self._exchange.tried}))
        if not self._problems:
            return _none_usable(self._plan, wait, tried)
        if len(self._problems) == 1 and len(self._plan.steps) == 1:
            problem = self._problems[0]
            return msgspec.structs.replace(_as_ours(problem), retry_after=problem.retry_after or wait)
        telling = _as_ours(most_telling(self._problems))
        return msgspec.structs.replace(
            telling,
            message=f"All targets of {self._plan.asked!r} failed; the most telling: {telling.message}",
            retry_after=wait if wait is not None else telling.retry_after,
            tried=tried,
        )


OURS: dict[str, tuple[str, str]] = {
    "authentication": ("bad_gateway", "upstream_authentication"),
    "permission": ("bad_gateway", "upstream_permission"),
    "billing": ("unavailable", "upstream_billing"),
}
"""Failures that are between the gateway and its provider: told as they are, a client would blame its own key."""


LIMITED = ("rate limit", "quota")
"""How the reason of a rest begins that is over when a limit is lifted."""


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
    limited = any(s.verdict == "later" and s.reason.startswith(LIMITED) for s in made.steps)
    why = "; ".join(f"{t.target}: {t.reason.rstrip('.')}" for t in tried) or "the combo has no targets"
    return Problem(
        kind="rate_limit" if limited else "unavailable",
        code="no_target",
        message=f"No target of {made.asked!r} can be used now: {why}.",
        retry_after=wait,
        tried=tried,
    )


def _unknown(model: str, directory: Directory) -> Problem:
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
