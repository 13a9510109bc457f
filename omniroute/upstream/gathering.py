"""A large body, put together while it comes in: no step copies all of it.

`BytesIO` grows by an eighth at a time, which for a large block moves pages rather than bytes, and gives its buffer away
without a copy when it is asked for its value (CPython, `Modules/_io/bytesio.c`).
"""

from __future__ import annotations

from io import BytesIO

LARGE = 2**20
"""Bytes of a body beyond which its pieces are not left lying until the end."""


def pour(pieces: list[bytes], into: BytesIO | None) -> BytesIO:
    """Put pieces behind those that came before; the list is empty afterwards."""
    buffer = into if into is not None else BytesIO()
    buffer.writelines(pieces)
    pieces.clear()
    return buffer


def whole(pieces: list[bytes], before: BytesIO | None) -> bytes:
    """The body, of its last pieces and what was poured together before."""
    if before is not None:
        return pour(pieces, before).getvalue()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
