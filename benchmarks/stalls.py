"""How long big bodies hold up the others: the longest time in which the gateway's loop gave nobody else a turn.

python benchmarks/stalls.py [WORD ...] [--rounds 5] [--sizes 10,50] [--python PYTHON] [--json FILE]

A gateway with its real server in one process, a fake upstream in another, requests from a third. A timer of 1 ms on the
gateway's loop notes how late it was, and how much CPU time the loop's thread used since it was last called: the second
figure is free of what the neighbours on the machine do.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gzip
import http.client
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MB = 10**6
TICK = 0.001
"""Seconds between two ticks."""
KEY = "bench-key-0123456789"
PNG = "iVBORw0KGgoA"
AIM = 20
"""Milliseconds that no step may take."""

CONFIG = """
version: 1
server: {{listen: '127.0.0.1:{port}', limits: {{body: 100MB}}}}
store: memory
log: {{level: error}}
keys: {{bench: {{key: {key}}}}}
providers:
  same: {{format: openai-chat, base_url: 'http://127.0.0.1:{upstream}/small/v1', accounts: {{a: {{key: k}}}}, models: {{m: {{}}}}}}
  tls: {{format: openai-chat, base_url: 'https://localhost:{tls}/small/v1', accounts: {{a: {{key: k}}}}, models: {{m: {{}}}}}}
  other: {{format: anthropic-messages, base_url: 'http://127.0.0.1:{upstream}/small/v1', accounts: {{a: {{key: k}}}}, models: {{m: {{}}}}}}
  big: {{format: openai-chat, base_url: 'http://127.0.0.1:{upstream}/big/v1', accounts: {{a: {{key: k}}}}, models: {{m10: {{}}, m50: {{}}}}}}
  zipped: {{format: openai-chat, base_url: 'http://127.0.0.1:{upstream}/zip/v1', accounts: {{a: {{key: k}}}}, models: {{m10: {{}}, m50: {{}}}}}}
  foreign: {{format: gemini, base_url: 'http://127.0.0.1:{upstream}/big/v1', accounts: {{a: {{key: k}}}}, models: {{m10: {{}}, m50: {{}}}}}}
"""


class Case(NamedTuple):
    """A request. `size` is that of its body, or, where `answer` says so, that of what comes back."""

    name: str
    model: str
    headers: dict[str, str] = {}
    zipped: bool = False
    answer: bool = False


CASES = [
    Case("request, same format", "same/m"),
    Case("request, same format, gzip", "same/m", zipped=True),
    Case("request, same format, Idempotency-Key", "same/m", {"Idempotency-Key": "{unique}"}),
    Case("request, same format, to TLS", "tls/m"),
    Case("request, translated", "other/m"),
    Case("answer, same format", "big/m{size}", answer=True),
    Case("answer, same format, gzip", "zipped/m{size}", answer=True),
    Case("answer, translated", "foreign/m{size}", answer=True),
]


class Ready(NamedTuple):
    """The ports of all that runs. `told` is where the gateway tells its longest stall since it was last asked."""

    gateway: int
    told: int


# ── the gateway ──────────────────────────────────────────────────────────────────────────────────


class Ticker:
    """Notes the longest time between two turns of a timer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reset()
        self._loop.call_later(TICK, self._tick)

    def _reset(self) -> None:
        self.wall = self.cpu = 0.0
        self._at, self._used = time.perf_counter(), time.thread_time()

    def _tick(self) -> None:
        now, used = time.perf_counter(), time.thread_time()
        self.wall = max(self.wall, now - self._at - TICK)
        self.cpu = max(self.cpu, used - self._used)
        self._at, self._used = now, used
        self._loop.call_later(TICK, self._tick)

    async def tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps({"wall": self.wall * 1000, "cpu": self.cpu * 1000}).encode())
        self._reset()
        writer.close()


async def gateway(config: str, told: int) -> None:
    from omniroute.server.gateway import Gateway

    serving = Gateway(Path(config), watch=False)
    await serving.start()
    ticker = Ticker()
    async with await asyncio.start_server(ticker.tell, "127.0.0.1", told):
        print("ready", flush=True)
        await asyncio.Event().wait()


# ── the upstream ─────────────────────────────────────────────────────────────────────────────────


def picture(mb: float) -> str:
    """Base64 of so many megabytes, about, that begins like a PNG."""
    return PNG + base64.b64encode(os.urandom(30_000)).decode() * round(mb * MB / 40_000)


def answer_of(path: str, image: str) -> bytes:
    if path.endswith("/messages"):
        usage = {"input_tokens": 9, "output_tokens": 9}
        told: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
        content = [{"type": "text", "text": "Hello."}]
        return json.dumps(told | {"content": content, "stop_reason": "end_turn", "usage": usage}).encode()
    if ":generateContent" in path:
        parts = [{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": image}}]
        told = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
        return json.dumps({"candidates": [told], "usageMetadata": usage, "modelVersion": "m"}).encode()
    images = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}] if image else []
    message = {"role": "assistant", "content": "Here.", "images": images}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    told = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    return json.dumps(told | {"choices": choices}).encode()


class Upstream(asyncio.Protocol):
    """Reads a request without looking at it, and gives the answer that its path and model ask for."""

    made: dict[tuple[str, str], bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._head = b""
        self._left = 0
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        if not self._answer:
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return
            head, _, data = self._head.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            self._left = int(length[1]) if length is not None else 0
            path = head.split(b" ")[1].decode()
            model = re.search(r"m10|m50", path + data[:4096].decode("latin-1"))
            self._answer = self._made(path, model[0] if model else "")
        self._left -= len(data)
        if self._left <= 0:
            self._transport.write(self._answer)  # type: ignore[attr-defined]  # a stream's transport
            self._head, self._answer = b"", b""

    def _made(self, path: str, model: str) -> bytes:
        if (path, model) not in self.made:
            small = path.startswith("/small")
            body = answer_of(path, "" if small else picture(int(model[1:])))
            coding = ""
            if path.startswith("/zip"):
                body, coding = gzip.compress(body, 1), "Content-Encoding: gzip\r\n"
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{coding}Content-Length: {len(body)}\r\n\r\n"
            self.made[path, model] = head.encode() + body
        return self.made[path, model]


async def upstream(port: int, tls: int, certificate: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.replace(".pem", ".key"))
    async with (
        await loop.create_server(Upstream, "127.0.0.1", port),
        await loop.create_server(Upstream, "127.0.0.1", tls, ssl=context),
    ):
        print("ready", flush=True)
        await asyncio.Event().wait()


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def body_of(case: Case, size: int) -> bytes:
    content: Any = "Draw me a sheep."
    if not case.answer:
        url = {"url": "data:image/png;base64," + picture(size)}
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
    model = case.model.format(size=size)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": content}]}).encode()
    return gzip.compress(body, 1) if case.zipped else body


def ask(port: int, case: Case, body: bytes, number: int) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    headers |= {name: value.format(unique=number) for name, value in case.headers.items()}
    if case.zipped:
        headers["Content-Encoding"] = "gzip"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/chat/completions", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200 or not text:
        raise RuntimeError(f"{case.name}: {answer.status} {text[:300]!r}")
    connection.close()


def stall(port: int) -> dict[str, float]:
    with socket.create_connection(("127.0.0.1", port)) as asked:
        found: dict[str, float] = json.loads(asked.makefile("rb").read())
        return found


def measured(ready: Ready, case: Case, size: int, rounds: int) -> dict[str, float]:
    """Medians of the longest stall of a request. The first one is not counted: memory is got, code is warmed up."""
    body = body_of(case, size)
    found = []
    for number in range(rounds + 1):
        time.sleep(0.05)
        stall(ready.told)
        began = time.perf_counter()
        ask(ready.gateway, case, body, time.time_ns())
        took = (time.perf_counter() - began) * 1000
        if number:
            found.append(stall(ready.told) | {"took": took})
    return {name: statistics.median([one[name] for one in found]) for name in found[0]}


# ── all together ─────────────────────────────────────────────────────────────────────────────────


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def certificate_in(folder: str) -> str:
    file = f"{folder}/localhost.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{folder}/localhost.key", "-out", file]
    subprocess.run(command, check=True, capture_output=True)
    return file


@contextlib.contextmanager
def running(python: str, *arguments: str, **environment: str) -> Iterator[None]:
    command = [python, __file__, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | environment)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n", arguments
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def everything(python: str) -> Iterator[Ready]:
    port, told, upstream_port, tls = free_ports(4)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "omniroute.yaml")
        file.write_text(CONFIG.format(port=port, upstream=upstream_port, tls=tls, key=KEY))
        certificate = certificate_in(folder)
        with (
            running(sys.executable, "upstream", str(upstream_port), str(tls), certificate),
            running(python, "gateway", str(file), str(told), SSL_CERT_FILE=certificate),
        ):
            yield Ready(port, told)


def show(case: Case, size: int, row: dict[str, float]) -> None:
    verdict = "ok" if row["cpu"] <= AIM else "over"
    print(
        f"{case.name:40} {size:3} MB {row['wall']:8.1f} {row['cpu']:8.1f} {row['took']:8.0f}  {verdict}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only cases whose name holds one of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="10,50")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'longest stall, median, ms':47} {'wall':>8} {'cpu':>8} {'request':>8}")
    with everything(options.python) as ready:
        for case in CASES:
            if options.words and not any(word in case.name for word in options.words):
                continue
            for size in map(int, options.sizes.split(",")):
                row = measured(ready, case, size, options.rounds)
                rows.append({"case": case.name, "mb": size, **row})
                show(case, size, row)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["gateway"]:
        import uvloop

        uvloop.run(gateway(sys.argv[2], int(sys.argv[3])))
    elif sys.argv[1:2] == ["upstream"]:
        import uvloop

        uvloop.run(upstream(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
    else:
        main()
