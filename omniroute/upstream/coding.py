"""Content codings of HTTP bodies (RFC 9110 8.4.1), undone piece by piece and with a limit."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

PIECE = 2**18
"""Bytes that a step gives at most, so that a few compressed bytes cannot become a gigabyte at once."""
BITE = 2**16
"""Bytes that a step takes at most: what it leaves over is copied for the next one."""


class Garbled(Exception):
    """The bytes are not what the coding says."""


class Oversized(Exception):
    """More comes out than may."""


class Decoder(Protocol):
    def feed(self, data: bytes, most: int) -> bytes:
        """What the next bytes stand for, up to `most`. Raises `Garbled` and `Oversized`."""
        ...

    def end(self) -> None:
        """There is no more. Raises `Garbled` when there should be."""
        ...


def decoder(coding: str) -> Decoder | None:
    """For the value of a `Content-Encoding`; None for one that is passed on as it is."""
    coding = coding.strip().lower()
    make = _MAKERS.get(coding)
    return make() if make is not None else None


def accepted() -> str:
    """The value of `Accept-Encoding`: what this installation can undo."""
    return ", ".join(["gzip", "deflate", *(["br"] if _brotli() is not None else [])])


class _Zlib:
    """gzip, also of several members, and deflate, which some servers send without its wrapping."""

    __slots__ = ("_gzip", "_inflate", "_started")

    def __init__(self, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate: Any = zlib.decompressobj(31) if gzip else None
        self._started = False

    def feed(self, data: bytes, most: int) -> bytes:
        if not data:
            return b""
        self._started = True
        if self._inflate is None:
            self._inflate = zlib.decompressobj(15 if data[0] & 0x0F == 8 else -15)
        out: list[bytes] = []
        size = 0
        for at in range(0, len(data), BITE):
            for piece in self._bite(data[at : at + BITE]):
                size += len(piece)
                if size > most:
                    raise Oversized
                out.append(piece)
        return b"".join(out)

    def _bite(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate.eof:
                if not self._gzip:
                    raise Garbled("bytes follow the end")
                self._inflate = zlib.decompressobj(31)
            try:
                yield self._inflate.decompress(data, PIECE)
            except zlib.error as error:
                raise Garbled(str(error)) from error
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

    def end(self) -> None:
        # Servers exist that never finish their gzip; how the body was framed tells whether all of it is here.
        if self._started and not self._gzip and not self._inflate.eof:
            raise Garbled("it breaks off")


class _Brotli:
    __slots__ = ("_inflate", "_started")

    def __init__(self) -> None:
        self._inflate = _brotli().Decompressor()
        self._started = False

    def feed(self, data: bytes, most: int) -> bytes:
        self._started = self._started or bool(data)
        try:
            out: bytes = self._inflate.process(data)
        except Exception as error:  # the error classes of the two packages have no common base
            raise Garbled(str(error)) from error
        if len(out) > most:
            raise Oversized
        return out

    def end(self) -> None:
        if self._started and not self._inflate.is_finished():
            raise Garbled("it breaks off")


def _brotli() -> Any:
    """The optional package; both of its kinds are called the same."""
    try:
        return importlib.import_module("brotli")
    except ImportError:
        return None


_MAKERS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: _Zlib(gzip=True),
    "x-gzip": lambda: _Zlib(gzip=True),
    "deflate": lambda: _Zlib(gzip=False),
    **({"br": _Brotli} if _brotli() is not None else {}),
}
