"""What comes in over HTTP: each raw request is given to our server and to aiohttp's, and both must judge alike."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import zlib
from collections.abc import AsyncIterator

import pytest
import uvloop
from aiohttp import web

from omniroute.pipeline import turns
from omniroute.server import incoming, listener
from omniroute.server.incoming import Answer, Handler, Incoming, Slow, TooLarge
from omniroute.server.listener import Listener
from omniroute.upstream.coding import Garbled
from tests.support.waiting import until


async def echo(incoming: Incoming) -> Answer:
    """Says what it saw."""
    try:
        body = await incoming.body(1 << 20)
    except (TooLarge, Slow, Garbled) as error:
        return Answer(400, type(error).__name__.encode(), {"Connection": "close"})
    return Answer(200, f"[{incoming.method} {incoming.path} ".encode() + body + b"]")


async def echo_of_aiohttp(request: web.BaseRequest) -> web.Response:
    body = await request.read()
    return web.Response(body=f"[{request.method} {request.path} ".encode() + body + b"]")


@contextlib.asynccontextmanager
async def ours(handler: Handler = echo) -> AsyncIterator[int]:
    listener = Listener(handler)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await listener.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def theirs() -> AsyncIterator[int]:
    server = web.Server(
        echo_of_aiohttp,
        access_log=None,
        max_line_size=16 * 1024,
        max_field_size=64 * 1024,
        keepalive_timeout=75,
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


QUIET = 40
"""Turns of the loop without a byte after which nothing more will come: client and server take turns on the same one, so
that this holds on a busy machine, too."""


class Client(asyncio.Protocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got = b""
        self.over = False

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True


async def exchanged(port: int, raw: bytes, size: int = 0) -> bytes:
    """All that comes back for these bytes, sent at once or in pieces; at the end the client has no more to say."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(Client, "127.0.0.1", port)
    for at in range(0, len(raw), size or len(raw)):
        transport.write(raw[at : at + (size or len(raw))])
        await asyncio.sleep(0)
    quiet, before = 0, b""
    while quiet < (QUIET if client.got else 3 * QUIET) and not client.over:
        await asyncio.sleep(0.001)
        busy = client.got != before or transport.get_write_buffer_size()
        quiet, before = 0 if busy else quiet + 1, client.got
    transport.close()
    while not client.over:  # noqa: ASYNC110  # closed in one of the next turns
        await asyncio.sleep(0)
    return client.got


async def answers(port: int, raw: bytes, size: int = 0) -> list[tuple[int, bytes]]:
    """Status and, where it is 200, what the handler saw, of every answer that comes."""
    found: list[tuple[int, bytes]] = []
    for piece in re.split(rb"HTTP/\d\.\d (?=\d{3} )", await exchanged(port, raw, size))[1:]:
        status = int(piece[:3])
        body = piece.partition(b"\r\n\r\n")[2]
        found.append((status, body if status == 200 else b""))
    return found


POST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\n"
SMUGGLED = b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
CASES = {
    "plain": POST + b"Content-Length: 2\r\n\r\nhi",
    "get": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "chunked": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "trailers": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
    "two-on-one": (POST + b"Content-Length: 2\r\n\r\nhi") * 2,
    "http-1.0-kept": b"POST /v1/x HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
    + SMUGGLED,
    "absolute-form": b"GET http://h/v1/x?a=b HTTP/1.1\r\nHost: h\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "asterisk-get": b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
    "no-path": b"GET v1/x HTTP/1.1\r\nHost: h\r\n\r\n",
    "escaped-path": b"GET /v1/%61%2Fb%20c HTTP/1.1\r\nHost: h\r\n\r\n",
    "fragment": b"GET /v1/x#y HTTP/1.1\r\nHost: h\r\n\r\n",
    "gzip": POST + b"Content-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"hi"),
    "empty-lines-first": b"\r\n\r\n" + POST + b"Content-Length: 2\r\n\r\nhi",
    "upgrade-with-body": POST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nContent-Length: 2\r\n\r\nhi",
    "upgrade-chunked": POST
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "obs-text": POST + b"X-A: \xe9\r\nContent-Length: 2\r\n\r\nhi",
    "white-space-around": POST + b"Content-Length:  2 \t\r\n\r\nhi",
    "transfer-encoding-case": POST + b"tRANSFER-eNCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    # requests in two readings
    "length-and-chunked": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "chunked-and-length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "two-lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    "same-lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "length-list": POST + b"Content-Length: 2, 2\r\n\r\nhi",
    "negative-length": POST + b"Content-Length: -2\r\n\r\nhi",
    "plus-length": POST + b"Content-Length: +2\r\n\r\nhi",
    "hex-length": POST + b"Content-Length: 0x2\r\n\r\nhi",
    "empty-length": POST + b"Content-Length: \r\n\r\n" + SMUGGLED,
    "huge-length": POST + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
    "length-with-underscore": POST + b"Content_Length: 2\r\n\r\n",
    "space-before-colon": POST + b"Content-Length : 2\r\n\r\nhi",
    "space-in-name": POST + b"Content Length: 2\r\n\r\nhi",
    "no-colon": POST + b"Content-Length\r\n\r\n",
    "chunked-twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "two-encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked-not-last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "encoding-unknown": POST + b"Transfer-Encoding: cow\r\n\r\nhi",
    "encoding-identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
    "encoding-with-tab": POST + b"Transfer-Encoding:\tchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "encoding-with-vt": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "encoding-quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    "encoding-1.0": b"POST /v1/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "obs-fold": POST + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nhi",
    "obs-fold-length": POST + b"Content-Length:\r\n 2\r\n\r\nhi",
    "fold-first": b"POST /v1/x HTTP/1.1\r\n Host: h\r\n\r\n",
    "bare-lf": b"POST /v1/x HTTP/1.1\nHost: h\nContent-Length: 2\n\nhi",
    "bare-lf-in-headers": POST + b"X-A: 1\nContent-Length: 2\r\n\r\nhi",
    "bare-cr-in-value": POST + b"X-A: 1\rContent-Length: 5\r\nContent-Length: 2\r\n\r\nhi",
    "nul-in-value": POST + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "nul-in-name": POST + b"X\0A: a\r\nContent-Length: 2\r\n\r\nhi",
    "no-host": b"GET / HTTP/1.1\r\n\r\n",
    "two-hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "chunk-extension": POST + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n",
    "chunk-extension-lf": POST + b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\nhi\r\n0\r\n\r\n",
    "chunk-extension-quoted": POST + b'Transfer-Encoding: chunked\r\n\r\n2;a="\r\nhi\r\n0\r\n\r\n',
    "chunk-size-space": POST + b"Transfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
    "chunk-size-0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
    "chunk-size-plus": POST + b"Transfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
    "chunk-size-minus": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
    "chunk-size-huge": POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi\r\n0\r\n\r\n",
    "chunk-size-none": POST + b"Transfer-Encoding: chunked\r\n\r\n\r\nhi\r\n0\r\n\r\n",
    "chunk-too-long": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n",
    "chunk-bare-lf": POST + b"Transfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n",
    "chunk-data-lf": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\n0\r\n\r\n",
    "trailer-fold": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n 2\r\n\r\n",
    "long-target": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    "long-header": POST + b"X-A: " + b"x" * 70_000 + b"\r\n\r\n",
    "many-headers": POST + b"X-A: 1\r\n" * 200 + b"\r\n",
    "bad-version": b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    "http-2.0": b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no-version": b"GET /\r\nHost: h\r\n\r\n",
    "two-spaces": b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    "tab-for-space": b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "space-in-target": b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    "unknown-method": b"DANCE / HTTP/1.1\r\nHost: h\r\n\r\n",
    "lower-case-method": b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "websocket-key-1": b"GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key1: x\r\n\r\n",
}


@pytest.mark.parametrize("raw", CASES.values(), ids=CASES.keys())
async def test_a_request_is_judged_as_by_aiohttp(raw: bytes) -> None:
    async with ours() as mine, theirs() as other:
        assert await answers(mine, raw) == await answers(other, raw)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize(
    "name", ["plain", "chunked", "two-on-one", "trailers", "upgrade-with-body", "upgrade-chunked"]
)
async def test_a_request_may_come_in_any_pieces(name: str, size: int) -> None:
    async with ours() as port:
        assert await answers(port, CASES[name], size) == await answers(port, CASES[name])


@pytest.mark.parametrize(
    "raw",
    [
        POST + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"POST /v1/x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
async def test_nothing_is_read_behind_the_last_request(raw: bytes) -> None:
    """aiohttp refuses the last request, too, if more comes with it; either way the one behind it is not served."""
    async with ours() as port:
        assert len(await answers(port, raw + SMUGGLED)) == 1


async def test_what_follows_a_good_request_does_not_spoil_it() -> None:
    async with ours() as port:
        found = await answers(port, CASES["plain"] + b"GARBAGE\r\n\r\n")
    assert found == [(200, b"[POST /v1/x hi]"), (400, b"")]


async def test_many_requests_on_one_connection_are_answered_in_order() -> None:
    raw = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(100))

    async def slowly(incoming: Incoming) -> Answer:
        await asyncio.sleep(0)
        return Answer(200, incoming.path.encode())

    async with ours(slowly) as port:
        assert [body for _, body in await answers(port, raw)] == [b"/%d" % n for n in range(100)]


async def test_a_body_that_is_too_large_is_refused_and_the_client_gets_to_know() -> None:
    """Also while it is still being sent: a reset connection would take the answer with it."""

    async def small(incoming: Incoming) -> Answer:
        with pytest.raises(TooLarge):
            await incoming.body(10)
        return Answer(413, b"no", {"Connection": "close"})

    async with ours(small) as port:
        raw = POST + b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
        assert await answers(port, raw) == [(413, b"")]
        chunked = (
            POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f\r\nxxxxxxxxxxxxxxx\r\n" * 3 + b"0\r\n\r\n"
        )
        assert await answers(port, chunked) == [(413, b"")]


LARGE_BODY = bytes(range(256)) * (3 * turns.LARGE // 256) + b"end"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE_BODY), LARGE_BODY)
PACKED = gzip.compress(LARGE_BODY[: 2**20]) + gzip.compress(LARGE_BODY[2**20 :])


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Length: %d\r\n\r\n" % len(LARGE_BODY) + LARGE_BODY,
        b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
        b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(zlib.compress(LARGE_BODY, 0))
        + zlib.compress(LARGE_BODY, 0),
    ],
    ids=["length", "chunked", "gzip-of-two-members", "deflate-stored"],
)
async def test_a_large_body_is_put_together_as_it_comes(raw: bytes) -> None:
    seen: list[bytes] = []

    async def handler(incoming: Incoming) -> Answer:
        seen.append(await incoming.body(2 * len(LARGE_BODY)))
        return Answer(200)

    async with ours(handler) as port:
        assert (await exchanged(port, POST + raw)).startswith(b"HTTP/1.1 200")
    assert seen == [LARGE_BODY]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_large_compressed_body_that_breaks_off(coding: str) -> None:
    packed = gzip.compress(LARGE_BODY, 0) if coding == "gzip" else zlib.compress(LARGE_BODY, 0)
    middle = len(packed) // 2
    broken = packed[:middle] + b"\xff" * 5 + packed[middle:]
    head = f"Content-Encoding: {coding}\r\nContent-Length: {len(broken)}\r\n\r\n".encode()

    async def handler(incoming: Incoming) -> Answer:
        with pytest.raises(Garbled):
            await incoming.body(1 << 30)
        return Answer(400)

    async with ours(handler) as port:
        assert (await exchanged(port, POST + head + broken)).startswith(b"HTTP/1.1 400")


async def test_a_bomb_is_no_body() -> None:
    bomb = gzip.compress(b"x" * 50_000_000)
    raw = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    async with ours() as port:
        assert await answers(port, raw) == [(400, b"")]


async def test_an_answer_without_its_body_leaves_the_connection_usable() -> None:
    async def at_once(incoming: Incoming) -> Answer:
        return Answer(200, incoming.path.encode())

    async with ours(at_once) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: 400000\r\n\r\n" + b"x" * 100)
        assert b"/v1/x" in await reader.readuntil(b"/v1/x")
        writer.write(b"x" * 399_900 + b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"/next"), 20)
        writer.close()
        await writer.wait_closed()


async def test_a_body_is_waited_for_when_it_was_announced() -> None:
    async with ours() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert b"hi]" in await reader.readuntil(b"]")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "raw, name, answer",
    [
        (b"", "KEEP_ALIVE", b""),
        (b"GET / HTTP/1.1\r\nHo", "HEAD_WITHIN", b""),
        (POST + b"Content-Length: 2\r\n\r\nh", "BODY_IDLE", b"Slow"),
    ],
    ids=["nothing", "half-a-head", "half-a-body"],
)
async def test_a_client_that_falls_silent(
    raw: bytes, name: str, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming if name == "BODY_IDLE" else listener, name, 0.05)
    monkeypatch.setattr(listener, "SWEEP", 0.02)
    async with ours() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        got = await asyncio.wait_for(reader.read(65536), 20)
        assert answer in got
        writer.close()
        await writer.wait_closed()


async def test_who_leaves_cancels_what_was_done_for_them() -> None:
    cancelled, began = asyncio.Event(), asyncio.Event()

    async def long(incoming: Incoming) -> Answer:
        began.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Answer(200)

    async with ours(long) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: 2\r\n\r\nhi")
        await began.wait()
        writer.close()
        await asyncio.wait_for(cancelled.wait(), 20)
        await writer.wait_closed()


async def test_a_client_that_does_not_read_is_told_of() -> None:
    written, told = 0, []

    async def flood(incoming: Incoming) -> None:
        nonlocal written
        incoming.begin(200, {})
        incoming.watch(lambda: told.append("full"), lambda: told.append("free"))
        for _ in range(400):
            incoming.write(b"x" * 100_000)
            written += 1
            if incoming.full:
                await incoming.drained()
        incoming.finish()

    async with ours(flood) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: told)
        await asyncio.sleep(0.1)
        assert written < 200
        assert told[0] == "full"
        while not (await reader.read(1 << 20)).endswith(b"\r\n0\r\n\r\n"):
            pass
        assert (written, told[-1]) == (400, "free")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("version, ends", [(b"1.1", b"2\r\nhi\r\n0\r\n\r\n"), (b"1.0", b"\r\n\r\nhi")])
async def test_an_answer_of_unknown_length(version: bytes, ends: bytes) -> None:
    async def streamed(incoming: Incoming) -> None:
        incoming.begin(200, {"X-A": "1"})
        incoming.write(b"hi")
        incoming.finish()

    async with ours(streamed) as port:
        got = await exchanged(port, b"GET / HTTP/" + version + b"\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert got.endswith(ends)
    assert (b"chunked" in got) is (version == b"1.1")


async def test_headers_of_an_answer_cannot_break_out() -> None:
    async def evil(incoming: Incoming) -> Answer:
        return Answer(200, b"", {"X-A": "1\r\nX-Evil: 1"})

    async with ours(evil) as port:
        assert await exchanged(port, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") == b""


@pytest.mark.parametrize(
    "method, status, length", [("HEAD", 200, b"2"), ("GET", 204, None), ("GET", 304, None)]
)
async def test_answers_without_a_body(method: str, status: int, length: bytes | None) -> None:
    async def bare(incoming: Incoming) -> Answer:
        return Answer(status, b"hi")

    async with ours(bare) as port:
        got = await exchanged(port, f"{method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert got.endswith(b"\r\n\r\n")
    assert (b"Content-Length: " + (length or b"") in got) is (length is not None)


async def test_the_first_of_repeated_parameters_counts() -> None:
    async def query(incoming: Incoming) -> Answer:
        return Answer(200, repr(dict(incoming.query)).encode())

    async with ours(query) as port:
        found = await answers(port, b"GET /?a=1&b=&a=2&c=%20x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert found == [(200, b"{'c': ' x', 'a': '1', 'b': ''}")]


def test_the_loop_of_production_makes_no_difference() -> None:
    """uvloop writes later and closes otherwise than the standard loop, on which tests run."""

    async def judged() -> None:
        async with ours() as mine, theirs() as other:
            for raw in CASES.values():
                found = await asyncio.gather(answers(mine, raw), answers(other, raw))
                assert found[0] == found[1], raw
        await test_who_leaves_cancels_what_was_done_for_them()
        await test_a_client_that_does_not_read_is_told_of()
        await test_a_body_that_is_too_large_is_refused_and_the_client_gets_to_know()

    uvloop.run(judged())
