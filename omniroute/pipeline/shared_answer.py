"""One answer for several exchanges: made once by a twin of the first, and read by all who ask for the same.

Who leaves takes nothing away from the others, the first one included. What the answer cost is charged once, to the
first of those who are there when it is over; when all have left, to the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from omniroute.errors import MalformedStream, Problem, Refused
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Handler
from omniroute.pipeline.reckon import reckon
from omniroute.pipeline.stream import Stream
from omniroute.pipeline.told_again import Kept, Teller, pack, remember, slices, unpack
from omniroute.state.cache import Drawer
from omniroute.state.flights import Flight, Flights, Reader
from omniroute.state.responses import ResponseStore
from omniroute.upstream.headers import header_safe
from omniroute.wire.bridge import CrossTap
from omniroute.wire.codec import Wire
from omniroute.wire.conversation import Finish, Usage

TARGET = "X-OmniRoute-Target"
CACHE = "X-OmniRoute-Cache"
IDEMPOTENT = "X-OmniRoute-Idempotent"
OF_ONE_CALLER = frozenset({CACHE, IDEMPOTENT, "Age"})
"""Headers of an answer that are not true for the next who gets it."""
LIMITS = "ratelimit"
"""Stands in the names of headers that tell how much was left to the first."""

LEFT = Problem(
    kind="cancelled", code="client_gone", message="All clients left before the answer was complete."
)


@dataclass(slots=True)
class Shared:
    """What is known of a shared answer beside its chunks. `began` is when it was asked for, `at` when it was stored, if
    it was (epoch seconds); `body` is that of a plain one."""

    twin: Exchange
    began: float
    wire: Wire
    streamed: bool
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    problem: Problem | None = None
    keep_alive: bytes = b""
    at: float | None = None
    usage: Usage | None = None

    def used(self) -> Usage | None:
        """What the answer used, as far as it is known now."""
        watch = self.twin.watch
        return self.usage or self.twin.usage or (watch.usage if watch is not None else None)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a request joins by, and to which request the answer's bytes belong. `within`: seconds after its begin in
    which an answer that is under way may be joined; `same` refuses a stored answer to another request."""

    key: bytes
    digest: bytes
    within: float | None = None
    same: bool = False


class Sharing:
    """One way of sharing answers: those under way, and for `ttl` seconds those that are done."""

    def __init__(
        self,
        flights: Flights[Shared],
        drawer: Drawer,
        ttl: float,
        *,
        clock: Callable[[], float],
        wire: Callable[[str], Wire],
        responses: ResponseStore,
    ) -> None:
        self._flights = flights
        self._drawer = drawer
        self._ttl = ttl
        self._clock = clock
        self._wire = wire
        self._responses = responses

    async def answer(
        self, exchange: Exchange, ticket: Ticket, proceed: Handler
    ) -> tuple[Reply, Shared, bool]:
        """The reply for this exchange, what is known of the answer, and whether it was made for this one now.

        Raises `Refused` when the key of the ticket was used for another request."""
        flight = self._under_way(ticket)
        first = flight is None
        if flight is None:
            head = Shared(exchange.fork(), self._clock(), exchange.wire, exchange.stream)

            async def make(flight: Flight[Shared]) -> None:
                await self._make(flight, ticket, proceed)

            flight = self._flights.begin(ticket.key, ticket.digest, head, make)
        reader = flight.join()
        try:
            await asyncio.shield(flight.known)
        except BaseException:
            await reader.aclose()
            if first or flight.payer is reader:
                exchange.adopt(flight.head.twin)
            raise
        fresh = first and flight.head.at is None
        if first:
            exchange.adopt(flight.head.twin)
        # Until it is known who of the readers pays, none of them does.
        _free(exchange)
        reply = await _Passenger(exchange, flight, reader).reply(flight.digest == ticket.digest, fresh)
        if not fresh and reply.problem is None:
            remember(exchange, reply, self._responses)
        return reply, flight.head, fresh

    def _under_way(self, ticket: Ticket) -> Flight[Shared] | None:
        flight = self._flights.find(ticket.key)
        if flight is None:
            return None
        if ticket.within is not None and self._clock() - flight.head.began > ticket.within:
            return None
        if ticket.same and flight.digest != ticket.digest:
            raise Refused(REUSED)
        return flight

    # ── making ───────────────────────────────────────────────────────────────────────────────────

    async def _make(self, flight: Flight[Shared], ticket: Ticket, proceed: Handler) -> None:
        raw = await self._drawer.get(ticket.key)
        kept = unpack(raw) if raw is not None else None
        if kept is None:
            await self._fly(flight, ticket, proceed)
            return
        if ticket.same and kept.digest != ticket.digest:
            raise Refused(REUSED)
        await self._replay(flight, kept)

    async def _replay(self, flight: Flight[Shared], kept: Kept) -> None:
        head = flight.head
        flight.digest = kept.digest
        head.wire, head.streamed, head.at = self._wire(kept.wire), kept.streamed, kept.at
        head.headers, head.usage = kept.headers, kept.usage
        head.keep_alive = head.twin.wire.keep_alive
        _free(head.twin)
        if not kept.streamed:
            head.body = kept.content
            flight.land()
            flight.tell()
            return
        flight.tell()
        for piece in slices(kept.content):
            flight.write(piece)
            await flight.drained()
        flight.land()

    async def _fly(self, flight: Flight[Shared], ticket: Ticket, proceed: Handler) -> None:
        twin = flight.head.twin
        reply = NONE_YET
        try:
            reply = await proceed(twin)
            good = await self._relay(flight, reply)
        except asyncio.CancelledError:
            twin.problem = LEFT
            if twin.watch is not None:
                # That the stream is not complete is no fault of the upstream.
                twin.watch.cut = None
            raise
        finally:
            twin.settle()
            reckon(twin, reply)
            twin.end()
        flight.land()
        flight.tell()
        content = flight.content() if flight.head.streamed else flight.head.body
        if good and twin.problem is None and content is not None and not twin.array:
            await self._keep(flight, ticket, content)

    async def _relay(self, flight: Flight[Shared], reply: Reply) -> bool:
        """Hand the reply to the readers; whether it came whole and well."""
        head = flight.head
        head.status, head.problem, head.body = reply.status, reply.problem, reply.body
        head.headers = reply.headers
        head.streamed = reply.stream is not None
        if reply.stream is None:
            return reply.problem is None
        head.keep_alive, reply.stream.keep_alive = reply.stream.keep_alive, b""
        flight.tell()
        await reply.stream.pump(flight, begun=head.twin.begun)
        return reply.stream.problem is None

    async def _keep(self, flight: Flight[Shared], ticket: Ticket, content: bytes) -> None:
        head = flight.head
        kept = Kept(
            digest=ticket.digest,
            wire=head.wire.name,
            streamed=head.streamed,
            at=self._clock(),
            headers=again(head),
            content=content,
            usage=head.used(),
        )
        ttl = self._ttl if ticket.within is None else head.began + ticket.within - self._clock()
        if ttl > 0:
            await self._drawer.put(ticket.key, pack(kept), ttl)


NONE_YET = Reply(499, problem=LEFT)
"""What an answer comes to that ended before it began."""


def _free(exchange: Exchange) -> None:
    """Another exchange answers for what the answer cost."""
    exchange.cost, exchange.reckoned = 0.0, True


REUSED = Problem(
    kind="invalid_request",
    status=422,
    code="idempotency_key_reused",
    message="This Idempotency-Key was used for another request: a new request needs a new key.",
)


def again(head: Shared) -> dict[str, str]:
    """The headers of the answer for whoever gets it next."""
    headers = {
        name: value
        for name, value in head.headers.items()
        if name not in OF_ONE_CALLER and LIMITS not in name.lower()
    }
    target = head.twin.target
    if target is not None:
        headers[TARGET] = header_safe(target.name)
    return headers


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


class _Passenger:
    """One exchange that reads a shared answer."""

    __slots__ = ("_exchange", "_flight", "_reader")

    def __init__(self, exchange: Exchange, flight: Flight[Shared], reader: Reader[Shared]) -> None:
        self._exchange = exchange
        self._flight = flight
        self._reader = reader

    async def reply(self, same: bool, fresh: bool) -> Reply:
        """The answer as this client asked for it; its very bytes where it is the `same` request."""
        head = self._flight.head
        reply = Reply(head.status, headers=dict(head.headers) if fresh else again(head), problem=head.problem)
        if head.problem is not None or not head.streamed:
            await self._plain(reply, head, same, fresh)
            return reply
        if self._exchange.stream:
            self._stream(reply, head, same)
            return reply
        try:
            reply.body = await self._teller(head).plain_of_stream(self._reader)
        except MalformedStream as error:
            raise Refused(Problem(kind="bad_gateway", code="malformed_answer", message=str(error))) from error
        finally:
            await self.aclose()
        return reply

    async def _plain(self, reply: Reply, head: Shared, same: bool, fresh: bool) -> None:
        await self.aclose()
        body = head.body
        if head.problem is not None:
            # What an upstream said in its own words is looked through for secrets where its account is known.
            reply.body = body if fresh else None
        elif same or body is None:
            reply.body = body
        elif self._exchange.stream:
            reply.stream = Stream(_pieces(self._teller(head).stream_of_plain(body)))
        else:
            reply.body = self._teller(head).plain_of_plain(body)

    def _stream(self, reply: Reply, head: Shared, same: bool) -> None:
        exchange = self._exchange
        reply.stream = Stream(self, b"" if exchange.array else head.keep_alive)
        reply.stream.event_ends = exchange.wire.event_ends
        cross: CrossTap | None = None
        if not same:
            cross = self._teller(head).stream_of_stream()
            reply.stream.tap(cross)
        exchange.watch = _Ride(self._flight, exchange, cross)
        reply.stream.tap(exchange.watch)

    def _teller(self, head: Shared) -> Teller:
        array = head.twin.array and head.at is None
        return Teller(self._exchange, head.wire, head.used, array=array)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._reader)

    async def aclose(self) -> None:
        """Get off, and pay if it is up to this one."""
        await self._reader.aclose()
        if self._flight.payer is self._reader:
            self._exchange.adopt(self._flight.head.twin)


class _Ride:
    """Stands at the end of a stream that is read from a flight: tells the client when it cannot be read on, and the
    exchange what broke it."""

    __slots__ = ("_cross", "_exchange", "_flight", "cut", "finish", "usage")

    def __init__(self, flight: Flight[Shared], exchange: Exchange, cross: CrossTap | None) -> None:
        self._flight = flight
        self._exchange = exchange
        self._cross = cross
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.cut: Problem | None = None

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        twin = self._flight.head.twin
        self.finish = twin.finish
        if problem is None:
            self.cut = twin.problem or (self._cross.cut if self._cross is not None else None)
            return b"", None
        self.cut = problem
        return self._exchange.wire.error_event(problem, self._exchange.request.id), None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for piece in slices(content):
        yield piece
