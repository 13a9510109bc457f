"""OpenAI Responses: `POST /responses`, spoken by OpenAI, Azure, xAI and Codex.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem, UpstreamError
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
from omniroute.wire.conversation import Answer, Choice, Conversation, Doc, Notes, Part
from omniroute.wire.openai_responses_errors import error_fields, failure_of, read_error, write_error
from omniroute.wire.openai_responses_glance import ResponsesTap, glance
from omniroute.wire.openai_responses_items import read_output_item
from omniroute.wire.openai_responses_object import read_finish, read_usage
from omniroute.wire.openai_responses_reader import ResponsesReader
from omniroute.wire.openai_responses_request import add_system, read_request, write_request
from omniroute.wire.openai_responses_shapes import WIRE, objects, said, whole
from omniroute.wire.openai_responses_writer import KEEP_ALIVE, ResponsesWriter, write_answer
from omniroute.wire.rate_limit_headers import Family
from omniroute.wire.sse import frame


class _Asked(msgspec.Struct):
    model: str
    stream: bool | None = False


_PATHS: dict[Operation, str] = {"chat": "/responses", "count_tokens": "/responses/input_tokens"}


@wire("openai-responses")
class OpenAIResponses(Wire):
    """OpenAI's Responses API, with its items, encrypted reasoning and numbered events."""

    name: ClassVar[str] = WIRE
    wants_pairs: ClassVar[bool] = True
    limits: ClassVar[Family | None] = "openai"
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_-", 64)
    call_ids: ClassVar[NameRule | None] = NameRule("!-~", 64)
    namespaces: ClassVar[bool] = True
    reasoning_keys: ClassVar[tuple[str, ...]] = ("reasoning",)
    not_counted: ClassVar[frozenset[str]] = frozenset(
        {
            "background",
            "include",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "service_tier",
            "store",
            "stream",
            "stream_options",
            "temperature",
            "top_logprobs",
            "top_p",
            "user",
        }
    )

    # request in, request out ────────────────────────────────────────────────────────────────────

    def peek(self, raw: bytes) -> Peek:
        asked = msgspec.json.decode(raw, type=_Asked)
        return Peek(asked.model, bool(asked.stream))

    def read_request(self, doc: Doc) -> Conversation:
        return read_request(doc)

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return write_request(talk, dialect, notes)

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        add_system(doc, text, position)

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        return _PATHS.get(operation)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────

    def read_answer(self, doc: Doc) -> Answer:
        """Raises `UpstreamError` for a response that failed, which is a 200 with `status: failed`."""
        problem = failure_of(doc)
        if problem is not None:
            raise UpstreamError(problem)
        items = objects(doc.get("output"))
        parts: list[Part] = [part for item in items for part in read_output_item(item)]
        choice = Choice(parts=parts, finish=read_finish(doc), logprobs=_logprobs(items))
        return Answer(
            id=said(doc, "id") or "",
            model=said(doc, "model") or "",
            created=whole(doc.get("created_at")),
            choices=[choice],
            usage=read_usage(doc.get("usage")),
            service_tier=said(doc, "service_tier"),
        )

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return write_answer(answer, reference, notes)

    def read_count(self, doc: Doc) -> int:
        return whole(doc.get("input_tokens"))

    def write_count(self, tokens: int) -> Doc:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        data = [{"id": c.id, "object": "model", "created": c.created, "owned_by": c.owner} for c in cards]
        return {"object": "list", "data": data}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────

    def reader(self) -> StreamReader:
        return ResponsesReader()

    def writer(self, reference: Reference, notes: Notes) -> StreamWriter:
        return ResponsesWriter(reference, notes)

    @property
    def keep_alive(self) -> bytes:
        return KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return read_error(status, headers, body)

    def write_error(self, problem: Problem, request_id: str) -> Doc:
        return write_error(problem, request_id)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """The `error` event alone: a failed response would have to repeat an id that only the upstream knows."""
        event = {"type": "error", "sequence_number": 0, **error_fields(problem)}
        return frame(msgspec.json.encode(event), "error")

    # glances ────────────────────────────────────────────────────────────────────────────────────

    def glance(self, raw: bytes) -> Glance:
        return glance(raw)

    def tap(self) -> StreamTap:
        return ResponsesTap()


def _logprobs(items: list[Doc]) -> Doc | None:
    """The log probabilities of all text, in one list."""
    tokens: list[Any] = []
    for item in items:
        for entry in objects(item.get("content")):
            tokens += objects(entry.get("logprobs"))
    return {"content": tokens} if tokens else None
