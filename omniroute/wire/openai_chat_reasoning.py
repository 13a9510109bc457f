"""How much a Chat Completions request asks to think, in the words of many servers.

`reasoning_effort` is OpenAI's; others say `reasoning: {effort, max_tokens}`, `thinking: {type, budget_tokens}`, or
`enable_thinking` with `thinking_budget`. Read are all of them; which is written is a quirk of the dialect.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from omniroute.wire.codec import Dialect
from omniroute.wire.content import EFFORTS, budget_of, effort_of, level_for
from omniroute.wire.conversation import Doc, Effort, Notes, Reasoning
from omniroute.wire.losses import note_not_off
from omniroute.wire.shapes import doc_of, text_of

# ── in ──────────────────────────────────────────────────────────────────────────────────────────────

REASONING_KEYS = frozenset(
    {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget"}
)
"""The settings that are read here."""

_SWITCH_WORDS = {
    "reasoning": {"effort", "max_tokens", "enabled", "exclude", "summary"},
    "thinking": {"type", "budget_tokens"},
}


def read_reasoning_settings(doc: Doc) -> tuple[Reasoning | None, Doc]:
    """What the client says about thinking, in any server's words, and the words that are not known."""
    known: Doc = {}
    rest: Doc = {}
    _read_switches(doc, known)
    for key, effort in (
        ("reasoning", doc_of(doc.get("reasoning")).get("effort")),
        ("reasoning_effort", doc.get("reasoning_effort")),
    ):
        if effort in EFFORTS:
            known["effort"] = effort
            if effort == "none":
                known["enabled"] = False
        elif effort is not None:
            rest[key] = doc[key]
    for key, words in _SWITCH_WORDS.items():
        if doc_of(doc.get(key)).keys() - words:
            rest[key] = doc[key]
    return (msgspec.convert(known, Reasoning) if known else None), rest


def _read_switches(doc: Doc, known: Doc) -> None:
    asked, thinking = doc_of(doc.get("reasoning")), doc_of(doc.get("thinking"))
    kind = thinking.get("type")
    if kind in ("enabled", "disabled"):
        known["enabled"] = kind == "enabled"
    if kind in ("adaptive", "auto"):
        known["adaptive"] = True
    for flag in (doc.get("enable_thinking"), asked.get("enabled")):
        if isinstance(flag, bool):
            known["enabled"] = flag
    for budget in (thinking.get("budget_tokens"), doc.get("thinking_budget"), asked.get("max_tokens")):
        if isinstance(budget, int) and not isinstance(budget, bool):
            known["budget"] = budget
    if isinstance(asked.get("exclude"), bool):
        known["visible"] = not asked["exclude"]
    if text_of(asked.get("summary")):
        known["summary"] = asked["summary"]


# ── out ─────────────────────────────────────────────────────────────────────────────────────────────


def write_reasoning(doc: Doc, asked: Reasoning | None, dialect: Dialect, notes: Notes) -> None:
    if asked is None:
        return
    unable = dialect.capabilities is not None and "thinking" not in dialect.capabilities
    if unable or "no_reasoning_effort" in dialect.quirks:
        if asked.enabled is not False and (asked.effort or asked.budget):
            notes.drop("reasoning")
        return
    if "always_thinks" in dialect.quirks and _wants_thinking(asked) is False:
        note_not_off(notes, "reasoning", level_for("minimal", dialect.thinking_levels))
        asked = Reasoning(effort="minimal")
    for quirk, write in _REASONING_OUT.items():
        if quirk in dialect.quirks:
            write(doc, asked, dialect)
            if asked.effort not in (None, "none") and _has_no_effort(doc):
                notes.emulate("reasoning_effort")
            return
    effort = _effort(asked, dialect)
    if effort is None and asked.enabled is False:
        # The model may think, and no word is known to stop it.
        notes.drop("reasoning")
    if effort is not None:
        doc["reasoning_effort"] = effort
        wanted = asked.effort or ("none" if asked.enabled is False else effort)
        if wanted == "none":
            note_not_off(notes, "reasoning_effort", effort)
        elif effort != wanted:
            notes.emulate("reasoning_effort")


def _has_no_effort(doc: Doc) -> bool:
    """Thinking was only switched on."""
    return "reasoning_effort" not in doc and "effort" not in doc_of(doc.get("reasoning"))


def _effort(asked: Reasoning, dialect: Dialect) -> Effort | None:
    """The effort word to send, if any: with no word from the client the server's own default holds."""
    if asked.effort is not None:
        return level_for(asked.effort, dialect.thinking_levels)
    if asked.enabled is False:
        # To a model of which nothing is known, "none" may be one word too many.
        return level_for("none", dialect.thinking_levels) if dialect.thinking_levels else None
    if asked.budget is not None and asked.budget >= 0:
        wanted = effort_of(asked.budget)
        return (
            level_for(wanted, dialect.thinking_levels)
            if dialect.thinking_levels
            else _at_most(wanted, "high")
        )
    return None


def _at_most(wanted: Effort, highest: Effort) -> Effort:
    return min(wanted, highest, key=EFFORTS.index)


def _budget(asked: Reasoning, dialect: Dialect) -> int | None:
    budget = asked.budget if asked.budget is not None else asked.effort and budget_of(asked.effort)
    if budget is None or budget < 0:
        return None
    least, most = dialect.thinking_min or 0, dialect.thinking_max
    return max(least, budget if most is None else min(budget, most))


def _wants_thinking(asked: Reasoning) -> bool | None:
    """True and False as asked; None when nothing was said that a switch could say."""
    if asked.enabled is not None:
        return asked.enabled
    if asked.effort is not None:
        return asked.effort != "none"
    if asked.budget is not None:
        return asked.budget != 0
    return True if asked.adaptive else None


def _write_reasoning_object(doc: Doc, asked: Reasoning, dialect: Dialect) -> None:
    reasoning: Doc = {}
    if asked.effort is not None:
        reasoning["effort"] = level_for(asked.effort, dialect.thinking_levels)
    elif asked.budget is not None and asked.budget > 0:
        reasoning["max_tokens"] = _budget(asked, dialect)
    elif _wants_thinking(asked) is not None:
        reasoning["enabled"] = _wants_thinking(asked)
    if asked.visible is False:
        reasoning["exclude"] = True
    if reasoning:
        doc["reasoning"] = reasoning


def _write_thinking_object(doc: Doc, asked: Reasoning, dialect: Dialect) -> None:
    wanted = _wants_thinking(asked)
    if wanted is None:
        return
    doc["thinking"] = {"type": "enabled" if wanted else "disabled"}
    budget = _budget(asked, dialect)
    if wanted and budget is not None and "thinking_budget" in dialect.quirks:
        doc["thinking"]["budget_tokens"] = budget
    if wanted and dialect.thinking_levels and asked.effort is not None:
        doc["reasoning_effort"] = level_for(asked.effort, dialect.thinking_levels)


def _write_enable_thinking(doc: Doc, asked: Reasoning, dialect: Dialect) -> None:
    wanted = _wants_thinking(asked)
    if wanted is None:
        return
    doc["enable_thinking"] = wanted
    budget = _budget(asked, dialect)
    if wanted and budget is not None:
        doc["thinking_budget"] = budget


_REASONING_OUT: dict[str, Callable[[Doc, Reasoning, Dialect], None]] = {
    "reasoning_object": _write_reasoning_object,
    "thinking_object": _write_thinking_object,
    "enable_thinking": _write_enable_thinking,
}
