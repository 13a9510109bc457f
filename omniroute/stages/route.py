"""From a model name to a target, and to the next one when that fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterator
from functools import partial

import msgspec

from omniroute.declare import Options, stage
from omniroute.errors import Problem, Refused, Tried, UpstreamError
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Around, Handler, at_once
from omniroute.pipeline.race import Racer, race
from omniroute.pipeline.site import Site
from omniroute.routing.directory import Directory
from omniroute.routing.explain import explanation
from omniroute.routing.facts import Facts, facts_of
from omniroute.routing.heats import Heat, heat_of
from omniroute.routing.outcomes import by_code, outcome_of
from omniroute.routing.plan import Plan, Step, combo_turn, plan
from omniroute.routing.refusals import all_failed, unknown
from omniroute.state.state import State

EXPLAIN = "x-omniroute-explain"

SHORTEST = 0.05
"""Seconds of the shortest wait for a target that rests."""


@stage("route", gives=["target"], example="route")
class Route(Options, frozen=True, kw_only=True):
    """Makes a plan for the model asked for and goes through it until a target answers.

    A failure before the first content goes on to the next target, as the outcome table says; after that, never.
    With the header `X-OmniRoute-Explain: 1` the plan itself is the answer, and nothing is sent.
    """

    def build(self, site: Site) -> Around:
        directory, state = site.directory, site.state

        def run(exchange: Exchange, proceed: Handler) -> Awaitable[Reply]:
            facts = exchange.facts = facts_of(exchange)
            asked = exchange.request.headers.get(EXPLAIN) in ("1", "true")
            made = plan(directory, facts, state, now=state.clock(), dice=state.dice, explain=asked)
            if made is None:
                return at_once(refusal(unknown(exchange.model, directory)))
            if asked:
                body = msgspec.json.encode(explanation(made, state.clock()))
                return at_once(Reply(200, body=body, headers={"Content-Type": "application/json"}))
            exchange.plan = made
            return _Journey(exchange, facts, made, directory, state).through(proceed)

        return Around(run)


class _Journey:
    """One request on its way through its plan."""

    __slots__ = (
        "_directory",
        "_exchange",
        "_facts",
        "_headers",
        "_larger_than",
        "_patience",
        "_plan",
        "_problems",
        "_state",
    )

    def __init__(
        self, exchange: Exchange, facts: Facts, made: Plan, directory: Directory, state: State
    ) -> None:
        self._exchange = exchange
        self._facts = facts
        self._plan = made
        self._directory = directory
        self._state = state
        self._problems: list[Problem] = []
        self._headers: dict[str, str] = {}
        """Those of the latest failure: what a provider says of its limits."""
        self._larger_than: int | None = None
        self._patience = made.combo.max_wait if made.combo is not None else 0.0
        """Seconds that may still be waited for targets that rest."""

    async def through(self, proceed: Handler) -> Reply:
        while True:
            steps = deque([step for step in self._plan.steps if step.verdict == "in"])
            while steps:
                heat = heat_of(steps, racing=self._exchange.endpoint.operation != "count_tokens")
                end = await self._race(heat, proceed) if heat.at_once > 1 else await self._ask(heat, proceed)
                if end is not None:
                    return end
            after = self._planned()
            if not await self._waited(after):
                return self._refusal(after)

    async def _waited(self, after: Plan) -> bool:
        """A short rest may be waited for, where the combo allows it: then there is a new plan to go through."""
        if after.ready_at is None or not self._patience:
            return False
        wait = max(SHORTEST, after.ready_at - self._state.clock())
        if wait > self._patience:
            return False
        self._patience -= wait
        await asyncio.sleep(wait)
        self._plan = self._planned()
        return True

    def _planned(self) -> Plan:
        """The plan as things are now."""
        state = self._state
        now = state.clock()
        return plan(self._directory, self._facts, state, now=now, dice=state.dice) or self._plan

    async def _ask(self, heat: Heat, proceed: Handler) -> Reply | None:
        """One target. None when it failed and the next one may be asked."""
        step, exchange = heat.lanes[0][0], self._exchange
        if self._larger_than is not None and not self._fits(step):
            return None
        if step.path:
            self._taken(step)
        reply = await self._try(exchange, step, proceed)
        return reply if reply.problem is None or not self._goes_on(step, reply, reply.problem) else None

    async def _race(self, heat: Heat, proceed: Handler) -> Reply | None:
        """Several at once. None when all failed and the next target may be asked."""
        exchange = self._exchange
        steps: dict[int, Step] = {}
        fallen: list[Racer] = []
        lost: list[Racer] = []
        end: Racer | None = None

        def field() -> Iterator[Racer]:
            for step, lane in heat.lanes:
                if self._fits(step):
                    self._taken(step)
                    rival = exchange.rival()
                    rival.lane = lane
                    steps[id(rival)] = step
                    yield Racer(rival, partial(self._try, rival, step, proceed))

        def failed(racer: Racer) -> bool:
            nonlocal end
            fallen.append(racer)
            exchange.tried += racer.exchange.tried
            on = self._goes_on(steps[id(racer.exchange)], racer.ended, racer.problem)
            end = end if on else end or racer
            return on

        try:
            end = await race(field(), heat.at_once, failed, lost) or end
        finally:
            exchange.count_lost([racer.exchange for racer in lost])
            for racer in fallen:
                if racer is not end:
                    racer.exchange.problem = racer.problem
                    exchange.count_failed(racer.exchange)
        if end is None:
            return None
        exchange.goes_on_as(end.exchange)
        return end.ended

    async def _try(self, exchange: Exchange, step: Step, proceed: Handler) -> Reply:
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
        self._headers = reply.headers
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

    def _refusal(self, after: Plan) -> Reply:
        """Nobody could serve. `after` is the plan as things are now: it says when it is worth another try."""
        ready = after.ready_at
        wait = max(1.0, ready - self._state.clock()) if ready is not None else None
        reply = refusal(all_failed(self._plan, wait, self._exchange.tried, self._problems))
        if len(self._problems) == 1:
            # One target spoke for all: what it says of its limits holds.
            reply.headers = self._headers
        return reply
