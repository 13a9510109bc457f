"""The memory of the Responses API for targets that have none: what came before is put in, what comes out is kept."""

from __future__ import annotations

import msgspec

from omniroute.errors import Problem, Refused
from omniroute.pipeline.exchange import Exchange
from omniroute.state.responses import ResponseStore
from omniroute.wire.conversation import Doc
from omniroute.wire.sse import EventSplitter

WIRE = "openai-responses"
_MARKS = (b"previous_response_id", b"item_reference")
_FINAL = frozenset({"response.completed", "response.incomplete"})


def caller_of(exchange: Exchange) -> str:
    """Whose responses these are: the key's name, or one name for all who need none."""
    return exchange.caller.name if exchange.caller is not None else ""


def refers(exchange: Exchange) -> bool:
    """Whether a request of the Responses API may refer to earlier ones."""
    return any(mark in exchange.outline for mark in _MARKS)


async def put_in(exchange: Exchange, store: ResponseStore) -> None:
    """Replace references to responses that the gateway keeps by what they refer to. Others stay: they may be the
    target's own. Raises `Refused` for a request of a wrong shape."""
    document = exchange.doc
    caller = caller_of(exchange)
    items = await _resolved(_items(document), caller, store)
    before = document.get("previous_response_id")
    earlier = await _earlier(before, caller, store) if isinstance(before, str) else None
    if earlier is None and items is None:
        return
    edited = exchange.edit()
    edited["input"] = [*(earlier or []), *(items if items is not None else _items(document))]
    if earlier is not None:
        del edited["previous_response_id"]


def refuse_unknown(exchange: Exchange) -> None:
    """A target without memory cannot go on from a response that nobody here keeps. Raises `Refused`."""
    before = exchange.talk.previous_id if exchange.wire.name == WIRE else None
    if before:
        raise Refused(
            Problem(
                kind="invalid_request",
                code="previous_response_not_found",
                param="previous_response_id",
                message=f"Previous response with id {before!r} not found.",
            )
        )


def keeps(exchange: Exchange) -> bool:
    """Whether the answer may be gone on from: a response whose client did not say `store: false`."""
    return exchange.wire.name == WIRE and exchange.sketch.get("store") is not False


def keep(exchange: Exchange, response: Doc, store: ResponseStore) -> None:
    """Remember a response that was made here."""
    if response.get("id"):
        store.keep(caller_of(exchange), response, _items(exchange.doc))


class KeepTap:
    """Lets the client's events through and keeps the response that the last one holds."""

    __slots__ = ("_exchange", "_splitter", "_store")

    def __init__(self, exchange: Exchange, store: ResponseStore) -> None:
        self._exchange = exchange
        self._store = store
        self._splitter = EventSplitter()

    def feed(self, chunk: bytes) -> bytes:
        for event in self._splitter.feed(chunk):
            if event.name in _FINAL:
                keep(self._exchange, msgspec.json.decode(event.data)["response"], self._store)
        return chunk

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        return b"", problem


def _items(document: Doc) -> list[Doc]:
    given = document.get("input")
    if isinstance(given, list):
        return given
    return [{"type": "message", "role": "user", "content": given}] if given else []


async def _earlier(id: str, caller: str, store: ResponseStore) -> list[Doc] | None:
    response, input = await store.response(caller, id), await store.input(caller, id)
    if response is None or input is None:
        return None
    return [*input, *response.get("output", [])]


async def _resolved(items: list[Doc], caller: str, store: ResponseStore) -> list[Doc] | None:
    """The items with references that are known replaced; None when there was nothing to replace."""
    found: dict[str, Doc] = {}
    for item in items:
        if _is_reference(item) and (known := await store.item(caller, item["id"])) is not None:
            found[item["id"]] = known
    return [found.get(item["id"], item) if _is_reference(item) else item for item in items] if found else None


def _is_reference(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "item_reference" and isinstance(item.get("id"), str)
