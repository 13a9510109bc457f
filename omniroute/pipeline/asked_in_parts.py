"""A request for more than a target takes at once: asked in parts, one after the other, and charged part by part."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute.pipeline.exchange import Exchange, Outgoing, Reply
from omniroute.pipeline.parts import Handler
from omniroute.pipeline.reckon import reckon
from omniroute.wire.conversation import Usage


async def asked_in_parts(
    exchange: Exchange, parts: Sequence[Outgoing], estimates: Sequence[int], proceed: Handler
) -> list[Reply]:
    """The replies to all parts, or one that is a failure: then the others were in vain. `estimates` are tokens of the
    parts, for targets that do not tell them.

    Each part is an exchange of its own, so that accounts, limits and quotas are charged with what it used; the
    exchange itself has the sum, for the key that asked and for the log.
    """
    replies: list[Reply] = []
    used, cost, estimated = 0, 0.0, False
    for outgoing, tokens in zip(parts, estimates, strict=True):
        part = exchange.fork()
        part.attempts, part.usage, part.cost_of_lost = 0, None, 0.0
        part.outgoing = outgoing
        reply = await proceed(part)
        if reply.problem is None and part.usage is None:
            part.usage, part.estimated = Usage(input=tokens), True
        reckon(part, reply)
        part.end()
        exchange.attempts += part.attempts
        exchange.account = part.account
        if reply.problem is not None:
            return [reply]
        replies.append(reply)
        used += part.usage.input if part.usage is not None else 0
        cost += part.cost or 0.0
        estimated = estimated or part.estimated
        # Paid for, whatever becomes of the rest.
        exchange.cost_of_lost += part.cost or 0.0
    exchange.cost_of_lost -= cost
    exchange.usage, exchange.estimated = Usage(input=used), estimated
    return replies
