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

from typing import ClassVar

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
from omniroute.wire import gemini_answer, gemini_embeddings, gemini_errors, gemini_glance, gemini_request
from omniroute.wire.codec import Glance, ModelCard, NameRule, Operation, StreamTap, Wire
from omniroute.wire.conversation import Doc
from omniroute.wire.embeddings import Embeddings
from omniroute.wire.gemini_doc import as_count, given
from omniroute.wire.gemini_names import path_of
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


@wire("gemini")
class Gemini(Wire):
    """Google's `generateContent`, its stream, `countTokens` and `embedContent`; the model stands in the path."""

    name: ClassVar[str] = "gemini"
    wants_pairs: ClassVar[bool] = True
    model_in_body: ClassVar[bool] = False
    embeddings: ClassVar[Embeddings | None] = gemini_embeddings.MANY
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_.:-", 64, first="a-zA-Z_")
    reasoning_keys: ClassVar[tuple[str, ...]] = ("generationConfig", "generation_config")

    # request in, request out ────────────────────────────────────────────────────────────────────
    read_request = staticmethod(gemini_request.read_request)
    write_request = staticmethod(gemini_request.write_request)
    add_system = staticmethod(gemini_request.add_system)
    count_request = staticmethod(gemini_request.count_request)

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        method = METHODS.get((operation, stream))
        return f"{path_of(model)}:{method}" if method is not None else None

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    read_answer = staticmethod(gemini_answer.read_answer)
    write_answer = staticmethod(gemini_answer.write_answer)

    def read_count(self, doc: Doc) -> int:
        return as_count(doc.get("totalTokens"))

    def write_count(self, tokens: int) -> Doc:
        return {"totalTokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        return {"models": [_write_card(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    reader = GeminiReader
    writer = GeminiWriter
    # Google's own Python SDK takes a comment for the answer. A blank line is no event to any client, and between the
    # elements of a JSON array it means nothing either.
    keep_alive = b"\n"

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(gemini_errors.read_error)
    write_error = staticmethod(gemini_errors.write_error)

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
