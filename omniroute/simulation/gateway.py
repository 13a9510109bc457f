"""A whole gateway but for its sockets: requests go in as values, answers come out as values."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from multidict import CIMultiDict

from omniroute.config.load import Loaded
from omniroute.config.settings import Provider
from omniroute.engine.build import Workshop, build, wire_of
from omniroute.engine.generation import Generation
from omniroute.engine.plans import Nowhere
from omniroute.pipeline.exchange import Exchange, IdSource
from omniroute.pipeline.record import Record
from omniroute.registry import Registry
from omniroute.server.connection import ClientConnection
from omniroute.server.data_plane import DataPlane
from omniroute.server.endpoints import Endpoints
from omniroute.server.inbound import Answerer
from omniroute.server.incoming import Answer, Incoming
from omniroute.server.metrics import Metrics
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
    """One generation, its state, and no listener. Runs the same data plane, stages and codecs as a real one."""

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
        nowhere = Nowhere()
        workshop = Workshop(
            registry, self.state, lambda kind: nowhere, self.records.append, _ByProvider(transport)
        )
        self.generation: Generation = build(loaded, 1, workshop)
        self._answerer = _Looking(Metrics(), IdSource(random.Random(seed)))
        self._plane = DataPlane(
            self, self.endpoints, self._answerer, connections=lambda: 0, stopping=lambda: False
        )

    async def ask(self, asking: Asking) -> Answered:
        """The answer to a request. A stream is read to its end."""
        incoming = SimulatedRequest(asking)
        before, self._answerer.exchange = len(self.records), None
        answer = await self._plane.answer(incoming)
        if answer is not None:
            incoming.send(answer)
        exchange = self._answerer.exchange
        answered = Answered(
            incoming.status,
            CIMultiDict(incoming.answered),
            incoming.chunks,
            exchange.wire
            if exchange is not None
            else self.endpoints.spoken_at(incoming.path, incoming.headers),
            streamed=incoming.streamed,
            exchange=exchange,
            record=self.records[-1] if len(self.records) > before else None,
        )
        if exchange is not None:
            self._placed(answered, exchange)
        return answered

    def _placed(self, answered: Answered, exchange: Exchange) -> None:
        """Through which pipeline it went, and why."""
        generation = self.generation
        answered.pipeline = generation.pipeline(exchange).name
        rules = enumerate(generation.rules)
        answered.route = next((n for n, rule in rules if rule.fits(exchange, generation.keyring)), None)


class _Looking(Answerer):
    """Keeps the exchange that it ran last."""

    exchange: Exchange | None = None

    async def answer(
        self, incoming: Incoming, generation: Generation, exchange: Exchange, extra: dict[str, str]
    ) -> None:
        self.exchange = exchange
        await super().answer(incoming, generation, exchange, extra)


class SimulatedRequest(Incoming):
    """A request whose body is there, of a client that is never behind with its reading."""

    __slots__ = ("answered", "chunks", "status", "streamed")

    def __init__(self, asking: Asking) -> None:
        headers = CIMultiDict(asking.headers)
        size = sum(len(name) + len(value) for name, value in headers.items())
        connection = cast("ClientConnection", _Away(asking.ip))
        super().__init__(connection, asking.method, asking.path, headers, size, "1.1", True)
        self.let_go()
        self.arrived(asking.body)
        self.ended()
        self.status = 0
        self.answered: Mapping[str, str] = {}
        self.chunks: list[bytes] = []
        self.streamed = False

    def send(self, answer: Answer) -> None:
        self.begun = True
        self.status, self.answered = answer.status, answer.headers
        self.chunks.append(answer.body)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.begun = self.streamed = True
        self.status, self.answered = status, headers

    def write(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def flush(self) -> None:
        """There is no head that could wait."""

    def finish(self) -> None:
        """The chunks are all there is."""

    async def drained(self) -> None:
        """It is, always."""


class _Away:
    """What is known of a connection that does not exist: where it would come from."""

    def __init__(self, remote: str) -> None:
        self.remote = remote


class _ByProvider(Layers):
    """Transports by provider instead of by kind."""

    def __init__(self, transport: TransportOf) -> None:
        super().__init__()
        self._transport = transport

    def around(self, provider: str, settings: Provider, transport: Transport, folder: Path) -> Transport:
        return self._transport(provider, settings)
