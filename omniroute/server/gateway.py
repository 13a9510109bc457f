"""One gateway: a runtime, its listeners, its watcher. Several may live in one process."""

from __future__ import annotations

import asyncio
import html
import logging
import math
import os
import random
import socket
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import msgspec
from aiohttp import web

from omniroute import __version__
from omniroute.config.access import is_loopback
from omniroute.config.codes import Code
from omniroute.config.settings import Server, ServerLimits, Settings
from omniroute.engine.build import wire_of
from omniroute.engine.generation import Generation
from omniroute.engine.runtime import Runtime
from omniroute.engine.watch import Watcher
from omniroute.errors import ConfigError, Finding, Problem, Refused
from omniroute.pipeline.exchange import IdSource
from omniroute.pipeline.keys import Caller
from omniroute.pipeline.patterns import Test, networks
from omniroute.registry import Registry, load
from omniroute.server import stored_responses
from omniroute.server.admin import Admin
from omniroute.server.cors import cors_headers
from omniroute.server.endpoints import FIXED, MODELS, SHOW, Endpoints
from omniroute.server.inbound import (
    Answerer,
    Garbled,
    Slow,
    TooLarge,
    address_of,
    read_body,
    request_id,
    to_request,
)
from omniroute.server.log import LogSink, printable
from omniroute.server.metrics import Metrics
from omniroute.state.state import State
from omniroute.wire.codec import ModelCard
from omniroute.wire.ollama import asked_model, write_model

log = logging.getLogger("omniroute")
encode = msgspec.json.Encoder().encode

BACKLOG = 4096
ADMIN = "/-/"


class Gateway:
    """`start`, then `stop`. `urls` are the addresses it really listens on (port 0 in the config takes a free one)."""

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
    ) -> None:
        self.sink = sink if sink is not None else LogSink()
        self.state = state if state is not None else State()
        registry = registry if registry is not None else load()
        self.runtime = Runtime(
            path,
            env=env if env is not None else os.environ,
            registry=registry,
            state=self.state,
            write_record=self.sink.write,
            lenient=lenient,
            swapped=self._serves,
        )
        self.urls: list[str] = []
        self.admin_urls: list[str] = []
        self.metrics = Metrics()
        self._endpoints = Endpoints({d.name: wire_of(d.cls) for d in registry.all("wire")})
        self._answerer = Answerer(self.metrics, IdSource(random.SystemRandom()))
        self._admin = Admin(self.runtime, self.metrics, lambda: not self._stopping)
        self._listen = listen
        self._watch = watch
        self._reuse_port = reuse_port
        self._runners: list[web.ServerRunner] = []
        self._sites: list[web.BaseSite] = []
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        self._reading = 0
        """Requests whose body is on its way: a stop waits for them, too."""
        self._trusted: tuple[tuple[str, ...], Test] = ((), networks(()))

    async def start(self) -> None:
        """Load the configuration and listen. Raises `ConfigError`, `ConfigUnreadable`, `OSError`."""
        generation = await self.runtime.start()
        settings = generation.loaded.settings
        self._refuse_to_be_open(settings)
        try:
            await self._open(settings.server)
        except BaseException:
            # Of several addresses one cannot be listened on: let go of the others.
            for runner in self._runners:
                await runner.cleanup()
            raise
        if self._watch:
            loop = asyncio.get_running_loop()
            self._watcher = loop.create_task(Watcher(self.runtime).run(), name="config-watcher")

    async def _open(self, server: Server) -> None:
        """Listen on all addresses."""
        split = server.admin != "same"
        data = await self._runner(self._data if split else self._both)
        for address in self._listen or server.listen:
            self.urls.append(await self._site(data, address))
        if split:
            admin = await self._runner(self._admin_only)
            self.admin_urls.append(await self._site(admin, server.admin))
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

    def _serves(self, generation: Generation) -> None:
        """What of the configuration is no part of a request: the log."""
        settings = generation.loaded.settings.log
        self.sink.configure(settings.level, settings.format)

    async def stop(self) -> None:
        """Stop listening, let running requests finish (at most `server.drain`), close everything. Twice is once."""
        if self._stopping:
            return
        self._stopping = True
        for site in self._sites:
            await site.stop()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._drain(self.runtime.generation.loaded.settings.server.drain)
        for runner in self._runners:
            await runner.cleanup()
        await self.runtime.close()
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
        return running + self._reading

    # ── listeners ────────────────────────────────────────────────────────────────────────────────

    async def _runner(self, handler: object) -> web.ServerRunner:
        server = web.Server(
            handler,  # type: ignore[arg-type]  # aiohttp's type is that of its own request factory
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=75,
            max_line_size=16 * 1024,
            max_field_size=64 * 1024,
        )
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        return runner

    async def _site(self, runner: web.ServerRunner, address: str) -> str:
        site: web.BaseSite
        if address.startswith("unix:"):
            site = web.UnixSite(runner, address.removeprefix("unix:"), backlog=BACKLOG)
            await site.start()
            self._sites.append(site)
            return address
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "0.0.0.0"  # ":port" asks for all addresses
        listener = _socket(host, int(port), self._reuse_port)
        site = web.SockSite(runner, listener, backlog=BACKLOG)
        await site.start()
        self._sites.append(site)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{listener.getsockname()[1]}"

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def _both(self, incoming: web.BaseRequest) -> web.StreamResponse:
        if incoming.path.startswith(ADMIN):
            return await self._admin.answer(incoming)
        return await self._data(incoming)

    async def _admin_only(self, incoming: web.BaseRequest) -> web.StreamResponse:
        return await self._admin.answer(incoming)

    async def _data(self, incoming: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(incoming)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed inside the gateway", incoming.method, printable(incoming.path))
            if incoming.writer.output_size:
                # An answer has begun: a second one would be read as a part of it, or as that of the next request.
                if incoming.transport is not None:
                    incoming.transport.close()
                raise ConnectionResetError from None
            return self._refuse(incoming, {}, _OURS)

    async def _answer(self, incoming: web.BaseRequest) -> web.StreamResponse:
        started = perf_counter()
        generation = self.runtime.generation
        path = incoming.path
        found = self._endpoints.find(path, incoming.query)
        extra = cors_headers(generation.loaded.settings.server.cors, incoming.headers)
        if self._stopping:
            extra["Connection"] = "close"
        if path in SHOW and incoming.method == "POST":
            return await self._show(incoming, extra)
        if found is None or incoming.method != "POST":
            return self._other(incoming, extra, known=found is not None)
        id = request_id(incoming.headers)
        try:
            body = await self._body(incoming, generation.loaded.settings.server.limits)
        except Refused as error:
            extra["Connection"] = "close"
            return self._refuse(incoming, extra, error.problem, id)
        # The body may have taken its time: the request begins now, on what serves now.
        generation = self.runtime.generation
        trusted = self._trust(generation.loaded.settings.server.trusted_proxies)
        request = to_request(incoming, body, id, started, trusted)
        exchange = generation.exchange(request, found.endpoint, found.peek, self._answerer.ids)
        exchange.array = found.array
        return await self._answerer.answer(incoming, generation, exchange, extra)

    async def _body(self, incoming: web.BaseRequest, limits: ServerLimits) -> bytes:
        """The whole body. Raises `Refused`, after which the connection is of no more use."""
        refused = self._over_limits(incoming, limits)
        if refused is not None:
            raise Refused(refused)
        self._reading += 1
        try:
            return await read_body(incoming, limits.body)
        except TooLarge as error:
            raise Refused(_too_large(limits.body)) from error
        except Slow as error:
            raise Refused(_SLOW) from error
        except Garbled as error:
            raise Refused(_GARBLED) from error
        finally:
            self._reading -= 1

    def _over_limits(self, incoming: web.BaseRequest, limits: ServerLimits) -> Problem | None:
        size = sum([len(name) + len(value) for name, value in incoming.raw_headers])
        if size > limits.headers:
            return _too_many_headers(limits.headers)
        if limits.connections and self._connections() > limits.connections:
            return _TOO_MANY_CONNECTIONS
        return None

    def _connections(self) -> int:
        return sum(len(runner.server.connections) for runner in self._runners if runner.server is not None)

    def _trust(self, proxies: tuple[str, ...]) -> Test:
        if self._trusted[0] is not proxies:
            self._trusted = (proxies, networks(proxies))
        return self._trusted[1]

    def _other(self, incoming: web.BaseRequest, extra: dict[str, str], *, known: bool) -> web.StreamResponse:
        """Everything that is not a call of a model: preflights, model lists, the front page, and what is not here."""
        method, path = incoming.method, incoming.path
        if method == "OPTIONS":
            cors = self.runtime.generation.loaded.settings.server.cors
            return web.Response(status=204, headers=cors_headers(cors, incoming.headers, preflight=True))
        if path == "/" and method in ("GET", "HEAD"):
            return self._front_page(incoming, extra)
        models = MODELS.fullmatch(path)
        if models is not None and method in ("GET", "HEAD"):
            return self._models(incoming, extra, models["base"] or models["tags"], models["model"])
        if path in FIXED and method in ("GET", "HEAD"):
            return self._json(incoming, extra, FIXED[path])
        if stored_responses.PATH.fullmatch(path):
            return self._stored(incoming, extra)
        if known or models is not None:
            allowed = "POST" if known else "GET, HEAD"
            extra["Allow"] = allowed
            problem = Problem(
                kind="method_not_allowed",
                code="method_not_allowed",
                message=f"{path} answers {allowed}, not {method}.",
            )
            return self._refuse(incoming, extra, problem)
        return self._refuse(incoming, extra, _no_such_path(method, path))

    def _models(
        self, incoming: web.BaseRequest, extra: dict[str, str], base: str | None, one: str | None
    ) -> web.Response:
        cards = self._cards(incoming)
        if isinstance(cards, Problem):
            return self._refuse(incoming, extra, cards)
        wire = self._endpoints.models_wire(base, incoming.headers)
        document = wire.write_models(cards)
        if one is not None:
            document = _one_of(document, cards, one)
            if not document:
                return self._refuse(incoming, extra, _no_such_model(one))
        return self._json(incoming, extra, document)

    def _caller(self, incoming: web.BaseRequest) -> Caller | None:
        """Who asks, where no pipeline does the asking. Raises `Refused`."""
        generation = self.runtime.generation
        trusted = self._trust(generation.loaded.settings.server.trusted_proxies)
        return generation.keyring.admit(
            incoming.headers,
            incoming.query,
            incoming.path,
            address_of(incoming, trusted),
            self.state.clock(),
        )

    def _cards(self, incoming: web.BaseRequest) -> list[ModelCard] | Problem:
        """What the calling key may use; or why it may not ask."""
        generation = self.runtime.generation
        try:
            caller = self._caller(incoming)
        except Refused as error:
            return error.problem
        providers = generation.directory.providers
        return [
            card
            for card in generation.directory.cards()
            if caller is None or _may_see(caller, card, card.owner in providers)
        ]

    def _stored(self, incoming: web.BaseRequest, extra: dict[str, str]) -> web.Response:
        """A response that the gateway keeps."""
        try:
            caller = self._caller(incoming)
        except Refused as error:
            return self._refuse(incoming, extra, error.problem)
        name = caller.name if caller is not None else ""
        found = stored_responses.answer(incoming.method, incoming.path, name, self.state.responses)
        if isinstance(found, Problem):
            if found.kind == "method_not_allowed":
                extra["Allow"] = "GET, DELETE"
            return self._refuse(incoming, extra, found)
        return self._json(incoming, extra, found)

    async def _show(self, incoming: web.BaseRequest, extra: dict[str, str]) -> web.Response:
        """One model, asked for by a name in the body."""
        cards = self._cards(incoming)
        if isinstance(cards, Problem):
            return self._refuse(incoming, extra, cards)
        most = self.runtime.generation.loaded.settings.server.limits.body
        try:
            name = asked_model(await read_body(incoming, most))
        except TooLarge:
            return self._refuse(incoming, extra | {"Connection": "close"}, _too_large(most))
        except Slow:
            return self._refuse(incoming, extra | {"Connection": "close"}, _SLOW)
        card = next((card for card in cards if card.id == name), None)
        if card is None:
            return self._refuse(incoming, extra, _no_such_model(name))
        return self._json(incoming, extra, write_model(card))

    def _json(
        self, incoming: web.BaseRequest, extra: dict[str, str], document: Mapping[str, object]
    ) -> web.Response:
        headers = {
            "Content-Type": "application/json",
            "X-Request-Id": request_id(incoming.headers),
            "X-OmniRoute-Config": self.runtime.generation.tag,
            **extra,
        }
        return web.Response(body=encode(document), headers=headers)

    def _front_page(self, incoming: web.BaseRequest, extra: dict[str, str]) -> web.Response:
        generation = self.runtime.generation
        facts = {
            "name": "OmniRoute",
            "version": __version__,
            "config": generation.tag,
            "endpoints": [
                "/v1/chat/completions",
                "/v1/responses",
                "/v1/messages",
                "/v1beta/models",
                "/api/chat",
                "/v1/models",
            ],
            "admin": "/-/health",
            "try": {"model": "demo"},
        }
        if "text/html" in incoming.headers.get("accept", ""):
            rows = "".join(f"<li><code>{html.escape(p)}</code></li>" for p in facts["endpoints"])
            page = (
                "<!doctype html><meta charset=utf-8><title>OmniRoute</title>"
                "<style>body{font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em}</style>"
                f"<h1>OmniRoute {html.escape(__version__)}</h1><p>The gateway is running, on configuration "
                f"<code>{html.escape(generation.tag)}</code>. Point an SDK or a coding CLI here; "
                f"the model <code>demo</code> always answers.</p><ul>{rows}</ul>"
            )
            return web.Response(text=page, content_type="text/html", headers=extra)
        return web.Response(body=encode(facts), headers={"Content-Type": "application/json", **extra})

    def _refuse(
        self, incoming: web.BaseRequest, extra: dict[str, str], problem: Problem, id: str | None = None
    ) -> web.Response:
        """An error before there is an exchange; logged like any other."""
        id = id if id is not None else request_id(incoming.headers)
        wire = self._endpoints.spoken_at(incoming.path, incoming.headers)
        log.info(
            "%s %s %s: %s (%s)",
            problem.http_status,
            incoming.method,
            printable(incoming.path),
            printable(problem.message),
            id,
        )
        headers = {
            "Content-Type": "application/json",
            "X-Request-Id": id,
            "X-OmniRoute-Config": self.runtime.generation.tag,
            **extra,
        }
        if problem.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(problem.retry_after))
        return web.Response(
            status=problem.http_status, body=encode(wire.write_error(problem, id)), headers=headers
        )


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


def _one_of(document: dict[str, object], cards: list[ModelCard], one: str) -> dict[str, object]:
    """The entry of one model in a list of any shape: lists keep the order of the cards."""
    wanted = one.removeprefix("models/")
    for rows in document.values():
        if isinstance(rows, list) and len(rows) == len(cards):
            for card, row in zip(cards, rows, strict=True):
                if card.id == wanted:
                    return dict(row)
    return {}


def _too_large(most: int) -> Problem:
    return Problem(
        kind="too_large",
        code="body_too_large",
        message=f"The request body is larger than {most} bytes (`server.limits.body`).",
    )


def _too_many_headers(most: int) -> Problem:
    return Problem(
        kind="too_large",
        code="headers_too_large",
        status=431,
        message=f"The request headers are larger than {most} bytes (`server.limits.headers`).",
    )


_TOO_MANY_CONNECTIONS = Problem(
    kind="unavailable",
    code="too_many_connections",
    message="The gateway has as many connections as it may have (`server.limits.connections`).",
    retry_after=1,
)
_OURS = Problem(
    kind="server",
    code="internal_error",
    message="The gateway failed on this request; its log has the details.",
)
_SLOW = Problem(
    kind="timeout", code="slow_body", status=408, message="The request body did not arrive in time."
)


_GARBLED = Problem(
    kind="invalid_request",
    code="invalid_encoding",
    message="The request body is not what its Content-Encoding or Transfer-Encoding says.",
)


def _may_see(caller: Caller, card: ModelCard, of_provider: bool) -> bool:
    """Whether a card belongs in the list of this key: what it may ask for, or reach at a provider."""
    return caller.may_use(card.id, card.id, card.owner) if of_provider else caller.may_ask(card.id)


def _no_such_path(method: str, path: str) -> Problem:
    return Problem(
        kind="not_found",
        code="unknown_path",
        message=f"There is no {method} {path[:200]}. See GET / for the endpoints.",
    )


def _no_such_model(name: str) -> Problem:
    return Problem(kind="model_not_found", code="model_not_found", message=f"There is no model {name!r}.")
