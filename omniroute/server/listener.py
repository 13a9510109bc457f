"""The connections of clients: made of what connects, counted, and closed when they are of no more use."""

from __future__ import annotations

import asyncio

from omniroute.server.connection import ClientConnection
from omniroute.server.incoming import Handler

KEEP_ALIVE = 75.0
"""Seconds that a connection may be open without a request."""
HEAD_WITHIN = 30.0
"""Seconds in which the head of a request must have come."""
SWEEP = 2.0
"""Seconds between two looks at all connections."""


class Listener:
    """Makes connections of what connects, and closes those that are of no more use. `connections` are those that are
    open now."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[ClientConnection] = set()
        self.closing = False
        self._sweeper: asyncio.TimerHandle | None = None

    def __call__(self) -> ClientConnection:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        return ClientConnection(self)

    def retire(self) -> None:
        """No connection gets another request: idle ones are closed, the others after what they are at."""
        self.closing = True
        for connection in list(self.connections):
            if connection.idle:
                connection.close()

    async def close(self) -> None:
        """Let go of every connection: of those, too, whose requests had time to finish."""
        self.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        tasks = [c._task for c in self.connections if c._task is not None]
        for connection in list(self.connections):
            if connection.busy:
                connection.abort()
            else:
                connection.close()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    def _sweep(self) -> None:
        """One timer for all: none a connection, none a request."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self.connections):
            if connection.busy:
                continue
            late = connection.head_since and now - connection.head_since > HEAD_WITHIN
            if late or now - connection.idle_since > KEEP_ALIVE:
                connection.close()
        self._sweeper = loop.call_later(SWEEP, self._sweep) if self.connections else None
