"""How deep JSON text is nested, without making objects of it.

Most requests hold fewer brackets than levels are allowed, and to count them is far cheaper than to follow them. Larger
ones are long lists of shallow things (messages, tools): taken apart for a few levels, each piece has few brackets again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from omniroute.wire.splice import TopLevel

TAKEN_APART = 4
"""Levels that are taken apart before the brackets are followed one by one; each level reads its text again."""

LARGE = 2**20
"""Bytes that are looked through as a whole before they are taken apart and copied."""

SHORT = 4096
"""Bytes up to which all brackets are counted."""

_Pieces = dict[str, msgspec.Raw] | list[msgspec.Raw]
_decode = msgspec.json.Decoder(_Pieces).decode


def is_deeper(text: bytes, most: int, top: TopLevel | None = None) -> bool:
    """Whether arrays and objects nest deeper than `most` levels. Of what is no JSON nothing is known: the parser that
    meets it will say so. `top` is what `text` was taken apart into, where that has been done."""
    if top is None or most <= 0:
        return _is_deeper(text, most, TAKEN_APART)
    # A large image in few brackets: nothing is copied to find that out.
    if len(text) > LARGE and not _opens_more(text, most):
        return False
    return any(_is_deeper(bytes(piece), most - 1, TAKEN_APART) for piece in top.values())


def _is_deeper(text: bytes, most: int, apart: int) -> bool:
    if not _opens_more(text, most):
        return False
    if apart == 0 or most <= 0:
        return _followed(text, most)
    try:
        pieces = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _followed(text, most)
    # What is opened is closed again: so many levels take twice as many bytes. Most messages are done with here.
    least = 2 * most
    for piece in _values(pieces):
        if memoryview(piece).nbytes >= least and _is_deeper(bytes(piece), most - 1, apart - 1):
            return True
    return False


def _opens_more(text: bytes, most: int) -> bool:
    """Whether there are more than `most` opening brackets, in strings or not. To find the next one is much faster
    over long stretches than to count them all, and over short ones slower."""
    if len(text) <= most:
        return False
    if len(text) <= SHORT:
        return text.count(b"{") + text.count(b"[") > most
    count, find = 0, text.find
    for bracket in (b"{", b"["):
        at = find(bracket)
        while at >= 0:
            count += 1
            if count > most:
                return True
            at = find(bracket, at + 1)
    return False


def _values(pieces: _Pieces) -> Iterable[msgspec.Raw]:
    return pieces.values() if isinstance(pieces, dict) else pieces


def _followed(text: bytes, most: int) -> bool:
    """Whether brackets outside of strings nest deeper than `most`."""
    depth = 0
    for piece in _outside_strings(text):
        for byte in piece:
            if byte in b"{[":
                depth += 1
                if depth > most:
                    return True
            elif byte in b"}]":
                depth -= 1
    return False


def _outside_strings(text: bytes) -> Iterator[bytes]:
    """The brackets between the strings of a JSON text."""
    keep = bytes(b for b in range(256) if b not in b"{}[]")
    inside = False
    for piece in text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"'):
        if not inside:
            yield piece.translate(None, keep)
        inside = not inside
