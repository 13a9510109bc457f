"""Responses that the gateway made itself, for clients that go on from them (`previous_response_id`, `item_reference`).

A provider that speaks the Responses API keeps its own; this is for all others. Bounded in number, bytes and age; each
caller sees only its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

Doc = dict[str, Any]

MOST = 2_000
MOST_BYTES = 128 * 2**20
KEPT = 6 * 3600.0
"""Seconds."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Kept:
    """`input` holds all items that led to the response, earlier turns included; both are JSON."""

    response: bytes
    input: bytes
    until: float

    @property
    def size(self) -> int:
        return len(self.response) + len(self.input)


class ResponseStore:
    """The responses of one process, by caller and id; the oldest go first."""

    def __init__(self, clock: Callable[[], float], *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[tuple[str, str], Kept] = {}
        self._bytes = 0

    def keep(self, caller: str, response: Doc, input: list[Doc]) -> None:
        """Remember a finished response. One that is larger than the whole store is not kept."""
        kept = Kept(_encode(response), _encode(input), self._clock() + KEPT)
        if kept.size > self._most_bytes:
            return
        self.drop(caller, response["id"])
        self._kept[caller, response["id"]] = kept
        self._bytes += kept.size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._kept.pop(next(iter(self._kept))).size

    def response(self, caller: str, id: str) -> Doc | None:
        """The response object as the client got it."""
        kept = self._find(caller, id)
        return _decode(kept.response) if kept is not None else None

    def input(self, caller: str, id: str) -> list[Doc] | None:
        """All items that led to it."""
        kept = self._find(caller, id)
        return _decode(kept.input) if kept is not None else None

    def item(self, caller: str, id: str) -> Doc | None:
        """An item of any kept response, by its own id. A look through all of them: references are rare."""
        wanted = id.encode()
        for (owner, response_id), kept in reversed(self._kept.items()):
            if owner != caller or (wanted not in kept.response and wanted not in kept.input):
                continue
            if self._find(caller, response_id) is None:
                continue
            items: list[Doc] = [*_decode(kept.response).get("output", []), *_decode(kept.input)]
            found = next((item for item in items if item.get("id") == id), None)
            if found is not None:
                return found
        return None

    def drop(self, caller: str, id: str) -> bool:
        """Forget a response; whether there was one."""
        kept = self._kept.pop((caller, id), None)
        if kept is not None:
            self._bytes -= kept.size
        return kept is not None

    def _find(self, caller: str, id: str) -> Kept | None:
        kept = self._kept.get((caller, id))
        return kept if kept is not None and kept.until > self._clock() else None
