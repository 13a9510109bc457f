"""What the tests of Anthropic Messages share: short ways to write, read and look at requests and streams."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx2

from omniroute.wire.anthropic import AnthropicMessages
from omniroute.wire.codec import Dialect
from omniroute.wire.conversation import (
    Answer,
    Choice,
    Conversation,
    Delta,
    Finish,
    Notes,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.wire.sse import EventSplitter
from tests.support import streams

NAME = "anthropic-messages"
WIRE = AnthropicMessages()
FORMATS = (NAME, "anthropic-vertex")
Doc = dict[str, Any]


def written(talk: Conversation, notes: Notes | None = None, **dialect: Any) -> Doc:
    return WIRE.write_request(talk, Dialect(**dialect), notes if notes is not None else Notes())


def asked(**settings: Any) -> Conversation:
    """A conversation as another wire reads one: no extras of ours."""
    settings.setdefault("turns", [Turn(role="user", parts=[Text(text="hi")])])
    return Conversation(model="m", **settings)


def deltas_of(raw: bytes, *, step: int | None = None) -> list[Delta]:
    return streams.deltas_of(WIRE, raw, step=step)


def bytes_of(deltas: Iterable[Delta], notes: Notes | None = None) -> bytes:
    return streams.bytes_of(WIRE, deltas, notes)


def events_of(raw: bytes) -> list[Doc]:
    return [json.loads(event.data) for event in EventSplitter().feed(raw)]


def sse(*docs: Doc) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (d["type"].encode(), json.dumps(d).encode()) for d in docs)


def sdk_message(raw: bytes) -> Any:
    """What the official SDK makes of a stream."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as client,
        anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=client, max_retries=0) as sdk,
        sdk.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}]) as stream,
    ):
        return stream.get_final_message()


OWN = Signature(value="sig", wire=NAME)

ALIEN = Signature(value="sig", wire="gemini")

MESSAGE: Doc = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "x", "usage": {"input_tokens": 5, "output_tokens": 1}},
}

STOP: Doc = {"type": "message_stop"}


def call(id: str, name: str = "f", arguments: str = "{}") -> ToolCall:
    return ToolCall(id=id, name=name, arguments=arguments)


def result(id: str, text: str = "ok") -> ToolResult:
    return ToolResult(id=id, content=[Text(text=text)])


def block(index: Any, start: Doc, *deltas: Doc) -> list[Doc]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(part: int, said: str) -> TextDelta:
    return TextDelta(part=part, text=said)


def answered(*parts: Any, finish: Finish | None = None, **more: Any) -> Answer:
    return Answer(choices=[Choice(parts=list(parts), finish=finish or Finish())], **more)


def valid(message: Doc) -> Doc:
    """The message, if the official SDK's strict types take it."""
    anthropic.types.Message.model_validate(message)
    return message


def legal(raw: bytes) -> list[Doc]:
    """The events, after a look at their order: one message, blocks one after the other, one end."""
    events = events_of(raw)
    assert events[0]["type"] == "message_start"
    assert [e["type"] for e in events].count("message_start") == 1
    index, inside = 0, False
    for event in events[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert not inside and event["index"] == index
            inside = True
        elif kind in ("content_block_delta", "content_block_stop"):
            assert inside and event["index"] == index
            if kind == "content_block_stop":
                inside, index = False, index + 1
        elif kind not in ("ping", "error"):
            assert not inside
    assert events[-1]["type"] in ("message_stop", "error")
    return events


def blocks_out(raw: bytes) -> list[str]:
    """What the blocks of a stream say, as `text: …`, `thinking: …`, `f(…)`."""
    legal(raw)
    said = []
    for block in sdk_message(raw).content:
        doc = block.to_dict()
        words = {
            "tool_use": lambda d: f"{d['name']}({json.dumps(d['input'])})",
            "redacted_thinking": lambda d: f"redacted: {d['data'].rpartition('.')[0]}",
            "thinking": lambda d: (
                f"thinking: {d['thinking']}"
                + (f" [{d['signature'].rpartition('.')[0] or d['signature']}]" if d["signature"] else "")
            ),
        }
        said.append(words.get(doc["type"], lambda d: f"{d['type']}: {d.get('text', '')}")(doc))
    return said
