"""A server that speaks bytes, for what no HTTP library would say."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(
    handle: Handle, *, tls: ssl.SSLContext | None = None, unix: str | None = None
) -> AsyncIterator[int]:
    """Its port (0 on a unix socket). Every connection is over when the block is left."""
    running: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            running.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    if unix is not None:
        server = await asyncio.start_unix_server(guarded, unix)
    else:
        server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
    async with server:
        try:
            yield 0 if unix is not None else server.sockets[0].getsockname()[1]
        finally:
            for task in list(running):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """A whole request, as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length")), 0)
    return head + await reader.readexactly(length)
