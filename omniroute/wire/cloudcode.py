"""The wire format of Google's Code Assist API (`cloudcode-pa.googleapis.com/v1internal`), as Gemini CLI and Antigravity
speak it: Gemini's own documents in an envelope.

A request is `{model, project, request: {…}}`, an answer and each event of a stream `{response: {…}, traceId}`. What
else stands in the envelope (`user_prompt_id`, `session_id`, …) is of the client's account, and goes to no other wire.
https://github.com/google-gemini/gemini-cli, packages/core/src/code_assist
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import msgspec

from omniroute.declare import wire
from omniroute.wire import gemini_glance
from omniroute.wire.codec import Dialect, Glance, Operation, Peek, Reference, StreamTap
from omniroute.wire.conversation import Answer, Conversation, Delta, Doc, Notes
from omniroute.wire.embeddings import Embeddings
from omniroute.wire.gemini import METHODS, Gemini
from omniroute.wire.gemini_doc import as_list, wrong_shape
from omniroute.wire.gemini_stream import GeminiReader
from omniroute.wire.gemini_stream_writer import GeminiWriter
from omniroute.wire.shapes import doc_of, text_of

encode = msgspec.json.Encoder().encode

_OF_THE_SESSION = ("session_id", "sessionId", "labels")
"""Members of the inner request that name the client's session; the public API refuses them."""


class _Inner(msgspec.Struct):
    model: str = ""


class _Envelope(msgspec.Struct):
    model: str = ""
    request: _Inner = msgspec.field(default_factory=_Inner)


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def _opened(doc: Doc) -> Doc:
    """What is in the envelope; an error stands beside none."""
    inner = doc_of(doc.get("response"))
    trace = doc.get("traceId")
    if "error" in doc:
        return {"error": doc["error"]}
    return {**({"responseId": trace} if isinstance(trace, str) else {}), **inner}


def _wrapped(doc: Doc) -> Doc:
    if "error" in doc:
        return doc
    return {"response": doc, **({"traceId": doc["responseId"]} if "responseId" in doc else {})}


class CloudCodeReader(GeminiReader):
    """Events of the envelope to deltas."""

    def _document(self, doc: Doc) -> Iterator[Delta]:
        return super()._document(_opened(doc))


class CloudCodeWriter(GeminiWriter):
    """Deltas to events in the envelope."""

    def _event(self, doc: Doc) -> bytes:
        return super()._event(_wrapped(doc))


@wire("cloudcode")
class CloudCode(Gemini):
    """Gemini's documents in the envelope of Google's Code Assist API; the model stands in the envelope.

    The base URL of a provider is `https://cloudcode-pa.googleapis.com`. Most accounts need a `project` in the envelope:
    a transform of the provider sets it.
    """

    name: ClassVar[str] = "cloudcode"
    model_in_body: ClassVar[bool] = True
    embeddings: ClassVar[Embeddings | None] = None
    reasoning_keys: ClassVar[tuple[str, ...]] = ("request.generationConfig", "request.generation_config")

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        """To stream or not is said by the path."""
        seen = _ENVELOPE.decode(raw)
        return Peek((seen.model or seen.request.model).removeprefix("models/"), False)

    def read_request(self, doc: Doc) -> Conversation:
        inner = doc.get("request")
        if not isinstance(inner, dict):
            raise wrong_shape("request", "an object")
        known = {name: value for name, value in inner.items() if name not in (*_OF_THE_SESSION, "model")}
        talk = super().read_request(known)
        talk.model = text_of(doc.get("model"))
        return talk

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return {"model": dialect.model or talk.model, "request": super().write_request(talk, dialect, notes)}

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        super().add_system(doc.setdefault("request", {}), text, position)

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        method = METHODS.get((operation, stream))
        return f"/v1internal:{method}" if method is not None else None

    def count_request(self, doc: Doc, model: str) -> Doc:
        """The count endpoint takes contents only: system text and tools are counted as what they are, text."""
        inner = doc_of(doc.get("request"))
        more = [inner[name] for name in ("systemInstruction", "tools") if name in inner]
        added = [{"role": "user", "parts": [{"text": encode(value).decode()}]} for value in more]
        contents = [*added, *as_list(inner.get("contents"))]
        return {"request": {"model": f"models/{model}", "contents": contents}}

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, doc: Doc) -> Answer:
        return super().read_answer(_opened(doc))

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return _wrapped(super().write_answer(answer, reference, notes))

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    reader = CloudCodeReader
    writer = CloudCodeWriter

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        return gemini_glance.glance(raw, wrapped=True)

    def tap(self) -> StreamTap:
        return gemini_glance.GeminiTap(wrapped=True)
