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


class Shallow:
    """Large values that were looked through and found shallow. An agent sends the same tools with every request: to
    compare them with the last ones takes a twentieth of the time that it takes to look again."""

    LARGEST = 128 * 1024
    """Bytes of a value that is kept."""
    NAMES = 4
    PER_NAME = 8
    """How many names of values are told apart (they are made up by clients), and values kept of each."""

    __slots__ = ("_most", "_values")

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[str, dict[int, bytes]] = {}

    def is_deeper(self, name: str, value: bytes) -> bool:
        """Whether the value of a body's top-level `name` makes the body nest deeper than `most` levels."""
        known = self._values.get(name)
        size = len(value)
        if known is not None and known.get(size) == value:
            return False
        if not opens_more(value, self._most - 1):
            return False
        if _is_deeper(value, self._most - 1, TAKEN_APART):
            return True
        if size <= self.LARGEST:
            self._keep(name, value)
        return False

    def _keep(self, name: str, value: bytes) -> None:
        known = self._values.get(name)
        if known is None:
            if len(self._values) >= self.NAMES:
                return
            known = self._values[name] = {}
        known.pop(len(value), None)
        if len(known) >= self.PER_NAME:
            del known[next(iter(known))]
        known[len(value)] = value


_Pieces = dict[str, msgspec.Raw] | list[msgspec.Raw]
_decode = msgspec.json.Decoder(_Pieces).decode


def is_deeper(text: bytes, most: int, top: TopLevel | None = None, shallow: Shallow | None = None) -> bool:
    """Whether arrays and objects nest deeper than `most` levels. Of what is no JSON nothing is known: the parser that
    meets it will say so. `top` is what `text` was taken apart into, where that has been done; `shallow` remembers what
    was seen before."""
    if top is None or most <= 0:
        return _is_deeper(text, most, TAKEN_APART)
    # A large image in few brackets: nothing is copied to find that out.
    if len(text) > LARGE and not opens_more(text, most):
        return False
    shallow = shallow if shallow is not None else Shallow(most)
    for name, piece in top.items():
        # What is opened is closed again: so many levels take twice as many bytes.
        if memoryview(piece).nbytes >= 2 * most and shallow.is_deeper(name, bytes(piece)):
            return True
    return False


def _is_deeper(text: bytes, most: int, apart: int) -> bool:
    if not opens_more(text, most):
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


def opens_more(text: bytes, most: int) -> bool:
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
