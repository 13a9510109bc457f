"""From an HTTP request to an `Exchange`, and from a `Reply` back to HTTP. Nothing here knows a wire or a stage."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from itertools import repeat
from operator import mul, sub
from time import perf_counter

import msgspec

from omniroute.engine.generation import Generation
from omniroute.errors import Problem
from omniroute.pipeline.compile import Pipeline
from omniroute.pipeline.exchange import Exchange, IdSource, Reply, Request
from omniroute.pipeline.patterns import Test, client_address
from omniroute.pipeline.stream import Stream
from omniroute.server.incoming import Answer, Incoming
from omniroute.server.metrics import Metrics
from omniroute.upstream.headers import header_safe, merged
from omniroute.wire.codec import Wire

encode = msgspec.json.Encoder().encode

LONGEST_WAIT = 7 * 86400.0
"""Seconds that a client is told to wait at most."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id(headers: Mapping[str, str], ids: IdSource) -> str:
    """The client's own id where it is a harmless word, else a fresh one."""
    given = headers.get("x-request-id")
    if given is not None and _ID.fullmatch(given):
        return given
    return ids.new("req_")


def to_request(
    incoming: Incoming, body: bytes, id: str, *, received: float, started: float, trusted: Test
) -> Request:
    """`received` is in epoch seconds, `started` in those of `perf_counter`."""
    return Request(
        method=incoming.method,
        path=incoming.path,
        query=incoming.query,
        headers=incoming.headers,
        body=body,
        client_ip=address_of(incoming, trusted),
        id=id,
        received=received,
        started=started,
    )


def address_of(incoming: Incoming, trusted: Test) -> str:
    """The address of the client; empty on a unix socket. Some proxies add a line of their own to those of the
    client, so that all lines count as one list (RFC 9110 section 5.3)."""
    forwarded = incoming.headers.getall("x-forwarded-for", None)
    return client_address(incoming.remote, ", ".join(forwarded), trusted) if forwarded else incoming.remote


class Answerer:
    """Runs exchanges and writes their replies. One a gateway."""

    def __init__(self, metrics: Metrics, ids: IdSource) -> None:
        self._metrics = metrics
        self.ids = ids

    async def answer(
        self,
        incoming: Incoming,
        generation: Generation,
        exchange: Exchange,
        extra: dict[str, str],
    ) -> None:
        """The whole life of an exchange. `extra` are headers that every answer of this request carries."""
        pipeline = generation.pipeline(exchange)
        generation.running += 1
        reply = _ABANDONED
        try:
            reply = await generation.serve(exchange, pipeline)
            headers = _headers_of(exchange, reply, extra)
            if reply.stream is None:
                body = body_of(reply, exchange.wire, exchange, headers)
                exchange.first_byte = perf_counter()
                # First of all: what is noted of it can wait until it is on its way.
                incoming.send(Answer(reply.status, body, headers))
                exchange.begun()
            else:
                await self._stream(incoming, exchange, reply, reply.stream, headers)
        except (ConnectionError, asyncio.CancelledError):
            exchange.problem = _GONE
            raise
        finally:
            generation.running -= 1
            if reply.stream is not None:
                await reply.stream.close()
            self._over(generation, exchange, reply, pipeline)

    def _over(self, generation: Generation, exchange: Exchange, reply: Reply, pipeline: Pipeline) -> None:
        gone = exchange.problem is _GONE
        if gone and exchange.watch is not None:
            # The client left: what the stream lacks is no fault of the upstream.
            exchange.watch.cut = None
        generation.over(exchange, reply, pipeline)
        self._metrics.over(exchange, reply)

    async def _stream(
        self, incoming: Incoming, exchange: Exchange, reply: Reply, stream: Stream, headers: dict[str, str]
    ) -> None:
        streamed = {
            "Content-Type": "application/json" if exchange.array else exchange.wire.stream_type,
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
        }
        # Names of ours need no comparison with each other.
        incoming.begin(200, merged(headers, streamed) if reply.headers else {**headers, **streamed})
        exchange.first_byte = perf_counter()
        await stream.pump(incoming, begun=exchange.begun)
        incoming.finish()


def _headers_of(exchange: Exchange, reply: Reply, extra: dict[str, str]) -> dict[str, str]:
    """Those of the reply, those of the gateway, and `extra`; the later ones count."""
    headers = {
        "X-Request-Id": exchange.request.id,
        "X-OmniRoute-Config": exchange.config,
        "Server-Timing": server_timing(exchange.stages, exchange.stage_begins, exchange.request.started),
    }
    if exchange.target is not None:
        headers["X-OmniRoute-Target"] = header_safe(exchange.target.name)
    if reply.headers:
        headers = merged(reply.headers, headers)
    headers.update(extra)
    return headers


def server_timing(stages: list[str], begins: list[float], started: float) -> str:
    """How long each stage held the request until the answer began, in ms (W3C Server Timing). `begins` and `started` are
    in seconds of `perf_counter`."""
    now = perf_counter()
    # No step of the interpreter for each stage: every answer has this header.
    spans = [*map(mul, map(sub, [*begins[1:], now], begins), repeat(1000.0)), (now - started) * 1000.0]
    text = _timing_of(tuple(stages))
    if text is None:
        summed = dict.fromkeys(stages, 0.0)
        for name, span in zip(stages, spans, strict=False):
            summed[name] += span
        text, spans = _timing_of(tuple(summed)) or "", [*summed.values(), spans[-1]]
    return text % tuple(spans)


@lru_cache(maxsize=256)
def _timing_of(names: tuple[str, ...]) -> str | None:
    """The header with places for the times: pipelines have the same stages all the time. None where one ran twice."""
    if len(set(names)) < len(names):
        return None
    return ", ".join([f"{name.replace('%', '%%')};dur=%.2f" for name in (*names, "total")])


def body_of(reply: Reply, wire: Wire, exchange: Exchange, headers: MutableMapping[str, str]) -> bytes:
    """The body, and what its headers must say. An error of our own is worded here, in the client's format."""
    if not reply.headers or not any(name.lower() == "content-type" for name in reply.headers):
        headers["Content-Type"] = "application/json"
    problem = reply.problem
    if problem is None:
        return reply.body or b""
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(min(problem.retry_after, LONGEST_WAIT))))
    if reply.body is not None and _may_show(reply.body, exchange):
        return reply.body
    reply.status = problem.http_status
    return encode(wire.write_error(problem, exchange.request.id))


def _may_show(body: bytes, exchange: Exchange) -> bool:
    """Whether an upstream's own error may go to the client as it is: JSON, and none of the account's secrets in it."""
    if not body.lstrip().startswith(b"{"):
        return False
    account = exchange.account
    return account is None or not any(s.reveal().encode() in body for s in account.secrets)


_GONE = Problem(
    kind="cancelled", code="client_gone", message="The client left before the answer was complete."
)
_ABANDONED = Reply(499, problem=_GONE)
