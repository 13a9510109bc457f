"""What is written to a connection is on its way in the same moment, on both loops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from omniroute.upstream.write_buffer import send_at_once


class Ends(asyncio.Protocol):
    """Notes when it is held back."""

    def __init__(self) -> None:
        self.held = False

    def pause_writing(self) -> None:
        self.held = True

    def resume_writing(self) -> None:
        self.held = False


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_bytes_leave_before_the_loop_turns(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        made, ends = await asyncio.get_running_loop().create_connection(Ends, sock=ours)
        send_at_once(made)
        made.write(b"now")
        assert theirs.recv(16) == b"now"
        assert not ends.held
        made.write(b"x" * 2**22)
        assert ends.held, "more than the kernel takes waits, and whoever writes hears of it"
        while ends.held:
            try:
                theirs.recv(2**20)
            except BlockingIOError:
                await asyncio.sleep(0)
        made.abort()
        theirs.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())
