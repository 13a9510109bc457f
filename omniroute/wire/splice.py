"""Change the top-level `model` of a JSON object without re-serialising it (ARCHITECTURE 8).

The cheap way looks for the only plainly written `"model":` key. In JSON text a quote inside a string is always
escaped, so `"model"` preceded by `{` or `,` is a real key, but maybe of an inner object; when there is more than
one, or the value is not the one expected, or a key could be written with escapes, the answer is "don't know".
"""

from __future__ import annotations

import re

import msgspec

_KEY = re.compile(rb'[{,]\s*"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_FIRST = re.compile(rb'\s*\{\s*"model"\s*:\s*"([^"\\]*)"')
_ESCAPED_KEY = re.compile(rb"\\u00(?:6[dDfF45cC]|4)")


def replace_model(raw: bytes, old: str, new: str) -> bytes:
    """`raw` with its top-level `model` changed from `old` to `new`.

    `raw` is a JSON object whose top-level model is known to be `old`. Falls back to parse and dump when the
    cheap way cannot be sure.
    """
    if old == new:
        return raw
    spliced = splice_model(raw, old, new)
    if spliced is not None:
        return spliced
    document = msgspec.json.decode(raw)
    document["model"] = new
    return msgspec.json.encode(document)


def splice_model(raw: bytes, old: str, new: str) -> bytes | None:
    """The cheap way, or None for "don't know"."""
    value = msgspec.json.encode(new)[1:-1]
    plain = old.encode()
    first = _FIRST.match(raw)
    if first is not None:
        # A later top-level duplicate would win in most parsers: then this is not the value that counts.
        if first.group(1) != plain or _duplicated(raw, first.end()):
            return None
        return raw[: first.start(1)] + value + raw[first.end(1) :]
    hits = list(_KEY.finditer(raw))
    if len(hits) != 1 or hits[0].group(1) != plain or _ESCAPED_KEY.search(raw):
        return None
    hit = hits[0]
    return raw[: hit.start(1)] + value + raw[hit.end(1) :]


def _duplicated(raw: bytes, after: int) -> bool:
    return raw.find(b'"model"', after) >= 0 and _KEY.search(raw, after) is not None
