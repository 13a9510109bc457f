"""What is said of settings that a target has no words for: nothing, that it is emulated, or that it is dropped.

The law of translation names what a client loses. Two kinds of settings are no loss, in whatever format: what speaks
to the API alone and means nothing to a model, and hints on cost and accounting, which change no word of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from omniroute.wire.conversation import Answer, Audio, Choice, Conversation, Notes, Opaque, Part, Turn

NOT_FOR_THE_MODEL = frozenset(
    {
        "anthropic_beta",
        "anthropic_version",
        "client_metadata",
        "include",
        "stream",
        "stream_options",
        "usage",
        "x-anthropic-billing-header",
    }
)
"""How the answer is carried, and lines for a provider's own books: never noted."""

HINTS = frozenset(
    {
        "background",
        "cache_control",
        "keep_alive",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "user",
    }
)
"""What to cache and to keep loaded, whom to book it on, when to fetch it. A target that takes no such hint caches prompts by itself or
not at all, and the gateway knows who calls: noted as emulated, so that `strict` does not refuse a request for it."""


def _clears_thinking_only(management: Any) -> bool:
    """Earlier thinking of one provider goes to no other anyway."""
    edits = management.get("edits") if isinstance(management, dict) else None
    return isinstance(edits, list) and all(
        isinstance(edit, dict) and str(edit.get("type")).startswith("clear_thinking") for edit in edits
    )


_MEANS_NOTHING: dict[str, Callable[[Any], bool]] = {"context_management": _clears_thinking_only}
"""Settings that mean something to a model only with some values."""


def note_loss(notes: Notes, name: str, value: Any = None) -> None:
    """Note that the setting `name` is not written, by what it means."""
    if name in NOT_FOR_THE_MODEL:
        return
    harmless = _MEANS_NOTHING.get(name)
    if harmless is not None and harmless(value):
        return
    (notes.emulate if name in HINTS else notes.drop)(name)


def note_not_off(notes: Notes, name: str, level: str | None) -> None:
    """Note that a model which cannot help thinking was asked not to, and what it gets instead: a level (None: its own).

    At `minimal` it hardly thinks, which is as good as asked; more than that costs what the client wanted to save.
    """
    if level == "none":
        return
    (notes.emulate if level == "minimal" else notes.drop)(name)


def note_foreign_settings(talk: Conversation, own: str, notes: Notes) -> None:
    """Note the settings that only other wires than `own` know (`Conversation.extras`)."""
    for wire, settings in talk.extras.items():
        for name, value in settings.items() if wire != own else ():
            note_loss(notes, name, value)


_SAYS_AT_ZERO = frozenset({"seed"})
"""Settings whose zero is a value like any other; with most it is what happens by itself."""

_CLIENT_WORDS = {"previous_id": "previous_response_id"}
"""Fields of a conversation that clients call otherwise."""


def note_unsaid(talk: Conversation, fields: Iterable[str], notes: Notes) -> None:
    """Note the settings that a format cannot say: those `fields`, more than one answer, and answers but in text."""
    for field in fields:
        value = getattr(talk, field)
        if value or (value is not None and field in _SAYS_AT_ZERO):
            note_loss(notes, _CLIENT_WORDS.get(field, field))
    if talk.choices is not None and talk.choices > 1:
        notes.drop("n")
    if talk.modalities and talk.modalities != ["text"]:
        notes.drop("modalities")


def first_choice(answer: Answer, notes: Notes) -> Choice:
    """The one answer that a format has room for; that there were more is noted."""
    if len(answer.choices) > 1:
        notes.drop("n")
    return answer.choices[0] if answer.choices else Choice()


def note_turn(turn: Turn, notes: Notes) -> None:
    """Note what a turn says beside its content, for a format that has no words for it."""
    if turn.name:
        notes.drop("messages[].name")
    if any(getattr(part, "cache", None) for part in turn.parts):
        note_loss(notes, "cache_control")


def label_of(part: Part) -> str:
    """What to call a part that has no place: its own wire's word for it, or ours."""
    if isinstance(part, Opaque):
        return part.label or "content"
    # ToolResult → tool_result
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(part).__name__).lower()


def spoken(part: Audio, notes: Notes, word: str = "audio") -> str:
    """The words of a sound, for a format without sounds; "" where nobody wrote them down."""
    if not part.transcript:
        notes.drop(word)
        return ""
    notes.emulate("audio")
    return part.transcript
