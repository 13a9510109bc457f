"""A Gemini request as a conversation, and back. https://ai.google.dev/api/generate-content"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from omniroute.errors import UnsupportedContent
from omniroute.wire.carried_thinking import restored
from omniroute.wire.codec import Dialect, Position
from omniroute.wire.conversation import (
    Conversation,
    Doc,
    Notes,
    Part,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.wire.gemini_doc import as_list, normalise, wrong_shape
from omniroute.wire.gemini_parts import (
    MADE_ID,
    SKIP_SIGNATURE,
    WIRE,
    PartWriter,
    join_signatures,
    json_text,
    read_part,
)
from omniroute.wire.gemini_settings import (
    output_in_prompt,
    read_config,
    read_tier,
    read_tool_config,
    read_tools,
    write_choice,
    write_config,
    write_tier,
    write_tools,
)
from omniroute.wire.losses import note_foreign_settings, note_loss
from omniroute.wire.shapes import doc_of, text_of

_ROLES: dict[str, Role] = {
    "": "user",
    "user": "user",
    "model": "assistant",
    "function": "user",
    "tool": "user",
}
_TURNS = {"system": "user", "developer": "user", "user": "user", "assistant": "model"}

_READ_KEYS = (
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "model",
    "serviceTier",
    "store",
)

_OPENING = "(The conversation so far.)"
"""The first turn must be the user's; this one stands in where a conversation begins with the model."""


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


def read_request(doc: Doc) -> Conversation:
    doc = normalise(doc)
    doc = doc.get("generateContentRequest", doc)
    talk = Conversation(model=text_of(doc.get("model")).removeprefix("models/"))
    talk.turns = _read_turns(doc)
    talk.tools = read_tools(doc.get("tools", []))
    talk.tool_choice, tool_rest = read_tool_config(doc.get("toolConfig", {}))
    config_rest = read_config(doc.get("generationConfig", {}), talk)
    extras = {key: value for key, value in doc.items() if key not in _READ_KEYS}
    extras |= {
        key: rest for key, rest in (("toolConfig", tool_rest), ("generationConfig", config_rest)) if rest
    }
    talk.service_tier = read_tier(doc.get("serviceTier"))
    talk.store = doc["store"] if isinstance(doc.get("store"), bool) else None
    if extras:
        talk.extras = {WIRE: extras}
    return talk


def _read_turns(doc: Doc) -> list[Turn]:
    turns: list[Turn] = []
    system = doc.get("systemInstruction")
    if system is not None:
        turns.append(Turn(role="system", parts=_read_parts(system, "systemInstruction")))
    calls = _Calls()
    for index, content in enumerate(doc.get("contents", [])):
        path = f"contents[{index}]"
        role = text_of(content.get("role")).lower()
        if role not in _ROLES:
            raise wrong_shape(f"{path}.role", "`user` or `model`")
        parts = _read_parts(content, path)
        parts = restored([calls.identified(part, index) for part in parts])
        turns.append(Turn(role=_ROLES[role], parts=parts))
    return turns


def _read_parts(content: Doc, path: str) -> list[Part]:
    strange = [key for key in content if key not in ("role", "parts")]
    if strange:
        raise UnsupportedContent(f"`{strange[0]}` is no field of a content", path)
    parts: list[Part] = []
    for index, doc in enumerate(content.get("parts", [])):
        part = read_part(doc)
        if part is None:
            fields = ", ".join(f"`{key}`" for key in doc)
            raise UnsupportedContent(f"a part with {fields} is not known here", f"{path}.parts[{index}]")
        parts.append(part)
    return join_signatures(parts)


class _Calls:
    """Gives an id to every call that has none, and finds the call of every result: by id, else by name and order."""

    def __init__(self) -> None:
        self._waiting: list[ToolCall] = []
        self._count = 0

    def identified(self, part: Part, turn: int) -> Part:
        if isinstance(part, ToolCall):
            return self._call(part, turn)
        return self._result(part, turn) if isinstance(part, ToolResult) else part

    def _call(self, call: ToolCall, turn: int) -> ToolCall:
        if not call.id:
            call = msgspec.structs.replace(call, id=self._fresh(turn))
        self._waiting.append(call)
        return call

    def _result(self, result: ToolResult, turn: int) -> ToolResult:
        call = self._asked(result)
        if call is None:
            return result if result.id else msgspec.structs.replace(result, id=self._fresh(turn))
        self._waiting.remove(call)
        return msgspec.structs.replace(result, id=call.id)

    def _asked(self, result: ToolResult) -> ToolCall | None:
        """A result may name an id that its call did not have: only calls with ids of our making are matched by name."""
        by_id = [call for call in self._waiting if call.id == result.id]
        open_calls = [call for call in self._waiting if not result.id or call.id.startswith(MADE_ID)]
        by_name = [call for call in open_calls if call.name == result.name]
        return next(iter([*by_id, *by_name, *(open_calls if not result.name else [])]), None)

    def _fresh(self, turn: int) -> str:
        self._count += 1
        return f"{MADE_ID}{turn}_{self._count}"


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def write_request(talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
    writer = PartWriter(notes, quirks=dialect.quirks)
    system, turns = _split_system(talk, dialect, notes)
    contents = _write_contents(turns, writer, "thought_signatures" in dialect.quirks, notes)
    if not contents and system:
        # A prompt of system texts alone is no request here: something has to be said to the model.
        contents, system = [{"role": "user", "parts": [{"text": text} for text in system]}], []
        notes.emulate("system message")
    doc: Doc = {"contents": contents}
    if system:
        doc["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    tools = write_tools(talk.tools, dialect, notes)
    if tools:
        doc["tools"] = tools
    if talk.tool_choice is not None and tools:
        doc["toolConfig"] = write_choice(talk.tool_choice)
    config = write_config(talk, dialect, notes)
    if config:
        doc["generationConfig"] = config
    _write_tier(talk, doc, notes)
    _note_dropped(talk, notes)
    return _with_extras(doc, talk)


def _split_system(talk: Conversation, dialect: Dialect, notes: Notes) -> tuple[list[str], list[Turn]]:
    """The system texts that open the conversation, and the turns after them. Later ones stay where they stand."""
    turns = talk.turns
    opening = 0
    while opening < len(turns) and _is_system_text(turns[opening]):
        opening += 1
    if any(turn.role in ("system", "developer") for turn in turns[opening:]):
        notes.emulate("system message inside the conversation")
    parts = [part for turn in turns[:opening] for part in turn.parts if isinstance(part, Text)]
    if any(part.cache for part in parts):
        note_loss(notes, "cache_control")
    texts = [part.text for part in parts if part.text]
    if output_in_prompt(talk, dialect):
        texts.append(_output_prompt(talk, notes))
    if texts and "no_system_role" in dialect.quirks:
        notes.emulate("system message")
        told: list[Part] = [Text(text=text) for text in texts]
        return [], [Turn(role="system", parts=told), *turns[opening:]]
    return texts, turns[opening:]


def _is_system_text(turn: Turn) -> bool:
    return turn.role in ("system", "developer") and all(isinstance(part, Text) for part in turn.parts)


def _output_prompt(talk: Conversation, notes: Notes) -> str:
    notes.emulate("response_format")
    schema = talk.output.schema if talk.output else None
    ask = "Give your final answer as one JSON object and nothing else."
    return f"{ask} It must match this JSON Schema: {json_text(schema)}" if schema else ask


class _Group(NamedTuple):
    """Neighbouring turns of one role."""

    role: str
    parts: list[Part]


def _write_contents(turns: list[Turn], writer: PartWriter, sign: bool, notes: Notes) -> list[Doc]:
    results = _results(turns)
    contents: list[Doc] = []
    for group in _groups(turns):
        calls = [part for part in group.parts if isinstance(part, ToolCall)]
        docs = _write_group(group, writer, results)
        if sign and group.role == "model":
            _sign_first_call(docs)
        _append(contents, group.role, docs)
        answers = [doc for call in calls for doc in _answer(call, results, writer)]
        # All function responses first: whatever else a result holds may not stand between them.
        _append(contents, "user", sorted(answers, key=lambda doc: "functionResponse" not in doc))
    if contents and contents[0]["role"] == "model":
        notes.emulate("conversation that begins with the model")
        contents.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
    return contents


def _groups(turns: list[Turn]) -> list[_Group]:
    groups: list[_Group] = []
    for turn in turns:
        role = _TURNS[turn.role]
        if groups and groups[-1].role == role:
            groups[-1].parts.extend(turn.parts)
        else:
            groups.append(_Group(role, list(turn.parts)))
    return groups


def _results(turns: list[Turn]) -> dict[str, list[ToolResult]]:
    """The results by id of their call, for calls that exist; what is taken out of it has been written."""
    asked = {part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    found: dict[str, list[ToolResult]] = {}
    for part in (part for turn in turns for part in turn.parts):
        if isinstance(part, ToolResult) and part.id in asked:
            found.setdefault(part.id, []).append(part)
    return found


def _answer(call: ToolCall, results: dict[str, list[ToolResult]], writer: PartWriter) -> list[Doc]:
    waiting = results.get(call.id)
    if not waiting:
        return []
    result = waiting.pop(0)
    writer.note_cache(result)
    return writer.result(result, call.name)


def _write_group(group: _Group, writer: PartWriter, results: dict[str, list[ToolResult]]) -> list[Doc]:
    parts = [part for part in group.parts if not (isinstance(part, ToolResult) and part.id in results)]
    return [doc for part in _adopted(parts) if (doc := writer.write(part)) is not None]


def _adopted(parts: Iterable[Part]) -> list[Part]:
    """A client format without a place for the signature of a call carries it as reasoning right before the call."""
    adopted: list[Part] = []
    for part in parts:
        carried = _bare_signature(adopted[-1]) if adopted else None
        if isinstance(part, ToolCall) and part.signature is None and carried is not None:
            adopted.pop()
            part = msgspec.structs.replace(part, signature=carried)
        adopted.append(part)
    return adopted


def _bare_signature(part: Part) -> Signature | None:
    if not isinstance(part, Thinking) or part.text or part.signature is None:
        return None
    return part.signature if part.signature.wire == WIRE else None


def _sign_first_call(docs: list[Doc]) -> None:
    first = next((doc for doc in docs if "functionCall" in doc), None)
    if first is not None:
        first.setdefault("thoughtSignature", SKIP_SIGNATURE)


def _append(contents: list[Doc], role: str, parts: list[Doc]) -> None:
    if not parts:
        return
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"].extend(parts)
    else:
        contents.append({"role": role, "parts": parts})


def _write_tier(talk: Conversation, doc: Doc, notes: Notes) -> None:
    tier = write_tier(talk.service_tier)
    if tier is not None:
        doc["serviceTier"] = tier
    elif talk.service_tier not in (None, "auto"):
        notes.drop("service_tier")
    if talk.store and WIRE in talk.extras:
        doc["store"] = True


_DROPPED: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("parallel_tools", "parallel_tool_calls", (None, True)),
    ("verbosity", "verbosity", (None,)),
    ("logit_bias", "logit_bias", (None, {})),
    ("user", "user", (None, "")),
    ("metadata", "metadata", (None, {})),
    ("prompt_cache_key", "prompt_cache_key", (None, "")),
    ("previous_id", "previous_response_id", (None, "")),
    ("store", "store", (None, False)),
)
"""What Gemini has no word for: field, the client's name for it, and the values that ask for nothing."""


def _note_dropped(talk: Conversation, notes: Notes) -> None:
    for field, name, harmless in _DROPPED:
        if getattr(talk, field) not in harmless:
            note_loss(notes, name)
    note_foreign_settings(talk, WIRE, notes)


def _with_extras(doc: Doc, talk: Conversation) -> Doc:
    extras = talk.extras.get(WIRE, {})
    if talk.tool_choice is None or talk.tool_choice.mode != "auto":
        extras = {**extras, "toolConfig": _without_mode(doc_of(extras.get("toolConfig")))}
    return _deep(doc, {key: value for key, value in extras.items() if value not in ({}, None)})


def _without_mode(config: Doc) -> Doc:
    calling = {k: v for k, v in doc_of(config.get("functionCallingConfig")).items() if k != "mode"}
    rest = {key: value for key, value in config.items() if key != "functionCallingConfig"}
    return rest | ({"functionCallingConfig": calling} if calling else {})


def _deep(doc: Doc, extras: Doc) -> Doc:
    """`doc` with `extras` laid over it, objects into objects."""
    merged = dict(doc)
    for key, value in extras.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _deep(merged[key], value) if both else value
    return merged


# ── edits of a raw request ───────────────────────────────────────────────────────────────────────────


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Put a system text into `doc` itself, whatever spelling it has."""
    for name in ("generateContentRequest", "generate_content_request"):
        if isinstance(doc.get(name), dict):
            add_system(doc[name], text, position)
            return
    name = "system_instruction" if "system_instruction" in doc else "systemInstruction"
    found = doc.get(name)
    content = dict(found) if isinstance(found, dict) else {"parts": found if found is not None else []}
    parts = content.get("parts", [])
    old = [{"text": part} if isinstance(part, str) else part for part in as_list(parts) or [parts] if part]
    content["parts"] = [{"text": text}, *old] if position == "prepend" else [*old, {"text": text}]
    doc[name] = content


def count_request(doc: Doc, model: str) -> Doc:
    """The body for `:countTokens` that counts system text and tools too, made from one for `:generateContent`."""
    if doc.keys() <= {"contents"}:
        return doc
    return {"generateContentRequest": {"model": model if "/" in model else f"models/{model}", **doc}}
