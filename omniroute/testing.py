"""Helpers for tests: a fake provider on a real socket, and a gateway in this process.

async with FakeUpstream([Scripted(json={…})]) as upstream, gateway(f"… base_url: {upstream.url}/v1 …") as gw:
    …  gw.url  …  upstream.requests
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json as stdlib_json
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from omniroute.config.load import load_text
from omniroute.pipeline.record import Record
from omniroute.registry import Registry, load
from omniroute.server.gateway import Gateway
from omniroute.server.log import LogSink
from omniroute.state.state import State

__all__ = ["FakeUpstream", "Running", "Scripted", "Seen", "gateway", "load_text", "sse"]


@dataclass
class Scripted:
    """One answer of a fake provider: `json` or `body` when plain, `chunks` when streamed.

    `pause` seconds before the head, `between` before each chunk; `cut` closes the connection after the chunks without
    a proper end; `hang` keeps it open without a word until the client leaves; `gate` is waited for before a plain answer,
    and before the last chunk of a stream.
    """

    status: int = 200
    json: Any = None
    body: bytes | str | None = None
    chunks: Sequence[bytes | str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    pause: float = 0.0
    between: float = 0.0
    cut: bool = False
    hang: bool = False
    gate: asyncio.Event | None = None


@dataclass
class Seen:
    """A request that a fake provider got. `raw_path` is the path as it was sent, encoded and with the query; `left` is
    set when the gateway closed the connection before the end."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    raw_path: str = ""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return stdlib_json.loads(self.body)


Script = Sequence[Scripted] | Callable[[Seen], Scripted]


class FakeUpstream:
    """A provider on loopback. A list of answers is used up in order, the last one again and again; a function is
    asked for each request."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._runner: web.ServerRunner | None = None
        self.requests: list[Seen] = []
        self.url = ""

    async def __aenter__(self) -> FakeUpstream:
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.content.read(),
            request.raw_path,
        )
        self.requests.append(seen)
        try:
            return await self._answer(request, self._next(seen))
        except (asyncio.CancelledError, ConnectionError):
            seen.left.set()
            raise

    def _next(self, seen: Seen) -> Scripted:
        if callable(self._script):
            return self._script(seen)
        return self._script[min(len(self.requests), len(self._script)) - 1]

    async def _answer(self, request: web.BaseRequest, scripted: Scripted) -> web.StreamResponse:
        if scripted.pause:
            await asyncio.sleep(scripted.pause)
        headers = dict(scripted.headers)
        if scripted.chunks is None:
            await _passed(scripted.gate)
            body = _body(scripted)
            headers.setdefault("Content-Type", scripted.content_type or "application/json")
            return web.Response(status=scripted.status, body=body, headers=headers)
        headers.setdefault("Content-Type", scripted.content_type or "text/event-stream")
        response = web.StreamResponse(status=scripted.status, headers=headers)
        await response.prepare(request)
        last = len(scripted.chunks) - 1
        for number, chunk in enumerate(scripted.chunks):
            if scripted.between:
                await asyncio.sleep(scripted.between)
            if number == last:
                await _passed(scripted.gate)
            await response.write(chunk.encode() if isinstance(chunk, str) else chunk)
        if scripted.hang:
            await asyncio.Event().wait()
        if scripted.cut and request.transport is not None:
            request.transport.abort()
            return response
        await response.write_eof()
        return response


async def _passed(gate: asyncio.Event | None) -> None:
    if gate is not None:
        await gate.wait()


def _body(scripted: Scripted) -> bytes:
    if scripted.json is not None:
        return msgspec.json.encode(scripted.json)
    body = scripted.body if scripted.body is not None else b""
    return body.encode() if isinstance(body, str) else body


def sse(*events: Any, done: bool = False) -> list[str]:
    """Chunks of a stream: JSON values, or `(name, value)` pairs for named events; `done` adds `[DONE]`."""
    chunks: list[str] = []
    for event in events:
        name, value = event if isinstance(event, tuple) else (None, event)
        head = f"event: {name}\n" if name else ""
        chunks.append(f"{head}data: {stdlib_json.dumps(value)}\n\n")
    return [*chunks, "data: [DONE]\n\n"] if done else chunks


@dataclass
class Running:
    """A gateway under test. `records` are the lines of its log; `path` its file, to be edited."""

    gateway: Gateway
    path: Path
    records: list[Record]

    grown: asyncio.Event

    @property
    def url(self) -> str:
        return self.gateway.urls[0]

    async def recorded(self, count: int, seconds: float = 5.0) -> None:
        """Until so many requests are over and logged. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while len(self.records) < count:
                self.grown.clear()
                await self.grown.wait()


@cache
def _built_in() -> Registry:
    """The built-in components: immutable, so that all gateways under test share them."""
    return load(plugins=False)


class _Sink(LogSink):
    def __init__(self, records: list[Record], grown: asyncio.Event) -> None:
        super().__init__(io.StringIO())
        self._records = records
        self._grown = grown

    def write(self, record: Record) -> None:
        self._records.append(record)
        self._grown.set()


@contextlib.asynccontextmanager
async def gateway(
    config: str,
    *,
    env: Mapping[str, str] | None = None,
    state: State | None = None,
    registry: Registry | None = None,
    folder: Path | None = None,
    watch: bool = False,
) -> AsyncIterator[Running]:
    """A gateway on a free port of loopback with this configuration; `version` and `listen` may be left out."""
    with tempfile.TemporaryDirectory() as made:
        home = folder if folder is not None else Path(made)
        path = home / "omniroute.yaml"
        text = textwrap.dedent(config)
        path.write_text(text if "version:" in text else f"version: 1\n{text}", encoding="utf-8")
        records: list[Record] = []
        grown = asyncio.Event()
        running = Running(
            Gateway(
                path,
                env=env if env is not None else {},
                registry=registry if registry is not None else _built_in(),
                state=state,
                sink=_Sink(records, grown),
                listen=("127.0.0.1:0",),
                watch=watch,
            ),
            path,
            records,
            grown,
        )
        await running.gateway.start()
        try:
            yield running
        finally:
            await running.gateway.stop()
