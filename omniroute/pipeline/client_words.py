"""What of an upstream's reply is put into words that the client knows: rate limits, statuses, what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from omniroute.errors import Problem
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.routing.directory import Target
from omniroute.upstream.headers import header_safe
from omniroute.wire.rate_limit_headers import named, read, write

DROPPED = "X-OmniRoute-Dropped"
ESTIMATED = "X-OmniRoute-Estimated"
SHOULD_RETRY = "x-should-retry"
"""A word of OpenAI's and Anthropic's servers that their SDKs obey, beside the status."""


def tell_dropped(exchange: Exchange, reply: Reply) -> None:
    if exchange.notes.dropped:
        reply.headers[DROPPED] = header_safe(", ".join(exchange.notes.dropped))


def tell_status(exchange: Exchange, reply: Reply, problem: Problem) -> None:
    """Give an error a status that clients of this format know."""
    known = exchange.wire.foreign_statuses.get(problem.http_status)
    if known is not None:
        reply.status = known
        reply.problem = msgspec.structs.replace(problem, status=known)


def limits_told(exchange: Exchange, reply: Reply, now: float, *, same: bool) -> Mapping[str, str]:
    """The upstream's rate limits in headers that the client knows, and whether a failure is worth another try.

    `now` is in epoch seconds; `same`: the upstream speaks the client's format."""
    if same:
        told = named(reply.received)
    else:
        family = exchange.wire.limits
        limits = read(reply.received, now) if family is not None else None
        told = write(limits, family, now) if limits is not None and family is not None else {}
    should = reply.received.get(SHOULD_RETRY) if reply.problem is not None else None
    if should is not None:
        told[SHOULD_RETRY] = should
    return {name: header_safe(value) for name, value in told.items()} if told else told


def not_strict(dropped: Sequence[str], target: Target) -> Problem:
    """Why a strict pipeline refuses what loses something."""
    return Problem(
        kind="invalid_request",
        code="cannot_express",
        message=f"{target.name} cannot express {', '.join(dropped)}, and this pipeline is strict.",
        param=dropped[0],
    )


def unsupported(operation: str, target: Target) -> Problem:
    return Problem(
        kind="not_found", code="unsupported_operation", message=f"{target.name} has no {operation}."
    )
