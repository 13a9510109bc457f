"""Answers over HTTP as servers send them, well and badly: each case is read by our own client and by aiohttp's."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvloop

from omniroute.errors import UpstreamError
from omniroute.pipeline import turns
from omniroute.upstream import http_connection
from omniroute.upstream.http_connection import HttpInbound
from omniroute.upstream.transport import Outbound
from omniroute.upstream.transports import http
from omniroute.upstream.transports.http import HttpTransport
from tests.support.raw_server import Handle, raw_server, read_request
from tests.support.waiting import until


@contextlib.asynccontextmanager
async def serving(*answers: bytes | Handle, hold: bool = False) -> AsyncIterator[str]:
    """A server that gives one raw answer a connection, in order (the last again and again), then closes."""
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        answer = answers[min(count, len(answers) - 1)]
        count += 1
        if not isinstance(answer, bytes):
            await answer(reader, writer)
            return
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        if hold:
            await reader.read()

    async with raw_server(handle) as port:
        yield f"http://127.0.0.1:{port}/v1/x"


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[HttpTransport]:
    transport = HttpTransport()
    try:
        yield transport
    finally:
        await transport.close()
        await asyncio.sleep(0)


def outbound(url: str, body: bytes = b"{}", **headers: str) -> Outbound:
    return Outbound(url=url, headers=headers, body=body)


async def ours(url: str) -> tuple[int, bytes] | None:
    """Status and body; None for an answer that is refused."""
    async with client() as transport:
        try:
            async with asyncio.timeout(5):
                inbound = await transport.send(outbound(url))
                return inbound.status, await inbound.read()
        except UpstreamError:
            return None


async def theirs(url: str) -> tuple[int, bytes] | None:
    try:
        async with asyncio.timeout(5), aiohttp.ClientSession() as session:
            async with session.post(url, data=b"{}", allow_redirects=False) as answer:
                return answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return None


OK = b"HTTP/1.1 200 OK\r\n"
CASES = {
    "length": OK + b"Content-Length: 2\r\n\r\nhi",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "until-close": OK + b"\r\nhi",
    "until-close-1.0": b"HTTP/1.0 200 OK\r\n\r\nhi",
    "no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "continue-first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    "hints-first": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
    "chunk-extension": OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n",
    "space-after-size": OK + b"Transfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
    "gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hi"),
    "gzip-twice": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"h") + gzip.compress(b"i"),
    "deflate": OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hi"),
    "gzip-without-end": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hi" * 99)[:-9],
    "deflate-raw": OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hi", wbits=-15),
    "unknown-coding": OK + b"Content-Encoding: rot13\r\nContent-Length: 2\r\n\r\nhi",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "obs-fold": OK + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nhi",
    # what must not be believed
    "garbled-gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "cut-deflate": OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hi" * 99)[:-9],
    "cut-length": OK + b"Content-Length: 5\r\n\r\nhi",
    "cut-chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi",
    "no-last-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    "cut-head": OK + b"Content-Le",
    "nothing": b"",
    "length-and-chunked": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "two-lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    "length-list": OK + b"Content-Length: 2, 2\r\n\r\nhi",
    "negative-length": OK + b"Content-Length: -2\r\n\r\nhi",
    "plus-length": OK + b"Content-Length: +2\r\n\r\nhi",
    "hex-length": OK + b"Content-Length: 0x2\r\n\r\nhi",
    "huge-length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
    "bad-chunk-size": OK + b"Transfer-Encoding: chunked\r\n\r\nxx\r\nhi\r\n0\r\n\r\n",
    "negative-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
    "chunk-too-long": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n",
    "no-colon": OK + b"Content-Length\r\n\r\nhi",
    "space-in-name": OK + b"Content Length: 2\r\n\r\nhi",
    "nul-in-value": OK + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "http-0.9": b"<html>hello</html>",
    "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "bad-version": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "bad-status": b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nhi",
}


@pytest.mark.parametrize("raw", CASES.values(), ids=CASES.keys())
async def test_an_answer_is_understood_as_aiohttp_does(raw: bytes) -> None:
    async with serving(raw) as url:
        assert await ours(url) == await theirs(url)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", ["length", "chunked", "continue-first", "gzip-twice", "trailers"])
async def test_an_answer_may_come_in_any_pieces(name: str, size: int) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for at in range(0, len(CASES[name]), size):
            writer.write(CASES[name][at : at + size])
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(slowly) as url:
        assert await ours(url) == (200, b"hi")


async def test_a_head_without_an_end_is_refused() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        for _ in range(1000):
            writer.write(b"X-A: " + b"a" * 1000 + b"\r\n")
            await writer.drain()

    async with serving(endless) as url:
        assert await ours(url) is None


async def test_bytes_after_an_answer_are_the_answer_to_nothing() -> None:
    """Response splitting: a second answer, sent unasked, must not be taken for that of the next request."""
    poisoned = CASES["length"] + OK + b"Content-Length: 4\r\n\r\nevil"
    async with serving(poisoned, CASES["length"], hold=True) as url, client() as transport:
        for _ in range(2):
            assert await (await transport.send(outbound(url))).read() == b"hi"
            await asyncio.sleep(0.05)


async def test_bytes_while_idle_close_the_connection() -> None:
    answered, closed = asyncio.Event(), asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CASES["length"])
        await answered.wait()
        writer.write(OK + b"Content-Length: 4\r\n\r\nevil")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()

    async with serving(late, CASES["length"]) as url, client() as transport:
        assert await (await transport.send(outbound(url))).read() == b"hi"
        answered.set()
        await asyncio.wait_for(closed.wait(), 20)
        assert await (await transport.send(outbound(url))).read() == b"hi"


def counting(seen: list[int], answers: int) -> Handle:
    """Serves so many requests on each connection, then closes it; notes how many each has served."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(0)
        mine = len(seen) - 1
        for _ in range(answers):
            await read_request(reader)
            seen[mine] += 1
            writer.write(CASES["length"])

    return handle


async def test_connections_are_kept() -> None:
    seen: list[int] = []
    async with serving(counting(seen, 99)) as url, client() as transport:
        for _ in range(3):
            assert await (await transport.send(outbound(url))).read() == b"hi"
    assert seen == [3]


async def test_a_connection_that_closed_in_the_meantime_is_made_anew() -> None:
    """The other side takes the second request and closes without a byte, as a server does whose patience ended."""
    seen: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CASES["length"])
        await writer.drain()
        seen.append(await read_request(reader))

    async with serving(once, CASES["length"]) as url, client() as transport:
        assert await (await transport.send(outbound(url))).read() == b"hi"
        assert await (await transport.send(outbound(url))).read() == b"hi"
    assert len(seen) == 1


async def test_a_request_that_may_have_been_worked_on_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("omniroute.upstream.http_connection.STALE_WITHIN", 0.05)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CASES["length"])
        await writer.drain()
        await read_request(reader)
        await asyncio.sleep(0.1)

    async with serving(slowly, CASES["length"]) as url, client() as transport:
        assert await (await transport.send(outbound(url))).read() == b"hi"
        with pytest.raises(UpstreamError, match="without an answer"):
            await transport.send(outbound(url))


async def test_a_new_connection_that_closes_is_no_reason_to_ask_again() -> None:
    async with serving(b"", CASES["length"]) as url, client() as transport:
        with pytest.raises(UpstreamError):
            await transport.send(outbound(url))


@pytest.mark.parametrize("answered", [False, True], ids=["before-the-head", "in-the-body"])
async def test_leaving_closes_the_connection_at_once(answered: bool) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def watching(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        if answered:
            writer.write(OK + b"Content-Length: 9\r\n\r\nhi")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        left.set()

    async with serving(watching) as url, client() as transport:

        async def ask() -> None:
            inbound = await transport.send(outbound(url))
            try:
                await inbound.read()
            finally:
                await inbound.close()

        asking = asyncio.ensure_future(ask())
        await asked.wait()
        await asyncio.sleep(0.05)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(left.wait(), 20)


async def test_a_reader_that_does_not_read_holds_the_upstream_back() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(OK + b"\r\n")
        for _ in range(400):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 1

    async with serving(flood) as url, client() as transport:
        inbound = await transport.send(outbound(url))
        await asyncio.sleep(0.3)
        assert sent < 200
        size = 0
        async for chunk in inbound.chunks():
            size += len(chunk)
        assert size == 40_000_000


async def test_an_answer_that_was_held_back_is_read_to_its_end() -> None:
    """All of it is there before anybody reads: it is held back, and has to be let go again."""
    body = b"x" * (8 * http_connection.READ_AHEAD)
    async with serving(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body) as url, client() as transport:
        inbound = await transport.send(outbound(url))
        async with asyncio.timeout(5):
            assert isinstance(inbound, HttpInbound) and inbound._connection is not None
            connection = inbound._connection
            await until(lambda: connection._paused)
            assert await inbound.read() == body


async def test_what_is_pushed_can_be_held_back_and_let_go() -> None:
    async with serving(OK + b"\r\n" + b"x" * 3_000_000) as url, client() as transport:
        inbound = await transport.send(outbound(url))
        assert isinstance(inbound, HttpInbound)
        got: list[int] = []

        def feed(chunk: bytes) -> None:
            got.append(len(chunk))
            inbound.pause()
            asyncio.get_running_loop().call_soon(inbound.resume)

        await inbound.flow(feed)
        assert sum(got) == 3_000_000
        assert len(got) > 1


async def test_what_the_reader_raises_ends_the_flow() -> None:
    async with serving(OK + b"Content-Length: 2\r\n\r\nhi") as url, client() as transport:
        inbound = await transport.send(outbound(url))
        assert isinstance(inbound, HttpInbound)

        def feed(chunk: bytes) -> None:
            raise ValueError(chunk)

        with pytest.raises(ValueError, match="hi"):
            await inbound.flow(feed)


LARGE_REQUEST = bytes(range(256)) * (40 * http_connection.SLICE // 256) + b"end"


async def test_a_large_request_goes_out_as_it_is_taken() -> None:
    """What the server does not take yet is not in the transport's buffer either, where TLS would have encrypted it."""
    taking, got = asyncio.Event(), b""

    async def reluctant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        head = await reader.readuntil(b"\r\n\r\n")
        await taking.wait()
        got = await reader.readexactly(len(LARGE_REQUEST))
        assert f"Content-Length: {len(got)}".encode() in head
        writer.write(CASES["length"])
        await read_request(reader)
        writer.write(CASES["length"])

    async with serving(reluctant) as url, client() as transport:
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(transport.send(outbound(url, LARGE_REQUEST)))
            await until(lambda: any(c._stopped for c in transport._all))
            (connection,) = transport._all
            assert connection._unsent is not None and connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 2 * http_connection.SLICE
            taking.set()
        assert await (await asked).read() == b"hi"
        assert got == LARGE_REQUEST
        # All of it is out: the connection may be used again.
        assert await (await transport.send(outbound(url))).read() == b"hi"
        assert transport._all == {connection}


async def test_an_answer_to_half_a_request_ends_the_connection() -> None:
    """The rest of the request would be read as the next one."""
    early = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"

    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(early)
        await reader.read()

    async with serving(impatient) as url, client() as transport:
        inbound = await transport.send(outbound(url, LARGE_REQUEST))
        assert (inbound.status, await inbound.read()) == (413, b"no")
        await until(lambda: not transport._all)


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_large_answer_is_put_together_as_it_comes(coding: str) -> None:
    body = bytes(range(256)) * (3 * turns.LARGE // 256) + b"end"
    sent = gzip.compress(body) if coding else body
    head = f"Content-Encoding: {coding}\r\n".encode() if coding else b""
    async with serving(OK + head + b"Content-Length: %d\r\n\r\n" % len(sent) + sent) as url:
        assert await ours(url) == (200, body)


async def test_headers_cannot_break_out() -> None:
    async with serving(CASES["length"]) as url, client() as transport:
        with pytest.raises(UpstreamError, match="line break"):
            await transport.send(outbound(url, **{"X-A": "1\r\nX-Evil: 1"}))


async def test_what_is_sent() -> None:
    seen: list[bytes] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(CASES["length"])

    async with serving(noting) as url, client() as transport:
        headers = {"Content-Type": "application/json", "Content-Length": "99", "X-Name": "é"}
        await (await transport.send(outbound(url + "?a=1&b=ü", b'{"a":1}', **headers))).read()
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "POST /v1/x?a=1&b=%C3%BC HTTP/1.1"
    assert lines[1].startswith("Host: 127.0.0.1:")
    assert set(lines[2:5]) == {
        "Content-Type: application/json",
        "X-Name: é",
        "Accept-Encoding: gzip, deflate",
    }
    assert lines[5:] == ["Content-Length: 7", "", '{"a":1}']


async def test_unused_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "KEEP_ALIVE", 0.05)
    monkeypatch.setattr(http, "SWEEP", 0.02)
    seen: list[int] = []
    async with serving(counting(seen, 99)) as url, client() as transport:
        for _ in range(2):
            assert await (await transport.send(outbound(url))).read() == b"hi"
            await asyncio.sleep(0.15)
    assert seen == [1, 1]


@pytest.mark.parametrize("url", ["ftp://h/x", "http:///x", "nothing", "http://h:99999/", "http://a b/"])
async def test_a_url_that_is_none(url: str) -> None:
    async with client() as transport:
        with pytest.raises(UpstreamError, match="not a URL"):
            await transport.send(outbound(url))


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    with contextlib.ExitStack() as sockets:
        deaf = sockets.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            full = sockets.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(deaf.getsockname())
        async with client() as transport:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            with pytest.raises(UpstreamError) as raised:
                await transport.send(Outbound(url=url, headers={}, body=b"", connect=0.1))
    assert raised.value.problem.code == "connect_timeout"


def test_the_loop_of_production_makes_no_difference() -> None:
    """uvloop writes later and closes otherwise than the standard loop, on which tests run."""

    async def understood() -> None:
        for raw in CASES.values():
            async with serving(raw) as url:
                assert await ours(url) == await theirs(url), raw
        await test_a_connection_that_closed_in_the_meantime_is_made_anew()
        await test_leaving_closes_the_connection_at_once(True)
        await test_a_reader_that_does_not_read_holds_the_upstream_back()
        await test_what_is_pushed_can_be_held_back_and_let_go()
        await test_a_large_request_goes_out_as_it_is_taken()
        await test_an_answer_to_half_a_request_ends_the_connection()
        await test_a_large_answer_is_put_together_as_it_comes("gzip")

    uvloop.run(understood())
