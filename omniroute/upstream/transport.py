"""The seam between the gateway and a network: one method to send, one object that comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec

from omniroute.routing.directory import OutboundProxy
from omniroute.wire.codec import Wire

LARGEST_ANSWER = 256 * 2**20
"""Bytes of a plain answer beyond which it is refused."""


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """A request to send. `connect` is the deadline of the connection, in seconds; `wire` the format of the body."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    proxy: OutboundProxy | None = None
    connect: float = 5.0
    method: str = "POST"
    wire: Wire | None = None


class Inbound(Protocol):
    """An answer whose head has arrived. Look-ups in `headers` ignore case, or its names are lower case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body. Raises `UpstreamError` when it breaks off or is too large."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `UpstreamError` when it breaks off."""
        ...

    async def close(self) -> None:
        """Let go at once: a body that is not finished is not waited for. Safe to call twice."""
        ...


class Transport(Protocol):
    """Sends requests. Shared by all generations; closed once, by the runtime."""

    async def send(self, outbound: Outbound) -> Inbound:
        """Until the head of the answer. Raises `UpstreamError` when there is none; cancelling closes the connection."""
        ...

    async def close(self) -> None: ...
