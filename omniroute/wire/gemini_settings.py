"""The settings of a Gemini request, both ways: `generationConfig`, `tools` and `toolConfig`.

https://ai.google.dev/api/generate-content#generationconfig
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omniroute.wire.codec import Dialect
from omniroute.wire.content import EFFORTS, budget_of, effort_of, level_for
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
from omniroute.wire.functions import one_input
from omniroute.wire.gemini_doc import as_list, given, wrong_shape
from omniroute.wire.gemini_parts import WIRE
from omniroute.wire.losses import note_loss, note_not_off
from omniroute.wire.schema_lowering import lower_schema, raise_schema
from omniroute.wire.settings import Settings, read_settings, write_settings
from omniroute.wire.shapes import doc_of, text_of

_DEFAULT_LEVELS: tuple[Effort, ...] = ("low", "high")
"""The thinking levels that every model with levels knows."""

_SAFE_BUDGET = 24576
"""The most that every model with a budget takes; more is only sent where the client or the catalogue says so."""

_MAX_STOPS = 5


# ── values ───────────────────────────────────────────────────────────────────────────────────────────
# The JSON mapping of protocol buffers lets numbers be strings, and whole numbers have a point.


def _number(value: Any, path: str) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise wrong_shape(path, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_shape(path, "a number")
    return value


def _integer(value: Any, path: str) -> int:
    number = _number(value, path)
    if number != number or number in (float("inf"), float("-inf")):
        raise wrong_shape(path, "a number")
    return int(number)


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_shape(path, "true or false")
    return value


def _strings(value: Any, path: str) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise wrong_shape(path, "a list of strings")
    return list(items)


def _words(value: Any, path: str) -> list[str]:
    items = [_MODALITIES.get(item, item) if isinstance(item, int) else item for item in as_list(value)]
    return [word.lower() for word in _strings(items, path)]


_MODALITIES: dict[Any, str] = {1: "text", 2: "image", 3: "audio"}

_SETTINGS: Settings = {
    "maxOutputTokens": ("max_tokens", _integer),
    "temperature": ("temperature", _number),
    "topP": ("top_p", _number),
    "topK": ("top_k", _integer),
    "stopSequences": ("stop", _strings),
    "seed": ("seed", _integer),
    "presencePenalty": ("presence_penalty", _number),
    "frequencyPenalty": ("frequency_penalty", _number),
    "responseLogprobs": ("logprobs", _boolean),
    "logprobs": ("top_logprobs", _integer),
    "candidateCount": ("choices", _integer),
    "responseModalities": ("modalities", _words),
}
"""Field of `generationConfig` → field of `Conversation`, and what its value must be."""

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_TIER_OF = {tier: native for native, tier in _TIERS.items()} | {"standard": "standard"}

_SHAPED = ("responseMimeType", "responseSchema", "responseJsonSchema", "thinkingConfig")


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


def read_config(config: Doc, talk: Conversation) -> Doc:
    """Puts what `generationConfig` says into `talk`; what only Gemini knows is returned."""
    read_settings(config, _SETTINGS, talk, "generationConfig.")
    rest = {name: value for name, value in config.items() if name not in _SETTINGS and name not in _SHAPED}
    talk.reasoning = _read_thinking(doc_of(config.get("thinkingConfig")))
    talk.output = _read_output(config)
    if talk.output is None:
        rest |= {name: config[name] for name in _SHAPED[:3] if name in config}
    return rest


def _read_thinking(config: Doc) -> Reasoning | None:
    if not config:
        return None
    path = "generationConfig.thinkingConfig"
    budget = (
        _integer(config["thinkingBudget"], f"{path}.thinkingBudget") if "thinkingBudget" in config else None
    )
    level = text_of(config.get("thinkingLevel")).lower()
    effort = next((word for word in EFFORTS if word == level), None)
    return Reasoning(
        enabled=None if budget is None and effort is None else budget != 0,
        effort=effort,
        budget=budget if budget is not None and budget >= 0 else None,
        adaptive=budget is not None and budget < 0,
        visible=config.get("includeThoughts") is True,
    )


def _read_output(config: Doc) -> OutputFormat | None:
    mime = text_of(config.get("responseMimeType"))
    if mime not in ("", "application/json", "text/plain"):
        return None
    if isinstance(config.get("responseJsonSchema"), dict):
        return OutputFormat(kind="json_schema", schema=config["responseJsonSchema"])
    if isinstance(config.get("responseSchema"), dict):
        return OutputFormat(kind="json_schema", schema=raise_schema(config["responseSchema"]))
    kinds = {"application/json": OutputFormat(kind="json_object"), "text/plain": OutputFormat(kind="text")}
    return kinds.get(mime)


def read_tools(groups: list[Doc]) -> list[Tool]:
    """Every function on its own, and every tool that runs at the provider as it stands."""
    tools: list[Tool] = []
    for place, group in enumerate(groups):
        for kind, value in group.items():
            if kind == "functionDeclarations":
                tools += [_read_function(doc, f"tools[{place}].{kind}[{n}]") for n, doc in enumerate(value)]
            else:
                tools.append(Tool(name=kind, kind="server", wire=WIRE, native={kind: value}))
    return tools


def _read_function(doc: Doc, path: str) -> Tool:
    name = doc.get("name")
    if not isinstance(name, str) or not name:
        raise wrong_shape(f"{path}.name", "the name of a function")
    schema = doc.get("parametersJsonSchema")
    if schema is None and doc.get("parameters") is not None:
        schema = raise_schema(doc["parameters"])
    if schema is not None and not isinstance(schema, dict):
        raise wrong_shape(f"{path}.parameters", "a schema")
    known = ("name", "description", "parameters", "parametersJsonSchema")
    rest = {key: value for key, value in doc.items() if key not in known}
    return Tool(
        name=name,
        description=text_of(doc.get("description")) or None,
        schema=schema,
        wire=WIRE if rest else None,
        native=rest or None,
    )


_MODES: dict[Any, str] = {1: "AUTO", 2: "ANY", 3: "NONE", 4: "VALIDATED"}


def read_tool_config(config: Doc) -> tuple[ToolChoice | None, Doc]:
    """The choice, and what only Gemini knows of it."""
    calling = doc_of(config.get("functionCallingConfig"))
    mode = calling.get("mode")
    mode = _MODES.get(mode) if isinstance(mode, int) else text_of(mode).upper()
    names = tuple(name for name in as_list(calling.get("allowedFunctionNames")) if isinstance(name, str))
    choice = _CHOICES[mode](names) if mode in _CHOICES else None
    rest = {key: value for key, value in config.items() if key != "functionCallingConfig"}
    kept = {key: value for key, value in calling.items() if key not in ("mode", "allowedFunctionNames")}
    if mode == "VALIDATED" and not names:
        kept["mode"] = mode
    return choice, rest | ({"functionCallingConfig": kept} if kept else {})


def _read_any(names: tuple[str, ...]) -> ToolChoice:
    if len(names) == 1:
        return ToolChoice(mode="named", names=names)
    return ToolChoice(mode="allowed", names=names, must=True) if names else ToolChoice(mode="required")


_CHOICES: dict[Any, Callable[[tuple[str, ...]], ToolChoice]] = {
    "AUTO": lambda names: ToolChoice(mode="allowed", names=names) if names else ToolChoice(mode="auto"),
    "VALIDATED": lambda names: ToolChoice(mode="allowed", names=names) if names else ToolChoice(mode="auto"),
    "ANY": _read_any,
    "NONE": lambda names: ToolChoice(mode="none"),
}


def read_tier(value: Any) -> str | None:
    """The service tier in the canonical words; words that we do not know stay."""
    tier = text_of(value).lower()
    return _TIERS.get(tier, tier) or None


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def write_config(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    config = write_settings(talk, _SETTINGS)
    if talk.modalities:
        config["responseModalities"] = [word.upper() for word in talk.modalities]
    if len(talk.stop) > _MAX_STOPS:
        config["stopSequences"] = talk.stop[:_MAX_STOPS]
        notes.drop("stop")
    if talk.max_tokens and dialect.max_output and talk.max_tokens > dialect.max_output:
        config["maxOutputTokens"] = dialect.max_output
        notes.emulate("max_tokens")
    config |= _write_output(talk, dialect, notes)
    thinking = _write_thinking(talk.reasoning, dialect, notes) if talk.reasoning else {}
    return config | ({"thinkingConfig": thinking} if thinking else {})


def _write_output(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    output = talk.output
    if output is None or output_in_prompt(talk, dialect):
        return {}
    if output.kind == "text":
        return {"responseMimeType": "text/plain"}
    config: Doc = {"responseMimeType": "application/json"}
    if output.schema is None:
        return config
    schema = output.schema
    if output.description and "description" not in schema:
        schema = {**schema, "description": output.description}
    if "openapi_schema" in dialect.quirks:
        return config | {"responseSchema": lower_schema(schema, notes, "response_format.schema")}
    return config | {"responseJsonSchema": schema}


def output_in_prompt(talk: Conversation, dialect: Dialect) -> bool:
    """Whether JSON has to be asked for in words: some models refuse a JSON answer beside functions."""
    wanted = talk.output is not None and talk.output.kind != "text"
    return wanted and bool(talk.tools) and "no_json_with_tools" in dialect.quirks


def _write_thinking(reasoning: Reasoning, dialect: Dialect, notes: Notes) -> Doc:
    levels = dialect.thinking_levels or (_DEFAULT_LEVELS if "thinking_level" in dialect.quirks else ())
    off = reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0
    config = _level(reasoning, off, levels, notes) if levels else _budget(reasoning, off, dialect, notes)
    asked = reasoning.enabled or reasoning.adaptive or reasoning.effort or reasoning.budget
    if reasoning.visible or (reasoning.visible is None and asked and not off):
        config["includeThoughts"] = True
    return config


def _level(reasoning: Reasoning, off: bool, levels: tuple[str, ...], notes: Notes) -> Doc:
    """The least level that grants what was asked for, else the highest; none for "as you like"."""
    known = [word for word in EFFORTS if word in levels]
    if not known:
        return {}
    if off:
        note_not_off(notes, "reasoning", known[0])
        return {"thinkingLevel": known[0].upper()}
    effort = reasoning.effort or (effort_of(reasoning.budget) if reasoning.budget else None)
    if effort is None:
        return {}
    return {"thinkingLevel": level_for(effort, known).upper()}


def _budget(reasoning: Reasoning, off: bool, dialect: Dialect, notes: Notes) -> Doc:
    least = dialect.thinking_min or 0
    if off:
        always = "always_thinks" in dialect.quirks
        if least or always:
            note_not_off(notes, "reasoning", "minimal" if least else None)
        return {"thinkingBudget": least} if least or not always else {}
    budget = reasoning.budget
    if budget is None and reasoning.effort is not None:
        budget = min(budget_of(reasoning.effort), dialect.thinking_max or _SAFE_BUDGET)
    if budget is None:
        return {"thinkingBudget": -1} if reasoning.adaptive else {}
    most = dialect.thinking_max or budget
    return {"thinkingBudget": max(least, min(budget, most))}


def write_tools(tools: list[Tool], dialect: Dialect, notes: Notes) -> list[Doc]:
    groups: list[Doc] = []
    functions: list[Doc] = []
    for tool in tools:
        if tool.kind != "server":
            functions.append(_write_function(tool, dialect, notes))
        elif tool.wire == WIRE and tool.native:
            groups.append(tool.native)
        else:
            notes.drop(f"tools[].{tool.name}")
    return [*groups, {"functionDeclarations": functions}] if functions else groups


def _write_function(tool: Tool, dialect: Dialect, notes: Notes) -> Doc:
    if tool.strict:
        notes.drop("tools[].strict")
    if tool.cache:
        note_loss(notes, "cache_control")
    own = tool.native if tool.wire == WIRE and tool.native else {}
    schema = tool.schema
    if tool.kind == "custom":
        notes.emulate("custom tools")
        schema = one_input()
    declaration = given(name=tool.name, description=_description(tool))
    if schema and "openapi_schema" not in dialect.quirks:
        declaration["parametersJsonSchema"] = schema
    elif schema and (schema.get("properties") or schema.keys() & {"$ref", "allOf", "anyOf", "oneOf"}):
        declaration["parameters"] = lower_schema(schema, notes, "tools[].parameters")
    return declaration | own


def _description(tool: Tool) -> str | None:
    """A grammar that a free-text tool demands can only be told."""
    syntax = doc_of(tool.format)
    definition = text_of(syntax.get("definition")) or text_of(doc_of(syntax.get("grammar")).get("definition"))
    if tool.kind != "custom" or not definition:
        return tool.description
    return "\n\n".join(filter(None, (tool.description, f"The input must follow this grammar:\n{definition}")))


def write_choice(choice: ToolChoice) -> Doc:
    mode, named = _MODE_OF[choice.mode, choice.must]
    names = {"allowedFunctionNames": list(choice.names)} if named and choice.names else {}
    return {"functionCallingConfig": {"mode": mode} | names}


_MODE_OF: dict[tuple[str, bool], tuple[str, bool]] = {
    ("auto", False): ("AUTO", False),
    ("auto", True): ("AUTO", False),
    ("none", False): ("NONE", False),
    ("none", True): ("NONE", False),
    ("required", False): ("ANY", False),
    ("required", True): ("ANY", False),
    ("named", False): ("ANY", True),
    ("named", True): ("ANY", True),
    ("allowed", False): ("VALIDATED", True),
    ("allowed", True): ("ANY", True),
}
"""(mode, must) → Gemini's mode, and whether it takes names. AUTO takes none; VALIDATED is AUTO that does."""


def write_tier(tier: str | None) -> str | None:
    """Gemini's word for a tier, if it has one."""
    return _TIER_OF.get(tier or "")
