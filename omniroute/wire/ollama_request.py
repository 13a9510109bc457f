"""The settings and tools of an Ollama chat request, in and out. https://docs.ollama.com/api/chat

Answers are streamed unless `stream` is false. What concerns sampling stands in `options`, whose other words (`num_ctx`,
`mirostat`, …) ride in the extras as `options.NAME`, so that whoever cannot say one names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from omniroute.wire.codec import Dialect
from omniroute.wire.content import effort_of
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Effort,
    Notes,
    OutputFormat,
    Reasoning,
    Tool,
    ToolChoice,
)
from omniroute.wire.losses import note_foreign_settings, note_loss
from omniroute.wire.ollama_messages import WIRE, MessagesWriter, read_messages
from omniroute.wire.shapes import (
    doc_of,
    flag_at,
    integer_at,
    list_at,
    number_at,
    object_at,
    refused,
    text_at,
    text_of,
    texts_at,
)

_OPTION = "options."

_SETTINGS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "model": ("model", text_at),
    "stream": ("stream", flag_at),
    "logprobs": ("logprobs", flag_at),
    "top_logprobs": ("top_logprobs", integer_at),
}
_OPTIONS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "num_predict": ("max_tokens", integer_at),
    "temperature": ("temperature", number_at),
    "top_p": ("top_p", number_at),
    "top_k": ("top_k", integer_at),
    "seed": ("seed", integer_at),
    "stop": ("stop", texts_at),
    "presence_penalty": ("presence_penalty", number_at),
    "frequency_penalty": ("frequency_penalty", number_at),
}
"""Key → field of `Conversation` and check, both ways."""

_READ_APART = frozenset({"messages", "tools", "format", "options", "think"})

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    """Raises `Refused` for a wrong shape."""
    extras = {
        key: value
        for key, value in doc.items()
        if value is not None and key not in _SETTINGS and key not in _READ_APART
    }
    talk = Conversation(stream=True, turns=read_messages(doc.get("messages")), extras={WIRE: extras})
    for key, (field, check) in _SETTINGS.items():
        if doc.get(key) is not None:
            setattr(talk, field, check(doc[key], key))
    _read_options(doc.get("options"), talk, extras)
    talk.tools = [
        _read_tool(object_at(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(list_at(doc.get("tools"), "tools"))
    ]
    talk.output = _read_format(doc.get("format"))
    talk.reasoning = _read_think(doc.get("think"), extras)
    return talk


def _read_options(options: Any, talk: Conversation, extras: Doc) -> None:
    given = {} if options is None else object_at(options, "options")
    for key, value in given.items():
        known = _OPTIONS.get(key)
        if value is None:
            continue
        if known is None:
            extras[_OPTION + key] = value
        else:
            field, check = known
            setattr(talk, field, check(value, _OPTION + key))
    if talk.max_tokens is not None and talk.max_tokens < 0:
        # As much as there is room for: what everybody does who was not told a number.
        talk.max_tokens = None


def _read_tool(tool: Doc, path: str) -> Tool:
    kind = tool.get("type")
    if kind not in (None, "function"):
        return Tool(name=text_at(kind, f"{path}.type"), kind="server", wire=WIRE, native=tool)
    function = object_at(tool.get("function"), f"{path}.function")
    parameters = function.get("parameters")
    return Tool(
        name=text_at(function.get("name"), f"{path}.function.name"),
        description=text_of(function.get("description")) or None,
        schema=None if parameters is None else object_at(parameters, f"{path}.function.parameters"),
    )


def _read_format(format: Any) -> OutputFormat | None:
    if format is None or format == "":
        return None
    if format == "json":
        return OutputFormat(kind="json_object")
    if not isinstance(format, dict):
        raise refused('must be "json" or a JSON Schema', "format")
    return OutputFormat(kind="json_schema", schema=format)


_EFFORTS: tuple[Effort, ...] = get_args(Effort)


def _read_think(think: Any, extras: Doc) -> Reasoning | None:
    """True, false, or one of the levels of the model."""
    if isinstance(think, bool):
        return Reasoning(enabled=think)
    if think in _EFFORTS:
        return Reasoning(effort=think, enabled=False if think == "none" else None)
    if think is not None and think != "":
        extras["think"] = text_at(think, "think")
    return None


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_NO_PLACE: tuple[tuple[str, str], ...] = (
    ("logit_bias", "logit_bias"),
    ("verbosity", "verbosity"),
    ("metadata", "metadata"),
    ("store", "store"),
    ("user", "user"),
    ("prompt_cache_key", "prompt_cache_key"),
    ("previous_id", "previous_response_id"),
)
"""Settings of a conversation that this format cannot say, with the client's word for each."""

_NO_ARGUMENTS: Doc = {"type": "object", "properties": {}}
_ONE_INPUT: Doc = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def write_request(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    """The body for a target of this wire. Never changes `talk`."""
    model = dialect.model or talk.model
    doc: Doc = {"model": model, "messages": MessagesWriter(notes).write(talk.turns), "stream": talk.stream}
    tools = _write_tools(talk, notes)
    if tools:
        doc["tools"] = tools
    if talk.output is not None and talk.output.kind != "text":
        doc["format"] = talk.output.schema if talk.output.schema is not None else "json"
    think = _write_think(talk, dialect, notes)
    if think is not None:
        doc["think"] = think
    for key in ("logprobs", "top_logprobs"):
        if getattr(talk, key) is not None:
            doc[key] = getattr(talk, key)
    options = _write_options(talk, dialect, notes)
    _note_the_rest(talk, notes)
    _put_back(doc, options, talk, notes)
    if options:
        doc["options"] = options
    return doc


def _write_options(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    options: Doc = {}
    for key, (field, _) in _OPTIONS.items():
        value = getattr(talk, field)
        if value is not None and value != []:
            options[key] = value
    limit, most = talk.max_tokens, dialect.max_output
    if limit is not None and most is not None and limit > most:
        options["num_predict"] = most
        notes.emulate("max_tokens")
    return options


def _write_tools(talk: Conversation, notes: Notes) -> list[Doc]:
    """There is no choice among tools here, but those that may not be called can stay away."""
    choice = talk.tool_choice or ToolChoice()
    if choice.mode in ("required", "named") or choice.must:
        notes.drop("tool_choice")
    tools = talk.tools
    if choice.mode == "none" or choice.names:
        notes.emulate("tool_choice")
        tools = [tool for tool in tools if tool.name in choice.names]
    written = [doc for tool in tools for doc in _write_tool(tool, notes)]
    if written and talk.parallel_tools is False:
        notes.drop("parallel_tool_calls")
    return written


def _write_tool(tool: Tool, notes: Notes) -> list[Doc]:
    if tool.cache:
        note_loss(notes, "cache_control")
    if tool.kind == "server":
        if tool.wire == WIRE and tool.native is not None:
            return [tool.native]
        notes.drop(f"tools[].{tool.name}")
        return []
    function: Doc = {"name": tool.name}
    about = [tool.description or ""]
    if tool.kind == "custom":
        notes.emulate("tools[].custom")
        about.append(_grammar(tool))
    if any(about):
        function["description"] = "\n\n".join(text for text in about if text)
    function["parameters"] = _ONE_INPUT if tool.kind == "custom" else tool.schema or _NO_ARGUMENTS
    if tool.strict:
        notes.drop("tools[].strict")
    return [{"type": "function", "function": function}]


def _grammar(tool: Tool) -> str:
    """A grammar in words: it cannot be enforced."""
    format = tool.format or {}
    grammar = doc_of(format.get("grammar")) or format
    definition = text_of(grammar.get("definition"))
    return (
        f"`input` must match this {text_of(grammar.get('syntax'))} grammar:\n{definition}"
        if definition
        else ""
    )


def _write_think(talk: Conversation, dialect: Dialect, notes: Notes) -> bool | str | None:
    asked = talk.reasoning
    if asked is None:
        return None
    wanted = _wants_thinking(asked)
    unable = dialect.capabilities is not None and "thinking" not in dialect.capabilities
    if unable or "no_reasoning_effort" in dialect.quirks:
        if wanted and (asked.effort or asked.budget):
            notes.drop("reasoning")
        return None
    if not wanted:
        return wanted
    effort = asked.effort or (effort_of(asked.budget) if asked.budget else None)
    if effort is None:
        return True
    if asked.effort is not None and WIRE in talk.extras:
        return asked.effort
    if not dialect.thinking_levels:
        # Most models here think or do not; how much is up to them.
        notes.emulate("reasoning_effort")
        return True
    level = _nearest(effort, dialect.thinking_levels)
    if level != effort:
        notes.emulate("reasoning_effort")
    return level


def _wants_thinking(asked: Reasoning) -> bool | None:
    """None where nothing was said that a switch could say: the model does as it usually does."""
    if asked.enabled is not None:
        return asked.enabled
    if asked.effort is not None:
        return asked.effort != "none"
    return asked.budget > 0 if asked.budget is not None and asked.budget >= 0 else None


def _nearest(wanted: Effort, levels: tuple[str, ...]) -> str:
    """The least level of the model that grants as much as was asked, else its highest."""
    known = [level for level in _EFFORTS if level in levels]
    at_least = (level for level in known if _EFFORTS.index(level) >= _EFFORTS.index(wanted))
    return next(at_least, known[-1] if known else wanted)


def _note_the_rest(talk: Conversation, notes: Notes) -> None:
    for field, word in _NO_PLACE:
        if getattr(talk, field):
            note_loss(notes, word)
    if talk.choices is not None and talk.choices > 1:
        notes.drop("n")
    if talk.modalities and talk.modalities != ["text"]:
        notes.drop("modalities")
    if talk.service_tier not in (None, "auto", "default"):
        notes.drop("service_tier")


def _put_back(doc: Doc, options: Doc, talk: Conversation, notes: Notes) -> None:
    for key, value in talk.extras.get(WIRE, {}).items():
        if key.startswith(_OPTION):
            options[key.removeprefix(_OPTION)] = value
        else:
            doc[key] = value
    note_foreign_settings(talk, WIRE, notes)
