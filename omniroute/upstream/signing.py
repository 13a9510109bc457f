"""Signatures of requests: made last, when all that they cover is known."""

from __future__ import annotations

import asyncio

import msgspec

from omniroute.upstream.authorization import Sign
from omniroute.upstream.headers import merged
from omniroute.upstream.transport import Outbound

LARGE_BODY = 4 * 2**20
"""Bytes of a body whose hash takes long enough to be made beside the loop."""


async def signed(outbound: Outbound, sign: Sign, now: float) -> Outbound:
    """The request with its signature. `now` in epoch seconds."""
    asked = (outbound.method, outbound.url, outbound.headers, outbound.body, now)
    large = len(outbound.body) > LARGE_BODY
    added = await asyncio.to_thread(sign, *asked) if large else sign(*asked)
    return msgspec.structs.replace(outbound, headers=merged(outbound.headers, added))
