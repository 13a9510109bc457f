"""Large pictures, documents and recordings, cut out of a JSON text before it is read and put back when it was written.

What a parser reads in one go holds up everybody else, and of a request of 50 MB all but some kilobytes is base64 that
no codec looks into. So its middle is cut out: a short word stands for it in the outline, which is JSON as before. Only
what begins as such files do is cut, only plain text of one string, and never its beginning or its end: whoever asks what
kind of file it is, or how it is padded, gets the true answer.

The functions are generators: whoever drives them gives others their turn at each `yield`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from io import BytesIO

import msgspec

HUGE = 4 * 2**20
"""Bytes of a text with which every step takes milliseconds: beyond them it is worth the pains."""
PROBE = 16 * 1024
"""Bytes without a quote at which one looks what they belong to. What is twice as long is found wherever it begins."""
WINDOW = 64 * 1024
"""Bytes that are looked through at once."""
EDGE = 64
"""Bytes that stay at both ends of what is cut out, beside how it begins."""
TURN = 2**20
"""Bytes that are copied or looked through between two turns of others."""

_PICTURES = rb"iVBORw0KGgo|/9j/|R0lGOD|UklGR.{6}XRUJQ"
"""How base64 of PNG, JPEG, GIF and WebP begins."""
_FILES = rb"JVBERi0|UklGR.{6}XQVZF|SUQz|T2dnUw|ZkxhQw"
"""Of PDF, WAV, MP3 with its tags, Ogg, FLAC."""
_MEDIA = re.compile(rb'(?<!\\)"(?:data:[^",\\]{1,200};base64,)?(?:(?P<picture>%b)|%b)' % (_PICTURES, _FILES))
_WORD = re.compile(rb"left[0-9a-f]{64}")
LENGTH = 68
"""Bytes of such a word."""
_text = msgspec.json.Decoder(str).decode


class Bulk(msgspec.Struct, frozen=True):
    """A JSON text without the middles of its large files. `cuts` are these, by the words that stand for them; `unseen`
    are the bytes by which those that are no pictures seem shorter than they are, since they are estimated by length."""

    outline: bytes
    cuts: dict[bytes, memoryview]
    unseen: int


def cut_out(text: bytes) -> Generator[None, None, Bulk | None]:
    """The text without its large files; None where it has none. Of what is no JSON the outline is none either."""
    view = memoryview(text)
    outline: list[bytes | memoryview] = []
    cuts: dict[bytes, memoryview] = {}
    done = at = unseen = rested = 0
    while at + PROBE <= len(text):
        found = _file_at(text, at)
        if found is not None:
            begin = max(done, found.end() + EDGE)
            end = yield from _plain_from(text, begin)
            if end - begin >= PROBE:
                word = _word(len(cuts), text, begin, end)
                cuts[word] = view[begin:end]
                outline += [view[done:begin], word]
                unseen += 0 if found["picture"] else end - begin - len(word)
                done = end
            at = max(at, end)
        at += PROBE
        if at - rested >= TURN:
            rested = at
            yield
    if not cuts:
        return None
    made = yield from joined([*outline, view[done:]])
    words = yield from _words_in(made)
    # A text that knows these words would get what is not its own.
    return Bulk(made, cuts, unseen) if [word[0] for word in words] == list(cuts) else None


def put_back(text: bytes, bulk: Bulk) -> Generator[None, None, bytes]:
    """What was made of an outline, with the files in it again: as often as their words are."""
    view = memoryview(text)
    pieces: list[bytes | memoryview] = []
    done = 0
    for word in (yield from _words_in(text)):
        pieces += [view[done : word.start()], bulk.cuts.get(word[0], word[0])]
        done = word.end()
    return (yield from joined([*pieces, view[done:]]))


def _words_in(text: bytes) -> Generator[None, None, list[re.Match[bytes]]]:
    """All that looks like a word for a cut, in order."""
    words: list[re.Match[bytes]] = []
    for at in range(0, len(text), TURN):
        if at:
            yield
        # A word that begins in this turn may end in the next one, and none begins within another.
        words += _WORD.finditer(text, at, at + TURN + LENGTH - 1)
    return words


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


def _file_at(text: bytes, at: int) -> re.Match[bytes] | None:
    """How the string begins that goes on for all of a probe there, if it is a file."""
    if text.find(b'"', at, at + PROBE) >= 0:
        return None
    quote = text.rfind(b'"', max(0, at - 2 * PROBE), at)
    return _MEDIA.match(text, quote, at) if quote >= 0 else None


def _plain_from(text: bytes, begin: int) -> Generator[None, None, int]:
    """Where that ends which can be cut out: whole groups of base64, but for the edge of the string."""
    at = begin
    while True:
        window = text[at : at + WINDOW]
        quote = window.find(b'"')
        whole = (len(window) if quote < 0 else max(0, quote - EDGE)) // 4 * 4
        if not whole or not _is_plain(window[:whole]):
            return at
        at += whole
        if whole < WINDOW:
            return at
        if (at - begin) % TURN == 0:
            yield


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
