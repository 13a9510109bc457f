"""What the pieces of the data path cost, without a network: CPU time in microseconds, the best of several rounds.

python benchmarks/micro.py [WORD ...] [--json FILE]        only those whose name holds a word
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from multidict import CIMultiDict

from omniroute.registry import load
from omniroute.routing.facts import facts_of
from omniroute.routing.plan import plan
from omniroute.server.gateway import Gateway
from omniroute.server.incoming import Incoming
from omniroute.server.log import LogSink
from omniroute.upstream.transport import Inbound, Outbound
from omniroute.wire.bridge import SPLITTERS, CrossTap, WatchTap
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import Notes
from omniroute.wire.names import NameMap
from omniroute.wire.splice import replace_model

ROUNDS = 7
SECONDS = 0.12
"""How long a round takes, about."""

CONFIG = """
version: 1
store: memory
auth: {required: true}
keys: {bench: {key: bench-key-0123456789}}
providers:
  oai: {format: openai-chat, base_url: "http://127.0.0.1:9/v1", models: {"*": {}}, accounts: {a: {key: k1}, b: {key: k2}}}
  anth: {format: anthropic-messages, base_url: "http://127.0.0.1:9/v1", models: {"*": {}}, accounts: {a: {key: k1}}}
combos: {both: [oai/m, anth/m]}
"""

TEXT = "The quick brown fox jumps over the lazy dog. "
PLAIN = {
    "openai-chat": b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hello there, this is an answer."},"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":120,"completion_tokens":9,"total_tokens":129}}',
    "anthropic-messages": b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":'
    b'"Hello there, this is an answer."}],"stop_reason":"end_turn","usage":{"input_tokens":120,"output_tokens":9}}',
}
CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
BLOCK = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}\n\n'
)
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"m","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
)


def request(size: int, model: str, wire: str) -> bytes:
    """A chat of about so many bytes, with tools once it is large, as a coding agent sends."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": TEXT * 12}]
    tools: list[dict[str, Any]] = []
    schema = {
        "type": "object",
        "properties": {f"p{n}": {"type": "string", "description": TEXT} for n in range(6)},
    }
    while len(json.dumps([messages, tools])) < size - 500:
        name = f"tool_{len(tools)}"
        if len(tools) < 20 and size > 10_000:
            tools.append(
                {
                    "type": "function",
                    "function": {"name": name, "description": TEXT * 6, "parameters": schema},
                }
                if wire == "openai-chat"
                else {"name": name, "description": TEXT * 6, "input_schema": schema}
            )
        messages.append({"role": ("assistant", "user")[len(messages) % 2 == 0], "content": TEXT * 8})
    body = {"model": model, "max_tokens": 1024, "messages": messages, **({"tools": tools} if tools else {})}
    return json.dumps(body).encode()


class CannedInbound:
    """An answer that is there."""

    def __init__(self, body: bytes) -> None:
        self.status = 200
        self.headers = {"content-type": "application/json"}
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        """There is nothing to let go of."""


class CannedTransport:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def send(self, outbound: Outbound) -> Inbound:
        return CannedInbound(self._body)

    async def close(self) -> None:
        """There is nothing to let go of."""


class Nobody:
    """In the place of a connection."""

    remote = "127.0.0.1"
    full = False
    said = b""

    def write(self, data: bytes) -> None:
        self.said = data

    def write_both(self, head: bytes, body: bytes) -> None:
        self.said = head


def measure(run: Callable[[int], None]) -> float:
    """Microseconds of CPU that one turn of `run(turns)` takes."""
    turns, began = 1, 0.0
    while True:
        began = time.process_time()
        run(turns)
        took = time.process_time() - began
        if took > SECONDS / 4:
            break
        turns *= 4
    turns = max(1, int(turns * SECONDS / took))
    best = took / turns * 10
    for _ in range(ROUNDS):
        began = time.process_time()
        run(turns)
        best = min(best, (time.process_time() - began) / turns)
    return best * 1e6


def plain(call: Callable[[], object]) -> float:
    def run(turns: int) -> None:
        for _ in range(turns):
            call()

    return measure(run)


def awaited(loop: asyncio.AbstractEventLoop, call: Callable[[], Awaitable[object]]) -> float:
    async def many(turns: int) -> None:
        for _ in range(turns):
            await call()

    return measure(lambda turns: loop.run_until_complete(many(turns)))


def codecs() -> Iterator[tuple[str, Callable[[], float]]]:
    wires = {d.name: d.cls() for d in load().all("wire")}

    def cross(source: str, target: str, first: bytes, chunk: bytes) -> Callable[[], float]:
        reference = Reference(
            model="m", request={"model": "m"}, created=1, new_id=lambda prefix: prefix + "1"
        )
        tap = CrossTap(wires[source], wires[target].writer(reference, Notes()), NameMap({}, None, None))
        tap.feed(first)
        return lambda: plain(lambda: tap.feed(chunk))

    yield "event: openai → anthropic", cross("openai-chat", "anthropic-messages", CHUNK, CHUNK)
    yield "event: anthropic → openai", cross("anthropic-messages", "openai-chat", START, BLOCK)
    watch = WatchTap(wires["openai-chat"], "req_1")
    yield "event: openai watched", lambda: plain(lambda: watch.feed(CHUNK))
    watched = WatchTap(wires["anthropic-messages"], "req_1")
    yield "event: anthropic watched", lambda: plain(lambda: watched.feed(BLOCK))
    splitter = SPLITTERS["sse"]()
    yield "event: split only", lambda: plain(lambda: splitter.feed(CHUNK))


def splices() -> Iterator[tuple[str, Callable[[], float]]]:
    wire = {d.name: d.cls() for d in load().all("wire")}["openai-chat"]
    for size in (1_000, 100_000, 10_000_000):
        raw = request(min(size, 100_000), "alias", "openai-chat")
        if size > 100_000:
            raw = raw[:-1] + b',"image":"' + b"A" * size + b'"}'
        yield f"splice: {size // 1000} KB", partial(plain, partial(replace_model, raw, "alias", "m"))
        yield f"peek: {size // 1000} KB", partial(plain, partial(wire.peek, raw))


def pipelines(loop: asyncio.AbstractEventLoop, folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    file = folder / "omniroute.yaml"
    file.write_text(CONFIG)
    out = open(os.devnull, "w")  # for the life of the process
    gateway = Gateway(file, env={}, sink=LogSink(out), listen=("127.0.0.1:0",), watch=False)
    loop.run_until_complete(gateway.start())
    transports = gateway.runtime._transports

    def asked(size: int, client: str, upstream: str) -> Callable[[], Awaitable[object]]:
        path = "/v1/chat/completions" if client == "openai-chat" else "/v1/messages"
        provider = "oai" if upstream == "openai-chat" else "anth"
        raw = request(size, f"{provider}/m", client)
        headers = CIMultiDict(
            {
                "host": "127.0.0.1",
                "authorization": "Bearer bench-key-0123456789",
                "content-type": "application/json",
                "user-agent": "bench/1",
                "accept": "*/*",
                "content-length": str(len(raw)),
            }
        )
        canned, nobody = CannedTransport(PLAIN[upstream]), Nobody()

        async def ask() -> None:
            transports["http"].send = canned.send  # type: ignore[method-assign]
            incoming = Incoming(nobody, "POST", path, headers, 200, "1.1", True)  # type: ignore[arg-type]
            incoming.arrived(raw)
            incoming.ended()
            answer = await gateway.data_plane.answer(incoming)
            assert answer is None, answer.body
            assert nobody.said.startswith(b"HTTP/1.1 200"), nobody.said

        return ask

    for name, size, client, upstream in (
        ("same 1 KB", 1_000, "openai-chat", "openai-chat"),
        ("same 100 KB", 100_000, "openai-chat", "openai-chat"),
        ("openai → anthropic 1 KB", 1_000, "openai-chat", "anthropic-messages"),
        ("anthropic → openai 1 KB", 1_000, "anthropic-messages", "openai-chat"),
        ("anthropic → openai 100 KB", 100_000, "anthropic-messages", "openai-chat"),
    ):
        yield f"pipeline: {name}", partial(awaited, loop, asked(size, client, upstream))

    generation = gateway.runtime.generation
    state = generation.directory, gateway.state

    def planned(model: str) -> Callable[[], object]:
        from omniroute.pipeline.exchange import Request

        found = gateway.data_plane.endpoints.find("/v1/chat/completions", {})
        assert found is not None
        made = Request(
            method="POST",
            path="/v1/chat/completions",
            query={},
            headers={},
            body=request(1000, model, "openai-chat"),
            client_ip="",
            id="r",
            received=0.0,
            started=0.0,
        )
        exchange = generation.exchange(made, found.endpoint, None, gateway.data_plane._answerer.ids)
        return lambda: plan(state[0], facts_of(exchange), state[1], now=state[1].clock(), dice=state[1].dice)

    yield "plan: one target", lambda: plain(planned("oai/m"))
    yield "plan: combo of two", lambda: plain(planned("both"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    loop = _loop()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        print(f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})\n")
        for name, run in (*codecs(), *splices(), *pipelines(loop, Path(folder))):
            if options.words and not any(word in name for word in options.words):
                continue
            found[name] = round(run(), 2)
            print(f"{found[name]:10.2f} µs  {name}", flush=True)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    return 0


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


if __name__ == "__main__":
    sys.exit(main())
