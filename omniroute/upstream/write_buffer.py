"""When the bytes that are written to a connection leave."""

from __future__ import annotations

import asyncio
from typing import cast


def send_at_once(transport: asyncio.BaseTransport) -> None:
    """Hand what is written to the kernel in the same moment, and count as behind who takes less than all of it.

    uvloop gathers the writes of a turn of its loop, unless they are more than its buffer may hold: a request then waits
    until everything else that has come in is dealt with. TLS has a buffer of its own, which is to keep its size.
    """
    if transport.get_extra_info("ssl_object") is None:
        # uvloop's own class has the method, and is none of asyncio's.
        cast("asyncio.WriteTransport", transport).set_write_buffer_limits(high=1)
