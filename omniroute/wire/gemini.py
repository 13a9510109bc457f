"""The wire format of Google's `generateContent`. https://ai.google.dev/api/generate-content

What quirks of a target change:

    openapi_schema          takes only the OpenAPI subset (`parameters`, `responseSchema`), not JSON Schema
    thinking_level          thinks by level (`thinkingLevel`), not by budget; so does a target with `thinking_levels`
    always_thinks           refuses to be told not to think
    thought_signatures      refuses a call in the history without a signature: gets the documented one that says so
    tool_images             takes images inside of a `functionResponse`
    media_resolution        takes the resolution of one image (`detail`)
    no_system_role          has no `systemInstruction`: system texts become the user's
    no_json_with_tools      refuses a JSON answer beside functions: JSON is asked for in words
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import quote

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
from omniroute.wire import gemini_answer, gemini_errors, gemini_glance, gemini_request
from omniroute.wire.codec import (
    Dialect,
    Glance,
    ModelCard,
    NameRule,
    Operation,
    Peek,
    Reference,
    StreamReader,
    StreamTap,
    StreamWriter,
    Wire,
)
from omniroute.wire.conversation import Answer, Conversation, Doc, Notes
from omniroute.wire.gemini_doc import as_count, given
from omniroute.wire.gemini_stream import GeminiReader
from omniroute.wire.gemini_stream_writer import GeminiWriter
from omniroute.wire.sse import frame

METHODS: dict[tuple[Operation, bool], str] = {
    ("chat", False): "generateContent",
    ("chat", True): "streamGenerateContent?alt=sse",
    ("count_tokens", False): "countTokens",
    ("count_tokens", True): "countTokens",
}
"""What is called at a model, with the query that it needs."""

_COLLECTIONS = ("models/", "tunedModels/", "publishers/", "projects/", "endpoints/")
"""A model's name that begins so is a resource's full name already."""


@wire("gemini")
class Gemini(Wire):
    """Google's `generateContent`, its stream and `countTokens`; the model stands in the path."""

    name: ClassVar[str] = "gemini"
    wants_pairs: ClassVar[bool] = True
    model_in_body: ClassVar[bool] = False
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_.:-", 64, first="a-zA-Z_")
    reasoning_keys: ClassVar[tuple[str, ...]] = ("generationConfig", "generation_config")

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        _OBJECT.decode(raw)
        return Peek("", False)

    def read_request(self, doc: Doc) -> Conversation:
        return gemini_request.read_request(doc)

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return gemini_request.write_request(talk, dialect, notes)

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        gemini_request.add_system(doc, text, first=position == "prepend")

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        resource = model if model.startswith(_COLLECTIONS) else f"models/{model}"
        return f"/{quote(resource, safe='/@:.-_~')}:{METHODS[operation, stream]}"

    def count_request(self, doc: Doc, model: str) -> Doc:
        """The body for `countTokens`, made of one for `generateContent`: alone it would take contents only."""
        return gemini_request.count_request(doc, model)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, doc: Doc) -> Answer:
        return gemini_answer.read_answer(doc)

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return gemini_answer.write_answer(answer, reference, notes)

    def read_count(self, doc: Doc) -> int:
        return as_count(doc.get("totalTokens"))

    def write_count(self, tokens: int) -> Doc:
        return {"totalTokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        return {"models": [_write_card(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    def reader(self) -> StreamReader:
        return GeminiReader()

    def writer(self, reference: Reference, notes: Notes) -> StreamWriter:
        return GeminiWriter(reference, notes)

    @property
    def keep_alive(self) -> bytes:
        # Google's own Python SDK takes a comment for the answer. A blank line is no event to any client, and
        # between the elements of a JSON array it means nothing either.
        return b"\n"

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return gemini_errors.read_error(status, headers, body)

    def write_error(self, problem: Problem, request_id: str) -> Doc:
        return gemini_errors.write_error(problem, request_id)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        return frame(msgspec.json.encode(self.write_error(problem, request_id)))

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        return gemini_glance.glance(raw)

    def tap(self) -> StreamTap:
        return gemini_glance.GeminiTap()


def _write_card(card: ModelCard) -> Doc:
    return given(
        name=f"models/{card.id}",
        displayName=card.name or card.id,
        inputTokenLimit=card.context,
        outputTokenLimit=card.max_output,
        supportedGenerationMethods=["generateContent", "streamGenerateContent", "countTokens"],
    )


class _Nothing(msgspec.Struct):
    pass


_OBJECT = msgspec.json.Decoder(_Nothing)
