"""The current generation, and the one assignment that replaces it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from omniroute.catalog.read import read_catalogue
from omniroute.config.diff import differences, needs_restart
from omniroute.config.load import Draft, Loaded, Memory, draft, finish
from omniroute.engine.build import Workshop, build
from omniroute.engine.generation import Generation
from omniroute.errors import ConfigError, ConfigUnreadable, Finding
from omniroute.pipeline.record import Record
from omniroute.registry import Registry
from omniroute.state.state import State
from omniroute.transforms.expressions import condition
from omniroute.upstream.layers import Layers
from omniroute.upstream.transport import Transport

log = logging.getLogger("omniroute")


class ReloadResult(msgspec.Struct, kw_only=True):
    """What a reload came to. `ok` False: the last good generation goes on, `findings` say why."""

    ok: bool
    changed: bool
    generation: str
    changes: list[str] = []
    pending_restart: list[str] = []
    findings: list[Finding] = []
    error: str | None = None
    seconds: float = 0.0


class Runtime:
    """One gateway's configuration over time. `generation` is the current one; readers take it once a request.

    `swapped` is told of every generation that begins to serve; `layers` is what stands around transports; `stand_ins`
    makes up for secrets that are missing here.
    """

    def __init__(
        self,
        path: Path,
        *,
        env: Mapping[str, str],
        registry: Registry,
        state: State,
        write_record: Callable[[Record], None],
        lenient: bool = False,
        swapped: Callable[[Generation], None] | None = None,
        layers: Layers | None = None,
        stand_ins: bool = False,
    ) -> None:
        self.path = path
        self.state = state
        self.registry = registry
        self.last_result: ReloadResult | None = None
        self.last_success = 0.0
        self._env = env
        self._lenient = lenient
        self._stand_ins = stand_ins
        self._swapped = swapped
        self._latest: Draft | None = None
        self._lock = asyncio.Lock()
        # Shipped with the program: read once, not at each reload.
        self._catalogue = read_catalogue()
        self._memory = Memory()
        self._transports: dict[str, Transport] = {}
        self._workshop = Workshop(registry, state, self._transport, write_record, layers or Layers())
        self._generation: Generation | None = None
        self._started_with: Loaded | None = None
        self._older: list[Generation] = []
        self._moved = asyncio.Condition()

    @property
    def generation(self) -> Generation:
        if self._generation is None:
            raise RuntimeError("the runtime has not been started")
        return self._generation

    @property
    def draining(self) -> list[Generation]:
        """Older generations that still have requests on them."""
        self._let_go()
        return self._older

    def _let_go(self) -> None:
        """Generations that nobody is on any more are freed at once, and wait for no collector."""
        for generation in self._older:
            if not generation.running:
                generation.directory.release()
        self._older = [g for g in self._older if g.running]

    async def start(self) -> Generation:
        """Load and compile for the first time. Raises `ConfigError`, `ConfigUnreadable`: at the start a bad file is fatal."""
        loaded = self._load()
        generation = build(loaded, 1, self._workshop)
        self._generation = generation
        if self._swapped is not None:
            self._swapped(generation)
        self._started_with = loaded
        self.last_success = time.time()
        self.last_result = ReloadResult(ok=True, changed=True, generation=generation.tag)
        return generation

    async def reload(self, *, force: bool = False) -> ReloadResult:
        """Load, check, compile, swap; only the swap touches traffic. A bad file changes nothing."""
        async with self._lock, _brisk():
            began = time.perf_counter()
            result = await self._reload(force)
            result.seconds = round(time.perf_counter() - began, 4)
            self.last_result = result
            _tell(result)
            return result

    async def _reload(self, force: bool) -> ReloadResult:
        current = self.generation
        try:
            loaded = await asyncio.to_thread(self._load)
            if loaded.digest == current.digest and not force:
                return ReloadResult(ok=True, changed=False, generation=current.tag)
            generation = await asyncio.to_thread(build, loaded, current.number + 1, self._workshop)
            changes, pending = await asyncio.to_thread(self._differences, current.loaded, loaded)
        except ConfigError as error:
            return ReloadResult(ok=False, changed=False, generation=current.tag, findings=error.findings)
        except ConfigUnreadable as error:
            return ReloadResult(ok=False, changed=False, generation=current.tag, error=str(error))
        except Exception as error:
            # A component (it may be a plugin) failed to build: that, too, must leave the last good generation alone.
            log.exception("the configuration cannot be compiled")
            message = f"it cannot be compiled ({type(error).__name__}); the log has the details"
            return ReloadResult(ok=False, changed=False, generation=current.tag, error=message)
        self._generation = generation
        self._older.append(current)
        self._let_go()
        if self._swapped is not None:
            self._swapped(generation)
        self.last_success = time.time()
        async with self._moved:
            self._moved.notify_all()
        return ReloadResult(
            ok=True,
            changed=True,
            generation=generation.tag,
            changes=changes,
            pending_restart=pending,
            findings=list(loaded.findings),
        )

    def _differences(self, old: Loaded, new: Loaded) -> tuple[list[str], list[str]]:
        """What changed, and what of it waits for a restart."""
        first = self._started_with or old
        return differences(old.settings, new.settings), needs_restart(first.settings, new.settings)

    def _load(self) -> Loaded:
        self._latest = draft(
            self.path,
            env=self._env,
            registry=self.registry,
            lenient=self._lenient,
            catalogue=self._catalogue,
            condition=condition,
            memory=self._memory,
            stand_ins=self._stand_ins,
        )
        loaded = finish(self._latest)
        # Of the steps of the load only the last is asked for again; the others end here, beside the loop.
        self._latest = self._latest.light()
        return Loaded(loaded.settings, loaded.findings, self._latest)

    @property
    def files(self) -> frozenset[Path]:
        """What to watch: the files of the generation that serves, and those of a later one that was refused."""
        latest = self._latest.files if self._latest is not None else frozenset()
        return self.generation.loaded.files | latest

    @property
    def globs(self) -> tuple[str, ...]:
        """The patterns of includes to watch, likewise."""
        latest = self._latest.globs if self._latest is not None else ()
        return tuple(dict.fromkeys((*self.generation.loaded.globs, *latest)))

    async def wait_for(self, digest: str, seconds: float) -> bool:
        """Until the generation with this digest (or its beginning) serves; False when it did not come in time."""
        return await self.until(lambda g: g.digest.startswith(digest) or g.tag == digest, seconds)

    async def until(self, holds: Callable[[Generation], bool], seconds: float) -> bool:
        """Until a generation serves for which `holds` is true; False when none came in time."""
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: holds(self.generation))
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()

    def _transport(self, kind: str) -> Transport:
        """One transport a kind for the whole life of the process: connection pools outlive generations."""
        found = self._transports.get(kind)
        if found is None:
            declaration = self.registry.find("transport", kind)
            if declaration is None:
                raise ConfigError([Finding(code="OR1901", message=f"there is no transport {kind!r}")])
            found = self._transports[kind] = declaration.cls().build()
        return found


TURN = 0.0005
"""Seconds after which the thread that compiles gives way to the one that serves; Python's own 5 ms add up."""


@asynccontextmanager
async def _brisk() -> AsyncIterator[None]:
    """While this lasts, the threads of the process take short turns, and no collection of garbage stops them all.

    What a load makes is either kept or freed without the collector; looking through it half-way is in vain.
    """
    usual, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(min(usual, TURN))
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
        if collects:
            gc.enable()


def _tell(result: ReloadResult) -> None:
    if not result.ok:
        log.error("config not loaded, %s goes on:", result.generation)
        for finding in result.findings:
            if finding.severity == "error":
                log.error("  %s [%s]", finding, finding.code)
        if result.error:
            log.error("  %s", result.error)
        return
    if not result.changed:
        return
    log.info("config %s serves (%d ms)", result.generation, round(result.seconds * 1000))
    for line in result.changes:
        log.info("  %s", line)
    for path in result.pending_restart:
        log.warning("  %s changed: it takes effect at the next restart", path)
