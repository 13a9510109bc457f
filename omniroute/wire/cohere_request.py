"""The settings and tools of a Cohere chat request, in and out. https://docs.cohere.com/reference/chat"""

from __future__ import annotations

from typing import Any

import msgspec

from omniroute.wire.codec import Dialect, Position
from omniroute.wire.cohere_messages import MessagesWriter, read_messages
from omniroute.wire.cohere_parts import WIRE
from omniroute.wire.content import budget_of
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

_HEAD: Settings = {"model": ("model", text_at), "stream": ("stream", flag_at)}
_SETTINGS: Settings = {
    "max_tokens": ("max_tokens", integer_at),
    "temperature": ("temperature", number_at),
    "p": ("top_p", number_at),
    "k": ("top_k", integer_at),
    "seed": ("seed", integer_at),
    "stop_sequences": ("stop", texts_at),
    "presence_penalty": ("presence_penalty", number_at),
    "frequency_penalty": ("frequency_penalty", number_at),
    "logprobs": ("logprobs", flag_at),
}
"""Key → field of `Conversation` and check, both ways."""

_RANGES: dict[str, tuple[float, float, str]] = {
    "temperature": (0, 1, "temperature"),
    "p": (0.01, 0.99, "top_p"),
    "k": (0, 500, "top_k"),
    "presence_penalty": (0, 1, "presence_penalty"),
    "frequency_penalty": (0, 1, "frequency_penalty"),
}
"""What the API takes, and the client's word for it: elsewhere the ranges are wider."""

_READ = frozenset(
    {"messages", "documents", "tools", "strict_tools", "tool_choice", "response_format", "thinking"}
    | _HEAD.keys()
    | _SETTINGS.keys()
)

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    """Raises `Refused` for a wrong shape and `UnsupportedContent` for unknown content."""
    talk = Conversation(turns=read_messages(doc), extras={WIRE: rest_of(doc, _READ)})
    read_settings(doc, _HEAD, talk)
    read_settings(doc, _SETTINGS, talk)
    strict = None if doc.get("strict_tools") is None else flag_at(doc["strict_tools"], "strict_tools")
    talk.tools = [_read_tool(tool, place, strict) for tool, place in objects_at(doc.get("tools"), "tools")]
    talk.tool_choice = _read_choice(doc.get("tool_choice"))
    talk.output = _read_output(doc.get("response_format"))
    talk.reasoning = _read_thinking(doc.get("thinking"))
    return talk


def _read_tool(tool: Doc, path: str, strict: bool | None) -> Tool:
    read = read_function(tool, path)
    read.strict = strict
    return read


_CHOICES: dict[str, ToolChoice] = {
    "REQUIRED": ToolChoice(mode="required"),
    "NONE": ToolChoice(mode="none"),
}


def _read_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if text_at(choice, "tool_choice") not in _CHOICES:
        raise refused("must be REQUIRED or NONE", "tool_choice")
    return _CHOICES[choice]


def _read_output(format: Any) -> OutputFormat | None:
    if format is None:
        return None
    kind = object_at(format, "response_format").get("type")
    if kind not in ("text", "json_object"):
        raise refused("must be text or json_object", "response_format.type")
    schema = format.get("json_schema") or format.get("schema")
    if kind == "text" or schema is None:
        return OutputFormat(kind=kind)
    return OutputFormat(kind="json_schema", schema=object_at(schema, "response_format.json_schema"))


def _read_thinking(thinking: Any) -> Reasoning | None:
    if thinking is None:
        return None
    kind = text_at(object_at(thinking, "thinking").get("type"), "thinking.type").lower()
    if kind not in ("enabled", "disabled"):
        raise refused("must be enabled or disabled", "thinking.type")
    budget = thinking.get("token_budget")
    return Reasoning(
        enabled=kind == "enabled",
        budget=None if budget is None else integer_at(budget, "thinking.token_budget"),
    )


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_UNSAID = (
    "top_logprobs",
    "logit_bias",
    "verbosity",
    "metadata",
    "store",
    "user",
    "prompt_cache_key",
    "previous_id",
)
"""Fields of a conversation that this format cannot say."""

_MOST_STOPS = 5
_OBJECT_ORDER = "Answer with exactly one JSON object, and with nothing else."
_SCHEMA_ORDER = (
    "Answer with exactly one JSON value that is valid against this JSON Schema, and with nothing else:\n"
)


def write_request(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    """The body for a target of this wire. Never changes `talk`."""
    return _RequestWriter(talk, dialect, notes).write()


class _RequestWriter:
    def __init__(self, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
        self._talk = talk
        self._dialect = dialect
        self._notes = notes
        unable = dialect.capabilities is not None and "thinking" not in dialect.capabilities
        self._thinks = not unable and "no_reasoning_effort" not in dialect.quirks
        self._json = talk.output is not None and talk.output.kind != "text"

    def write(self) -> Doc:
        talk = self._talk
        tools = self._tools()
        # The API gives JSON by force only where there are neither tools nor documents.
        forced = self._json and not tools
        messages = MessagesWriter(self._notes, plans=not self._thinks, inline=forced)
        doc: Doc = {"model": self._dialect.model or talk.model, "messages": messages.write(talk)}
        if talk.stream:
            doc["stream"] = True
        self._write_settings(doc)
        if messages.documents:
            doc["documents"] = messages.documents
        if tools:
            doc["tools"] = tools
            self._write_choice(doc)
        if forced:
            self._force_json(doc)
        elif self._json:
            self._ask_for_json(doc)
        thinking = self._thinking()
        if thinking is not None:
            doc["thinking"] = thinking
        self._note_the_rest()
        self._put_back(doc)
        return doc

    # settings ───────────────────────────────────────────────────────────────────────────────────
    def _write_settings(self, doc: Doc) -> None:
        doc |= write_settings(self._talk, _SETTINGS)
        for key, (least, most, word) in _RANGES.items():
            if key in doc and not least <= doc[key] <= most:
                doc[key] = min(max(doc[key], least), most)
                self._notes.emulate(word)
        most_output = self._dialect.max_output
        if most_output is not None and doc.get("max_tokens", 0) > most_output:
            doc["max_tokens"] = most_output
            self._notes.emulate("max_tokens")
        if len(self._talk.stop) > _MOST_STOPS:
            doc["stop_sequences"] = self._talk.stop[:_MOST_STOPS]
            self._notes.drop(f"stop[{_MOST_STOPS}:]")

    def _thinking(self) -> Doc | None:
        asked = self._talk.reasoning
        wanted = None if asked is None else asked.wanted
        if asked is None or wanted is None:
            return None
        if not self._thinks:
            if wanted and (asked.effort or asked.budget):
                self._notes.drop("reasoning")
            return None
        if not wanted:
            return {"type": "disabled"}
        budget = asked.budget if asked.budget is not None else asked.effort and budget_of(asked.effort)
        if not budget or budget < 0:
            return {"type": "enabled"}
        least, most = self._dialect.thinking_min or 1, self._dialect.thinking_max
        return {"type": "enabled", "token_budget": max(least, budget if most is None else min(budget, most))}

    def _note_the_rest(self) -> None:
        talk, notes = self._talk, self._notes
        note_unsaid(talk, _UNSAID, notes)
        if talk.service_tier not in (None, "auto", "default"):
            notes.drop("service_tier")

    def _put_back(self, doc: Doc) -> None:
        doc.update(self._talk.extras.get(WIRE, {}))
        note_foreign_settings(self._talk, WIRE, self._notes)

    # tools ──────────────────────────────────────────────────────────────────────────────────────
    def _allowed(self) -> list[Tool]:
        """A choice among some tools is made by leaving the others out."""
        choice = self._talk.tool_choice
        if choice is None or not choice.names:
            return self._talk.tools
        self._notes.emulate("tool_choice")
        return [tool for tool in self._talk.tools if tool.name in choice.names]

    def _tools(self) -> list[Doc]:
        written = [write_tool(tool, WIRE, self._notes) for tool in self._allowed()]
        return [doc for doc in written if doc is not None]

    def _write_choice(self, doc: Doc) -> None:
        choice = self._talk.tool_choice or ToolChoice()
        if choice.mode == "none":
            doc["tool_choice"] = "NONE"
        elif choice.mode in ("required", "named") or choice.must:
            doc["tool_choice"] = "REQUIRED"
        if self._talk.parallel_tools is False:
            self._notes.drop("parallel_tool_calls")
        tools = [tool for tool in self._allowed() if tool.kind != "server"]
        if all(_can_be_strict(tool) for tool in tools) or self._was_strict():
            doc["strict_tools"] = True
        elif any(tool.strict for tool in tools):
            # Here all tools are called strictly, or none.
            self._notes.drop("tools[].strict")

    def _was_strict(self) -> bool:
        return WIRE in self._talk.extras and any(tool.strict for tool in self._talk.tools)

    # output ─────────────────────────────────────────────────────────────────────────────────────
    def _force_json(self, doc: Doc) -> None:
        schema = self._talk.output.schema if self._talk.output is not None else None
        doc["response_format"] = {"type": "json_object"} | ({"json_schema": schema} if schema else {})

    def _ask_for_json(self, doc: Doc) -> None:
        self._notes.emulate("response_format")
        schema = self._talk.output.schema if self._talk.output is not None else None
        order = _SCHEMA_ORDER + msgspec.json.encode(schema).decode() if schema else _OBJECT_ORDER
        add_system(doc, order, "append")


def _can_be_strict(tool: Tool) -> bool:
    """Strict calls need a required argument. https://docs.cohere.com/docs/structured-outputs"""
    return tool.strict is True and bool((tool.schema or {}).get("required"))


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Put a text into the system message, which is the first one, before or after what it says."""
    messages = list(doc.get("messages") or [])
    if not messages or messages[0].get("role") != "system":
        doc["messages"] = [{"role": "system", "content": text}, *messages]
        return
    said = messages[0].get("content")
    if isinstance(said, list):
        piece = {"type": "text", "text": text}
        content: str | list[Any] = [piece, *said] if position == "prepend" else [*said, piece]
    else:
        content = "\n\n".join(filter(None, [text, said] if position == "prepend" else [said, text]))
    doc["messages"] = [messages[0] | {"content": content}, *messages[1:]]
