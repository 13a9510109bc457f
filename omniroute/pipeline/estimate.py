"""What an answer used that was cut before it said so, or whose provider never does: a guess from its size, marked as one.

A budget that counted nothing for it would be one to get around by hanging up.
"""

from __future__ import annotations

import msgspec

from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.routing.facts import estimated_tokens
from omniroute.wire.conversation import Usage

BYTES_PER_STREAMED_TOKEN = {
    "openai-chat": 155,
    "openai-responses": 168,
    "anthropic-messages": 42,
    "gemini": 12,
    "ollama": 110,
}
"""What a token takes in a stream of each format, with the frame around it: the median of recorded streams."""

BYTES_PER_TOKEN = 4


def estimate(exchange: Exchange, reply: Reply) -> Usage | None:
    """The usage of an answer that does not tell all of it; None where it does, or where there was no answer."""
    usage = exchange.usage
    operation = exchange.endpoint.operation
    if exchange.target is None or reply.problem is not None or operation == "count_tokens":
        return None
    if usage is not None and (exchange.finish is not None or reply.stream is None):
        return None
    output = _output(exchange, reply) if operation == "chat" else 0
    if usage is None:
        return Usage(input=estimated_tokens(exchange), output=output)
    return msgspec.structs.replace(usage, output=max(usage.output, output))


def _output(exchange: Exchange, reply: Reply) -> int:
    if reply.stream is not None:
        return reply.stream.written // BYTES_PER_STREAMED_TOKEN.get(exchange.wire.name, BYTES_PER_TOKEN)
    return len(reply.body or b"") // BYTES_PER_TOKEN
