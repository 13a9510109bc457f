"""Edits of a request document of Anthropic Messages that need no conversation."""

from __future__ import annotations

from typing import Any

import msgspec

from omniroute.wire.codec import Position
from omniroute.wire.conversation import Doc
from omniroute.wire.shapes import doc_of, text_of

BILLING = "x-anthropic-billing-header"
"""How a first system block begins that is no prompt but a line for this wire's own accounting."""


def is_billing(block: Any) -> bool:
    """Whether a system block is that line."""
    return text_of(doc_of(block).get("text")).startswith(BILLING)


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Put a system text into a request, before or after those that are there; the billing line stays first."""
    system = doc.get("system")
    if not system:
        doc["system"] = text
    elif isinstance(system, str):
        doc["system"] = f"{text}\n\n{system}" if position == "prepend" else f"{system}\n\n{text}"
    else:
        at = len(system)
        if position == "prepend":
            at = 1 if is_billing(system[0]) else 0
        doc["system"] = [*system[:at], {"type": "text", "text": text}, *system[at:]]


def mark_prefixes(doc: Doc) -> None:
    """Prompt-cache breakpoints after what stays the same from turn to turn: tools, system, the talk so far.

    Changes nothing in a request that holds any breakpoint: its author knows better. Of the four that the API
    takes, at most three are set. https://docs.claude.com/en/docs/build-with-claude/prompt-caching
    """
    if b'"cache_control"' in msgspec.json.encode(doc):
        return
    control: Doc = {"cache_control": {"type": "ephemeral"}}
    if doc.get("tools"):
        doc["tools"] = [*doc["tools"][:-1], doc["tools"][-1] | control]
    if doc.get("system"):
        blocks = _as_blocks(doc["system"])
        doc["system"] = [*blocks[:-1], blocks[-1] | control]
    messages = doc["messages"]
    if messages and messages[-1]["role"] == "user":
        blocks = _as_blocks(messages[-1]["content"])
        doc["messages"] = [*messages[:-1], {"role": "user", "content": [*blocks[:-1], blocks[-1] | control]}]


def _as_blocks(content: str | list[Doc]) -> list[Doc]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
