"""How many tokens a request is, roughly, where no provider tells: an honest guess, and marked as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.wire.conversation import (
    Audio,
    Conversation,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Video,
)

CHARACTERS_PER_TOKEN = 4
"""English text and code, by most vendors' own rule of thumb."""
WIDE_CHARACTERS_PER_TOKEN = 1.5
"""Scripts beyond Latin, Greek and Cyrillic take far more tokens for a character."""
PER_TURN = 4
PER_TOOL = 10
IMAGE = 1_000
"""A middling figure: vendors charge 85 to 1,600 for one image."""
BYTES_PER_FILE_TOKEN = 40
"""Base64 characters of a PDF or a recording for each token."""


def estimated_tokens(talk: Conversation, unseen: int = 0) -> int:
    """Input tokens of a request, at least 1. `unseen` are the characters of files that were cut out of it."""
    tokens = float(sum(PER_TURN + sum(_part(part) for part in turn.parts) for turn in talk.turns))
    tokens += unseen / BYTES_PER_FILE_TOKEN
    for tool in talk.tools:
        tokens += (
            PER_TOOL
            + text_tokens(tool.name)
            + text_tokens(tool.description or "")
            + _json(tool.schema or tool.native)
        )
    if talk.output is not None:
        tokens += _json(talk.output.schema)
    return max(1, round(tokens))


def text_tokens(text: str) -> float:
    """Of a text alone: no whole number, so that sums of many small ones are right."""
    if text.isascii():
        return len(text) / CHARACTERS_PER_TOKEN
    wide = sum(ord(c) > 0x2E80 for c in text)
    return (len(text) - wide) / CHARACTERS_PER_TOKEN + wide / WIDE_CHARACTERS_PER_TOKEN


def _json(document: Any) -> float:
    return len(msgspec.json.encode(document)) / CHARACTERS_PER_TOKEN if document else 0.0


def _file(part: File | Audio | Video) -> float:
    if part.source.text is not None:
        return text_tokens(part.source.text)
    return len(part.source.data or "") / BYTES_PER_FILE_TOKEN


def _result(part: ToolResult) -> float:
    return sum(_part(inner) for inner in part.content) + PER_TURN


_COST: dict[type, Callable[[Any], float]] = {
    Text: lambda part: text_tokens(part.text),
    Refusal: lambda part: text_tokens(part.text),
    Thinking: lambda part: text_tokens(part.text),
    Image: lambda part: IMAGE,
    Audio: _file,
    Video: _file,
    File: _file,
    ToolCall: lambda part: PER_TURN + text_tokens(part.name) + text_tokens(part.arguments),
    ToolResult: _result,
    Opaque: lambda part: _json(part.doc),
}


def _part(part: Part) -> float:
    return _COST[type(part)](part)
