"""From one wire format to another without a network; what comes out is read by the judge, not by our own codecs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec

from omniroute import registry
from omniroute.wire.bridge import CrossTap, encode, read_answer, translate_request, write_answer
from omniroute.wire.codec import Dialect, Reference, Wire
from omniroute.wire.conversation import Conversation, Doc, Notes
from omniroute.wire.custom_calls import CustomCalls
from omniroute.wire.names import NameMap
from tests.fidelity.meaning import Call, Meaning, settle, squeezed
from tests.fidelity.replay import FAILED, PLAIN, STREAMED, events
from tests.support import streams

CLIENTS = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")


@cache
def wires() -> dict[str, Wire]:
    return {d.name: d.cls() for d in registry.load(plugins=False).all("wire")}


def reference(request: Doc | None = None) -> Reference:
    return streams.reference({"stream_options": {"include_usage": True}} if request is None else request)


def sse(*docs: Any, end: str = "\n\n", done: bool = False) -> bytes:
    """Events without names, as they come from most servers; a str is sent as it is."""
    lines = [doc if isinstance(doc, str) else f"data: {json.dumps(doc)}" for doc in docs]
    return "".join(line + end for line in [*lines, *(["data: [DONE]"] * done)]).encode()


def named_sse(*docs: Doc) -> bytes:
    """Events whose name is their `type`."""
    return "".join(f"event: {doc['type']}\ndata: {json.dumps(doc)}\n\n" for doc in docs).encode()


def stream_bytes(source: str, raw: bytes, client: str, request: Doc | None = None, size: int = 0) -> bytes:
    """What the client gets of an upstream's stream; in pieces of `size` bytes, or in one."""
    talk = wires()[client].read_request(request) if request is not None else Conversation()
    tap = CrossTap(
        wires()[source],
        wires()[client].writer(reference(request), Notes()),
        NameMap({}, None, None),
        talk,
    )
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)] if size else [raw]
    out = b"".join(map(tap.feed, pieces))
    return out + tap.end(None)[0]


def streamed(source: str, raw: bytes, client: str, request: Doc | None = None) -> Meaning:
    return settle(STREAMED[client](events(stream_bytes(source, raw, client, request).decode())))


def plain_doc(source: str, doc: Doc, client: str, request: Doc | None = None) -> Doc:
    answer = read_answer(encode(doc), wires()[source])
    talk = wires()[client].read_request(request) if request is not None else Conversation()
    answer = CustomCalls(talk).opened_answer(answer)
    return dict(json.loads(write_answer(answer, wires()[client], reference(request), Notes())))


def plain(source: str, doc: Doc, client: str) -> Meaning:
    return settle(PLAIN[client](plain_doc(source, doc, client)))


def failed(source: str, status: int, body: Any, client: str, **headers: str) -> tuple[int, Any]:
    """Status and meaning of an upstream's error, as the client gets it."""
    raw = body.encode() if isinstance(body, str) else encode(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    problem = wires()[source].read_error(status, names, raw)
    document = json.loads(encode(wires()[client].write_error(problem, "req_1")))
    return problem.http_status, FAILED[client](document, problem.http_status)


def sent(client: str, doc: Doc, target: str, **dialect: Any) -> tuple[Doc, Notes]:
    """What a target gets of a client's request, and what was noted on the way."""
    notes = Notes()
    talk = wires()[client].read_request(doc)
    document, _ = translate_request(
        talk, wires()[client], wires()[target], Dialect(**{"model": "m", **dialect}), notes
    )
    return dict(json.loads(msgspec.json.encode(document))), notes


def said(meaning: Meaning) -> dict[str, Any]:
    """The first choice in short: only what there is."""
    choice = meaning.first
    short: dict[str, Any] = {
        "text": "".join(choice.texts),
        "reasoning": squeezed(choice.reasoning),
        "refusal": choice.refusal,
        "calls": [(c.name, c.arguments) for c in choice.calls if isinstance(c, Call)],
        "server": choice.server,
        "finish": choice.finish,
    }
    if meaning.error is not None:
        return {"error": meaning.error.kind}
    return {name: value for name, value in short.items() if value}


def counted(meaning: Meaning) -> tuple[Any, ...]:
    """Input, output, cached and reasoning tokens."""
    usage = meaning.usage
    assert usage is not None
    return usage.input, usage.output, usage.cached or 0, usage.reasoning or 0
