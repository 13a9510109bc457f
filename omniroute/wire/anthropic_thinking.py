"""`thinking` and `output_config.effort` of Anthropic Messages, and what thinking asks of the rest of a request.

Three ways to say it: a budget in tokens (at least 1024, and less than `max_tokens`), `adaptive` (the model decides,
led by an effort word), `disabled`. Newer models know effort words and refuse budgets, older ones the reverse.
https://docs.claude.com/en/docs/build-with-claude/extended-thinking
https://docs.claude.com/en/docs/build-with-claude/adaptive-thinking
"""

from __future__ import annotations

from typing import Any, NamedTuple

from omniroute.wire.codec import Dialect
from omniroute.wire.content import EFFORTS, budget_of, effort_of
from omniroute.wire.conversation import Doc, Effort, Notes, Reasoning
from omniroute.wire.losses import note_not_off
from omniroute.wire.shapes import text_of

LEAST_BUDGET = 1024
ANSWER_ROOM = 8192
"""Output tokens where neither the client nor the catalogue says how many; also the room beside a budget. Whoever speaks
this format grants so many; a server refuses a request for more than it has, so that a guess must not be higher."""
LATER_ROOM = 32_000
"""Likewise for a model that thinks adaptively: all of those, and every Claude since 4, grant at least so many."""

_DISPLAYS = {"summarized": True, "omitted": False}
_KNOWN_LEVELS = ("low", "medium", "high", "xhigh", "max")


class Plan(NamedTuple):
    """What a request says about thinking: the `thinking` object, the effort word, and `max_tokens`."""

    thinking: Doc | None
    effort: str | None
    max_tokens: int

    @property
    def budgeted(self) -> bool:
        return self.thinking is not None and self.thinking["type"] == "enabled"

    @property
    def on(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


def read_thinking(thinking: Any, effort: Any) -> Reasoning | None:
    """None when the client said nothing, or something that only this wire knows."""
    doc = thinking if isinstance(thinking, dict) else {}
    word = next((w for w in EFFORTS if w == effort), None)
    kind = doc.get("type")
    visible = _DISPLAYS.get(text_of(doc.get("display")))
    if kind == "disabled":
        return Reasoning(enabled=False, effort=word)
    if kind == "enabled":
        budget = doc.get("budget_tokens")
        tokens = budget if isinstance(budget, int) else None
        return Reasoning(enabled=True, budget=tokens, effort=word, visible=visible)
    if kind == "adaptive":
        return Reasoning(enabled=True, adaptive=True, effort=word, visible=visible)
    return Reasoning(effort=word) if word else None


def plan(
    reasoning: Reasoning | None, max_tokens: int | None, dialect: Dialect, home: bool, notes: Notes
) -> Plan:
    """`home`: the request came in this format, so its words are kept where the model is not known to refuse them."""
    room = max_tokens or dialect.max_output or _room(dialect)
    if reasoning is None:
        return Plan(None, None, room)
    able = dialect.capabilities is None or "thinking" in dialect.capabilities
    if _is_off(reasoning):
        return _off(reasoning, room, dialect, able, home, notes)
    if not _asks(reasoning):
        return Plan(None, None, room)
    if not able:
        notes.drop("reasoning")
        return Plan(None, None, room)
    if home and not reasoning.enabled:
        return Plan(None, _own_level(reasoning.effort, dialect, notes), room)
    if _goes_adaptive(reasoning, dialect, home):
        return Plan(_shown({"type": "adaptive"}, reasoning), _adaptive_level(reasoning, dialect), room)
    effort = _own_level(reasoning.effort, dialect, notes) if home else None
    return _budgeted(reasoning, max_tokens, effort, dialect, home, notes)


def _room(dialect: Dialect) -> int:
    return LATER_ROOM if "adaptive_thinking" in dialect.quirks else ANSWER_ROOM


def _is_off(reasoning: Reasoning) -> bool:
    return reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0


def _off(reasoning: Reasoning, room: int, dialect: Dialect, able: bool, home: bool, notes: Notes) -> Plan:
    if "always_thinks" in dialect.quirks:
        # The nearest to "none" that such a model understands.
        level = _level(reasoning.effort or "minimal", dialect) or _level("minimal", dialect)
        note_not_off(notes, "reasoning", level)
        return Plan(None, level, room)
    effort = _own_level(reasoning.effort, dialect, notes) if home else None
    return Plan({"type": "disabled"} if able else None, effort, room)


def _asks(reasoning: Reasoning) -> bool:
    return bool(reasoning.enabled or reasoning.effort or reasoning.budget or reasoning.adaptive)


def _goes_adaptive(reasoning: Reasoning, dialect: Dialect, home: bool) -> bool:
    if "no_thinking_budget" in dialect.quirks:
        return True
    if reasoning.budget and reasoning.budget > 0:
        return False
    if "adaptive_thinking" in dialect.quirks:
        return True
    return home and reasoning.adaptive and not _knows_only_budgets(dialect)


def _knows_only_budgets(dialect: Dialect) -> bool:
    budgets = dialect.thinking_min is not None or dialect.thinking_max is not None
    return budgets and "adaptive_thinking" not in dialect.quirks


def _adaptive_level(reasoning: Reasoning, dialect: Dialect) -> str | None:
    if reasoning.effort is not None:
        return _level(reasoning.effort, dialect)
    if reasoning.budget and reasoning.budget > 0:
        return _level(effort_of(reasoning.budget), dialect)
    return None


def _own_level(effort: Effort | None, dialect: Dialect, notes: Notes) -> str | None:
    """The effort word of a request of this format, which may go to a model that knows no such words."""
    if effort is not None and _knows_only_budgets(dialect) and not dialect.thinking_levels:
        notes.drop("output_config.effort")
        return None
    return _level(effort, dialect)


def _level(effort: Effort | None, dialect: Dialect) -> str | None:
    """The strongest word that the model knows and that does not exceed the one asked for, else its weakest."""
    if effort is None or effort == "none":
        return None
    known = [w for w in EFFORTS if w in (dialect.thinking_levels or _KNOWN_LEVELS) and w != "none"]
    if not known:
        return None
    fitting = [w for w in known if EFFORTS.index(w) <= EFFORTS.index(effort)]
    return fitting[-1] if fitting else known[0]


def _shown(thinking: Doc, reasoning: Reasoning) -> Doc:
    if reasoning.visible is None:
        return thinking
    return thinking | {"display": "summarized" if reasoning.visible else "omitted"}


def _budgeted(
    reasoning: Reasoning, asked: int | None, effort: str | None, dialect: Dialect, home: bool, notes: Notes
) -> Plan:
    least = max(LEAST_BUDGET, dialect.thinking_min or 0)
    budget = max(least, _wanted(reasoning))
    if dialect.thinking_max is not None:
        budget = min(budget, dialect.thinking_max)
    room = asked or dialect.max_output or budget + _room(dialect)
    if budget >= room:
        # The client's limit counts for thinking and answer together: half of it each.
        budget = max(least, room // 2)
    if budget >= room:
        notes.drop("reasoning")
        return Plan(None, effort, room)
    thinking: Doc = {"type": "enabled", "budget_tokens": budget}
    return Plan(_shown(thinking, reasoning) if home else thinking, effort, room)


def _wanted(reasoning: Reasoning) -> int:
    if reasoning.budget is not None and reasoning.budget > 0:
        return reasoning.budget
    return budget_of(reasoning.effort or ("high" if reasoning.adaptive else "medium"))
