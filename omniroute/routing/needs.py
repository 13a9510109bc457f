"""What a request needs of a model, whatever format it is written in: tools, vision, audio, pdf, json_schema, thinking.

Asked only where a model declares that it lacks something. Words that every such request has in its bytes are looked for
first, so that a plain request is never parsed for this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from omniroute.wire.conversation import Audio, Conversation, File, Image, Part, ToolResult

CAPABILITIES = frozenset({"tools", "vision", "audio", "pdf", "json_schema", "thinking"})

WISHES = frozenset({"json_schema", "thinking"})
"""What a model that lacks it can still do without, by the law of translation (emulated, or dropped by name): such a
target goes after the others. The rest is a need: without it the answer would be about something else."""

CANNOT: Mapping[str, str] = {
    "tools": "call tools",
    "vision": "see images",
    "audio": "hear audio",
    "pdf": "read PDFs",
    "json_schema": "keep to a JSON schema",
    "thinking": "think",
}
"""What a model that lacks a capability cannot do, in words."""

MARKS: Mapping[str, tuple[bytes, ...]] = {
    "tools": (b'"tools"', b'"functions"'),
    "vision": (b'image"', b'"image'),
    "audio": (b'audio"', b'"audio/'),
    "pdf": (b'file"', b'"document"', b'"application/pdf'),
    "json_schema": (b'chema"', b'format"', b'"output_config"'),
    "thinking": (b'"reasoning', b'"think', b'"enable_thinking"', b'"output_config"'),
}
"""Every request with a need has one of these in its bytes: as few as can be, for each is looked for. Quotes inside of
texts are escaped, so that most talk about images is told from images."""


def absent_from(body: bytes, capabilities: frozenset[str]) -> frozenset[str]:
    """Which of these the request can certainly do without: a cheap question to its bytes."""
    return frozenset([c for c in capabilities if not _any_in(MARKS[c], body)])


def _any_in(marks: tuple[bytes, ...], body: bytes) -> bool:
    for mark in marks:  # a generator would cost more than the search
        if mark in body:
            return True
    return False


def needs_of(talk: Conversation) -> frozenset[str]:
    """All that a request needs."""
    return frozenset(name for name, needed in _NEEDED.items() if needed(talk))


def _parts(talk: Conversation) -> Iterator[Part]:
    for turn in talk.turns:
        for part in turn.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.content


def _holds(kind: type) -> Callable[[Conversation], bool]:
    return lambda talk: any(isinstance(part, kind) for part in _parts(talk))


def _reads_files(talk: Conversation) -> bool:
    """A document that is given as text is text."""
    return any(isinstance(part, File) and part.source.text is None for part in _parts(talk))


def _thinks(talk: Conversation) -> bool:
    """Whether it asks for thinking; asking for none needs nothing."""
    reasoning = talk.reasoning
    if reasoning is None or reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return False
    return bool(reasoning.enabled or reasoning.effort or reasoning.budget or reasoning.adaptive)


_NEEDED: Mapping[str, Callable[[Conversation], bool]] = {
    "tools": lambda talk: any(tool.kind != "server" for tool in talk.tools),
    "vision": _holds(Image),
    "audio": _holds(Audio),
    "pdf": _reads_files,
    "json_schema": lambda talk: talk.output is not None and talk.output.kind == "json_schema",
    "thinking": _thinks,
}
