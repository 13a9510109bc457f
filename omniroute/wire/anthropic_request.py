"""A request of Anthropic Messages, in and out. https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.wire.anthropic_blocks import WIRE, list_at, marked, read_cache, read_content, rejoin_signatures
from omniroute.wire.anthropic_edits import BILLING, is_billing, mark_prefixes
from omniroute.wire.anthropic_messages import MessagesWriter
from omniroute.wire.anthropic_thinking import Plan, plan, read_thinking
from omniroute.wire.codec import Dialect
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Notes,
    OutputFormat,
    Role,
    Tool,
    ToolChoice,
    Turn,
)
from omniroute.wire.functions import allowed_tools, native_tool, object_schema, one_input
from omniroute.wire.losses import note_foreign_settings, note_unsaid
from omniroute.wire.shapes import doc_of, object_at, objects_at, refused, rest_of, text_in, text_of

_SCALARS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "stream": bool,
    "max_tokens": int,
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": int,
}
_KIND_WORDS: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    (int, float): "a number",
}
_READ = frozenset(
    {
        "system",
        "messages",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "stop_sequences",
        "metadata",
        "service_tier",
    }
    | _SCALARS.keys()
)
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    """Raises `Refused` for a wrong shape and `UnsupportedContent` for unknown content."""
    extras = rest_of(doc, _READ)
    talk = Conversation(extras={WIRE: extras})
    for key, kind in _SCALARS.items():
        _read_scalar(doc, key, kind, talk)
    talk.turns = _read_system(doc.get("system"), extras) + _read_messages(doc)
    talk.tools = [_read_tool(tool, place) for tool, place in objects_at(doc.get("tools") or [], "tools")]
    _read_choice(doc.get("tool_choice"), talk)
    _read_output(doc, talk, extras)
    _read_rest(doc, talk, extras)
    return talk


def _read_scalar(doc: Doc, key: str, kind: type | tuple[type, ...], talk: Conversation) -> None:
    value = doc.get(key)
    if value is None:
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise refused(f"must be {_KIND_WORDS[kind]}", key)
    setattr(talk, key, value)


def _read_system(system: Any, extras: Doc) -> list[Turn]:
    if system is None:
        return []
    if isinstance(system, list) and system and is_billing(system[0]):
        extras[BILLING] = system[0]
        system = system[1:]
    parts = read_content(system, "system")
    return [Turn(role="system", parts=parts)] if parts else []


def _read_messages(doc: Doc) -> list[Turn]:
    turns = []
    for message, path in objects_at(list_at(doc.get("messages"), "messages"), "messages"):
        role = _ROLES.get(text_in(message, "role", path))
        if role is None:
            raise refused("must be user, assistant or system", f"{path}.role")
        parts = read_content(message.get("content"), f"{path}.content")
        turns.append(Turn(role=role, parts=rejoin_signatures(parts)))
    return turns


_TOOL_KEYS = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})


def _read_tool(tool: Doc, path: str) -> Tool:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        name = text_of(tool.get("name")) or text_of(tool.get("mcp_server_name")) or text_of(kind)
        return Tool(name=name, kind="server", wire=WIRE, native=tool, cache=read_cache(tool))
    schema = tool.get("input_schema")
    beside = {k: v for k, v in tool.items() if k not in _TOOL_KEYS and v is not None}
    return Tool(
        name=text_in(tool, "name", path),
        description=text_of(tool.get("description")) or None,
        schema=None if schema is None else object_at(schema, f"{path}.input_schema"),
        strict=tool.get("strict") if isinstance(tool.get("strict"), bool) else None,
        cache=read_cache(tool),
        wire=WIRE if beside else None,
        native=beside or None,
    )


_CHOICES_IN: dict[str, ToolChoice] = {
    "auto": ToolChoice(mode="auto"),
    "any": ToolChoice(mode="required"),
    "none": ToolChoice(mode="none"),
}


def _read_choice(choice: Any, talk: Conversation) -> None:
    if choice is None:
        return
    doc = object_at(choice, "tool_choice")
    kind = text_in(doc, "type", "tool_choice")
    if kind == "tool":
        talk.tool_choice = ToolChoice(mode="named", names=(text_in(doc, "name", "tool_choice"),))
    elif kind in _CHOICES_IN:
        talk.tool_choice = _CHOICES_IN[kind]
    else:
        raise refused("must be auto, any, tool or none", "tool_choice.type")
    single = doc.get("disable_parallel_tool_use")
    talk.parallel_tools = None if single is None else single is not True


def _read_output(doc: Doc, talk: Conversation, extras: Doc) -> None:
    config = doc.get("output_config")
    rest = dict(object_at(config, "output_config")) if config is not None else {}
    format = rest.pop("format", None) or doc.get("output_format")
    effort = rest.pop("effort", None)
    thinking = doc.get("thinking")
    talk.reasoning = read_thinking(thinking, effort)
    if thinking is not None and doc_of(thinking).get("type") not in ("enabled", "disabled", "adaptive"):
        extras["thinking"] = thinking
    if doc_of(format).get("type") == "json_schema":
        schema = object_at(doc_of(format).get("schema"), "output_config.format.schema")
        talk.output = OutputFormat(kind="json_schema", schema=schema)
    elif format is not None:
        rest["format"] = format
    if rest:
        extras["output_config"] = rest


_TIERS_IN = {"auto": "auto", "standard_only": "default"}
_TIERS_OUT = {"auto": "auto", "default": "standard_only"}


def _read_rest(doc: Doc, talk: Conversation, extras: Doc) -> None:
    stop = list_at(doc.get("stop_sequences") or [], "stop_sequences")
    for index, sequence in enumerate(stop):
        if not isinstance(sequence, str):
            raise refused("must be a string", f"stop_sequences[{index}]")
    talk.stop = list(stop)
    metadata = dict(object_at(doc.get("metadata") or {}, "metadata"))
    talk.user = text_of(metadata.pop("user_id", None)) or None
    if metadata:
        extras["metadata"] = metadata
    tier = doc.get("service_tier")
    if tier in _TIERS_IN:
        talk.service_tier = _TIERS_IN[tier]
    elif tier is not None:
        extras["service_tier"] = tier


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_UNSAID = (
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "metadata",
    "store",
    "prompt_cache_key",
    "previous_id",
)
"""Fields of a conversation that this format cannot say."""

_SAMPLING: dict[str, Callable[[float], bool]] = {
    "temperature": lambda value: value == 1,
    "top_p": lambda value: value >= 0.95,
    "top_k": lambda value: False,
}
"""Sampling settings, and whether a value of theirs may stand beside thinking."""

_SCHEMA_ORDER = (
    "Answer with exactly one JSON value that is valid against the JSON Schema below, and with nothing else: "
    "no text around it, and no Markdown fence.\n"
)
_OBJECT_ORDER = (
    "Answer with exactly one JSON object, and with nothing else: no text around it, and no Markdown fence."
)


def write_request(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    """The body for a target of this wire. Never changes `talk`."""
    return _RequestWriter(talk, dialect, notes).write()


class _RequestWriter:
    """Writes one request; `home` tells that it came in this format, so that its own words may go back."""

    def __init__(self, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
        self._talk = talk
        self._dialect = dialect
        self._notes = notes
        self._home = WIRE in talk.extras

    def write(self) -> Doc:
        talk = self._talk
        model = self._dialect.model or talk.model
        doc: Doc = {"model": model} if model else {}
        messages = MessagesWriter(talk, self._dialect, self._notes)
        thinking = self._thinking(messages)
        doc["max_tokens"] = thinking.max_tokens
        system = self._system(messages.system)
        if system:
            doc["system"] = system
        # The API takes no beginning of an answer from us where the model is to think first.
        prefill = not thinking.on and "no_prefill" not in self._dialect.quirks
        doc["messages"] = messages.write(prefill=prefill)
        self._write_tools(doc, thinking)
        self._write_sampling(doc, thinking)
        self._write_output(doc, thinking)
        self._write_rest(doc)
        self._put_back(doc)
        if self._dialect.prompt_cache == "auto":
            mark_prefixes(doc)
        return doc

    def _thinking(self, messages: MessagesWriter) -> Plan:
        talk = self._talk
        planned = plan(talk.reasoning, talk.max_tokens, self._dialect, self._home, self._notes)
        if planned.budgeted and messages.lacks_thinking():
            # With a budget, the API wants the signed reasoning that led to the calls now being answered.
            self._notes.drop("reasoning")
            return planned._replace(thinking=None)
        return planned

    # system ─────────────────────────────────────────────────────────────────────────────────────
    def _system(self, blocks: list[Doc]) -> str | list[Doc]:
        billing = self._talk.extras.get(WIRE, {}).get(BILLING)
        order = self._output_order()
        if billing is not None:
            blocks = [billing, *blocks]
        if order:
            blocks = [*blocks, {"type": "text", "text": order}]
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and billing is None:
            text: str = blocks[0]["text"]
            return text
        return blocks

    def _output_order(self) -> str:
        output = self._talk.output
        if output is None or output.kind == "text" or self._has_schema_output():
            return ""
        self._notes.emulate("response_format")
        if output.schema is None:
            return _OBJECT_ORDER
        return _SCHEMA_ORDER + msgspec.json.encode(output.schema).decode()

    def _has_schema_output(self) -> bool:
        output, dialect = self._talk.output, self._dialect
        if output is None or output.kind != "json_schema" or output.schema is None:
            return False
        able = dialect.capabilities is not None and "json_schema" in dialect.capabilities
        return self._home or able or "structured_output" in dialect.quirks

    # tools ──────────────────────────────────────────────────────────────────────────────────────
    def _write_tools(self, doc: Doc, thinking: Plan) -> None:
        choice = self._talk.tool_choice
        tools = [written for tool in allowed_tools(self._talk, self._notes) for written in self._tool(tool)]
        if not tools:
            return
        doc["tools"] = tools
        written = self._choice(choice, thinking)
        if self._talk.parallel_tools is False and (written is None or written["type"] != "none"):
            written = (written or {"type": "auto"}) | {"disable_parallel_tool_use": True}
        if written is not None:
            doc["tool_choice"] = written

    def _choice(self, choice: ToolChoice | None, thinking: Plan) -> Doc | None:
        if choice is None:
            return None
        unforced = thinking.budgeted or "no_forced_tools" in self._dialect.quirks
        if unforced and (choice.mode in ("required", "named") or choice.must):
            self._notes.drop("tool_choice")
            return {"type": "auto"}
        if choice.mode == "named" and choice.names:
            return {"type": "tool", "name": choice.names[0]}
        if choice.mode == "none":
            return {"type": "none"}
        return {"type": "any" if choice.mode == "required" or choice.must else "auto"}

    def _tool(self, tool: Tool) -> list[Doc]:
        if tool.kind == "server":
            native = native_tool(tool, WIRE, self._notes)
            return [] if native is None else [native]
        if tool.kind == "custom":
            return [self._custom_tool(tool)]
        doc: Doc = {"name": tool.name}
        if tool.description:
            doc["description"] = tool.description
        doc["input_schema"] = object_schema(tool.schema)
        if tool.strict is not None and self._takes_strict(tool):
            doc["strict"] = tool.strict
        if tool.wire == WIRE and tool.native is not None:
            doc |= tool.native
        return [marked(doc, tool.cache)]

    def _takes_strict(self, tool: Tool) -> bool:
        if self._home or "structured_output" in self._dialect.quirks:
            return True
        if tool.strict:
            self._notes.drop("tools[].strict")
        return False

    def _custom_tool(self, tool: Tool) -> Doc:
        self._notes.emulate("tools[].custom")
        about = [tool.description or ""]
        grammar = text_of((tool.format or {}).get("definition"))
        if grammar:
            about.append(
                f"The text must follow this {text_of((tool.format or {}).get('syntax'))} grammar:\n{grammar}"
            )
        schema = one_input(explained=True)
        doc = {"name": tool.name, "description": "\n\n".join(filter(None, about)), "input_schema": schema}
        return marked({k: v for k, v in doc.items() if v}, tool.cache)

    # settings ───────────────────────────────────────────────────────────────────────────────────
    def _write_sampling(self, doc: Doc, thinking: Plan) -> None:
        for name, fits_thinking in _SAMPLING.items():
            value = getattr(self._talk, name)
            if value is None:
                continue
            if (thinking.on and not fits_thinking(value)) or self._refuses(name, doc):
                self._notes.drop(name)
            else:
                doc[name] = value
        if doc.get("temperature", 0) > 1:
            # Elsewhere temperatures go up to 2.
            self._notes.emulate("temperature")
            doc["temperature"] = 1

    def _refuses(self, name: str, doc: Doc) -> bool:
        quirks = self._dialect.quirks
        one_too_many = name == "top_p" and "temperature" in doc and "one_sampling" in quirks
        return one_too_many or "no_sampling" in quirks

    def _write_output(self, doc: Doc, thinking: Plan) -> None:
        if thinking.thinking is not None:
            doc["thinking"] = thinking.thinking
        config: Doc = {}
        if thinking.effort is not None:
            config["effort"] = thinking.effort
        output = self._talk.output
        if output is not None and self._has_schema_output():
            config["format"] = {"type": "json_schema", "schema": output.schema}
        if config:
            doc["output_config"] = config

    def _write_rest(self, doc: Doc) -> None:
        talk = self._talk
        stop = [sequence for sequence in talk.stop if sequence.strip()]
        if len(stop) < len(talk.stop):
            self._notes.drop("stop")
        if stop:
            doc["stop_sequences"] = stop
        if talk.user:
            doc["metadata"] = {"user_id": talk.user}
        tier = _TIERS_OUT.get(talk.service_tier or "")
        if tier:
            doc["service_tier"] = tier
        elif talk.service_tier:
            self._notes.drop("service_tier")
        if talk.stream:
            doc["stream"] = True
        note_unsaid(talk, _UNSAID, self._notes)

    def _put_back(self, doc: Doc) -> None:
        for key, value in self._talk.extras.get(WIRE, {}).items():
            if key != BILLING:
                both = isinstance(value, dict) and isinstance(doc.get(key), dict)
                doc[key] = value | doc[key] if both else value
        note_foreign_settings(self._talk, WIRE, self._notes)
