"""What the tests of the Responses wire share: references, streams as events, and the rules of a legal stream."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from omniroute.wire.codec import Reference
from omniroute.wire.conversation import Delta, Notes
from omniroute.wire.openai_responses import OpenAIResponses
from omniroute.wire.sse import EventSplitter
from tests.support import streams

WIRE = OpenAIResponses()
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}

# Codex acts on these codes; the SDK's type does not list them, the API sends them.
CODES_BEYOND_THE_TYPE = {"context_length_exceeded", "insufficient_quota", "server_is_overloaded"}


def reference(request: dict[str, Any] | None = None) -> Reference:
    counts: Counter[str] = Counter()

    def new_id(prefix: str) -> str:
        counts[prefix] += 1
        return f"{prefix}{counts[prefix]}"

    return Reference(model="m", request=request or {}, created=1700000000, new_id=new_id)


def read_stream(raw: bytes, cuts: Iterable[int] = ()) -> list[Delta]:
    """The deltas of a stream that arrives in pieces."""
    places = [0, *cuts, len(raw)]
    return streams.deltas_of(WIRE, *(raw[start:end] for start, end in pairwise(places)))


def write_stream(
    deltas: Iterable[Delta], request: dict[str, Any] | None = None, notes: Notes | None = None
) -> bytes:
    return streams.bytes_of(WIRE, deltas, notes, reference(request))


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The payloads of a stream; each event's name has to be its type."""
    splitter = EventSplitter()
    events = []
    for event in [*splitter.feed(raw), *splitter.end()]:
        payload = json.loads(event.data)
        assert event.name == payload["type"]
        events.append(payload)
    return events


def assert_legal(raw: bytes, *, typed: bool = True) -> list[dict[str, Any]]:
    """The rules that every stream of ours keeps, whatever was fed. Returns the payloads."""
    assert b"[DONE]" not in raw
    events = events_of(raw)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
    ids = {event["response"]["id"] for event in events if "response" in event}
    assert len(ids) == 1
    items = _done_items(events)
    final = events[-1]["response"]
    assert final["output"] == [items[index] for index in sorted(items)]
    if typed:
        for event in events:
            assert_typed_event(event)
    return events


def _done_items(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The closed items by index, each announced once, closed once, and equal to what its deltas said."""
    failed = events[-1]["type"] == "response.failed"
    added: dict[int, dict[str, Any]] = {}
    done: dict[int, dict[str, Any]] = {}
    grown: dict[tuple[Any, ...], str] = {}
    for event in events:
        kind, index = event["type"], event.get("output_index")
        if kind == "response.output_item.added":
            assert index == len(added)
            added[index] = event["item"]
        elif kind == "response.output_item.done":
            assert index in added and index not in done
            done[index] = event["item"]
        elif index is not None:
            assert index in added and index not in done
            key = _piece(event)
            if kind.endswith(".delta"):
                grown[key] = grown.get(key, "") + event["delta"]
            elif kind.endswith(".done") and not kind.endswith("part.done"):
                text = next(event[k] for k in ("text", "refusal", "arguments", "input") if k in event)
                assert grown.pop(key, "") == text
    missing = [added[index]["type"] for index in added.keys() - done.keys()]
    assert not missing or (failed and set(missing) <= {"function_call", "custom_tool_call"})
    assert failed or not grown
    return done


def _piece(event: dict[str, Any]) -> tuple[Any, ...]:
    kind = event["type"].rsplit(".", 1)[0]
    return kind, event["output_index"], event.get("content_index"), event.get("summary_index")


def assert_typed_event(event: dict[str, Any]) -> None:
    response = event.get("response")
    if response is not None and response["error"] is not None:
        if response["error"]["code"] in CODES_BEYOND_THE_TYPE:
            error = {**response["error"], "code": "server_error"}
            event = {**event, "response": {**response, "error": error}}
    EVENT.validate_json(json.dumps(event), strict=True)


def assert_typed_response(doc: dict[str, Any]) -> Response:
    return Response.model_validate_json(json.dumps(doc), strict=True)
