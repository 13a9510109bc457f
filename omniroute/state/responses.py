"""Responses that the gateway made itself, for clients that go on from them (`previous_response_id`, `item_reference`).

A provider that speaks the Responses API keeps its own; this is for all others. Bounded in number, bytes and age; each
caller sees only its own. With a store that is shared, what is not here is looked for there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from omniroute.state.shared import Heard, Local, Shared
from omniroute.state.shelf import Shelf

Doc = dict[str, Any]

MOST = 2_000
MOST_BYTES = 128 * 2**20
KEPT = 6 * 3600.0
"""Seconds."""
RESPONSE = "response/"
ITEM = "response-item/"
DELETED = "response-deleted/"

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
    """The responses that one process has made or asked for, by caller and id; the oldest go first."""

    def __init__(
        self,
        clock: Callable[[], float],
        blobs: Shelf | None = None,
        shared: Shared | None = None,
        *,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._clock = clock
        self._blobs = blobs if blobs is not None else Shelf(clock)
        self._shared: Shared = shared if shared is not None else Local(clock)
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[tuple[str, str], Kept] = {}
        self._bytes = 0
        self._names: dict[str, tuple[str, str]] = {}
        """What the store calls those that are here."""
        self._shared.watch(DELETED, self._heard)

    def keep(self, caller: str, response: Doc, input: list[Doc]) -> None:
        """Remember a finished response. One that is larger than the whole store is not kept."""
        id = response["id"]
        kept = Kept(_encode(response), _encode(input), self._clock() + KEPT)
        self._put(caller, id, kept)
        if not self._blobs.shared:
            return
        self._blobs.put_soon(RESPONSE + _name(caller, id), msgspec.msgpack.encode(kept), KEPT)
        for item in response.get("output", []):
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                self._blobs.put_soon(ITEM + _name(caller, item["id"]), id.encode(), KEPT)

    async def response(self, caller: str, id: str) -> Doc | None:
        """The response object as the client got it."""
        kept = await self._find(caller, id)
        return _decode(kept.response) if kept is not None else None

    async def input(self, caller: str, id: str) -> list[Doc] | None:
        """All items that led to it."""
        kept = await self._find(caller, id)
        return _decode(kept.input) if kept is not None else None

    async def item(self, caller: str, id: str) -> Doc | None:
        """An item of any kept response, by its own id. A look through all of them: references are rare."""
        found = self._item_here(caller, id)
        if found is not None or not self._blobs.shared:
            return found
        response_id = await self._blobs.get(ITEM + _name(caller, id))
        if response_id is None or await self._find(caller, response_id.decode()) is None:
            return None
        return self._item_here(caller, id)

    async def drop(self, caller: str, id: str) -> bool:
        """Forget a response; whether there was one."""
        was_here = self._forget(caller, id)
        if not self._blobs.shared:
            return was_here
        name = _name(caller, id)
        there = await self._blobs.drop(RESPONSE + name)
        if was_here or there:
            # Others may have a copy, and may be cut off from the store right now: a record reaches them later, too.
            self._shared.put(DELETED + name, b"", KEPT)
        return was_here or there

    async def _find(self, caller: str, id: str) -> Kept | None:
        kept = self._here(caller, id)
        name = _name(caller, id)
        if kept is not None or not self._blobs.shared or self._shared.get(DELETED + name) is not None:
            return kept
        stored = await self._blobs.get(RESPONSE + name)
        if stored is None:
            return None
        try:
            kept = msgspec.msgpack.decode(stored, type=Kept)
        except msgspec.DecodeError:
            # Another version of the gateway kept it: for this one it is not there.
            return None
        self._put(caller, id, kept)
        return kept

    def _here(self, caller: str, id: str) -> Kept | None:
        kept = self._kept.get((caller, id))
        return kept if kept is not None and kept.until > self._clock() else None

    def _item_here(self, caller: str, id: str) -> Doc | None:
        wanted = id.encode()
        for (owner, response_id), kept in reversed(self._kept.items()):
            if owner != caller or (wanted not in kept.response and wanted not in kept.input):
                continue
            if self._here(caller, response_id) is None:
                continue
            items: list[Doc] = [*_decode(kept.response).get("output", []), *_decode(kept.input)]
            found = next((item for item in items if item.get("id") == id), None)
            if found is not None:
                return found
        return None

    def _put(self, caller: str, id: str, kept: Kept) -> None:
        if kept.size > self._most_bytes:
            return
        self._forget(caller, id)
        self._kept[caller, id] = kept
        self._names[_name(caller, id)] = (caller, id)
        self._bytes += kept.size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._forget(*next(iter(self._kept)))

    def _forget(self, caller: str, id: str) -> bool:
        kept = self._kept.pop((caller, id), None)
        if kept is None:
            return False
        self._names.pop(_name(caller, id), None)
        self._bytes -= kept.size
        return True

    def _heard(self, heard: Heard) -> None:
        """Another process was told to delete one."""
        known = self._names.get(heard.key.removeprefix(DELETED))
        if heard.verb == "put" and known is not None:
            self._forget(*known)


def _name(caller: str, id: str) -> str:
    """What a response is called in the store: nobody gets another caller's by its id."""
    return hashlib.sha256(f"{caller}\0{id}".encode("utf-8", "replace")).hexdigest()[:40]
