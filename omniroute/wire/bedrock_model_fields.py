"""What Converse has no words for itself and hands on to the model: `additionalModelRequestFields`.

Thinking and `top_k` are said in each maker's own words there. Anthropic's are the default; the words `reasoning_config`
(Amazon Nova) and `reasoning_effort` of the catalogue choose others.
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
"""

from __future__ import annotations

from typing import NamedTuple

from omniroute.wire.anthropic_thinking import plan, read_thinking
from omniroute.wire.codec import Dialect
from omniroute.wire.content import effort_of
from omniroute.wire.conversation import Conversation, Doc, Effort, Notes, Reasoning
from omniroute.wire.shapes import doc_of, text_of

FIELDS = "additionalModelRequestFields"
_LEVELS: tuple[Effort, ...] = ("low", "medium", "high")


class Thought(NamedTuple):
    """What a request says about thinking."""

    fields: Doc = {}
    on: bool = False
    limits_sampling: bool = False
    """Most values of sampling settings are refused beside it."""
    unlimited: bool = False
    """A limit of the answer is refused beside it."""
    forces: bool = True
    """Calls of tools may be forced."""


def read_fields(given: Doc) -> tuple[Reasoning | None, Doc]:
    """How much to think, and the fields that say something else."""
    rest = dict(given)
    config = doc_of(rest.get("reasoningConfig"))
    if config:
        rest.pop("reasoningConfig")
        level = next((word for word in _LEVELS if word == config.get("maxReasoningEffort")), None)
        return Reasoning(enabled=config.get("type") == "enabled", effort=level), rest
    effort = next((word for word in _LEVELS if word == rest.get("reasoning_effort")), None)
    if effort is not None:
        rest.pop("reasoning_effort")
        return Reasoning(effort=effort), rest
    output = dict(doc_of(rest.get("output_config")))
    reasoning = read_thinking(rest.get("thinking"), output.pop("effort", None))
    if reasoning is not None:
        rest.pop("thinking", None)
        rest.pop("output_config", None)
        rest |= {"output_config": output} if output else {}
    return reasoning, rest


def write_thinking_fields(talk: Conversation, dialect: Dialect, home: bool, notes: Notes) -> Thought:
    """How much to think, in the words of the model's maker."""
    asked, quirks = talk.reasoning, dialect.quirks
    if asked is not None and "no_reasoning_effort" in quirks:
        if _wants(asked):
            notes.drop("reasoning")
        asked = None
    if asked is None:
        return Thought()
    if "reasoning_config" in quirks:
        return _level_object(asked, dialect)
    if "reasoning_effort" in quirks:
        fields: Doc = {"reasoning_effort": _level(asked, dialect)} if _wants(asked) else {}
        return Thought(fields, on=bool(fields))
    planned = plan(asked, talk.max_tokens, dialect, home, notes)
    fields = {"thinking": planned.thinking} if planned.thinking is not None else {}
    if planned.effort is not None:
        fields["output_config"] = {"effort": planned.effort}
    return Thought(
        fields,
        on=planned.on,
        limits_sampling=planned.on,
        forces=not planned.budgeted,
    )


def _level_object(asked: Reasoning, dialect: Dialect) -> Thought:
    if not _wants(asked):
        return Thought({"reasoningConfig": {"type": "disabled"}})
    level = _level(asked, dialect)
    fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}
    # At the highest level the API refuses all sampling settings, and a limit of the answer.
    return Thought(fields, on=True, limits_sampling=level == "high", unlimited=level == "high")


def _wants(asked: Reasoning) -> bool:
    if asked.enabled is False or asked.effort == "none" or asked.budget == 0:
        return False
    return bool(asked.enabled or asked.effort or asked.budget or asked.adaptive)


def _level(asked: Reasoning, dialect: Dialect) -> str:
    """The nearest of the three words that these models know."""
    effort = asked.effort or (effort_of(asked.budget) if asked.budget and asked.budget > 0 else "medium")
    known = dialect.thinking_levels or _LEVELS
    if effort in known:
        return effort
    return "low" if effort in ("none", "minimal", "low") else text_of(known[-1])
