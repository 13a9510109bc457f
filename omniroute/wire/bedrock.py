"""Amazon Bedrock's Converse, ConverseStream and CountTokens. https://docs.aws.amazon.com/bedrock/latest/APIReference/

Spoken by providers only: no endpoint of the gateway offers it. The pieces stand in files of their own:
`bedrock_request` with `bedrock_messages`, `bedrock_parts` and `bedrock_model_fields`, `bedrock_answer`,
`bedrock_stream` in, `bedrock_writer` out, `bedrock_errors`; the framing of streams is in `aws_events`.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal
from urllib.parse import quote

from omniroute.declare import wire
from omniroute.wire import bedrock_answer, bedrock_errors, bedrock_messages, bedrock_request, bedrock_writer
from omniroute.wire.aws_events import STREAM_TYPE
from omniroute.wire.bedrock_model_fields import FIELDS
from omniroute.wire.bedrock_parts import WIRE
from omniroute.wire.bedrock_stream import BedrockReader, BedrockTap
from omniroute.wire.bedrock_writer import BedrockWriter
from omniroute.wire.codec import ModelCard, NameRule, Operation, Wire
from omniroute.wire.conversation import Doc
from omniroute.wire.shapes import count_of

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
    read_request = staticmethod(bedrock_request.read_request)
    write_request = staticmethod(bedrock_request.write_request)
    count_request = staticmethod(bedrock_request.count_request)
    add_system = staticmethod(bedrock_messages.add_system)

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        if operation == "count_tokens":
            # Tokens are counted for models, not for the profiles that lead to them.
            return f"/model/{quote(_GEOGRAPHY.sub('', model), safe='')}/count-tokens"
        return f"/model/{quote(model, safe='')}/{'converse-stream' if stream else 'converse'}"

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    read_answer = staticmethod(bedrock_answer.read_answer)
    write_answer = staticmethod(bedrock_answer.write_answer)

    def read_count(self, doc: Doc) -> int:
        return count_of(doc.get("inputTokens"))

    def write_count(self, tokens: int) -> Doc:
        return {"inputTokens": tokens}

    def write_models(self, cards: list[ModelCard]) -> Doc:
        """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html"""
        return {"modelSummaries": [_summary(card) for card in cards]}

    # stream in, stream out ──────────────────────────────────────────────────────────────────────
    reader = BedrockReader
    writer = BedrockWriter
    # There is nothing in these streams that clients skip.
    keep_alive = b""

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    read_error = staticmethod(bedrock_errors.read_error)
    write_error = staticmethod(bedrock_errors.write_error)
    error_event = staticmethod(bedrock_writer.error_event)

    # glances ────────────────────────────────────────────────────────────────────────────────────
    glance = staticmethod(bedrock_answer.glance)
    tap = BedrockTap


def _summary(card: ModelCard) -> Doc:
    return {"modelId": card.id, "modelName": card.name or card.id, "providerName": card.owner}
