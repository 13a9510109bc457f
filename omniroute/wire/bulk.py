"""Large pictures, documents and recordings, cut out of a JSON text before it is read and put back after it was written.

What a parser reads in one go holds up everybody else, and of a request of 50 MB all but some kilobytes is base64 that
no codec looks into. So its middle is cut out: a short word stands for it in the outline, which is JSON as before. Only
what begins as such files do is cut, only whole windows of plain text of one string, and never its beginning or its end:
whoever asks what kind of file it is, or how it is padded, gets the true answer.

The functions are generators: whoever drives them gives others their turn at each `yield`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from io import BytesIO
from typing import Literal

import msgspec

HUGE = 4 * 2**20
"""Bytes of a text with which every step takes milliseconds: beyond them it is worth the pains."""
WINDOW = 64 * 1024
"""Bytes that are looked at together, and the least that is cut out. A multiple of 4, as base64 is in groups of 4."""
TURN = 2**20
"""Bytes that are copied or looked through between two turns of others."""

_PICTURES = rb"iVBORw0KGgo|/9j/|R0lGOD|UklGR.{6}XRUJQ"
"""How base64 of PNG, JPEG, GIF and WebP begins."""
_FILES = rb"JVBERi0|UklGR.{6}XQVZF|SUQz|T2dnUw|ZkxhQw"
"""Of PDF, WAV, MP3 with its tags, Ogg, FLAC."""
_MEDIA = re.compile(rb'(?<!\\)"(?:data:[^",\\]{1,200};base64,)?(?:(?P<picture>%b)|%b)' % (_PICTURES, _FILES))
_text = msgspec.json.Decoder(str).decode


class Bulk(msgspec.Struct, frozen=True):
    """A JSON text without the middles of its large files. `cuts` are these, by the words that stand for them; `unseen`
    are the bytes by which those that are no pictures seem shorter than they are, since they are estimated by length."""

    outline: bytes
    cuts: dict[bytes, memoryview]
    unseen: int


def cut_out(text: bytes) -> Generator[None, None, Bulk | None]:
    """The text without its large files; None where it has none. Of what is no JSON the outline is none either."""
    outline: list[bytes] = []
    cuts: dict[bytes, memoryview] = {}
    done = at = unseen = 0
    while at + WINDOW <= len(text):
        kind = _kind_at(text, at)
        end = (yield from _plain_from(text, at)) if kind is not None else at
        if end > at:
            word = _word(len(cuts), text, at, end)
            cuts[word] = memoryview(text)[at:end]
            outline += [text[done:at], word]
            done = end
            unseen += 0 if kind == "picture" else end - at - len(word)
        at = max(end, at + WINDOW)
        if at % TURN == 0:
            yield
    if not cuts:
        return None
    found = Bulk(b"".join([*outline, text[done:]]), cuts, unseen)
    return found if all(found.outline.count(word) == 1 for word in cuts) else None


def put_back(text: bytes, bulk: Bulk) -> Generator[None, None, bytes]:
    """What was made of an outline, with the files in it again: as often as their words are."""
    words = re.compile(b"(" + b"|".join(bulk.cuts) + b")")
    return (yield from joined([bulk.cuts.get(piece, piece) for piece in words.split(text)]))


def joined(pieces: Sequence[bytes | memoryview]) -> Generator[None, None, bytes]:
    """The pieces, one behind the other.

    The memory is got once, and no page of it before it is written: a buffer that grows may have to move, all at once.
    `BytesIO` writes into what it was made of when nobody else has it, and gives it away as it is (CPython,
    `Modules/_io/bytesio.c`); where it did not, the bytes would be the same.
    """
    buffer = BytesIO(bytes(sum(map(len, pieces))))
    since = 0
    for piece in _slices(pieces):
        since += buffer.write(piece)
        if since >= TURN:
            since = 0
            yield
    return buffer.getvalue()


def _slices(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    for piece in pieces:
        if len(piece) <= TURN:
            yield piece
        else:
            view = memoryview(piece)
            yield from (view[at : at + TURN] for at in range(0, len(view), TURN))


def _kind_at(text: bytes, at: int) -> Literal["picture", "file"] | None:
    """What the window there is within, by how the string begins."""
    if text.find(b'"', at, at + WINDOW) >= 0:
        return None
    quote = text.rfind(b'"', max(0, at - WINDOW), at)
    found = _MEDIA.match(text, quote, at) if quote >= 0 else None
    if found is None:
        return None
    return "file" if found["picture"] is None else "picture"


def _plain_from(text: bytes, at: int) -> Generator[None, None, int]:
    """Where the windows end that can be cut out."""
    while at + WINDOW <= len(text) and _is_plain(text[at : at + WINDOW]):
        at += WINDOW
        if at % TURN == 0:
            yield
    return at


def _is_plain(window: bytes) -> bool:
    """Whether it is the same in a JSON string as it is in the text: no quote, no escape, no control, all ASCII. The
    other alphabet of base64 is left alone, for there are codecs that change it."""
    if b"-" in window or b"_" in window:
        return False
    try:
        # Every escape and every character beyond ASCII makes the text shorter than its bytes.
        return len(_text(b'"%b"' % window)) == len(window)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _word(number: int, text: bytes, at: int, end: int) -> bytes:
    """Stands for a cut: letters and digits, not a number, of a length that leaves base64 as padded as it is. The same
    request gets the same ones again."""
    digest = hashlib.sha256(b"%d %d " % (number, end - at) + text[at : at + 256] + text[end - 256 : end])
    return b"left" + digest.hexdigest().encode()
