"""Random bytes of the operating system, fetched for many ids at once: each fetch is a call into the kernel."""

from __future__ import annotations

import os

FETCHED = 4096


class Entropy:
    """As much of `random.SystemRandom` as ids take. Not to be shared by threads."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def randbytes(self, n: int) -> bytes:
        if self._at + n > len(self._bytes):
            self._bytes, self._at = os.urandom(max(FETCHED, n)), 0
        begin = self._at
        self._at += n
        return self._bytes[begin : self._at]
