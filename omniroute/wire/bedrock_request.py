"""The settings and tools of a Converse request, in and out; model and streaming stand in the path.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.wire.bedrock_messages import MessagesWriter, add_system, mark_prefixes, read_turns
from omniroute.wire.bedrock_model_fields import FIELDS, Thought, read_fields, write_thinking_fields
from omniroute.wire.bedrock_parts import WIRE, read_cache
from omniroute.wire.codec import Dialect
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Notes,
    OutputFormat,
    Tool,
    ToolChoice,
)
from omniroute.wire.functions import (
    allowed_tools,
    described,
    native_tool,
    no_arguments,
    object_schema,
    one_input,
)
from omniroute.wire.losses import note_foreign_settings, note_loss, note_unsaid
from omniroute.wire.settings import Settings, read_settings, write_settings
from omniroute.wire.shapes import (
    doc_of,
    integer_at,
    number_at,
    object_at,
    objects_at,
    refused,
    rest_of,
    text_at,
    text_in,
    text_of,
    texts_at,
)

_SETTINGS: Settings = {
    "maxTokens": ("max_tokens", integer_at),
    "temperature": ("temperature", number_at),
    "topP": ("top_p", number_at),
    "stopSequences": ("stop", texts_at),
}
"""Key of `inferenceConfig` → field of `Conversation` and check, both ways."""

_READ_APART = frozenset(
    {
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        FIELDS,
        "outputConfig",
        "requestMetadata",
        "serviceTier",
    }
)

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    """Raises `Refused` for a wrong shape and `UnsupportedContent` for unknown content."""
    extras = rest_of(doc, _READ_APART)
    talk = Conversation(turns=read_turns(doc), extras={WIRE: extras})
    _read_settings(object_at(doc.get("inferenceConfig") or {}, "inferenceConfig"), talk, extras)
    _read_tools(object_at(doc.get("toolConfig") or {}, "toolConfig"), talk)
    _read_output(object_at(doc.get("outputConfig") or {}, "outputConfig"), talk, extras)
    talk.reasoning, fields = read_fields(object_at(doc.get(FIELDS) or {}, FIELDS))
    if isinstance(fields.get("top_k"), int):
        talk.top_k = fields.pop("top_k")
    if fields:
        extras[FIELDS] = fields
    talk.metadata = object_at(doc.get("requestMetadata") or {}, "requestMetadata") or None
    talk.service_tier = text_of(doc_of(doc.get("serviceTier")).get("type")) or None
    return talk


def _read_settings(config: Doc, talk: Conversation, extras: Doc) -> None:
    read_settings(config, _SETTINGS, talk, "inferenceConfig.")
    rest = {key: value for key, value in config.items() if key not in _SETTINGS}
    if rest:
        extras["inferenceConfig"] = rest


def _read_tools(config: Doc, talk: Conversation) -> None:
    for tool, path in objects_at(config.get("tools"), "toolConfig.tools"):
        if "cachePoint" in tool and talk.tools:
            talk.tools[-1].cache = read_cache(doc_of(tool["cachePoint"]))
        elif "cachePoint" not in tool:
            talk.tools.append(_read_tool(tool, path))
    talk.tool_choice = _read_choice(config.get("toolChoice"))


def _read_tool(tool: Doc, path: str) -> Tool:
    if "systemTool" in tool:
        name = text_at(
            object_at(tool["systemTool"], f"{path}.systemTool").get("name"), f"{path}.systemTool.name"
        )
        return Tool(name=name, kind="server", wire=WIRE, native=tool)
    spec = object_at(tool.get("toolSpec"), f"{path}.toolSpec")
    schema = doc_of(spec.get("inputSchema")).get("json")
    return Tool(
        name=text_in(spec, "name", f"{path}.toolSpec"),
        description=text_of(spec.get("description")) or None,
        schema=None if schema is None else object_at(schema, f"{path}.toolSpec.inputSchema.json"),
        strict=spec.get("strict") if isinstance(spec.get("strict"), bool) else None,
    )


def _read_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    given = object_at(choice, "toolConfig.toolChoice")
    if "tool" in given:
        name = text_at(doc_of(given["tool"]).get("name"), "toolConfig.toolChoice.tool.name")
        return ToolChoice(mode="named", names=(name,))
    if "any" in given:
        return ToolChoice(mode="required")
    if "auto" in given:
        return ToolChoice(mode="auto")
    raise refused("must be auto, any or tool", "toolConfig.toolChoice")


def _read_output(config: Doc, talk: Conversation, extras: Doc) -> None:
    rest = dict(config)
    format = doc_of(rest.pop("textFormat", None))
    definition = doc_of(doc_of(format.get("structure")).get("jsonSchema"))
    if definition:
        talk.output = OutputFormat(
            kind="json_schema",
            name=text_of(definition.get("name")) or None,
            description=text_of(definition.get("description")) or None,
            schema=_schema_of(definition.get("schema")),
        )
    if rest:
        extras["outputConfig"] = rest


def _schema_of(text: Any) -> Doc:
    """A schema, which stands here as text."""
    path = "outputConfig.textFormat.structure.jsonSchema.schema"
    try:
        return object_at(msgspec.json.decode(text_at(text, path)), path)
    except msgspec.DecodeError as error:
        raise refused("must be a JSON Schema, as text", path) from error


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_UNSAID = (
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "store",
    "user",
    "prompt_cache_key",
    "previous_id",
)
"""Fields of a conversation that this format cannot say."""

_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_BESIDE_THINKING: dict[str, Callable[[float], bool]] = {
    "temperature": lambda value: value == 1,
    "topP": lambda value: value >= 0.95,
}
"""Sampling settings, and whether a value of theirs may stand beside thinking."""
_WORDS = {"temperature": "temperature", "topP": "top_p"}

_OBJECT_ORDER = (
    "Answer with exactly one JSON object, and with nothing else: no text around it, and no Markdown fence."
)
_SCHEMA_ORDER = (
    "Answer with exactly one JSON value that is valid against this JSON Schema, and with nothing else, no Markdown "
    "fence either:\n"
)
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_METADATA = 16


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
        self._messages = MessagesWriter(talk, dialect, notes)

    def write(self) -> Doc:
        thought = self._thinking()
        prefill = not thought.on and "no_prefill" not in self._dialect.quirks
        doc: Doc = {"messages": self._messages.write(prefill=prefill)}
        if self._messages.system:
            doc["system"] = self._messages.system
        config = self._settings(thought)
        if config:
            doc["inferenceConfig"] = config
        self._write_tools(doc, thought)
        self._write_output(doc)
        fields = thought.fields | self._top_k(thought)
        if fields:
            doc[FIELDS] = fields
        self._write_rest(doc)
        self._put_back(doc)
        if self._dialect.prompt_cache == "auto" and "no_cache_points" not in self._dialect.quirks:
            mark_prefixes(doc, tools="no_tool_cache_points" not in self._dialect.quirks)
        return doc

    def _thinking(self) -> Thought:
        thought = write_thinking_fields(self._talk, self._dialect, self._home, self._notes)
        if not thought.forces and self._messages.lacks_thinking():
            # With a budget, the API wants the signed reasoning that led to the calls now being answered.
            self._notes.drop("reasoning")
            return Thought()
        return thought

    # settings ───────────────────────────────────────────────────────────────────────────────────
    def _settings(self, thought: Thought) -> Doc:
        config = write_settings(self._talk, _SETTINGS)
        self._write_stops(config)
        self._write_limit(config, thought)
        self._write_sampling(config, thought)
        return config

    def _write_stops(self, config: Doc) -> None:
        stops = [text for text in self._talk.stop if text.strip()]
        if len(stops) < len(self._talk.stop):
            self._notes.drop("stop")
            config["stopSequences"] = stops
        if not stops:
            config.pop("stopSequences", None)

    def _write_limit(self, config: Doc, thought: Thought) -> None:
        if thought.unlimited and config.pop("maxTokens", None):
            self._notes.drop("max_tokens")
        most = self._dialect.max_output
        if most is not None and config.get("maxTokens", 0) > most:
            self._notes.emulate("max_tokens")
            config["maxTokens"] = most

    def _write_sampling(self, config: Doc, thought: Thought) -> None:
        if config.get("temperature", 0) > 1:
            # Elsewhere temperatures go up to 2.
            self._notes.emulate("temperature")
            config["temperature"] = 1
        for key, fits in _BESIDE_THINKING.items():
            unfit = key in config and thought.limits_sampling and not fits(config[key])
            if unfit or (key in config and self._refuses(key, config)):
                self._notes.drop(_WORDS[key])
                del config[key]

    def _refuses(self, key: str, config: Doc) -> bool:
        quirks = self._dialect.quirks
        one_too_many = key == "topP" and "temperature" in config and "one_sampling" in quirks
        return one_too_many or "no_sampling" in quirks

    def _top_k(self, thought: Thought) -> Doc:
        top_k, quirks = self._talk.top_k, self._dialect.quirks
        if top_k is None:
            return {}
        if thought.limits_sampling or not quirks.isdisjoint({"no_top_k", "no_sampling"}):
            self._notes.drop("top_k")
            return {}
        return {"top_k": top_k}

    def _write_rest(self, doc: Doc) -> None:
        talk, notes = self._talk, self._notes
        if talk.service_tier in _TIERS:
            doc["serviceTier"] = {"type": talk.service_tier}
        elif talk.service_tier not in (None, "auto"):
            notes.drop("service_tier")
        metadata = self._metadata()
        if metadata:
            doc["requestMetadata"] = metadata
        note_unsaid(talk, _UNSAID, notes)

    def _metadata(self) -> Doc:
        """What is to stand in the provider's invocation logs: only short plain texts can."""
        given = self._talk.metadata or {}
        kept = {
            k: v
            for k, v in given.items()
            if all(isinstance(t, str) and _METADATA.fullmatch(t) for t in (k, v))
        }
        kept = dict(list(kept.items())[:_MOST_METADATA])
        if len(kept) < len(given):
            self._notes.drop("metadata")
        return kept

    def _put_back(self, doc: Doc) -> None:
        for key, value in self._talk.extras.get(WIRE, {}).items():
            doc[key] = _together(value, doc.get(key))
        note_foreign_settings(self._talk, WIRE, self._notes)

    # tools ──────────────────────────────────────────────────────────────────────────────────────
    def _write_tools(self, doc: Doc, thought: Thought) -> None:
        choice = self._talk.tool_choice
        called = self._messages.called
        barred = choice is not None and choice.mode == "none"
        if barred and self._talk.tools and not called:
            # There is no word for "none": without tools none can be called.
            self._notes.emulate("tool_choice")
            return
        if barred and self._talk.tools:
            self._notes.drop("tool_choice")
        tools = [written for tool in allowed_tools(self._talk, self._notes) for written in self._tool(tool)]
        if not tools:
            # What earlier turns called has to be declared, also when it is not to be called any more.
            tools = [_spec(name, None, no_arguments()) for name in dict.fromkeys(called)]
        if not tools:
            return
        doc["toolConfig"] = {"tools": tools}
        written = self._choice(choice, thought)
        if written is not None:
            doc["toolConfig"]["toolChoice"] = written
        if self._talk.parallel_tools is False:
            self._notes.drop("parallel_tool_calls")

    def _choice(self, choice: ToolChoice | None, thought: Thought) -> Doc | None:
        if choice is None or choice.mode == "none":
            return None
        forced = choice.must or choice.mode in ("required", "named")
        if forced and (not thought.forces or "no_forced_tools" in self._dialect.quirks):
            self._notes.drop("tool_choice")
            return None
        if choice.mode == "named" and choice.names:
            return {"tool": {"name": choice.names[0]}}
        if forced:
            return {"any": {}}
        # "auto" is what models do anyway, and some do not know the word.
        return {"auto": {}} if self._home else None

    def _tool(self, tool: Tool) -> list[Doc]:
        if tool.kind == "server":
            native = native_tool(tool, WIRE, self._notes)
            return [] if native is None else [native]
        if tool.kind == "custom":
            self._notes.emulate("tools[].custom")
            written = _spec(tool.name, described(tool), one_input(explained=True))
            return [written, *self._tool_cache(tool)]
        written = _spec(tool.name, tool.description, object_schema(tool.schema))
        if tool.strict is not None and self._takes_strict(tool):
            written["toolSpec"]["strict"] = tool.strict
        return [written, *self._tool_cache(tool)]

    def _tool_cache(self, tool: Tool) -> list[Doc]:
        if tool.cache is None:
            return []
        if "no_tool_cache_points" in self._dialect.quirks:
            note_loss(self._notes, "cache_control")
            return []
        return self._messages.cache_point(tool.cache)

    def _takes_strict(self, tool: Tool) -> bool:
        if self._home or self._able("json_schema"):
            return True
        if tool.strict:
            self._notes.drop("tools[].strict")
        return False

    def _able(self, capability: str) -> bool:
        return self._dialect.capabilities is not None and capability in self._dialect.capabilities

    # output ─────────────────────────────────────────────────────────────────────────────────────
    def _write_output(self, doc: Doc) -> None:
        output = self._talk.output
        if output is None or output.kind == "text":
            return
        if output.schema is not None and (self._home or self._able("json_schema")):
            doc["outputConfig"] = {"textFormat": _text_format(output)}
            return
        self._notes.emulate("response_format")
        schema = output.schema
        order = _SCHEMA_ORDER + msgspec.json.encode(schema).decode() if schema is not None else _OBJECT_ORDER
        add_system(doc, order, "append")


def _together(own: Any, written: Any) -> Any:
    """What only this format knows, with what was written beside it."""
    if not (isinstance(own, dict) and isinstance(written, dict)):
        return own if written is None else written
    return own | {key: _together(own[key], value) if key in own else value for key, value in written.items()}


def _spec(name: str, description: str | None, schema: Doc) -> Doc:
    about = {"description": description} if description else {}
    return {"toolSpec": {"name": name, **about, "inputSchema": {"json": schema}}}


def _text_format(output: OutputFormat) -> Doc:
    definition: Doc = {"schema": msgspec.json.encode(output.schema).decode()}
    if output.name:
        definition["name"] = output.name
    if output.description:
        definition["description"] = output.description
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


# ── counting ─────────────────────────────────────────────────────────────────────────────────────

_COUNTED = ("messages", "system", "toolConfig", FIELDS)


def count_request(doc: Doc, model: str) -> Doc:
    """The path names the model. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html"""
    return {"input": {"converse": {key: doc[key] for key in _COUNTED if key in doc}}}
