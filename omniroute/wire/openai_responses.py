"""OpenAI Responses: `POST /responses`, spoken by OpenAI, Azure, xAI and Codex.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem, UpstreamError
from omniroute.wire import (
    openai_responses_errors,
    openai_responses_glance,
    openai_responses_request,
    openai_responses_writer,
)
from omniroute.wire.codec import ModelCard, NameRule, Operation, Wire
from omniroute.wire.conversation import Answer, Choice, Doc, Part
from omniroute.wire.openai_responses_errors import error_fields, problem_of_response
from omniroute.wire.openai_responses_glance import ResponsesTap
from omniroute.wire.openai_responses_items import read_output_item
from omniroute.wire.openai_responses_object import read_finish, read_usage
from omniroute.wire.openai_responses_reader import ResponsesReader
from omniroute.wire.openai_responses_shapes import WIRE, said, whole
from omniroute.wire.openai_responses_writer import ResponsesWriter
from omniroute.wire.rate_limit_headers import Family
from omniroute.wire.shapes import docs_of
from omniroute.wire.sse import frame


@wire("openai-responses")
class OpenAIResponses(Wire):
    """OpenAI's Responses API, with its items, encrypted reasoning and numbered events."""

    name: ClassVar[str] = WIRE
    paths: ClassVar[Mapping[Operation, str]] = {
        "chat": "/responses",
        "count_tokens": "/responses/input_tokens",
    }
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
    read_request = staticmethod(openai_responses_request.read_request)
    write_request = staticmethod(openai_responses_request.write_request)
    add_system = staticmethod(openai_responses_request.add_system)

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, doc: Doc) -> Answer:
        """Raises `UpstreamError` for a response that failed, which is a 200 with `status: failed`."""
        problem = problem_of_response(doc)
        if problem is not None:
            raise UpstreamError(problem)
        items = docs_of(doc.get("output"))
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

    write_answer = staticmethod(openai_responses_writer.write_answer)

    def read_count(self, doc: Doc) -> int:
        return whole(doc.get("input_tokens"))

    def write_count(self, tokens: int) -> Doc:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        data = [{"id": c.id, "object": "model", "created": c.created, "owned_by": c.owner} for c in cards]
        return {"object": "list", "data": data}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    reader = ResponsesReader
    writer = ResponsesWriter
    keep_alive = openai_responses_writer.KEEP_ALIVE

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(openai_responses_errors.read_error)
    write_error = staticmethod(openai_responses_errors.write_error)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        """The `error` event alone: a failed response would have to repeat an id that only the upstream knows."""
        event = {"type": "error", "sequence_number": 0, **error_fields(problem)}
        return frame(msgspec.json.encode(event), "error")

    # glances ────────────────────────────────────────────────────────────────────────────────────
    glance = staticmethod(openai_responses_glance.glance)
    tap = ResponsesTap


def _logprobs(items: list[Doc]) -> Doc | None:
    """The log probabilities of all text, in one list."""
    tokens: list[Any] = []
    for item in items:
        for entry in docs_of(item.get("content")):
            tokens += docs_of(entry.get("logprobs"))
    return {"content": tokens} if tokens else None
