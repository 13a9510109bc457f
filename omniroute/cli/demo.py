"""`omniroute demo`: a gateway for a moment, and a streamed answer in each of the four formats."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from omniroute.registry import Registry, load
from omniroute.server.gateway import Gateway
from omniroute.server.log import LogSink
from omniroute.wire.bridge import SPLITTERS
from omniroute.wire.codec import Event, Wire
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    Delta,
    Doc,
    Failure,
    TextDelta,
    Usage,
    UsageDelta,
)

CONFIG = "version: 1\nproviders: {demo: {}}\n"
LISTEN = "127.0.0.1:0"
MODEL = "demo"
"""The model, and the provider's name before the others that it has."""
PROMPT = "Hello! Which format did I use?"


class Shown(NamedTuple):
    """A request to show: in which format, where to, and what."""

    wire: str
    path: str
    body: Callable[[str, str], Doc]


SHOWN = (
    Shown(
        "openai-chat",
        "/v1/chat/completions",
        lambda model, prompt: {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    Shown(
        "openai-responses",
        "/v1/responses",
        lambda model, prompt: {"model": model, "input": prompt, "stream": True},
    ),
    Shown(
        "anthropic-messages",
        "/v1/messages",
        lambda model, prompt: {
            "model": model,
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
        },
    ),
    Shown(
        "gemini",
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        lambda model, prompt: {"contents": [{"role": "user", "parts": [{"text": prompt}]}]},
    ),
)


class Heard:
    """What one format's stream has told so far."""

    def __init__(self) -> None:
        self.text = ""
        self.usage = Usage()
        self.error = ""

    def take(self, delta: Delta) -> str:
        """The text to show for a delta."""
        if isinstance(delta, UsageDelta):
            self.usage = delta.usage
        elif isinstance(delta, Failure):
            self.error = delta.message
        shown = _SHOW.get(type(delta), lambda _: "")(delta)
        self.text += shown
        return shown


_SHOW: dict[type, Callable[[Any], str]] = {
    TextDelta: lambda delta: delta.text,
    CallStart: lambda delta: f"\n  → calls {delta.name} ",
    CallDelta: lambda delta: delta.arguments,
}


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="see a streamed answer in every format, with no account",
        description="Run a gateway on a free port of this machine for a moment, with the built-in demo provider "
        "alone, and show a streamed answer in each of the four formats.",
        epilog='example: omniroute demo "Which formats do you speak?"',
    )
    parser.add_argument("prompt", nargs="?", default=PROMPT, help="what to say to the model")
    parser.add_argument(
        "--model", default=MODEL, help="demo, demo-fast, demo-slow, demo-cut or demo-error-429 (demo)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON when all have answered")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_demo(args))


async def _demo(args: argparse.Namespace) -> int:
    registry = load()
    told: dict[str, Heard] = {}
    async with _gateway(registry) as url, aiohttp.ClientSession(trust_env=False) as session:
        if not args.json:
            print(f"A gateway is on {url} for this moment, with the provider `demo` alone.")
        for shown in SHOWN:
            declaration = registry.find("wire", shown.wire)
            if declaration is None:
                raise RuntimeError(f"there is no wire format {shown.wire}")
            told[shown.wire] = await _show(session, url, shown, declaration.cls(), args)
    if args.json:
        print(json.dumps([_row(name, heard) for name, heard in told.items()]))
    elif not any(heard.error for heard in told.values()):
        print("\nRun `omniroute` to serve, and `omniroute connect` to point a coding CLI at it.")
    return 1 if any(heard.error for heard in told.values()) else 0


async def _show(
    session: aiohttp.ClientSession, url: str, shown: Shown, wire: Wire, args: argparse.Namespace
) -> Heard:
    model = args.model if args.model == MODEL else f"{MODEL}/{args.model}"
    path = shown.path.format(model=model)
    say = _silent if args.json else _say
    say(f"\n── {wire.name}: POST {path}\n")
    heard = Heard()
    async with session.post(url + path, json=shown.body(model, args.prompt)) as answer:
        if answer.status != 200:
            problem = wire.read_error(answer.status, {}, await answer.read())
            heard.error = f"{answer.status}: {problem.message}"
        else:
            async for delta in _deltas(answer, wire):
                say(heard.take(delta))
    usage = heard.usage
    say(
        f"\n   error: {heard.error}\n"
        if heard.error
        else f"\n   {usage.input} tokens in, {usage.output} out\n"
    )
    return heard


async def _deltas(answer: aiohttp.ClientResponse, wire: Wire) -> AsyncIterator[Delta]:
    splitter, reader = SPLITTERS[wire.framing](), wire.reader()
    async for chunk in answer.content.iter_any():
        for delta in _read(reader.feed, splitter.feed(chunk)):
            yield delta
    for delta in _read(reader.feed, splitter.end()):
        yield delta
    for delta in reader.end():
        yield delta


def _read(feed: Callable[[Event], Any], events: list[Event]) -> list[Delta]:
    return [delta for event in events for delta in feed(event)]


@asynccontextmanager
async def _gateway(registry: Registry) -> AsyncIterator[str]:
    """The address of a gateway that lives as long as the block, and logs nothing."""
    with tempfile.TemporaryDirectory(prefix="omniroute-demo-") as folder:
        path = Path(folder) / "omniroute.yaml"
        path.write_text(CONFIG, encoding="utf-8")
        gateway = Gateway(
            path, env={}, registry=registry, sink=LogSink(io.StringIO()), listen=(LISTEN,), watch=False
        )
        await gateway.start()
        try:
            yield gateway.urls[0]
        finally:
            await gateway.stop()


def _row(name: str, heard: Heard) -> Doc:
    usage = {"input": heard.usage.input, "output": heard.usage.output}
    return {"format": name, "text": heard.text, "usage": usage, "error": heard.error or None}


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _silent(text: str) -> None:
    """With --json nothing is shown before the end."""
