"""A Responses request: its settings, in both directions. Turns, tools and content have files of their own.

https://platform.openai.com/docs/api-reference/responses/create

The default is what OpenAI takes; what other servers need is a quirk of the `Dialect`:

    reasoning_text           reads raw reasoning back (`content[].reasoning_text`), which OpenAI refuses
    no_reasoning_summary     refuses `reasoning.summary`
    no_developer_role        knows `system` only
    prompt_cache_breakpoint  takes marks where its prompt cache should end
    no_<setting>             refuses any other top-level setting, such as `no_store` or `no_include`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from omniroute.wire.codec import Dialect, Position
from omniroute.wire.content import EFFORTS, effort_of
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Effort,
    Notes,
    OutputFormat,
    Reasoning,
    Text,
    Turn,
)
from omniroute.wire.losses import note_foreign_settings, note_loss, note_not_off
from omniroute.wire.openai_responses_input import CACHE_MARKS, split_instructions, write_input
from omniroute.wire.openai_responses_items import read_input
from omniroute.wire.openai_responses_object import TIERS
from omniroute.wire.openai_responses_shapes import WIRE, object_at, said, wrong
from omniroute.wire.openai_responses_tools import (
    read_tool_choice,
    read_tools,
    write_tool_choice,
    write_tools,
)

NO_SUMMARY = "no_reasoning_summary"
"""Quirk of a target that refuses `reasoning.summary`."""

_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"

# ── settings that mean the same by another name ──────────────────────────────────────────────────

_NUMBER = (int, float)
_SETTINGS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "max_output_tokens": ("max_tokens", int),
    "temperature": ("temperature", _NUMBER),
    "top_p": ("top_p", _NUMBER),
    "top_logprobs": ("top_logprobs", int),
    "parallel_tool_calls": ("parallel_tools", bool),
    "store": ("store", bool),
    "previous_response_id": ("previous_id", str),
    "prompt_cache_key": ("prompt_cache_key", str),
    "service_tier": ("service_tier", str),
    "user": ("user", str),
    "metadata": ("metadata", dict),
}
"""Ours → the conversation's, and the type."""

_LACKING: tuple[tuple[str, str, Any], ...] = (
    ("stop", "stop", []),
    ("seed", "seed", None),
    ("top_k", "top_k", None),
    ("presence_penalty", "presence_penalty", None),
    ("frequency_penalty", "frequency_penalty", None),
    ("logit_bias", "logit_bias", None),
)
"""What the API has no place for: attribute, the name to note, and the value that says nothing."""

_USUAL: dict[str, Any] = {"background": False, "truncation": "disabled"}
"""Settings that say nothing when they say this."""

_LEAST_OUTPUT = 16
"""The smallest `max_output_tokens` that the API takes; clients of other wires ask for 1 to test a key."""

# ── request in ───────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    """Raises `Refused` for a wrong shape and `UnsupportedContent` for content that nobody here knows.

    The extras of this wire are there even when empty: they tell a writer where the request came from.
    """
    talk = Conversation(model=said(doc, "model") or "", stream=doc.get("stream") is True)
    extras: Doc = {}
    talk.extras = {WIRE: extras}
    for key, value in doc.items():
        if value is None or _USUAL.get(key, doc) == value:
            continue
        setting = _SETTINGS.get(key)
        if setting is not None:
            setattr(talk, setting[0], _typed(key, value, setting[1]))
        elif key not in _HANDLED:
            extras[key] = value
    _read_turns(talk, doc)
    talk.tools = read_tools(doc.get("tools"))
    talk.tool_choice = read_tool_choice(doc.get("tool_choice"))
    if talk.tool_choice is None and doc.get("tool_choice"):
        extras["tool_choice"] = doc["tool_choice"]
    _read_reasoning(talk, doc, extras)
    _read_text(talk, doc, extras)
    _read_include(talk, doc, extras)
    _read_user(talk, doc, extras)
    return talk


_HANDLED = frozenset(
    {
        "include",
        "input",
        "instructions",
        "model",
        "reasoning",
        "safety_identifier",
        "stream",
        "text",
        "tool_choice",
        "tools",
    }
)


def _typed(key: str, value: Any, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong(key, f"{value!r} is not of the right type")
    return value


def _read_turns(talk: Conversation, doc: Doc) -> None:
    instructions = doc.get("instructions")
    if isinstance(instructions, str):
        if instructions:
            talk.turns.append(Turn(role="system", parts=[Text(text=instructions)]))
    elif instructions is not None:
        raise wrong("instructions", "expected a string")
    talk.turns += read_input(doc.get("input"))


def _read_reasoning(talk: Conversation, doc: Doc, extras: Doc) -> None:
    if doc.get("reasoning") is None:
        return
    rest = dict(object_at(doc["reasoning"], "reasoning"))
    effort, summary = rest.pop("effort", None), rest.pop("summary", None)
    older = rest.pop("generate_summary", None)
    if effort is not None and effort not in EFFORTS:
        raise wrong("reasoning.effort", f"{effort!r} is none of {', '.join(EFFORTS)}")
    summary = summary or older
    if summary is not None and not isinstance(summary, str):
        raise wrong("reasoning.summary", "expected a string")
    talk.reasoning = Reasoning(
        enabled=False if effort == "none" else None,
        effort=effort,
        visible=True if summary else None,
        summary=summary,
    )
    _keep(extras, "reasoning", rest)


def _read_text(talk: Conversation, doc: Doc, extras: Doc) -> None:
    rest = dict(object_at(doc.get("text"), "text"))
    form = object_at(rest.pop("format", None), "text.format")
    verbosity = rest.pop("verbosity", None)
    talk.verbosity = verbosity if isinstance(verbosity, str) else None
    kind = form.get("type")
    if kind in ("json_object", "json_schema"):
        strict = form.get("strict")
        talk.output = OutputFormat(
            kind=kind,
            name=said(form, "name"),
            description=said(form, "description"),
            schema=object_at(form.get("schema"), "text.format.schema") if kind == "json_schema" else None,
            strict=strict if isinstance(strict, bool) else None,
        )
    elif kind not in (None, "text"):
        rest["format"] = form
    _keep(extras, "text", rest)


def _read_include(talk: Conversation, doc: Doc, extras: Doc) -> None:
    """Encrypted reasoning is every answer's form here; asking for it only tells that the model is to reason."""
    include = doc.get("include")
    if include is None:
        return
    if not isinstance(include, list):
        raise wrong("include", "expected a list")
    if _LOGPROBS in include:
        talk.logprobs = True
    if _ENCRYPTED in include and talk.reasoning is None:
        talk.reasoning = Reasoning()
    handled = (_LOGPROBS,) if talk.store else (_LOGPROBS, _ENCRYPTED)
    rest = [entry for entry in include if entry not in handled]
    if rest:
        extras["include"] = rest


def _read_user(talk: Conversation, doc: Doc, extras: Doc) -> None:
    identifier = said(doc, "safety_identifier")
    if identifier is not None and talk.user is None:
        talk.user = identifier
    elif identifier is not None and identifier != talk.user:
        extras["safety_identifier"] = identifier


def _keep(extras: Doc, key: str, rest: Doc) -> None:
    """Settings inside a known object that only this wire has, by their path (`reasoning.context`)."""
    for name, value in rest.items():
        if value is not None:
            extras[f"{key}.{name}"] = value


# ── request out ──────────────────────────────────────────────────────────────────────────────────


def write_request(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    """The body of a `POST /responses`. Never changes `talk`."""
    own = WIRE in talk.extras
    doc: Doc = {"model": talk.model}
    if talk.stream:
        doc["stream"] = True
    marks = own or CACHE_MARKS in dialect.quirks
    instructions, turns = split_instructions(talk.turns, notes, marks=marks)
    if instructions is not None:
        doc["instructions"] = instructions
    doc["input"] = write_input(turns, notes, dialect.quirks, own=own)
    _write_tools(doc, talk, notes, own=own)
    for key, (attribute, _) in _SETTINGS.items():
        value = getattr(talk, attribute)
        if value is not None:
            doc[key] = value
    if not own:
        _fit(doc, notes)
    if talk.max_tokens is not None and dialect.max_output is not None:
        doc["max_output_tokens"] = min(doc["max_output_tokens"], dialect.max_output)
    _write_reasoning(doc, talk, dialect, notes, own=own)
    _write_text(doc, talk)
    _write_state(doc, talk, dialect, own=own)
    _note_lacking(talk, notes)
    _write_extras(doc, talk, notes)
    _leave_out(doc, dialect, notes)
    return doc


def _leave_out(doc: Doc, dialect: Dialect, notes: Notes) -> None:
    """The settings that the target refuses, by its quirks (`no_<setting>`)."""
    for quirk in sorted(dialect.quirks):
        key = quirk.removeprefix("no_")
        if key == quirk or key not in doc:
            continue
        del doc[key]
        if key not in ("include", "store"):
            note_loss(notes, key)


def _fit(doc: Doc, notes: Notes) -> None:
    """Bring what other wires allow into the bounds of this one."""
    if doc.get("max_output_tokens", _LEAST_OUTPUT) < _LEAST_OUTPUT:
        doc["max_output_tokens"] = _LEAST_OUTPUT
        notes.emulate("max_tokens")
    if doc.get("service_tier", "auto") not in TIERS:
        del doc["service_tier"]
        notes.drop("service_tier")


def _write_tools(doc: Doc, talk: Conversation, notes: Notes, *, own: bool) -> None:
    tools = write_tools(talk.tools, notes, own=own)
    if tools:
        doc["tools"] = tools
    if talk.tool_choice is not None and (tools or own or talk.tool_choice.mode == "none"):
        doc["tool_choice"] = write_tool_choice(talk.tool_choice, talk.tools)


def _reasons(talk: Conversation, dialect: Dialect) -> bool:
    """Whether the model is one that reasons: as the catalogue knows, else as the client takes it to be."""
    if dialect.thinking_levels or (dialect.capabilities is not None and "thinking" in dialect.capabilities):
        return True
    asked = talk.reasoning
    return dialect.capabilities is None and asked is not None and not _only_switched_off(asked)


def _only_switched_off(reasoning: Reasoning) -> bool:
    """Whether the client forbade thinking in no effort word: to an unknown model ours may be one too many."""
    return reasoning.enabled is False and reasoning.effort is None


def _write_reasoning(doc: Doc, talk: Conversation, dialect: Dialect, notes: Notes, *, own: bool) -> None:
    reasoning = talk.reasoning
    if reasoning is None or reasoning == Reasoning():
        return
    if not _reasons(talk, dialect):
        if own and dialect.capabilities is None and reasoning.effort is not None:
            doc["reasoning"] = {"effort": reasoning.effort}
        elif reasoning.enabled is not False or dialect.capabilities is None:
            notes.drop("reasoning")
        return
    words: Doc = {}
    effort = _effort(reasoning, dialect, notes)
    if effort is not None:
        words["effort"] = effort
    summary = _summary(reasoning)
    if summary is not None and NO_SUMMARY in dialect.quirks:
        notes.drop("reasoning.summary")
    elif summary is not None:
        words["summary"] = summary
    if words:
        doc["reasoning"] = words


def _effort(reasoning: Reasoning, dialect: Dialect, notes: Notes) -> str | None:
    """The effort word that the model knows and that comes nearest, the lower one of two."""
    asked: Effort | None = reasoning.effort
    if reasoning.enabled is False:
        asked = "none"
    elif asked is None and reasoning.budget is not None:
        asked = effort_of(reasoning.budget)
        if not dialect.thinking_levels and EFFORTS.index(asked) > EFFORTS.index("high"):
            asked = "high"
    levels = [level for level in dialect.thinking_levels if level in EFFORTS]
    if asked is None or not levels or asked in levels:
        return asked
    place = EFFORTS.index(asked)
    nearest = min(levels, key=lambda level: (abs(EFFORTS.index(level) - place), EFFORTS.index(level)))
    if asked == "none":
        note_not_off(notes, "reasoning.effort", nearest)
    else:
        notes.emulate("reasoning.effort")
    return nearest


def _summary(reasoning: Reasoning) -> str | None:
    """Other wires show the thoughts that were asked for (`enabled`), unless they say not to."""
    if reasoning.summary is not None:
        return reasoning.summary
    shown = reasoning.visible if reasoning.visible is not None else reasoning.enabled
    return "auto" if shown else None


def _write_text(doc: Doc, talk: Conversation) -> None:
    text: Doc = {}
    if talk.output is not None and talk.output.kind != "text":
        text["format"] = _FORMATS[talk.output.kind](talk.output)
    if talk.verbosity is not None:
        text["verbosity"] = talk.verbosity
    if text:
        doc["text"] = text


def _schema_format(output: OutputFormat) -> Doc:
    form: Doc = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema or {}}
    if output.description is not None:
        form["description"] = output.description
    if output.strict is not None:
        form["strict"] = output.strict
    return form


_FORMATS: dict[str, Callable[[OutputFormat], Doc]] = {
    "json_object": lambda output: {"type": "json_object"},
    "json_schema": _schema_format,
}


def _write_state(doc: Doc, talk: Conversation, dialect: Dialect, *, own: bool) -> None:
    """Nothing is stored for clients of other wires, and what the model thought comes back encrypted instead."""
    if talk.store is None and not own:
        doc["store"] = False
    include = []
    if talk.store is not True and _reasons(talk, dialect):
        include.append(_ENCRYPTED)
    if talk.logprobs:
        include.append(_LOGPROBS)
    if include:
        doc["include"] = include


def _note_lacking(talk: Conversation, notes: Notes) -> None:
    for attribute, name, nothing in _LACKING:
        if getattr(talk, attribute) != nothing:
            notes.drop(name)
    if talk.choices is not None and talk.choices > 1:
        notes.drop("n")
    if talk.modalities is not None and talk.modalities != ["text"]:
        notes.drop("modalities")


def _write_extras(doc: Doc, talk: Conversation, notes: Notes) -> None:
    for key, value in talk.extras.get(WIRE, {}).items():
        outer, _, inner = key.partition(".")
        if inner and outer in ("reasoning", "text"):
            doc.setdefault(outer, {})[inner] = value
        elif key == "include":
            doc[key] = doc.get(key, []) + value
        else:
            doc[key] = value
    note_foreign_settings(talk, WIRE, notes)


# ── system texts ─────────────────────────────────────────────────────────────────────────────────


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Into `instructions`, which come first; behind the system messages that lead `input`, if there are any."""
    old = doc.get("instructions")
    before = old if isinstance(old, str) else ""
    if position == "prepend":
        doc["instructions"] = f"{text}\n\n{before}" if before else text
        return
    items = doc.get("input")
    leading = _leading_system(items) if isinstance(items, list) else 0
    if leading:
        listed = cast("list[Any]", items)
        message = {"type": "message", "role": listed[leading - 1]["role"], "content": text}
        doc["input"] = [*listed[:leading], message, *listed[leading:]]
    else:
        doc["instructions"] = f"{before}\n\n{text}" if before else text


def _leading_system(items: list[Any]) -> int:
    for number, item in enumerate(items):
        if not isinstance(item, dict) or item.get("role") not in ("system", "developer"):
            return number
    return len(items)
