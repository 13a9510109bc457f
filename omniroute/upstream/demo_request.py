"""What the demo model makes of a request: who said what last, what is asked for, and how long it all is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from omniroute.wire.conversation import (
    Audio,
    Conversation,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Video,
)

CHARACTERS_A_TOKEN = 4
MEDIA_CHARACTERS = 258 * CHARACTERS_A_TOKEN
"""What an image, a recording or a document counts, whatever its size."""

_ASIDE = re.compile(r"\s*<([a-zA-Z][\w-]*)[\s>]")
"""Text that a coding CLI adds to what its user typed stands in a tag: `<system-reminder>`, `<environment_context>`."""

_MEDIA: dict[type, str] = {Image: "image", Audio: "audio clip", Video: "video", File: "document"}


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A request, understood.

    `prompt` is what the user typed last; `results` what the tools answered since the model last spoke;
    `called` the names of the tools that were called since the prompt; `media` counts the attachments by kind.
    """

    prompt: str
    results: tuple[ToolResult, ...]
    called: frozenset[str]
    messages: int
    system: bool
    media: dict[str, int]
    reasons: bool


def hear(talk: Conversation) -> Heard:
    spoken = [turn for turn in talk.turns if turn.role in ("user", "assistant")]
    at = max((i for i, turn in enumerate(spoken) if _typed(turn)), default=-1)
    return Heard(
        prompt=_typed(spoken[at]) if at >= 0 else "",
        results=tuple(_latest_results(spoken)),
        called=frozenset(p.name for turn in spoken[at + 1 :] for p in turn.parts if isinstance(p, ToolCall)),
        messages=len(spoken),
        system=len(spoken) < len(talk.turns),
        media=_media(talk),
        reasons=reasons(talk.reasoning),
    )


def reasons(reasoning: Reasoning | None) -> bool:
    """Whether the request asks for reasoning."""
    if reasoning is None or reasoning.enabled is False:
        return False
    return reasoning.effort != "none" and reasoning.budget != 0


def count_tokens(talk: Conversation) -> int:
    """Tokens of a request: every four characters one, and a fixed number for each attachment."""
    characters = sum(_length(part) for turn in talk.turns for part in turn.parts)
    characters += sum(_tool_length(tool) for tool in talk.tools)
    return max(1, tokens_of(characters))


def tokens_of(characters: int) -> int:
    return -(-characters // CHARACTERS_A_TOKEN)


def plain_text(parts: list[Part]) -> str:
    """The text of some content, without what is no text."""
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _typed(turn: Turn) -> str:
    """What a user typed in this turn: its texts, but for those that a client added in tags."""
    if turn.role != "user":
        return ""
    texts = [part.text for part in turn.parts if isinstance(part, Text)]
    return "\n".join(text for text in texts if not _ASIDE.match(text)).strip()


def _latest_results(spoken: list[Turn]) -> Iterator[ToolResult]:
    last = max((i for i, turn in enumerate(spoken) if turn.role == "assistant"), default=-1)
    for turn in spoken[last + 1 :]:
        yield from (part for part in turn.parts if isinstance(part, ToolResult))


def _media(talk: Conversation) -> dict[str, int]:
    counts: dict[str, int] = {}
    for turn in talk.turns:
        for part in turn.parts:
            kind = _MEDIA.get(type(part))
            if kind is not None:
                counts[kind] = counts.get(kind, 0) + 1
    return counts


def _length(part: Part) -> int:
    measure = _LENGTHS.get(type(part))
    return MEDIA_CHARACTERS if measure is None else measure(part)


def _tool_length(tool: Tool) -> int:
    shape = msgspec.json.encode([tool.schema, tool.format, tool.native])
    return len(tool.name) + len(tool.description or "") + len(shape)


_LENGTHS: dict[type, Callable[[Any], int]] = {
    Text: lambda part: len(part.text),
    Thinking: lambda part: len(part.text),
    Refusal: lambda part: len(part.text),
    ToolCall: lambda part: len(part.name) + len(part.arguments),
    ToolResult: lambda part: sum(_length(inner) for inner in part.content),
    Opaque: lambda part: len(msgspec.json.encode(part.doc)),
}
