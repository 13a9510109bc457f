"""Answers of an upstream that come in another shape than was asked for: whole instead of streamed, or the reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from omniroute.errors import MalformedStream, Problem, UpstreamError
from omniroute.pipeline.exchange import Exchange, Outgoing, Reply, parse_object
from omniroute.pipeline.stream import Stream
from omniroute.upstream.commit import EMPTY, hold
from omniroute.upstream.transport import Inbound
from omniroute.wire.codec import Glance
from omniroute.wire.recast import as_answer, as_stream, is_stream


def whole(exchange: Exchange, inbound: Inbound, body: bytes) -> Reply:
    """The plain reply of an upstream that answered well; collected first where it sent a stream."""
    kind = inbound.headers.get("content-type", "")
    if exchange.endpoint.operation != "chat" or not is_stream(body, kind):
        return Reply(inbound.status, body=body, received=inbound.headers)
    outgoing = _sent(exchange)
    try:
        answer = as_answer(body, outgoing.wire, parse_object(outgoing.body), exchange.ids.new)
    except MalformedStream as error:
        return _broken("malformed_stream", str(error))
    except UpstreamError as error:
        return Reply(502, problem=error.problem)
    return Reply(inbound.status, body=answer, received=inbound.headers)


async def streamed(exchange: Exchange, inbound: Inbound, body: bytes) -> Reply:
    """The streamed reply of an upstream that gave its answer whole."""
    outgoing = _sent(exchange)
    if not body.strip():
        return Reply(502, problem=EMPTY)
    try:
        problem = _problem(exchange, body, outgoing)
        if problem is not None:
            return Reply(502, problem=problem)
        events = as_stream(body, outgoing.wire, parse_object(outgoing.body), exchange.ids.new)
    except (MalformedStream, msgspec.DecodeError, UnicodeDecodeError):
        kind = inbound.headers.get("content-type", "").partition(";")[0]
        return _broken(
            "malformed_answer", f"neither a stream nor the JSON it should be ({kind or 'no type'})"
        )
    if body.lstrip()[:1] != b"{":
        # A stream under the type of a plain answer: whether it says anything was not looked at yet.
        held = await hold(_one(events), outgoing.wire)
        if held.problem is not None:
            return Reply(502, problem=held.problem)
    return Reply(inbound.status, stream=Stream(_one(events)), received=inbound.headers)


def _problem(exchange: Exchange, body: bytes, outgoing: Outgoing) -> Problem | None:
    """Why a whole answer is none, if so. What it says of usage holds also where its stream will not say it."""
    if body.lstrip()[:1] != b"{":
        return None
    glance: Glance = outgoing.wire.glance(body)
    exchange.usage, exchange.finish = glance.usage, glance.finish
    return glance.problem or (EMPTY if glance.empty else None)


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


def _sent(exchange: Exchange) -> Outgoing:
    if exchange.outgoing is None:
        raise RuntimeError("an answer came to a request that was not sent")
    return exchange.outgoing


def _broken(code: str, what: str) -> Reply:
    message = f"The upstream's answer is broken: {what}."
    return Reply(502, problem=Problem(kind="bad_gateway", code=code, message=message))
