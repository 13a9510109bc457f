"""Where transforms meet the data: request bodies, plain answers, and the events of a stream."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import msgspec

from omniroute.errors import Problem, Refused
from omniroute.pipeline.exchange import Exchange
from omniroute.pipeline.parts import Edit
from omniroute.wire.bridge import FRAMES, SPLITTERS
from omniroute.wire.conversation import Doc

encode = msgspec.json.Encoder().encode


def names_of(exchange: Exchange) -> dict[str, Any]:
    """What a transform may look at, beside the document that it edits."""
    target = exchange.target
    return {
        "model": target.model if target is not None else exchange.model,
        "provider": target.provider.name if target is not None else None,
        "account": exchange.account.name if exchange.account is not None else None,
        "key": exchange.caller.name if exchange.caller is not None else None,
        "headers": {name.lower(): value for name, value in exchange.request.headers.items()},
    }


def select(edits: Sequence[Edit], on: str, side: str) -> tuple[Edit, ...]:
    if not edits:
        return ()
    return tuple(e for e in edits if e.on == on and e.side == side)


def applied(
    edits: Sequence[Edit],
    document: Doc,
    names: Mapping[str, Any],
    headers: MutableMapping[str, str] | None = None,
) -> Doc | None:
    """The document after all edits, in order; None when it is as it was. Raises `Refused` naming the transform
    that failed."""
    result: Doc | None = None
    for edit in edits:
        changed = edit.apply(document, names, headers)
        if changed is not None:
            result = document = changed
    return result


def apply(
    edits: Sequence[Edit],
    document: Doc,
    names: Mapping[str, Any],
    headers: MutableMapping[str, str] | None = None,
) -> Doc:
    """The document after all edits, changed or not."""
    changed = applied(edits, document, names, headers)
    return document if changed is None else changed


class EventEdits:
    """Edits each JSON event of a stream of this framing; others pass."""

    __slots__ = ("_edits", "_frame", "_names", "_splitter")

    def __init__(self, edits: Sequence[Edit], names: Mapping[str, Any], framing: str = "sse") -> None:
        self._edits = edits
        self._names = names
        self._splitter = SPLITTERS[framing]()
        self._frame = FRAMES[framing]

    def feed(self, chunk: bytes) -> bytes:
        return b"".join([self._event(e.name, e.data) for e in self._splitter.feed(chunk)])

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        return b"".join([self._event(e.name, e.data) for e in self._splitter.end()]), problem

    def _event(self, name: str, data: bytes) -> bytes:
        try:
            document = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return self._frame(data, name)
        if not isinstance(document, dict):
            return self._frame(data, name)
        return self._frame(encode(apply(self._edits, document, self._names)), name)


def edited_answer(
    raw: bytes, edits: Sequence[Edit], names: Mapping[str, Any], headers: dict[str, str]
) -> bytes:
    """A plain answer after its edits. Raises `Refused` when it is no JSON object."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise Refused(Problem(kind="bad_gateway", message="The upstream's answer is not a JSON object."))
    changed = applied(edits, document, names, headers)
    return raw if changed is None else encode(changed)
