"""What is kept of a request: one line of the log, with the facts that an operator asks for first."""

from __future__ import annotations

from time import perf_counter

import msgspec

from omniroute.pipeline.exchange import Exchange, Reply


class Record(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One finished request. Times in milliseconds, `time` in epoch seconds, `cost` in USD (None: unknown).

    `target` is who answered; `tried` those that failed before, with the reason. Nothing here is secret.
    """

    time: float
    id: str
    method: str
    endpoint: str
    status: int
    duration: float
    ttfb: float | None = None
    key: str | None = None
    ip: str = ""
    model: str = ""
    target: str | None = None
    account: str | None = None
    attempts: int = 0
    path: str = ""
    stream: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    estimated: bool = False
    """Whether tokens and cost are a guess: the answer was cut, or its provider does not tell them."""
    cache: str | None = None
    finish: str | None = None
    error: str | None = None
    message: str | None = None
    tried: list[str] = []
    lost: list[str] = []
    """Targets that were asked at the same time and were slower; what they cost is in `cost`."""
    dropped: list[str] = []
    config: str = ""


def record_of(exchange: Exchange, reply: Reply) -> Record:
    """The record of an exchange that is over."""
    request = exchange.request
    usage = exchange.usage
    problem = exchange.problem or reply.problem
    return Record(
        time=int(request.received * 1000 + 0.5) / 1000,
        id=request.id,
        method=request.method,
        endpoint=request.path,
        status=reply.status,
        duration=_ms(perf_counter() - request.started),
        ttfb=_ms(exchange.first_byte - request.started) if exchange.first_byte else None,
        key=exchange.caller.name if exchange.caller else None,
        ip=request.client_ip,
        model=exchange.model,
        target=exchange.target.name if exchange.target else None,
        account=exchange.account.name if exchange.account else None,
        attempts=exchange.attempts,
        path=exchange.path if exchange.target else "",
        stream=exchange.stream,
        input_tokens=usage.input if usage else None,
        output_tokens=usage.output if usage else None,
        cached_tokens=usage.cached or None if usage else None,
        cost=exchange.cost,
        estimated=exchange.estimated,
        cache=exchange.cache,
        finish=exchange.finish.reason if exchange.finish else None,
        error=(problem.code or problem.kind) if problem else None,
        message=problem.message if problem else None,
        tried=[f"{t.target}: {t.reason}" for t in exchange.tried],
        lost=exchange.lost,
        dropped=exchange.notes.dropped,
        config=exchange.config,
    )


def _ms(seconds: float) -> float:
    """With one digit behind the point. (`round` goes by way of decimal text, which takes ten times as long.)"""
    return int(seconds * 10_000 + 0.5) / 10
