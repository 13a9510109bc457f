"""One attempt at a target with an account, with the health of both kept up to date."""

from __future__ import annotations

import asyncio

from omniroute.errors import Problem, UpstreamError
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Handler
from omniroute.routing.outcomes import outcome_of
from omniroute.state.health import Attempt, Health

OUR_FAULT = ("internal_error", "transform_failed")
"""Codes of problems that say nothing about the upstream."""


async def watched(exchange: Exchange, proceed: Handler, health: Health) -> Reply:
    """What `proceed` gives, in a refusal what fails before an answer. The exchange knows its target and account; counting
    tokens says nothing about how a target answers."""
    target, account = exchange.target, exchange.account
    if target is None or account is None or exchange.endpoint.operation == "count_tokens":
        try:
            return await proceed(exchange)
        except UpstreamError as error:
            return refusal(error.problem)
    attempt = health.began(target.health_id, account.health_id, stream=exchange.stream)
    try:
        reply = await proceed(exchange)
    except UpstreamError as error:
        reply = refusal(error.problem)
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):
            attempt.abandoned()
        attempt.over()
        raise
    if reply.problem is not None:
        _failed(attempt, reply.problem)
        attempt.over()
        return reply
    at = health.clock()
    exchange.later.append(lambda: _learn(exchange, attempt, at, health, target.health_id))
    return reply


def _learn(exchange: Exchange, attempt: Attempt, at: float, health: Health, target: str) -> None:
    """From how it was answered at that time, and from how it will have ended."""

    def over(problem: Problem | None) -> None:
        if problem is not None:
            _failed(attempt, problem)
        attempt.over()
        usage = exchange.usage
        if usage is not None and usage.input:
            health.cached(target, usage.cached / usage.input)

    attempt.answered(at)
    exchange.endings.append(over)


def _failed(attempt: Attempt, problem: Problem) -> None:
    """What makes an account rest is the fault of the target or of the account; the rest is the client's."""
    if problem.code not in OUR_FAULT and outcome_of(problem).rest is not None:
        attempt.failed()
