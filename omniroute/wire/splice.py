"""Change the top-level `model` of a JSON object without re-serialising it (ARCHITECTURE 8).

The object is taken apart at its top level only: each value stays the bytes it was, found by a scanner that knows
JSON, so inner `model` keys, escapes and texts that look like JSON cannot mislead it. That takes about half a
microsecond per kilobyte, less than a search for `"model"` in the bytes, which would still have to doubt what it finds.
"""

from __future__ import annotations

import json
from functools import lru_cache

import msgspec

_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])


TopLevel = dict[str, msgspec.Raw]
"""A JSON object taken apart at its top level only; the values are still the bytes that they were."""

SMALL = 4096
"""Bytes of a value beyond which it holds none of the few things that are asked of every request."""


def top_level(raw: bytes) -> TopLevel:
    """Raises `msgspec.DecodeError` for what is no JSON object."""
    return _TOP_LEVEL.decode(raw)


def without_bulk(top: TopLevel) -> bytes:
    """The object with something small of the same kind in the place of large values: enough to peek into, and read
    in no time. The name of the model is kept: one that is too long is to be refused, not another one looked for."""
    small = {
        name: value if name == "model" or memoryview(value).nbytes <= SMALL else _stand_in(value)
        for name, value in top.items()
    }
    return msgspec.json.encode(small)


def _stand_in(value: msgspec.Raw) -> object:
    """What is large and no text, array or object is a number."""
    kinds: dict[bytes, object] = {b'"': "…", b"[": [None], b"{": {"…": None}}
    return kinds.get(bytes(memoryview(value)[:1]), 0)


def replace_model(raw: bytes, old: str, new: str, top: TopLevel | None = None) -> bytes:
    """`raw` with its top-level `model` changed from `old` to `new`; every other value keeps its bytes.

    `raw` is a JSON object whose model is known to be `old`. Of repeated keys the last one counts, as for every
    parser in use, and only it is kept. White space between the top-level keys goes. `top` is what `raw` was taken
    apart into, where that has been done.
    """
    if old == new:
        return raw
    try:
        document = dict(top) if top is not None else _TOP_LEVEL.decode(raw)
    except msgspec.DecodeError:
        # JavaScript clients write halves of surrogate pairs, which only the slower library lets pass.
        return json.dumps(json.loads(raw) | {"model": new}).encode()
    document["model"] = msgspec.Raw(msgspec.json.encode(new))
    return msgspec.json.encode(document)


_KEY = b'"model"'
_BLANK = b" \t\r\n"
_OF_THE_KEY = b"\\u006"
"""How each letter of the key begins, should a client write it in numbers."""


def rename(raw: bytes, old: str, new: str) -> bytes:
    """Like `replace_model`, but where the bytes leave no doubt the name is changed in its place: white space stays, and
    nothing is taken apart.

    They leave none when `"model"` is in them only once: as text it would have a backslash before its quotes, and as
    another key or a word of its own it would be the second, for the one that was read is there, too.
    """
    at = raw.find(_KEY)
    if at < 0 or raw.find(_KEY, at + 1) >= 0 or _OF_THE_KEY in raw:
        return replace_model(raw, old, new)
    at = _after(raw, at + len(_KEY))
    written = _quoted(old)
    if raw[at : at + 1] != b":" or not raw.startswith(written, at := _after(raw, at + 1)):
        return replace_model(raw, old, new)
    return raw[:at] + _quoted(new) + raw[at + len(written) :]


def _after(raw: bytes, at: int) -> int:
    """The first place from `at` on that is not blank."""
    while raw[at : at + 1] in _BLANK and at < len(raw):
        at += 1
    return at


@lru_cache(maxsize=256)
def _quoted(name: str) -> bytes:
    return msgspec.json.encode(name)
