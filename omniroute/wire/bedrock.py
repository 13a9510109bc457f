"""Amazon Bedrock's Converse, ConverseStream and CountTokens. https://docs.aws.amazon.com/bedrock/latest/APIReference/

Spoken by providers only: no endpoint of the gateway offers it. The pieces stand in files of their own:
`bedrock_request` with `bedrock_messages`, `bedrock_parts` and `bedrock_model_fields`, `bedrock_answer`,
`bedrock_stream` in, `bedrock_writer` out, `bedrock_errors`; the framing of streams is in `aws_events`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import quote

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
from omniroute.wire.aws_events import STREAM_TYPE
from omniroute.wire.bedrock_answer import glance, read_answer, write_answer
from omniroute.wire.bedrock_errors import read_error, write_error
from omniroute.wire.bedrock_messages import add_system
from omniroute.wire.bedrock_model_fields import FIELDS
from omniroute.wire.bedrock_parts import WIRE
from omniroute.wire.bedrock_request import count_request, read_request, write_request
from omniroute.wire.bedrock_stream import BedrockReader, BedrockTap
from omniroute.wire.bedrock_writer import BedrockWriter, error_event
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
from omniroute.wire.shapes import count_of

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GEOGRAPHY = re.compile(r"^(us-gov|us|eu|apac|jp|au|ca|sa|me|af|global)\.")
"""How the id of an inference profile begins that is not the model's own."""


@wire(WIRE)
class Bedrock(Wire):
    """Amazon Bedrock's Converse, for all its models: Claude, Nova, Llama, Mistral, …; for providers, not for clients.

    The model stands in the path; streams are Amazon's binary ones. Tokens are counted by the provider.
    """

    name: ClassVar[str] = WIRE
    framing: ClassVar[Literal["sse", "ndjson", "aws"]] = "aws"
    stream_type: ClassVar[str] = STREAM_TYPE
    event_ends: ClassVar[tuple[bytes, ...]] = ()
    model_in_body: ClassVar[bool] = False
    reasoning_keys: ClassVar[tuple[str, ...]] = (FIELDS, "inferenceConfig")
    tool_names: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_-", 64)
    call_ids: ClassVar[NameRule | None] = NameRule("a-zA-Z0-9_-", 64)

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        _OBJECT.decode(raw)
        return Peek("", False)

    def read_request(self, doc: Doc) -> Conversation:
        return read_request(doc)

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        return write_request(talk, dialect, notes)

    def count_request(self, doc: Doc, model: str) -> Doc:
        return count_request(doc)

    def add_system(self, doc: Doc, text: str, position: Literal["prepend", "append"]) -> None:
        add_system(doc, text, first=position == "prepend")

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        if operation == "count_tokens":
            # Tokens are counted for models, not for the profiles that lead to them.
            return f"/model/{quote(_GEOGRAPHY.sub('', model), safe='')}/count-tokens"
        return f"/model/{quote(model, safe='')}/{'converse-stream' if stream else 'converse'}"

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    def read_answer(self, doc: Doc) -> Answer:
        return read_answer(doc)

    def write_answer(self, answer: Answer, reference: Reference, notes: Notes) -> Doc:
        return write_answer(answer, reference, notes)

    def read_count(self, doc: Doc) -> int:
        return count_of(doc.get("inputTokens"))

    def write_count(self, tokens: int) -> Doc:
        return {"inputTokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html"""
        return {"modelSummaries": [_summary(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    def reader(self) -> StreamReader:
        return BedrockReader()

    def writer(self, reference: Reference, notes: Notes) -> StreamWriter:
        return BedrockWriter(reference, notes)

    @property
    def keep_alive(self) -> bytes:
        """There is nothing in these streams that clients skip."""
        return b""

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return read_error(status, headers, body)

    def write_error(self, problem: Problem, request_id: str) -> Doc:
        return write_error(problem, request_id)

    def error_event(self, problem: Problem, request_id: str) -> bytes:
        return error_event(problem)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    def glance(self, raw: bytes) -> Glance:
        return glance(raw)

    def tap(self) -> StreamTap:
        return BedrockTap()


def _summary(card: ModelCard) -> Doc:
    return {"modelId": card.id, "modelName": card.name or card.id, "providerName": card.owner}
