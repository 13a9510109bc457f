"""Whether two requests to a provider are the same to a person: ids and dates in them may differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from omniroute.upstream.tape import Asked

_MASKS = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (
        re.compile(
            r"\b(?:call|toolu|tooluse|chatcmpl|msg|resp|rs|fc|ctc|item|req|run|thread|session|user|srvtoolu)[_-][A-Za-z0-9_-]{6,}"
        ),
        "<id>",
    ),
    (
        re.compile(
            r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?!\d)"
        ),
        "<date>",
    ),
    (
        re.compile(
            r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,? (?:\d{1,2} \w{3,9}|\w{3,9} \d{1,2},?) \d{4}"
            r"(?: \d{2}:\d{2}:\d{2}(?: [A-Z]{3,4})?)?"
        ),
        "<date>",
    ),
    (re.compile(r"(?<![\d.])\b1[5-9]\d{8}(?:\d{3})?\b(?![\d.])"), "<time>"),
    (re.compile(r"\b[0-9a-f]{32,}\b"), "<hash>"),
)
"""Text that is another each time, and what stands for it."""


def essence(asked: Asked, ignore: Sequence[str]) -> Any:
    """What of a request counts."""
    body = asked.body
    if isinstance(body, dict):
        body = {key: value for key, value in body.items() if key not in ignore}
    return {"method": asked.method, "path": masked(asked.path), "body": _masked(body)}


def masked(text: str) -> str:
    """Text without ids and dates."""
    for pattern, stand_in in _MASKS:
        text = pattern.sub(stand_in, text)
    return text


def differences(expected: Any, got: Any, path: str = "") -> Iterator[str]:
    """Where two essences differ, in words."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in [*expected, *(k for k in got if k not in expected)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in got:
                yield f"{below} is missing"
            elif key not in expected:
                yield f"{below} is new: {_short(got[key])}"
            else:
                yield from differences(expected[key], got[key], below)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif isinstance(expected, list) and isinstance(got, list):
        same = next((n for n, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), None)
        at = f", and [{same}] differs" if same is not None else ""
        yield f"{path} has {len(got)} entries, not {len(expected)}{at}"
    elif expected != got or type(expected) is not type(got):
        yield f"{path} is {_short(got)}, not {_short(expected)}"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
