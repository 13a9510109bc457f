"""The settings and tools of an Ollama chat request, in and out. https://docs.ollama.com/api/chat

Answers are streamed unless `stream` is false. What concerns sampling stands in `options`, whose other words (`num_ctx`,
`mirostat`, …) ride in the extras as `options.NAME`, so that whoever cannot say one names it.
"""

from __future__ import annotations

from typing import Any

from omniroute.wire.codec import Dialect
from omniroute.wire.content import EFFORTS, effort_of, level_for
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Notes,
    OutputFormat,
    Reasoning,
    Tool,
    ToolChoice,
)
from omniroute.wire.functions import read_function, write_tool
from omniroute.wire.losses import note_foreign_settings, note_unsaid
from omniroute.wire.ollama_messages import WIRE, MessagesWriter, read_messages
from omniroute.wire.settings import Settings, read_settings, write_settings
from omniroute.wire.shapes import (
    flag_at,
    integer_at,
    number_at,
    object_at,
    objects_at,
    refused,
    rest_of,
    text_at,
    texts_at,
)

_OPTION = "options."

_SETTINGS: Settings = {
    "model": ("model", text_at),
    "stream": ("stream", flag_at),
    "logprobs": ("logprobs", flag_at),
    "top_logprobs": ("top_logprobs", integer_at),
}
_OPTIONS: Settings = {
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

_READ = frozenset({"messages", "tools", "format", "options", "think"} | _SETTINGS.keys())

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    """Raises `Refused` for a wrong shape."""
    extras = rest_of(doc, _READ)
    talk = Conversation(stream=True, turns=read_messages(doc.get("messages")), extras={WIRE: extras})
    read_settings(doc, _SETTINGS, talk)
    _read_options(doc.get("options"), talk, extras)
    talk.tools = [_read_tool(tool, place) for tool, place in objects_at(doc.get("tools"), "tools")]
    talk.output = _read_format(doc.get("format"))
    talk.reasoning = _read_think(doc.get("think"), extras)
    return talk


def _read_options(options: Any, talk: Conversation, extras: Doc) -> None:
    given = {} if options is None else object_at(options, "options")
    read_settings(given, _OPTIONS, talk, _OPTION)
    for key, value in rest_of(given, _OPTIONS).items():
        extras[_OPTION + key] = value
    if talk.max_tokens is not None and talk.max_tokens < 0:
        # As much as there is room for: what everybody does who was not told a number.
        talk.max_tokens = None


def _read_tool(tool: Doc, path: str) -> Tool:
    kind = tool.get("type")
    if kind not in (None, "function"):
        return Tool(name=text_at(kind, f"{path}.type"), kind="server", wire=WIRE, native=tool)
    return read_function(tool, path)


def _read_format(format: Any) -> OutputFormat | None:
    if format is None or format == "":
        return None
    if format == "json":
        return OutputFormat(kind="json_object")
    if not isinstance(format, dict):
        raise refused('must be "json" or a JSON Schema', "format")
    return OutputFormat(kind="json_schema", schema=format)


def _read_think(think: Any, extras: Doc) -> Reasoning | None:
    """True, false, or one of the levels of the model."""
    if isinstance(think, bool):
        return Reasoning(enabled=think)
    if think in EFFORTS:
        return Reasoning(effort=think, enabled=False if think == "none" else None)
    if think is not None and think != "":
        extras["think"] = text_at(think, "think")
    return None


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_UNSAID = (
    "logit_bias",
    "verbosity",
    "metadata",
    "store",
    "user",
    "prompt_cache_key",
    "previous_id",
)
"""Fields of a conversation that this format cannot say."""


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
    options = write_settings(talk, _OPTIONS)
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
    written = [doc for tool in tools if (doc := _write_tool(tool, notes)) is not None]
    if written and talk.parallel_tools is False:
        notes.drop("parallel_tool_calls")
    return written


def _write_tool(tool: Tool, notes: Notes) -> Doc | None:
    if tool.strict and tool.kind != "server":
        notes.drop("tools[].strict")
    return write_tool(tool, WIRE, notes)


def _write_think(talk: Conversation, dialect: Dialect, notes: Notes) -> bool | str | None:
    asked = talk.reasoning
    if asked is None:
        return None
    wanted = asked.wanted
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
    level = level_for(effort, dialect.thinking_levels)
    if level != effort:
        notes.emulate("reasoning_effort")
    return level


def _note_the_rest(talk: Conversation, notes: Notes) -> None:
    note_unsaid(talk, _UNSAID, notes)
    if talk.service_tier not in (None, "auto", "default"):
        notes.drop("service_tier")


def _put_back(doc: Doc, options: Doc, talk: Conversation, notes: Notes) -> None:
    for key, value in talk.extras.get(WIRE, {}).items():
        if key.startswith(_OPTION):
            options[key.removeprefix(_OPTION)] = value
        else:
            doc[key] = value
    note_foreign_settings(talk, WIRE, notes)
