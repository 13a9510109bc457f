"""One gateway: a runtime, its listeners, its watcher. Several may live in one process."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Mapping
from pathlib import Path

from omniroute.config.access import is_loopback
from omniroute.config.codes import Code
from omniroute.config.settings import Server, Settings
from omniroute.engine.build import wire_of
from omniroute.engine.generation import Generation
from omniroute.engine.runtime import Runtime
from omniroute.engine.watch import Watcher
from omniroute.errors import ConfigError, Finding
from omniroute.pipeline.exchange import IdSource
from omniroute.pipeline.record import Record
from omniroute.registry import Registry, load
from omniroute.server.admin import Admin
from omniroute.server.data_plane import DataPlane
from omniroute.server.endpoints import Endpoints
from omniroute.server.entropy import Entropy
from omniroute.server.inbound import Answerer
from omniroute.server.incoming import Answer, Handler, Incoming
from omniroute.server.listener import Listener
from omniroute.server.log import LogSink, tell_transition
from omniroute.server.metrics import Metrics
from omniroute.server.recent import Recent
from omniroute.server.storage import open_state
from omniroute.state.state import State
from omniroute.upstream.layers import Layers

log = logging.getLogger("omniroute")

BACKLOG = 4096
ADMIN = "/-/"


class Gateway:
    """`start`, then `stop`. `urls` are the addresses it really listens on (port 0 in the config takes a free one).

    `layers` stand around the transports, `stand_ins` make up for secrets that are missing here. Where it is not
    `lasting` its state is its own, whatever store the configuration names.
    """

    def __init__(
        self,
        path: Path,
        *,
        env: Mapping[str, str] | None = None,
        registry: Registry | None = None,
        state: State | None = None,
        sink: LogSink | None = None,
        listen: tuple[str, ...] | None = None,
        watch: bool = True,
        lenient: bool = False,
        reuse_port: bool = False,
        layers: Layers | None = None,
        stand_ins: bool = False,
        lasting: bool = True,
    ) -> None:
        self.sink = sink if sink is not None else LogSink()
        self.recent = Recent()
        self.state = state if state is not None else State()
        registry = registry if registry is not None else load()
        self._env = env if env is not None else os.environ
        self._lasting = lasting
        self.runtime = Runtime(
            path,
            env=self._env,
            registry=registry,
            state=self.state,
            write_record=self._record,
            lenient=lenient,
            swapped=self._serves,
            layers=layers,
            stand_ins=stand_ins,
        )
        self.urls: list[str] = []
        self.admin_urls: list[str] = []
        self.metrics = Metrics()
        self.state.transitions.listen(self.metrics.moved)
        self.state.transitions.listen(tell_transition)
        self._stopping = False
        self.data_plane = DataPlane(
            self.runtime,
            Endpoints({d.name: wire_of(d.cls) for d in registry.all("wire")}),
            Answerer(self.metrics, IdSource(Entropy())),
            connections=self._connections,
            stopping=lambda: self._stopping,
        )
        self._admin = Admin(self.runtime, self.metrics, self.recent, lambda: not self._stopping)
        self._listen = listen
        self._watch = watch
        self._reuse_port = reuse_port
        self._listeners: list[Listener] = []
        self._servers: list[asyncio.Server] = []
        self._watcher: asyncio.Task[None] | None = None
        self._heart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the configuration and listen. Raises `ConfigError`, `ConfigUnreadable`, `OSError`."""
        generation = await self.runtime.start()
        settings = generation.loaded.settings
        self._refuse_to_be_open(settings)
        if self._lasting:
            await open_state(self.state, settings, self.runtime.registry, self._env)
        try:
            await self._open(settings.server)
        except BaseException:
            # Of several addresses one cannot be listened on: let go of the others.
            await self._let_go()
            await self.state.close()
            raise
        loop = asyncio.get_running_loop()
        self._heart = loop.create_task(self.state.limits.keep_beating(), name="limits-heartbeat")
        if self._watch:
            self._watcher = loop.create_task(Watcher(self.runtime).run(), name="config-watcher")

    async def _open(self, server: Server) -> None:
        """Listen on all addresses."""
        split = server.admin != "same"
        handler = self.data_plane.answer if split else self._both
        for address in self._listen or server.listen:
            self.urls.append(await self.listen(address, handler))
        if split:
            self.admin_urls.append(await self.listen(server.admin, self._admin.answer))
        else:
            self.admin_urls = list(self.urls)

    def _refuse_to_be_open(self, settings: Settings) -> None:
        """What the check says of `server.listen` holds for addresses given otherwise, too (OR1501)."""
        if settings.keys or settings.auth.required is not None:
            return
        for address in self._listen or ():
            if not is_loopback(address):
                raise ConfigError(
                    [
                        Finding(
                            code=Code.OPEN_TO_ALL.value,
                            message=f"{address!r} can be reached from other machines, and no key is declared",
                            path="--listen",
                            hint="declare one in `keys`, or write `auth: {required: false}`",
                        )
                    ]
                )

    def _record(self, record: Record) -> None:
        self.recent.add(record)
        self.sink.write(record)

    def _serves(self, generation: Generation) -> None:
        """What of the configuration is no part of a request: the log."""
        settings = generation.loaded.settings.log
        self.sink.configure(settings.level, settings.format)

    async def stop(self) -> None:
        """Stop listening, let running requests finish (at most `server.drain`), close everything. Twice is once."""
        if self._stopping:
            return
        self._stopping = True
        for server in self._servers:
            server.close()
        for listener in self._listeners:
            listener.retire()
        for task in (self._watcher, self._heart):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._drain(self.runtime.generation.loaded.settings.server.drain)
        await self._let_go()
        await self.runtime.close()
        await self.state.close()
        self.sink.flush()

    async def _drain(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._running() and loop.time() < end:  # noqa: ASYNC110  # a count on the hot path is cheaper than an event
            await asyncio.sleep(0.05)
        if self._running():
            log.warning("%d requests were still running after %g s and are cut", self._running(), seconds)

    def _running(self) -> int:
        running = self.runtime.generation.running + sum(g.running for g in self.runtime.draining)
        return running + self.data_plane.reading

    # ── listeners ────────────────────────────────────────────────────────────────────────────────

    async def listen(self, address: str, handler: Handler | None = None) -> str:
        """Listen on one more address; gives the URL. Raises `OSError`."""
        listener = Listener(handler if handler is not None else self._both)
        loop = asyncio.get_running_loop()
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            server = await loop.create_unix_server(listener, path, backlog=BACKLOG)
            shown = address
        else:
            host, _, port = address.rpartition(":")
            host = host.strip("[]") or "0.0.0.0"  # ":port" asks for all addresses
            bound = _socket(host, int(port), self._reuse_port)
            server = await loop.create_server(listener, sock=bound, backlog=BACKLOG)
            shown = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
        self._listeners.append(listener)
        self._servers.append(server)
        return shown

    async def _let_go(self) -> None:
        for server in self._servers:
            server.close()
        for listener in self._listeners:
            await listener.close()

    def _connections(self) -> int:
        return sum(len(listener.connections) for listener in self._listeners)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    def _both(self, incoming: Incoming) -> Awaitable[Answer | None]:
        plane = self._admin if incoming.path.startswith(ADMIN) else self.data_plane
        return plane.answer(incoming)


def _socket(host: str, port: int, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
