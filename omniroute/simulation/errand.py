"""A gateway for the time of one command: what it was asked meanwhile, what that cost, and whether it may."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omniroute.config.cassettes import Cassette
from omniroute.config.settings import Settings
from omniroute.pipeline.record import Record
from omniroute.server.gateway import Gateway
from omniroute.server.log import LogSink
from omniroute.upstream.layers import Layers

NO_KEY = "omniroute"
"""What a client presents to a gateway without keys: SDKs insist on some key."""


class NoKey(Exception):
    """The gateway has keys, and none whose value is known."""


@dataclass(frozen=True, slots=True)
class Row:
    """The calls of one target. `cost` in USD; `unpriced` are calls whose cost nobody knows."""

    target: str
    calls: int = 0
    failed: int = 0
    input: int = 0
    output: int = 0
    cost: float = 0.0
    unpriced: int = 0


@dataclass(slots=True)
class Ledger:
    """The requests of an errand."""

    records: list[Record] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """By target, in the order in which they were met."""
        rows: dict[str, Row] = {}
        for record in self.records:
            target = record.target or "(none)"
            rows[target] = _with(rows.get(target, Row(target)), record)
        return list(rows.values())

    def total(self) -> Row:
        total = Row("total")
        for record in self.records:
            total = _with(total, record)
        return total

    def misses(self) -> list[str]:
        """What a cassette did not have."""
        return [r.message or "" for r in self.records if r.error == "cassette_miss"]


def _with(row: Row, record: Record) -> Row:
    answered = record.status < 300
    return Row(
        row.target,
        row.calls + 1,
        row.failed + (not answered),
        row.input + (record.input_tokens or 0),
        row.output + (record.output_tokens or 0),
        row.cost + (record.cost or 0.0),
        row.unpriced + (answered and record.cost is None),
    )


class _Keeping(LogSink):
    """Keeps the lines of the log instead of writing them."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__(io.StringIO())
        self._records = records

    def write(self, record: Record) -> None:
        self._records.append(record)


@contextlib.asynccontextmanager
async def errand(
    config: Path, ledger: Ledger, cassette: Cassette | None, *, listen: str = "127.0.0.1:0"
) -> AsyncIterator[Gateway]:
    """A gateway on a free port, with a state of its own. With a cassette to play from, secrets that are missing are
    made up. Raises `ConfigError`, `ConfigUnreadable`."""
    gateway = Gateway(
        config,
        sink=_Keeping(ledger.records),
        listen=(listen,),
        watch=False,
        layers=Layers(cassette),
        stand_ins=cassette is not None and cassette.mode == "replay",
        lasting=False,
    )
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


def key_for_clients(settings: Settings, name: str | None) -> str:
    """The value of the key of that name, else of the first that may call models. Raises `NoKey`."""
    if name is None and not settings.keys:
        return NO_KEY
    usable = [n for n, k in settings.keys.items() if k.enabled and "use" in k.scopes and k.key]
    chosen = name if name is not None else next(iter(usable), None)
    key = settings.keys.get(chosen) if chosen is not None else None
    if key is None:
        raise NoKey(f"there is no key {name!r}" if name else "no key of the configuration has a value here")
    if not key.key:
        raise NoKey(f"the configuration has only the hash of the key {chosen!r}: its value is not known here")
    return key.key.reveal()


def environment(base: Mapping[str, str], url: str, key: str) -> dict[str, str]:
    """What points SDKs and coding CLIs at the gateway."""
    return {
        **base,
        "OMNIROUTE_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_AUTH_TOKEN": key,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": key,
        "GOOGLE_API_KEY": key,
        "OLLAMA_HOST": url,
    }


async def run_command(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end; signals go on to it. Its exit code, 128 + N when signal N ended it. Raises `OSError`."""
    process = await asyncio.create_subprocess_exec(*command, env=dict(env))
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, _pass_on, process, name)
    try:
        code = await process.wait()
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
    return 128 - code if code < 0 else code


def _pass_on(process: asyncio.subprocess.Process, name: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(name)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")
