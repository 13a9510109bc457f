"""The built-in end of every pipeline: one attempt at one target with one account; bytes out, a `Reply` back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import lru_cache
from time import perf_counter
from urllib.parse import urlencode

import msgspec

from omniroute.config.secrets import Secret
from omniroute.config.settings import Timeouts
from omniroute.errors import MalformedStream, Problem, UpstreamError
from omniroute.pipeline.exchange import Exchange, Outgoing, Reply
from omniroute.pipeline.stream import Stream
from omniroute.pipeline.timers import Timer, timers_of
from omniroute.pipeline.turns import in_turns
from omniroute.routing.directory import Account, Target
from omniroute.upstream.commit import EMPTY, hold
from omniroute.upstream.deadline import Deadlines
from omniroute.upstream.headers import merged
from omniroute.upstream.http_connection import HttpInbound
from omniroute.upstream.reclassify import reclassified
from omniroute.upstream.reshape import streamed, whole
from omniroute.upstream.signing import signed
from omniroute.upstream.transport import Inbound, Outbound, Transport
from omniroute.wire.bridge import read_answer
from omniroute.wire.bulk import HUGE, cut_out

FIRST_EVENT = 60.0
FIRST_EVENT_THINKING = 180.0
PLAIN_TOTAL = 600.0


class Sender:
    """Sends exchanges through the transports of a generation, by the name of the provider."""

    def __init__(self, transports: Mapping[str, Transport], clock: Callable[[], float]) -> None:
        self._transports = transports
        self._clock = clock
        self._deadlines = Deadlines()
        # Requests of one kind to one account differ in nothing here: most of all headers are merged once.
        self._merged = lru_cache(maxsize=1024)(_merged)

    async def send(self, exchange: Exchange) -> Reply:
        """Raises `UpstreamError` for what fails before an answer; an error answer is a reply with a problem."""
        target, account, outgoing = exchange.target, exchange.account, exchange.outgoing
        if target is None or account is None or outgoing is None:
            raise RuntimeError("the pipeline sends without a target, an account or a request")
        exchange.stages.append("upstream")
        exchange.stage_begins.append(perf_counter())
        transport = self._transports[target.provider.name]
        outbound = self._outbound(exchange, target, account, outgoing)
        sign = account.granted[outgoing.wire.name].sign
        if sign is not None:
            outbound = await signed(outbound, sign, self._clock())
        timeouts = _timeouts(exchange, target)
        if exchange.stream:
            return await self._streamed(exchange, transport, outbound, timeouts, target, account, outgoing)
        reply = await self._plain(exchange, transport, outbound, timeouts, target, account, outgoing)
        if reply.problem is not None:
            return reply
        if reply.body is not None and len(reply.body) > HUGE:
            reply.bulk = await in_turns(cut_out(reply.body))
        reply = _looked_at(exchange, reply, outgoing)
        if reply.problem is not None:
            # A 200 that holds an error is not one to show: the client gets it in words and a status of its own.
            reply.body = reply.bulk = None
            reply.problem = redacted(reply.problem, account.secrets)
        return reply

    def _outbound(self, exchange: Exchange, target: Target, account: Account, outgoing: Outgoing) -> Outbound:
        wire = outgoing.wire
        granted = account.granted[wire.name]
        accept = wire.stream_type.partition(";")[0] if exchange.stream else "application/json"
        own, given = tuple(outgoing.headers.items()), tuple(granted.headers.items())
        headers = self._merged(own, given, accept)
        url = target.upstreams[wire.name].base_url + outgoing.path
        if granted.query:
            url += ("&" if "?" in url else "?") + urlencode(granted.query)
        return Outbound(
            url=url,
            headers=headers,
            body=outgoing.body,
            proxy=account.proxy,
            connect=target.timeouts.connect,
            wire=wire,
        )

    async def _plain(
        self,
        exchange: Exchange,
        transport: Transport,
        outbound: Outbound,
        timeouts: Timeouts,
        target: Target,
        account: Account,
        outgoing: Outgoing,
    ) -> Reply:
        seconds = timeouts.total or PLAIN_TOTAL
        try:
            with self._deadlines.within(seconds):
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
        return _redacted(whole(exchange, inbound, body), account)

    async def _streamed(
        self,
        exchange: Exchange,
        transport: Transport,
        outbound: Outbound,
        timeouts: Timeouts,
        target: Target,
        account: Account,
        outgoing: Outgoing,
    ) -> Reply:
        first = timeouts.first_byte or _first_event(target)
        first = min(first, timeouts.total or first)
        began = self._deadlines.now()
        inbound: Inbound | None = None
        try:
            with self._deadlines.within(first):
                inbound = await transport.send(outbound)
                if inbound.status >= 300 or not _is_stream(inbound):
                    return await _not_streamed(exchange, inbound, target, account, outgoing)
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
            problem = redacted(held.problem, account.secrets)
            return Reply(inbound.status, problem=problem, received=inbound.headers)
        if isinstance(inbound, HttpInbound):
            stream = Stream(_Flow(inbound, held.chunks, timeouts, began))
        else:
            stream = Stream(_Relay(inbound, source, held.chunks, timeouts, began))
        return Reply(inbound.status, stream=stream, received=inbound.headers)


Items = tuple[tuple[str, str], ...]


def _merged(own: Items, granted: Items, accept: str) -> Mapping[str, str]:
    return merged(dict(own), dict(granted), {"Accept": accept})


def _timeouts(exchange: Exchange, target: Target) -> Timeouts:
    """The deadlines of this attempt: those of the provider, but for one that the combo's member sets."""
    own = exchange.member.timeout if exchange.member is not None else None
    if own is None:
        return target.timeouts
    return msgspec.structs.replace(target.timeouts, **{"first_byte" if exchange.stream else "total": own})


def _looked_at(exchange: Exchange, reply: Reply, outgoing: Outgoing) -> Reply:
    """A plain 200, seen through: its usage and finish, and whether it is an answer at all. Parsed once: where it is
    to be translated the whole answer is read and kept, else only these few fields."""
    body = reply.bulk.outline if reply.bulk is not None else reply.body or b""
    operation = exchange.endpoint.operation
    if operation == "count_tokens":
        return reply
    try:
        if operation == "embed":
            reply.problem = _glanced(exchange, outgoing, body)
        elif outgoing.wire is exchange.wire:
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


def _glanced(exchange: Exchange, outgoing: Outgoing, body: bytes) -> Problem | None:
    """Vectors are read where they are to be translated; what they cost is known from a glance."""
    if outgoing.wire.embeddings is None:
        raise RuntimeError(f"{outgoing.wire.name} was asked to embed")
    glance = outgoing.wire.embeddings.glance(body)
    exchange.usage = glance.usage
    return glance.problem or (EMPTY if glance.empty else None)


def _read(exchange: Exchange, reply: Reply, outgoing: Outgoing, body: bytes) -> Problem | None:
    glance = outgoing.wire.glance(body)
    if glance.problem is not None or glance.empty:
        return glance.problem or EMPTY
    reply.answer = read_answer(body, outgoing.wire)
    exchange.usage = reply.answer.usage
    exchange.finish = reply.answer.choices[0].finish if reply.answer.choices else None
    return None


class _Relay:
    """The held chunks, then the rest; every wait has an end. Closing it lets go of the connection, also when it was
    never asked for a chunk."""

    __slots__ = ("_end", "_head", "_inbound", "_now", "_source", "_timeouts")

    def __init__(
        self,
        inbound: Inbound,
        source: AsyncIterator[bytes],
        head: list[bytes],
        timeouts: Timeouts,
        began: float,
    ) -> None:
        self._inbound = inbound
        self._source = source
        self._head: Iterator[bytes] = iter(head)
        self._timeouts = timeouts
        self._now = asyncio.get_running_loop().time
        self._end = began + timeouts.total if timeouts.total is not None else math.inf

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._head:
            return chunk
        try:
            async with asyncio.timeout_at(min(self._now() + self._timeouts.idle, self._end)):
                return await anext(self._source)
        except TimeoutError as error:
            raise UpstreamError(_too_late(self._timeouts, over=self._now() >= self._end)) from error

    async def aclose(self) -> None:
        await self._inbound.close()


class _Flow:
    """The held chunks, then the rest as it arrives, handed on by the connection itself. One timer looks whether the
    upstream was silent for too long; while the client holds it back, it has no chance to speak."""

    __slots__ = ("_end", "_head", "_inbound", "_loop", "_paused", "_timeouts", "_timer")

    def __init__(self, inbound: HttpInbound, head: list[bytes], timeouts: Timeouts, began: float) -> None:
        self._loop = inbound.loop
        self._inbound = inbound
        self._head = head
        self._timeouts = timeouts
        self._end = began + timeouts.total if timeouts.total is not None else math.inf
        self._paused = False
        self._timer: Timer | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """For who would rather ask for each chunk."""
        if self._head:
            return self._head.pop(0)
        self._inbound.heard = self._loop.time()
        self._look()
        try:
            return await anext(self._inbound)
        finally:
            self._rest()

    async def flow(self, feed: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        head, self._head = self._head, []
        for chunk in head:
            feed(chunk)
        begun()
        self._look()
        try:
            await self._inbound.flow(feed)
        finally:
            self._rest()

    def pause(self) -> None:
        self._paused = True
        self._inbound.pause()

    def resume(self) -> None:
        self._paused = False
        self._inbound.heard = self._loop.time()
        self._inbound.resume()

    async def aclose(self) -> None:
        self._rest()
        await self._inbound.close()

    def _look(self) -> None:
        now = self._loop.time()
        due = self._end if self._paused else min(self._inbound.heard + self._timeouts.idle, self._end)
        if now >= due:
            self._inbound.fail(_too_late(self._timeouts, over=now >= self._end))
        elif due != math.inf or self._paused:
            again = min(due, now + self._timeouts.idle)
            self._timer = timers_of(self._loop).call_at(again, self._look)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _too_late(timeouts: Timeouts, *, over: bool) -> Problem:
    if over:
        return _late("total_timeout", f"The upstream was not done within {timeouts.total:g} s.")
    return _late("idle_timeout", f"The upstream was silent for {timeouts.idle:g} s.")


async def _not_streamed(
    exchange: Exchange, inbound: Inbound, target: Target, account: Account, outgoing: Outgoing
) -> Reply:
    """An error, or a whole answer where a stream was asked for: the client gets that as a stream."""
    try:
        body = await inbound.read()
    finally:
        await inbound.close()
    if inbound.status >= 300:
        return _failed(inbound, body, target, account, outgoing)
    return _redacted(await streamed(exchange, inbound, body), account)


def _failed(inbound: Inbound, body: bytes, target: Target, account: Account, outgoing: Outgoing) -> Reply:
    headers = {name.lower(): value for name, value in inbound.headers.items()}
    problem = outgoing.wire.read_error(inbound.status, headers, body)
    problem, outcome = reclassified(problem, target.provider.settings.outcomes, inbound.status, headers)
    problem = redacted(problem, account.secrets)
    reply = Reply(inbound.status, body=body, problem=problem, received=inbound.headers)
    reply.outcome = outcome
    return reply


def _first_event(target: Target) -> float:
    capabilities = target.facts.capabilities or ()
    return FIRST_EVENT_THINKING if "thinking" in capabilities else FIRST_EVENT


def _is_stream(inbound: Inbound) -> bool:
    kind = inbound.headers.get("content-type", "").lower()
    return not kind.startswith(("application/json", "text/html"))


async def _close(inbound: Inbound | None) -> None:
    if inbound is not None:
        await inbound.close()


def _late(code: str, message: str) -> Problem:
    return Problem(kind="timeout", code=code, message=message)


def _redacted(reply: Reply, account: Account) -> Reply:
    if reply.problem is not None:
        reply.problem = redacted(reply.problem, account.secrets)
    return reply


def redacted(problem: Problem, secrets: tuple[Secret, ...]) -> Problem:
    """The problem without the account's secrets, should the upstream have repeated them."""
    message = problem.message
    for secret in secrets:
        text = secret.reveal()
        if len(text) >= 6:
            message = message.replace(text, "***")
    return problem if message == problem.message else msgspec.structs.replace(problem, message=message)
