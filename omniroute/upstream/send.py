"""The built-in end of every pipeline: one attempt at one target with one account; bytes out, a `Reply` back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import perf_counter
from urllib.parse import urlencode

import msgspec

from omniroute.config.secrets import Secret
from omniroute.config.settings import Timeouts
from omniroute.errors import MalformedStream, Problem, UpstreamError
from omniroute.pipeline.exchange import Exchange, Outgoing, Reply
from omniroute.pipeline.stream import Stream
from omniroute.routing.directory import Account, Target
from omniroute.upstream.commit import EMPTY, hold
from omniroute.upstream.reclassify import reclassified
from omniroute.upstream.transport import Inbound, Outbound, Transport
from omniroute.wire.bridge import read_answer

FIRST_EVENT = 60.0
FIRST_EVENT_THINKING = 180.0
PLAIN_TOTAL = 600.0


class Sender:
    """Sends exchanges through the transports of a generation, by name."""

    def __init__(self, transports: Mapping[str, Transport]) -> None:
        self._transports = transports

    async def send(self, exchange: Exchange) -> Reply:
        """Raises `UpstreamError` for what fails before an answer; an error answer is a reply with a problem."""
        target, account, outgoing = exchange.target, exchange.account, exchange.outgoing
        if target is None or account is None or outgoing is None:
            raise RuntimeError("the pipeline sends without a target, an account or a request")
        exchange.marks.append(("upstream", perf_counter()))
        transport = self._transports[target.provider.settings.transport]
        outbound = _outbound(exchange, target, account, outgoing)
        if exchange.stream:
            return await _streamed(transport, outbound, target, account, outgoing)
        reply = await _plain(transport, outbound, target, account, outgoing)
        return reply if reply.problem is not None else _looked_at(exchange, reply, outgoing)


def _looked_at(exchange: Exchange, reply: Reply, outgoing: Outgoing) -> Reply:
    """A plain 200, seen through: its usage and finish, and whether it is an answer at all. Parsed once: where it is
    to be translated the whole answer is read and kept, else only these few fields."""
    body = reply.body or b""
    if exchange.endpoint.operation != "chat":
        return reply
    try:
        if outgoing.wire is exchange.wire:
            glance = outgoing.wire.glance(body)
            exchange.usage, exchange.finish = glance.usage, glance.finish
            reply.problem = glance.problem or (EMPTY if glance.empty else None)
        else:
            reply.problem = _read(exchange, reply, outgoing, body)
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedStream):
        reply.problem = Problem(
            kind="bad_gateway",
            code="malformed_answer",
            message="The upstream's answer is not the JSON it should be.",
        )
    return reply


def _read(exchange: Exchange, reply: Reply, outgoing: Outgoing, body: bytes) -> Problem | None:
    glance = outgoing.wire.glance(body)
    if glance.problem is not None or glance.empty:
        return glance.problem or EMPTY
    reply.answer = read_answer(body, outgoing.wire)
    exchange.usage = reply.answer.usage
    exchange.finish = reply.answer.choices[0].finish if reply.answer.choices else None
    return None


async def _plain(
    transport: Transport, outbound: Outbound, target: Target, account: Account, outgoing: Outgoing
) -> Reply:
    seconds = target.timeouts.total or PLAIN_TOTAL
    try:
        async with asyncio.timeout(seconds):
            inbound = await transport.send(outbound)
            try:
                body = await inbound.read()
            finally:
                await inbound.close()
    except TimeoutError as error:
        raise UpstreamError(
            _late("total_timeout", f"The upstream did not answer within {seconds:g} s.")
        ) from error
    if inbound.status >= 300:
        return _failed(inbound, body, target, account, outgoing)
    return Reply(inbound.status, body=body)


async def _streamed(
    transport: Transport, outbound: Outbound, target: Target, account: Account, outgoing: Outgoing
) -> Reply:
    timeouts = target.timeouts
    first = timeouts.first_byte or _first_event(target)
    inbound: Inbound | None = None
    try:
        async with asyncio.timeout(first):
            inbound = await transport.send(outbound)
            if inbound.status >= 300 or not _is_stream(inbound):
                return await _not_streamed(inbound, target, account, outgoing)
            source = inbound.chunks()
            held = await hold(source, outgoing.wire)
    except TimeoutError as error:
        await _close(inbound)
        raise UpstreamError(
            _late("first_byte_timeout", f"The upstream sent nothing within {first:g} s.")
        ) from error
    except BaseException:
        await _close(inbound)
        raise
    if held.problem is not None:
        await inbound.close()
        return Reply(inbound.status, problem=redacted(held.problem, account.secrets))
    return Reply(inbound.status, stream=Stream(_relay(inbound, source, held.chunks, timeouts)))


async def _relay(
    inbound: Inbound, source: AsyncIterator[bytes], head: list[bytes], timeouts: Timeouts
) -> AsyncIterator[bytes]:
    """The held chunks, then the rest; every wait has an end, and the connection is let go of at the end."""
    try:
        for chunk in head:
            yield chunk
        idle = timeouts.idle
        while True:
            try:
                async with asyncio.timeout(idle):
                    chunk = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise UpstreamError(
                    _late("idle_timeout", f"The upstream was silent for {idle:g} s.")
                ) from error
            yield chunk
    finally:
        await inbound.close()


async def _not_streamed(inbound: Inbound, target: Target, account: Account, outgoing: Outgoing) -> Reply:
    """An error, or a whole answer where a stream was asked for: what it says is found out like that of a plain one."""
    try:
        body = await inbound.read()
    finally:
        await inbound.close()
    if inbound.status >= 300:
        return _failed(inbound, body, target, account, outgoing)
    problem = outgoing.wire.read_error(502, {}, body) if body.strip() else EMPTY
    return Reply(502, problem=msgspec.structs.replace(redacted(problem, account.secrets), status=502))


def _failed(inbound: Inbound, body: bytes, target: Target, account: Account, outgoing: Outgoing) -> Reply:
    headers = {name.lower(): value for name, value in inbound.headers.items()}
    problem = outgoing.wire.read_error(inbound.status, headers, body)
    problem = reclassified(problem, target.provider.settings.outcomes, inbound.status, headers)
    return Reply(inbound.status, body=body, problem=redacted(problem, account.secrets))


def _outbound(exchange: Exchange, target: Target, account: Account, outgoing: Outgoing) -> Outbound:
    upstream = target.upstreams[outgoing.wire.name]
    headers = {**outgoing.headers, **account.headers}
    headers["Accept"] = "text/event-stream" if exchange.stream else "application/json"
    url = upstream.base_url + outgoing.path
    if account.query:
        url += ("&" if "?" in url else "?") + urlencode(account.query)
    return Outbound(
        url=url, headers=headers, body=outgoing.body, proxy=account.proxy, connect=target.timeouts.connect
    )


def _first_event(target: Target) -> float:
    capabilities = target.facts.capabilities or ()
    return FIRST_EVENT_THINKING if "thinking" in capabilities else FIRST_EVENT


def _is_stream(inbound: Inbound) -> bool:
    kind = inbound.headers.get("content-type", "")
    return not kind.startswith(("application/json", "text/html"))


async def _close(inbound: Inbound | None) -> None:
    if inbound is not None:
        await inbound.close()


def _late(code: str, message: str) -> Problem:
    return Problem(kind="timeout", code=code, message=message)


def redacted(problem: Problem, secrets: tuple[Secret, ...]) -> Problem:
    """The problem without the account's secrets, should the upstream have repeated them."""
    message = problem.message
    for secret in secrets:
        text = secret.reveal()
        if len(text) >= 6:
            message = message.replace(text, "***")
    return problem if message == problem.message else msgspec.structs.replace(problem, message=message)
