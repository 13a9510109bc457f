"""The settings of a Chat Completions request, in and out.

https://platform.openai.com/docs/api-reference/chat/create

What compatible servers accept differs. The default is what most of them take; the differences are quirks of a
`Dialect`, words that the catalogue uses:

    max_completion_tokens   the limit is called so, not `max_tokens` (`max_tokens` says the default explicitly)
    developer_role          knows the role `developer`; else it is written as `system`
    no_system_role          knows no `system` either: such texts become `user` messages
    system_first            one system message only, at the start
    alternate               refuses two neighbours of one role
    string_content          `content` must be a string
    empty_content           `content` beside tool calls must be "", not null
    strict_fields           refuses message fields that it does not know (signatures of earlier answers)
    reasoning_content       wants earlier reasoning back in `reasoning_content`
    reasoning               wants it back in `reasoning`
    think_tags              wants it back in `content`, between `<think>` tags
    thinking_chunks         wants it back as `thinking` parts of `content`
    reasoning_object        effort and budget stand in `reasoning: {effort, max_tokens}`
    thinking_object         thinking is switched by `thinking: {type: enabled | disabled}`
    thinking_budget         … which takes `budget_tokens` too
    enable_thinking         thinking is switched by `enable_thinking`, `thinking_budget`
    always_thinks           refuses a request not to think: it gets the least instead
    no_reasoning_effort     has no control for reasoning at all
    cache_control           takes Anthropic's cache markers
    prompt_cache_breakpoint takes OpenAI's cache markers
    custom_tools            knows free-form tools; else they become functions with one argument `input`
    allowed_tools           knows `tool_choice: allowed_tools`; else the other tools are left out
    tool_images             takes images in `tool` messages; else they follow in a `user` message
    tool_name               wants the `name` of the tool in `tool` messages
    call_ids_9              tool call ids must be nine letters and digits
    prefix                  wants `prefix: true` on an assistant message that the model shall continue
    top_k                   knows `top_k`
    random_seed             the seed is called so
    temperature_1           temperature ends at 1, not 2
    many_stops              takes more than four stop sequences
    file_url, video_url, audio_url     take such URLs in content
    no_json_schema          knows only `json_object`: the schema goes into a system text
    no_response_format      knows neither: both go into a system text
    no_strict               refuses `strict` of a function
    no_stream_options       refuses `stream_options`
    no_<setting>            refuses any other top-level setting, such as `no_stop` or `no_prompt_cache_key`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from omniroute.wire.codec import Dialect, Position
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Notes,
    OutputFormat,
    Tool,
    ToolChoice,
)
from omniroute.wire.functions import described, no_arguments, one_input
from omniroute.wire.losses import note_foreign_settings, note_loss
from omniroute.wire.openai_chat_messages import read_messages, write_messages
from omniroute.wire.openai_chat_parts import TIERS, WIRE, read_cache, refused, text_in
from omniroute.wire.openai_chat_reasoning import REASONING_KEYS, read_reasoning_settings, write_reasoning
from omniroute.wire.settings import Settings, read_settings
from omniroute.wire.shapes import doc_of, rest_of, text_of

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def _of(*types: type, what: str) -> Callable[[Any, str], Any]:
    """A check of one value's type: JSON's true is no number here."""

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise refused(f"must be {what}", path)
        return value

    return check


_string = _of(str, what="a string")
_flag = _of(bool, what="true or false")
_number = _of(int, float, what="a number")
_object = _of(dict, what="an object")
_list = _of(list, what="a list")


def _list_at(doc: Doc, key: str) -> list[Any]:
    """A list that may be missing."""
    return [] if doc.get(key) is None else list(_list(doc[key], key))


def _integer(value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(_of(int, what="a whole number")(value, path))


def _strings(value: Any, path: str) -> list[str]:
    return [_string(item, f"{path}[{index}]") for index, item in enumerate(_list(value, path))]


def _stops(value: Any, path: str) -> list[str]:
    return [value] if isinstance(value, str) else _strings(value, path)


def _biases(value: Any, path: str) -> dict[str, float]:
    return {key: float(_number(bias, f"{path}.{key}")) for key, bias in _object(value, path).items()}


_SETTINGS_IN: Settings = {
    "model": ("model", _string),
    "stream": ("stream", _flag),
    "max_tokens": ("max_tokens", _integer),
    "max_completion_tokens": ("max_tokens", _integer),
    "temperature": ("temperature", _number),
    "top_p": ("top_p", _number),
    "top_k": ("top_k", _integer),
    "stop": ("stop", _stops),
    "random_seed": ("seed", _integer),
    "seed": ("seed", _integer),
    "presence_penalty": ("presence_penalty", _number),
    "frequency_penalty": ("frequency_penalty", _number),
    "logit_bias": ("logit_bias", _biases),
    "logprobs": ("logprobs", _flag),
    "top_logprobs": ("top_logprobs", _integer),
    "n": ("choices", _integer),
    "user": ("user", _string),
    "metadata": ("metadata", _object),
    "service_tier": ("service_tier", _string),
    "prompt_cache_key": ("prompt_cache_key", _string),
    "modalities": ("modalities", _strings),
    "store": ("store", _flag),
    "verbosity": ("verbosity", _string),
    "parallel_tool_calls": ("parallel_tools", _flag),
}
"""Key → field of `Conversation` and check. Of two keys for one field the later row wins."""

_READ = frozenset(
    {
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "response_format",
    }
    | REASONING_KEYS
    | _SETTINGS_IN.keys()
)


def read_request(doc: Doc) -> Conversation:
    """Raises `UnsupportedContent` for unknown content and `Refused` for a wrong shape."""
    talk = Conversation(turns=read_messages(doc.get("messages")))
    read_settings(doc, _SETTINGS_IN, talk)
    talk.tools = _read_tools(doc)
    talk.tool_choice = _read_tool_choice(doc)
    talk.output = _read_output(doc.get("response_format"))
    talk.reasoning, rest = read_reasoning_settings(doc)
    rest |= rest_of(doc, _READ)
    if rest:
        talk.extras = {WIRE: rest}
    return talk


def _read_tools(doc: Doc) -> list[Tool]:
    tools = [
        _read_tool(_object(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(_list_at(doc, "tools"))
    ]
    for index, function in enumerate(_list_at(doc, "functions")):
        path = f"functions[{index}]"
        tools.append(_read_function(_object(function, path), path))
    return tools


def _read_tool(tool: Doc, path: str) -> Tool:
    kind = tool.get("type")
    if kind == "custom":
        custom = _object(tool.get("custom"), f"{path}.custom")
        return Tool(
            name=text_in(custom, "name", f"{path}.custom"),
            description=text_of(custom.get("description")) or None,
            kind="custom",
            format=custom.get("format"),
            cache=read_cache(tool),
        )
    if isinstance(tool.get("function"), dict) and kind in (None, "function"):
        function = _read_function(tool["function"], f"{path}.function")
        function.cache = read_cache(tool)
        return function
    if kind in (None, "function"):
        raise refused("must be an object", f"{path}.function")
    # Any other type runs at the server that knows it.
    return Tool(name=_string(kind, f"{path}.type"), kind="server", wire=WIRE, native=tool)


def _read_function(function: Doc, path: str) -> Tool:
    parameters = function.get("parameters")
    strict = function.get("strict")
    return Tool(
        name=text_in(function, "name", path),
        description=text_of(function.get("description")) or None,
        schema=None if parameters is None else _object(parameters, f"{path}.parameters"),
        strict=None if strict is None else _flag(strict, f"{path}.strict"),
    )


_CHOICE_WORDS = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def _read_tool_choice(doc: Doc) -> ToolChoice | None:
    key = "tool_choice" if doc.get("tool_choice") is not None else "function_call"
    choice = doc.get(key)
    if choice is None:
        return None
    if isinstance(choice, str):
        mode = _CHOICE_WORDS.get(choice)
        if mode is None:
            raise refused(f"must be one of {', '.join(_CHOICE_WORDS)}, or an object", key)
        return msgspec.convert({"mode": mode}, ToolChoice)
    _object(choice, key)
    if choice.get("type") == "allowed_tools":
        allowed = doc_of(choice.get("allowed_tools")) or choice
        names = tuple(_tool_name(t, f"{key}.tools") for t in _list(allowed.get("tools"), f"{key}.tools"))
        return ToolChoice(mode="allowed", names=names, must=allowed.get("mode") == "required")
    return ToolChoice(mode="named", names=(_tool_name(choice, key),))


def _tool_name(choice: Any, path: str) -> str:
    choice = _object(choice, path)
    body = choice.get("function") or choice.get("custom") or choice
    return text_in(_object(body, path), "name", path)


def _read_output(format: Any) -> OutputFormat | None:
    if format is None:
        return None
    kind = _object(format, "response_format").get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise refused("must be text, json_object or json_schema", "response_format.type")
    if kind != "json_schema":
        return OutputFormat(kind=kind)
    asked = _object(format.get("json_schema"), "response_format.json_schema")
    schema = asked.get("schema")
    return OutputFormat(
        kind="json_schema",
        name=text_of(asked.get("name")) or None,
        description=text_of(asked.get("description")) or None,
        schema=None if schema is None else _object(schema, "response_format.json_schema.schema"),
        strict=asked.get("strict") if isinstance(asked.get("strict"), bool) else None,
    )


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_SETTINGS_OUT: tuple[tuple[str, str], ...] = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("choices", "n"),
    ("metadata", "metadata"),
    ("modalities", "modalities"),
    ("verbosity", "verbosity"),
)
"""Fields that are written as they are."""

_LONGEST_KEY = 64
_MOST_STOPS = 4


def write_request(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    """The body for a target of this wire. Never changes `talk`."""
    doc: Doc = {"model": talk.model, "messages": write_messages(talk.turns, dialect, notes)}
    if talk.stream:
        doc["stream"] = True
    _write_settings(doc, talk, dialect, notes)
    _write_tools(doc, talk, dialect, notes)
    _write_output(doc, talk.output, dialect, notes)
    write_reasoning(doc, talk.reasoning, dialect, notes)
    _write_extras(doc, talk, notes)
    _write_stream_options(doc, talk, dialect)
    for quirk in dialect.quirks:
        key = quirk.removeprefix("no_")
        if key != quirk and key in doc:
            del doc[key]
            note_loss(notes, key)
    return doc


def _write_settings(doc: Doc, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
    for field, key in _SETTINGS_OUT:
        value = getattr(talk, field)
        if value is not None:
            doc[key] = value
    _write_limit(doc, talk, dialect, notes)
    _write_sampling(doc, talk, dialect, notes)
    if talk.store:
        # False is what a server does that was not asked; saying so offends those that do not know the word.
        doc["store"] = True
    if talk.service_tier in TIERS:
        doc["service_tier"] = talk.service_tier
    elif talk.service_tier is not None:
        notes.drop("service_tier")
    for key in ("user", "prompt_cache_key"):
        value = getattr(talk, key)
        if value is not None:
            doc[key] = value if len(value) <= _LONGEST_KEY else hashlib.sha256(value.encode()).hexdigest()
    if talk.previous_id is not None:
        notes.drop("previous_response_id")


def _write_limit(doc: Doc, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
    if talk.max_tokens is None:
        return
    limit = talk.max_tokens
    if dialect.max_output is not None and limit > dialect.max_output:
        limit = dialect.max_output
        notes.emulate("max_tokens")
    doc["max_completion_tokens" if "max_completion_tokens" in dialect.quirks else "max_tokens"] = limit


def _write_sampling(doc: Doc, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
    quirks = dialect.quirks
    if "random_seed" in quirks and "seed" in doc:
        doc["random_seed"] = doc.pop("seed")
    if "temperature_1" in quirks and doc.get("temperature", 0) > 1:
        doc["temperature"] = 1
        notes.emulate("temperature")
    if talk.logit_bias is not None:
        biases = talk.logit_bias.items()
        doc["logit_bias"] = {token: int(bias) if bias.is_integer() else bias for token, bias in biases}
    if talk.top_k is not None:
        if "top_k" in quirks:
            doc["top_k"] = talk.top_k
        else:
            notes.drop("top_k")
    if talk.stop:
        fits = "many_stops" in quirks or len(talk.stop) <= _MOST_STOPS
        doc["stop"] = list(talk.stop) if fits else talk.stop[:_MOST_STOPS]
        if not fits:
            notes.drop(f"stop[{_MOST_STOPS}:]")


def _write_tools(doc: Doc, talk: Conversation, dialect: Dialect, notes: Notes) -> None:
    tools = talk.tools
    choice = talk.tool_choice
    if choice is not None and choice.mode == "allowed" and "allowed_tools" not in dialect.quirks:
        tools = [tool for tool in tools if tool.name in choice.names]
        choice = ToolChoice(mode="required" if choice.must else "auto")
        notes.emulate("tool_choice.allowed_tools")
    written = [_write_tool(tool, dialect, notes) for tool in tools]
    doc["tools"] = [tool for tool in written if tool is not None]
    if not doc["tools"]:
        # Servers refuse a choice among no tools.
        del doc["tools"]
        return
    if choice is not None:
        doc["tool_choice"] = _write_tool_choice(choice, tools, dialect)
    if talk.parallel_tools is not None:
        doc["parallel_tool_calls"] = talk.parallel_tools


def _write_tool(tool: Tool, dialect: Dialect, notes: Notes) -> Doc | None:
    if tool.namespace is not None:
        notes.emulate("tools[].namespace")
    written = _TOOLS_OUT[tool.kind](tool, dialect, notes)
    if written is None or tool.cache is None:
        return written
    if "cache_control" in dialect.quirks:
        return written | {"cache_control": {"type": "ephemeral"}}
    note_loss(notes, "cache_control")
    return written


def _write_function(tool: Tool, dialect: Dialect, notes: Notes) -> Doc | None:
    function: Doc = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = no_arguments() if tool.schema is None else tool.schema
    if tool.strict is not None:
        if "no_strict" not in dialect.quirks:
            function["strict"] = tool.strict
        elif tool.strict:
            notes.drop("tools[].strict")
    return {"type": "function", "function": function}


def _write_custom(tool: Tool, dialect: Dialect, notes: Notes) -> Doc | None:
    body: Doc = {"name": tool.name}
    if "custom_tools" in dialect.quirks:
        if tool.description is not None:
            body["description"] = tool.description
        if tool.format is not None:
            body["format"] = tool.format
        return {"type": "custom", "custom": body}
    notes.emulate("tools[].custom")
    schema = one_input() | {"additionalProperties": False}
    return {"type": "function", "function": body | {"description": described(tool), "parameters": schema}}


def _write_server_tool(tool: Tool, dialect: Dialect, notes: Notes) -> Doc | None:
    if tool.wire == WIRE:
        return tool.native
    notes.drop(f"tools[].{tool.name}")
    return None


_TOOLS_OUT: dict[str, Callable[[Tool, Dialect, Notes], Doc | None]] = {
    "function": _write_function,
    "custom": _write_custom,
    "server": _write_server_tool,
}


def _write_tool_choice(choice: ToolChoice, tools: list[Tool], dialect: Dialect) -> str | Doc:
    custom = {tool.name for tool in tools if tool.kind == "custom" and "custom_tools" in dialect.quirks}

    def named(name: str) -> Doc:
        kind = "custom" if name in custom else "function"
        return {"type": kind, kind: {"name": name}}

    if choice.mode == "named":
        return named(choice.names[0])
    if choice.mode == "allowed":
        mode = "required" if choice.must else "auto"
        allowed = {"mode": mode, "tools": [named(name) for name in choice.names]}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return choice.mode


def _write_output(doc: Doc, output: OutputFormat | None, dialect: Dialect, notes: Notes) -> None:
    if output is None or output.kind == "text":
        return
    if output.kind == "json_object" and "no_response_format" not in dialect.quirks:
        doc["response_format"] = {"type": "json_object"}
    elif output.kind == "json_schema" and not dialect.quirks & {"no_json_schema", "no_response_format"}:
        doc["response_format"] = {"type": "json_schema", "json_schema": _write_schema(output)}
    else:
        notes.emulate("response_format")
        if "no_response_format" not in dialect.quirks:
            doc["response_format"] = {"type": "json_object"}
        add_system(doc, _ask_for_json(output), "append")


def _write_schema(output: OutputFormat) -> Doc:
    schema: Doc = {"name": output.name or "answer"}
    if output.description is not None:
        schema["description"] = output.description
    if output.schema is not None:
        schema["schema"] = output.schema
    if output.strict is not None:
        schema["strict"] = output.strict
    return schema


def _ask_for_json(output: OutputFormat) -> str:
    if output.schema is None:
        return "Answer with one JSON object and nothing else."
    schema = msgspec.json.encode(output.schema).decode()
    return f"Answer with one JSON object that fits this JSON Schema, and nothing else:\n{schema}"


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Put a system text before or after the system texts at the start of `doc["messages"]`."""
    messages: list[Doc] = list(doc.get("messages") or [])
    leading = 0
    while leading < len(messages) and messages[leading].get("role") in ("system", "developer"):
        leading += 1
    if leading == 0:
        doc["messages"] = [{"role": "system", "content": text}, *messages]
        return
    at = 0 if position == "prepend" else leading - 1
    messages[at] = messages[at] | {"content": _with_text(messages[at].get("content"), text, position)}
    doc["messages"] = messages


def _with_text(content: Any, text: str, position: Position) -> str | list[Any]:
    if isinstance(content, list):
        piece = {"type": "text", "text": text}
        return [piece, *content] if position == "prepend" else [*content, piece]
    if not content:
        return text
    return f"{text}\n\n{content}" if position == "prepend" else f"{content}\n\n{text}"


# ── out: what is left ────────────────────────────────────────────────────────────────────────────


def _write_extras(doc: Doc, talk: Conversation, notes: Notes) -> None:
    for key, value in talk.extras.get(WIRE, {}).items():
        doc[key] = value | doc_of(doc.get(key)) if isinstance(value, dict) else value
    note_foreign_settings(talk, WIRE, notes)


def _write_stream_options(doc: Doc, talk: Conversation, dialect: Dialect) -> None:
    """Usage is asked for in every stream: the gateway wants it even if its client does not."""
    given = doc_of(doc.pop("stream_options", None))
    if talk.stream and "no_stream_options" not in dialect.quirks:
        doc["stream_options"] = given | {"include_usage": True}
