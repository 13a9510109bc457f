"""Items of the Responses API in both directions: the `input` of a request and the `output` of an answer.

An assistant turn is a run of output items with at most one message among them, so that reasoning keeps its place
before the call it led to. A signature of another wire travels in the `encrypted_content` of a reasoning item; one
that belongs to a call or a text (Gemini) in a reasoning item of its own that names the item it belongs to.
https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from omniroute.errors import UnsupportedContent
from omniroute.wire.conversation import (
    Doc,
    Image,
    Opaque,
    Part,
    Refusal,
    Role,
    Signature,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.wire.openai_responses_content import read_annotation, read_content
from omniroute.wire.openai_responses_shapes import WIRE, list_at, object_at, said, text_in, wrong
from omniroute.wire.shapes import docs_of
from omniroute.wire.signatures import unwrap_signature, wrap_signature

# ── request items in ─────────────────────────────────────────────────────────────────────────────

_CLIENT_ITEMS = (
    "apply_patch_call_output",
    "computer_call_output",
    "local_shell_call_output",
    "mcp_approval_response",
    "shell_call_output",
)
_SERVER_ITEMS = (
    "apply_patch_call",
    "code_interpreter_call",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "computer_call",
    "context_compaction",
    "file_search_call",
    "item_reference",
    "local_shell_call",
    "mcp_approval_request",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "shell_call",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
)
_OPAQUE_ROLES: dict[str, Role] = {
    **dict.fromkeys(_CLIENT_ITEMS, "user"),
    **dict.fromkeys(_SERVER_ITEMS, "assistant"),
    "additional_tools": "developer",
    "configuration_update": "developer",
}
"""The items that only this wire has, and the side of the conversation that they stand on."""


def read_input(value: Any) -> list[Turn]:
    """The turns of `input`. Raises `Refused` for a wrong shape, `UnsupportedContent` for unknown items."""
    if isinstance(value, str):
        return [Turn(role="user", parts=[Text(text=value)])]
    items = _InputItems()
    for number, entry in enumerate(list_at(value, "input")):
        place = f"input[{number}]"
        items.add(object_at(entry, place), place)
    return items.finish()


class _InputItems:
    """Turns as they grow, item by item."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._owners: dict[str, Text | Thinking | ToolCall] = {}
        self._links: list[tuple[Turn, Thinking, str]] = []

    def add(self, item: Doc, place: str) -> None:
        kind = said(item, "type") or ("message" if "role" in item else "item_reference")
        if kind in _OPAQUE_ROLES:
            opaque = Opaque(wire=WIRE, doc=item, label=kind)
            self._turn(_OPAQUE_ROLES[kind]).parts.append(opaque)
            return
        read = _INPUT_READERS.get(kind)
        if read is None:
            raise UnsupportedContent(f"an input item of type {kind!r} is not known here", place)
        read(self, item, place)

    def finish(self) -> list[Turn]:
        """Give linked signatures to the parts that they belong to."""
        for turn, carrier, target in self._links:
            owner = self._owners.get(target)
            if owner is not None:
                owner.signature = carrier.signature
                turn.parts = [part for part in turn.parts if part is not carrier]
        return [turn for turn in self.turns if turn.parts]

    def _turn(self, role: Role) -> Turn:
        """The open turn of that role, or a new one. Only messages of people stand alone."""
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == role and role in ("assistant", "user"):
            if role == "assistant" or all(isinstance(part, ToolResult | Opaque) for part in last.parts):
                return last
        self.turns.append(Turn(role=role, parts=[]))
        return self.turns[-1]

    def message(self, item: Doc, place: str) -> None:
        role = item.get("role")
        if role not in ("assistant", "developer", "system", "user"):
            raise wrong(f"{place}.role", "expected assistant, developer, system or user")
        parts = read_content(item.get("content"), f"{place}.content")
        turn = self._message_turn(role)
        turn.parts += parts
        turn.id, turn.phase = said(item, "id"), said(item, "phase")
        texts = [part for part in parts if isinstance(part, Text)]
        if turn.id is not None and texts:
            self._owners[turn.id] = texts[-1]

    def _message_turn(self, role: Role) -> Turn:
        last = self.turns[-1] if self.turns else None
        if last is not None and role == last.role == "assistant":
            if not any(isinstance(part, Text | Refusal) for part in last.parts):
                return last
        self.turns.append(Turn(role=role, parts=[]))
        return self.turns[-1]

    def reasoning(self, item: Doc, place: str) -> None:
        turn = self._turn("assistant")
        link = read_link(said(item, "encrypted_content"))
        if link is not None:
            carrier = Thinking(signature=link[1], redacted=True)
            turn.parts.append(carrier)
            self._links.append((turn, carrier, link[0]))
            return
        parts = read_reasoning(item, replayed=True)
        turn.parts += parts
        item_id = said(item, "id")
        if item_id is not None and parts:
            self._owners[item_id] = parts[-1]

    def call(self, item: Doc, place: str) -> None:
        call = read_call(item, place)
        self._turn("assistant").parts.append(call)
        self._owners[call.id] = call

    def output(self, item: Doc, place: str) -> None:
        custom = item.get("type") == "custom_tool_call_output"
        result = ToolResult(
            id=text_in(item, "call_id", place),
            content=read_content(item.get("output"), f"{place}.output"),
            name=said(item, "name"),
            kind="custom" if custom else "function",
        )
        self._turn("user").parts.append(result)

    def image(self, item: Doc, place: str) -> None:
        self._turn("assistant").parts.append(read_image_call(item))


_INPUT_READERS: dict[str, Callable[[_InputItems, Doc, str], None]] = {
    "message": _InputItems.message,
    "reasoning": _InputItems.reasoning,
    "function_call": _InputItems.call,
    "custom_tool_call": _InputItems.call,
    "function_call_output": _InputItems.output,
    "custom_tool_call_output": _InputItems.output,
    "image_generation_call": _InputItems.image,
}

# ── items in, of requests and answers alike ──────────────────────────────────────────────────────


def read_call(item: Doc, place: str) -> ToolCall:
    """A `function_call` or `custom_tool_call`. Raises `Refused` for a call without a name or an id."""
    custom = item.get("type") == "custom_tool_call"
    call_id = said(item, "call_id") or said(item, "id")
    if call_id is None:
        raise wrong(f"{place}.call_id", "a call needs an id")
    return ToolCall(
        id=call_id,
        name=text_in(item, "name", place),
        arguments=said(item, "input") or "" if custom else said(item, "arguments") or "{}",
        kind="custom" if custom else "function",
        namespace=said(item, "namespace"),
    )


def read_reasoning(item: Doc, *, replayed: bool) -> list[Thinking]:
    """The thinking of a `reasoning` item: its summary, its raw text, or both, the signature on the last.

    In a request (`replayed`) the id is kept even where nothing else is, for a server that has stored the item.
    """
    summary = join_texts(item.get("summary"))
    raw = join_texts(item.get("content"))
    signature = _signature(item, keep_id=replayed or bool(raw))
    parts = []
    if summary:
        parts.append(Thinking(text=summary, summary=True))
    if raw:
        parts.append(Thinking(text=raw))
    if parts:
        parts[-1].signature = signature
    elif signature is not None:
        parts.append(Thinking(signature=signature, redacted=True))
    return parts


def join_texts(value: Any) -> str:
    """The paragraphs of a summary or of raw reasoning, as one text."""
    return "\n\n".join(text for entry in docs_of(value) if (text := said(entry, "text")))


def _signature(item: Doc, *, keep_id: bool) -> Signature | None:
    value, item_id = said(item, "encrypted_content"), said(item, "id")
    if value is None:
        return Signature(value="", wire=WIRE, id=item_id) if keep_id and item_id is not None else None
    signature = unwrap_signature(value, WIRE)
    return Signature(value=value, wire=WIRE, id=item_id) if signature.wire == WIRE else signature


def read_image_call(item: Doc) -> Image | Opaque:
    """A generated image: an image where the item holds it, else something that only this wire can find again."""
    data = said(item, "result")
    if data is None:
        return Opaque(wire=WIRE, doc=item, label="image_generation_call")
    form = said(item, "output_format") or "png"
    return Image(source=Source(data=data, media_type=f"image/{form}"))


def read_output_item(item: Doc) -> list[Part]:
    """The parts of one item of an answer; what only this wire knows stays as it is (never raises)."""
    kind = item.get("type")
    read = _OUTPUT_READERS.get(kind) if isinstance(kind, str) else None
    return read(item) if read is not None else [Opaque(wire=WIRE, doc=item, label=str(kind or "item"))]


def _output_message(item: Doc) -> list[Part]:
    parts: list[Part] = []
    for entry in docs_of(item.get("content")):
        refusal = said(entry, "refusal")
        if refusal is not None:
            parts.append(Refusal(text=refusal))
        elif (text := said(entry, "text")) is not None:
            citations = [read_annotation(note) for note in docs_of(entry.get("annotations"))]
            parts.append(Text(text=text, citations=citations))
    return parts


def _output_call(item: Doc) -> list[Part]:
    if said(item, "name") is None or (said(item, "call_id") or said(item, "id")) is None:
        return [Opaque(wire=WIRE, doc=item, label=str(item["type"]))]
    return [read_call(item, "output")]


def _output_reasoning(item: Doc) -> list[Part]:
    return list(read_reasoning(item, replayed=False))


def _output_image(item: Doc) -> list[Part]:
    return [read_image_call(item)]


_OUTPUT_READERS: dict[str, Callable[[Doc], list[Part]]] = {
    "message": _output_message,
    "function_call": _output_call,
    "custom_tool_call": _output_call,
    "reasoning": _output_reasoning,
    "image_generation_call": _output_image,
}

# ── items out ────────────────────────────────────────────────────────────────────────────────────


def call_item(call: ToolCall) -> Doc:
    """A call without the `id` and `status` that only answers have."""
    custom = call.kind == "custom"
    item: Doc = {
        "type": "custom_tool_call" if custom else "function_call",
        "call_id": call.id,
        "name": call.name,
        "input" if custom else "arguments": call.arguments if custom else call.arguments or "{}",
    }
    if call.namespace is not None:
        item["namespace"] = call.namespace
    return item


def summary_texts(text: str) -> list[Doc]:
    return [{"type": "summary_text", "text": text}] if text else []


def reasoning_texts(text: str) -> list[Doc]:
    return [{"type": "reasoning_text", "text": text}] if text else []


# ── links: signatures of calls and texts ─────────────────────────────────────────────────────────

_LINK = "or1for."


def write_link(target: str, signature: Signature) -> str:
    """`encrypted_content` for the signature of the item `target` (a call's `call_id`, a message's or reasoning
    item's `id`), in a wire whose own calls and messages have none."""
    name = urlsafe_b64encode(target.encode()).rstrip(b"=").decode()
    return f"{_LINK}{name}.{wrap_signature(signature, WIRE)}"


def read_link(value: str | None) -> tuple[str, Signature] | None:
    """The reverse; None for an `encrypted_content` that is no link, or a damaged one."""
    if value is None or not value.startswith(_LINK):
        return None
    name, _, wrapped = value[len(_LINK) :].partition(".")
    try:
        target = urlsafe_b64decode(name.encode() + b"=" * (-len(name) % 4)).decode()
    except ValueError:
        return None
    return target, unwrap_signature(wrapped, WIRE)
