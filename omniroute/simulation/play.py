"""Plays the tests of a file: each in a gateway of its own, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from time import perf_counter
from typing import Any

import msgspec

from omniroute import virtual_time
from omniroute.catalog.read import read_catalogue
from omniroute.config.case_file import Tests, begins, check_names, read_tests
from omniroute.config.cases import Asked, Case, Moment
from omniroute.config.load import Loaded
from omniroute.config.marks import Map, Path, plain, written
from omniroute.config.settings import Provider
from omniroute.registry import Registry
from omniroute.server.endpoints import Endpoints
from omniroute.simulation.coverage import Seen
from omniroute.simulation.gateway import Answered, Asking, SimulatedGateway
from omniroute.simulation.judge import Happened, misses
from omniroute.simulation.placeholders import key_of, load_made_up
from omniroute.simulation.upstream import Scene, ScriptedTransport, Sent
from omniroute.upstream.transport import Transport

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a test expected and that is not so. `place` is `file:line:column`."""

    place: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.message}"


@dataclass(slots=True)
class Verdict:
    """What a test came to. `seconds` is real time."""

    file: str
    name: str
    place: str
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.failures


class Player:
    """Plays files of tests. Configurations are loaded once for each set of variables."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.seen: dict[FilePath, Seen] = {}
        self._catalogue = read_catalogue()
        self._loaded: dict[Any, Loaded] = {}
        self._builtin: dict[str, Transport] = {
            d.name: d.cls().build() for d in registry.all("transport") if d.name == "demo"
        }

    def load(self, path: FilePath, config: FilePath | None = None) -> Tests:
        """The tests of a file, checked against their configuration. Raises `ConfigError`, `ConfigUnreadable`."""
        tests = read_tests(path, self.registry, config)
        check_names(tests, self._config(tests, tests.file.env).settings)
        return tests

    def play(self, tests: Tests, wanted: str = "") -> Iterator[Verdict]:
        """The verdicts, one after the other; of the tests whose name holds `wanted`. Raises `ConfigError`."""
        for number, case in enumerate(tests.file.tests):
            if wanted.lower() in case.name.lower():
                yield self._verdict(tests, number, case)

    def _verdict(self, tests: Tests, number: int, case: Case) -> Verdict:
        loaded = self._config(tests, {**tests.file.env, **case.env})
        at: Path = ("tests", number)
        verdict = Verdict(str(tests.path), case.name, str(tests.mark((*at, "name"))))
        began = perf_counter()
        seen = self.seen.setdefault(tests.config, Seen(loaded))
        play = _Play(self, tests, at, case, loaded, verdict, seen)
        with _listening() as play.heard:
            try:
                virtual_time.run(play.through(), start=begins(case))
            except virtual_time.Stuck:
                play.fail(
                    at, "nothing happens any more: an answer never comes, and no deadline ends the wait"
                )
        verdict.seconds = perf_counter() - began
        return verdict

    def _config(self, tests: Tests, env: dict[str, str]) -> Loaded:
        key = (tests.config, tuple(sorted(env.items())))
        found = self._loaded.get(key)
        if found is None:
            found = load_made_up(tests.config, env, self.registry, self._catalogue)
            self._loaded[key] = found
        return found

    def transport(self, provider: str, settings: Provider, scene: Scene) -> Transport:
        """Scripted, but for a built-in model that has no script: that one answers by itself."""
        builtin = self._builtin.get(settings.transport)
        if builtin is not None and provider not in scene.scripts:
            return builtin
        return ScriptedTransport(provider, scene)


@dataclass(slots=True)
class _Play:
    """One test on its way."""

    player: Player
    tests: Tests
    at: Path
    case: Case
    loaded: Loaded
    verdict: Verdict
    seen: Seen
    heard: list[str] = field(default_factory=list)
    """What the gateway logged of failures of its own."""

    async def through(self) -> None:
        case = self.case
        scene = Scene(virtual_time.clock, {**self.tests.file.upstreams, **case.upstreams})
        gateway = SimulatedGateway(
            self.loaded,
            self.player.registry,
            lambda name, settings: self.player.transport(name, settings, scene),
            virtual_time.clock,
            case.seed,
        )
        for path, moment in self._moments():
            await asyncio.sleep(moment.advance)
            scene.rewrite(moment.upstreams)
            for _ in range(moment.times):
                await self._one(gateway, scene, path, moment)
                if not self.verdict.ok:
                    return

    def _moments(self) -> Iterator[tuple[Path, Moment]]:
        if self.case.request is not None:
            yield self.at, Moment(request=self.case.request, expect=self.case.expect)
        for number, moment in enumerate(self.case.requests):
            yield (*self.at, "requests", number), moment

    async def _one(self, gateway: SimulatedGateway, scene: Scene, path: Path, moment: Moment) -> None:
        before, began = len(scene.sent), virtual_time.clock()
        answered = await gateway.ask(asking(moment.request, gateway.endpoints))
        self.seen.learn(answered)
        last: dict[str, Sent] = {sent.provider: sent for sent in scene.sent}
        happened = Happened(answered, scene.sent[before:], last, virtual_time.clock() - began)
        for miss in misses(moment.expect, happened):
            self.fail((*path, "expect", *miss.path), str(miss), happened=answered)
        for provider in dict.fromkeys(scene.unscripted):
            self.fail(path, f"{provider} was asked, and the test has no answer of it in `upstreams`")

    def fail(self, path: Path, message: str, happened: Answered | None = None) -> None:
        where = self.tests.mark(path)
        if happened is not None and path[-1] == "status" and happened.record is not None:
            told = self.heard[-1] if self.heard else happened.record.message
            message += f" ({told})" if told else ""
        self.verdict.failures.append(Failure(str(where), written(path[2:]) or "request", message))


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """The log of the gateway goes nowhere, but for what failed inside of it."""
    heard: list[str] = []
    logger = logging.getLogger("omniroute")
    handler = _Failures(heard)
    before, propagate = logger.handlers[:], logger.propagate
    logger.handlers, logger.propagate = [handler], False
    try:
        yield heard
    finally:
        logger.handlers, logger.propagate = before, propagate


class _Failures(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self._heard.append(f"{type(error).__name__}: {error}")


def asking(asked: Asked, endpoints: Endpoints) -> Asking:
    """The request of a test as it comes over HTTP."""
    headers = {"content-type": "application/json", **asked.headers}
    if asked.key is not None:
        headers["authorization"] = f"Bearer {key_of(asked.key)}"
    raw = _body(asked, endpoints) if asked.method == "POST" else b""
    return Asking(path=asked.path, body=raw, method=asked.method, headers=headers, ip=asked.ip)


def _body(asked: Asked, endpoints: Endpoints) -> bytes:
    return asked.body.encode() if isinstance(asked.body, str) else encode(_document(asked, endpoints))


def _document(asked: Asked, endpoints: Endpoints) -> dict[str, Any]:
    body = plain(asked.body) if isinstance(asked.body, Map | dict) else {}
    found = endpoints.find(asked.path.partition("?")[0], {})
    name = found.endpoint.wire.name if found is not None else "openai-chat"
    question = QUESTIONS.get(name, QUESTIONS["openai-chat"])(asked.text) if asked.body is None else {}
    document = {**question, **body}
    if found is None or found.peek is None:
        document |= {"model": asked.model} if asked.model is not None else {}
        document |= {"stream": asked.stream} if asked.stream is not None else {}
    return document


def _messages(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


QUESTIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "openai-chat": _messages,
    "ollama": _messages,
    "anthropic-messages": lambda text: {"max_tokens": 1000, **_messages(text)},
    "openai-responses": lambda text: {"input": text},
    "gemini": lambda text: {"contents": [{"role": "user", "parts": [{"text": text}]}]},
}
"""A plain question in each format that clients speak."""
