"""A whole gateway but for its sockets: requests go in as values, answers come out as values."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import parse_qsl

from multidict import CIMultiDict

from omniroute.config.load import Loaded
from omniroute.config.settings import Provider
from omniroute.engine.build import Workshop, build, wire_of
from omniroute.engine.generation import Generation
from omniroute.engine.plans import Nowhere
from omniroute.errors import Problem
from omniroute.pipeline.exchange import Exchange, IdSource, Reply, Request
from omniroute.pipeline.record import Record
from omniroute.registry import Registry
from omniroute.server import refusals
from omniroute.server.endpoints import Endpoints, Found
from omniroute.server.inbound import body_of, encode, own_headers
from omniroute.state.state import State
from omniroute.upstream.layers import Layers
from omniroute.upstream.transport import Transport
from omniroute.wire.codec import Wire

TransportOf = Callable[[str, Provider], Transport]
"""The transport of a provider, by its name and settings."""


@dataclass(slots=True)
class Answered:
    """What a client gets. `chunks` are those of a stream as they were written, else the body alone.

    `exchange` is None for what no endpoint answers.
    """

    status: int
    headers: CIMultiDict[str]
    chunks: list[bytes]
    wire: Wire
    streamed: bool = False
    exchange: Exchange | None = None
    record: Record | None = None
    pipeline: str = ""
    route: int | None = None
    """Index of the line of `routes` that chose the pipeline."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


@dataclass(frozen=True, slots=True)
class Asking:
    """A request as it comes over HTTP. Look-ups in `headers` ignore case."""

    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    ip: str = "127.0.0.1"


class SimulatedGateway:
    """One generation, its state, and no listener. Runs the same endpoints, stages and codecs as a real one."""

    def __init__(
        self,
        loaded: Loaded,
        registry: Registry,
        transport: TransportOf,
        clock: Callable[[], float],
        seed: int = 0,
    ) -> None:
        self.state = State(clock=clock, dice=random.Random(seed))
        self.records: list[Record] = []
        self.endpoints = Endpoints({d.name: wire_of(d.cls) for d in registry.all("wire")})
        self._ids = IdSource(random.Random(seed))
        nowhere = Nowhere()
        workshop = Workshop(
            registry, self.state, lambda kind: nowhere, self.records.append, _ByProvider(transport)
        )
        self.generation: Generation = build(loaded, 1, workshop)

    async def ask(self, asking: Asking) -> Answered:
        """The answer to a request. A stream is read to its end."""
        path, _, query = asking.path.partition("?")
        request = Request(
            method=asking.method,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=CIMultiDict(asking.headers),
            body=asking.body,
            client_ip=asking.ip,
            id=self._ids.new("req_"),
            received=self.state.clock(),
            started=perf_counter(),
        )
        found = self.endpoints.find(path, request.query)
        if found is None or asking.method != "POST":
            return self._refused(request, refusals.no_such_path(asking.method, path))
        return await self._served(request, found)

    async def _served(self, request: Request, found: Found) -> Answered:
        generation = self.generation
        exchange = generation.exchange(request, found.endpoint, found.peek, self._ids)
        exchange.array = found.array
        pipeline = generation.pipeline(exchange)
        generation.running += 1
        reply = await generation.serve(exchange, pipeline)
        try:
            answered = await _read(exchange, reply)
        finally:
            generation.running -= 1
            if reply.stream is not None:
                await reply.stream.close()
            generation.over(exchange, reply, pipeline)
        answered.pipeline = pipeline.name
        rules = enumerate(generation.rules)
        answered.route = next((n for n, rule in rules if rule.fits(exchange, generation.keyring)), None)
        answered.record = self.records[-1] if self.records else None
        return answered

    def _refused(self, request: Request, problem: Problem) -> Answered:
        wire = self.endpoints.spoken_at(request.path, request.headers)
        headers = CIMultiDict({"Content-Type": "application/json", "X-Request-Id": request.id})
        return Answered(problem.http_status, headers, [encode(wire.write_error(problem, request.id))], wire)


async def _read(exchange: Exchange, reply: Reply) -> Answered:
    headers = CIMultiDict(reply.headers)
    headers.update(own_headers(exchange))
    if reply.stream is None:
        body = body_of(reply, exchange.wire, exchange, headers)
        return Answered(reply.status, headers, [body], exchange.wire, exchange=exchange)
    headers["Content-Type"] = "application/json" if exchange.array else exchange.wire.stream_type
    reader = _Reader()
    await reply.stream.pump(reader)
    return Answered(200, headers, reader.chunks, exchange.wire, streamed=True, exchange=exchange)


class _Reader:
    """A client that is never behind with its reading."""

    full = False

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def write(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def flush(self) -> None:
        """There is no head that could wait."""

    async def drained(self) -> None:
        """It is, always."""

    def watch(self, full: Callable[[], None], free: Callable[[], None]) -> None:
        """It never falls behind."""


class _ByProvider(Layers):
    """Transports by provider instead of by kind."""

    def __init__(self, transport: TransportOf) -> None:
        super().__init__()
        self._transport = transport

    def around(self, provider: str, settings: Provider, transport: Transport, folder: Path) -> Transport:
        return self._transport(provider, settings)
