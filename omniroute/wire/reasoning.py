"""Change how much a request asks to think, in its own wire format, and nothing else about it."""

from __future__ import annotations

from typing import Any

import msgspec

from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import Conversation, Doc, Notes, Reasoning

_MISSING = object()


def set_reasoning(wire: Wire, document: Doc, talk: Conversation, reasoning: Reasoning | None) -> None:
    """Write `reasoning` (None: nothing is asked) into `document`, whose conversation is `talk`.

    The wire's own writer decides how, limits that thinking imposes on sampling included; only its
    `reasoning_keys` are taken over, so that all else stays as the client wrote it.
    """
    wanted = msgspec.structs.replace(talk, reasoning=reasoning)
    written = wire.write_request(wanted, Dialect(model=talk.model), Notes())
    for path in wire.reasoning_keys:
        _put(document, path.split("."), _get(written, path.split(".")))


def _get(document: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return _MISSING
        document = document[key]
    return document


def _put(document: Doc, path: list[str], value: Any) -> None:
    *above, last = path
    for key in above:
        inner = document.get(key)
        if not isinstance(inner, dict):
            if value is _MISSING:
                return
            inner = document[key] = {}
        document = inner
    if value is _MISSING:
        document.pop(last, None)
    else:
        document[last] = value
