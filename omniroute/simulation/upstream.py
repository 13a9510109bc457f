"""Providers that answer as they are told, in their own wire format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from typing import Any

import msgspec

from omniroute.config.cases import Scripted
from omniroute.errors import Problem, UpstreamError
from omniroute.upstream.demo_deltas import deltas
from omniroute.upstream.demo_embedding import embedded
from omniroute.upstream.faults import Whole, faulty, streams
from omniroute.upstream.headers import lowered
from omniroute.upstream.transport import Inbound, Outbound
from omniroute.wire.codec import Reference, Wire
from omniroute.wire.conversation import (
    Answer,
    Choice,
    Doc,
    Finish,
    Notes,
    Part,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from omniroute.wire.embeddings import Embeddings

encode = msgspec.json.Encoder().encode

REPEATED = ("choices", "candidates")
"""Lists of an answer whose entries have fields of their own to be filled in."""


@dataclass(slots=True)
class Sent:
    """A request that a provider got."""

    provider: str
    outbound: Outbound

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.outbound.body) if self.outbound.body else None

    @property
    def headers(self) -> dict[str, str]:
        return lowered(self.outbound.headers)


@dataclass(slots=True)
class Scene:
    """What all scripted providers of one test share: their scripts, and the requests that they got, in order."""

    clock: Callable[[], float]
    scripts: dict[str, Sequence[Scripted]]
    sent: list[Sent] = field(default_factory=list)
    unscripted: list[str] = field(default_factory=list)
    _used: dict[str, int] = field(default_factory=dict)

    def rewrite(self, scripts: dict[str, tuple[Scripted, ...]]) -> None:
        """New scripts for some providers, from their start."""
        self.scripts = {**self.scripts, **scripts}
        for name in scripts:
            self._used.pop(name, None)

    def has(self, provider: str) -> bool:
        return provider in self.scripts or "*" in self.scripts

    def next(self, provider: str) -> Scripted | None:
        """The next answer of a provider; the last one again and again."""
        script = self.scripts.get(provider) or self.scripts.get("*")
        if not script:
            return None
        number = self._used.get(provider, 0)
        self._used[provider] = number + 1
        return script[min(number, len(script) - 1)]


class ScriptedTransport:
    """One provider of a scene."""

    def __init__(self, provider: str, scene: Scene) -> None:
        self._provider = provider
        self._scene = scene

    async def send(self, outbound: Outbound) -> Inbound:
        self._scene.sent.append(Sent(self._provider, outbound))
        scripted = self._scene.next(self._provider)
        if scripted is None:
            self._scene.unscripted.append(self._provider)
            message = f"The test has no answer of {self._provider}."
            raise UpstreamError(Problem(kind="bad_gateway", code="not_scripted", message=message))

        async def answer(outbound: Outbound) -> Inbound:
            return said(scripted, outbound)

        plain = msgspec.structs.replace(scripted, body=None)
        inbound = await faulty(plain if _speaks(scripted) else scripted, outbound, answer)
        inbound.headers = {"date": formatdate(self._scene.clock(), usegmt=True), **inbound.headers}
        return inbound

    async def close(self) -> None:
        """There is nothing to let go of."""


def _speaks(scripted: Scripted) -> bool:
    """Whether the answer is one of a model: an error, or what takes an answer's place, is not."""
    return (scripted.status or 200) < 300 and (scripted.body is None or isinstance(scripted.body, dict))


def said(scripted: Scripted, outbound: Outbound) -> Inbound:
    """What a model says, in the format that the request is in."""
    wire = outbound.wire
    if wire is None:
        raise RuntimeError("a scripted answer needs to know in which format it is asked")
    embeddings = _embeddings_at(outbound.url, wire)
    if embeddings is not None:
        return _vectors(scripted, embeddings, outbound.body)
    if scripted.events:
        return Whole(200, {"content-type": wire.stream_type}, [_event(e) for e in scripted.events])
    reference = _reference(wire.peek(outbound.body).model, outbound.body)
    if isinstance(scripted.body, dict):
        whole = filled(scripted.body, wire.write_answer(_answer(Scripted(), reference), reference, Notes()))
        answer = wire.read_answer(whole) if streams(outbound) else None
    else:
        answer = _answer(scripted, reference)
        whole = wire.write_answer(answer, reference, Notes())
    if not streams(outbound) or answer is None:
        return Whole(200, {"content-type": "application/json"}, [encode(whole)])
    writer = wire.writer(reference, Notes())
    chunks = [chunk for delta in deltas(answer) if (chunk := writer.feed(delta))]
    return Whole(200, {"content-type": wire.stream_type}, [*chunks, writer.close()])


def _embeddings_at(url: str, wire: Wire) -> Embeddings | None:
    """The shape of embeddings that is asked for at this URL, if it is one."""
    shapes = wire.embeddings.variants if wire.embeddings is not None else ()
    return next((shape for shape in shapes if _last_word(shape.path("")) == _last_word(url)), None)


def _last_word(path: str) -> str:
    return re.split("[/:]", path.partition("?")[0])[-1]


def _vectors(scripted: Scripted, embeddings: Embeddings, body: bytes) -> Inbound:
    """The scripted body, as it was written; else the vectors of the demo model."""
    asked = embeddings.read_request(msgspec.json.decode(body))
    answer = embedded(asked)
    if scripted.usage is not None:
        answer.usage = _usage(scripted)
    written = scripted.body
    if not isinstance(written, dict):
        written = embeddings.write_answer(answer, asked, _reference("", body))
    return Whole(200, {"content-type": "application/json"}, [encode(written)])


def filled(given: Doc, template: Doc) -> Doc:
    """The answer as it was written, with what its format cannot do without. Text of the template is left out."""
    whole = {**template, **given}
    for key in REPEATED:
        items, samples = given.get(key), template.get(key)
        if isinstance(items, list) and isinstance(samples, list) and samples:
            plain = {k: v for k, v in samples[0].items() if not isinstance(v, dict | list)}
            whole[key] = [{**plain, **item} if isinstance(item, dict) else item for item in items]
    return whole


def _event(written: Any) -> bytes:
    """An event as it goes over the wire: text stands as it is, JSON in an event of its own type."""
    if isinstance(written, str):
        return written.encode()
    name = written.get("type") if isinstance(written, dict) else None
    head = b"event: " + name.encode() + b"\n" if isinstance(name, str) else b""
    return head + b"data: " + encode(written) + b"\n\n"


def _reference(model: str, body: bytes) -> Reference:
    numbers = count(1)
    return Reference(
        model=model,
        request=msgspec.json.decode(body),
        created=0,
        new_id=lambda prefix: f"{prefix}{next(numbers)}",
    )


def _answer(scripted: Scripted, reference: Reference) -> Answer:
    parts: list[Part] = []
    if scripted.thinking is not None:
        parts.append(Thinking(text=scripted.thinking))
    if scripted.text is not None or not scripted.calls:
        parts.append(Text(text=scripted.text if scripted.text is not None else "ok"))
    for call in scripted.calls:
        id = reference.new_id("call_")
        parts.append(ToolCall(id=id, name=call.name, arguments=encode(call.arguments).decode()))
    reason = scripted.finish or ("tool_calls" if scripted.calls else "stop")
    return Answer(
        id=reference.new_id("answer-"),
        model=reference.model,
        choices=[Choice(parts=parts, finish=Finish(reason=reason))],
        usage=_usage(scripted),
    )


def _usage(scripted: Scripted) -> Usage:
    spent = scripted.usage
    if spent is None:
        return Usage(input=100, output=10)
    return Usage(
        input=int(spent.input),
        output=int(spent.output),
        cached=int(spent.cached),
        cache_write=int(spent.cache_write),
        reasoning=int(spent.reasoning),
    )
