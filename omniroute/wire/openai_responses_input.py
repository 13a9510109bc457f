"""The `input` and `instructions` of a Responses request, written from turns."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from omniroute.wire.conversation import (
    Audio,
    Citation,
    Doc,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.wire.losses import label_of
from omniroute.wire.openai_responses_content import write_input_part
from omniroute.wire.openai_responses_items import call_item, reasoning_texts, summary_texts
from omniroute.wire.openai_responses_shapes import WIRE

RAW_REASONING = "reasoning_text"
"""Quirk of a target that reads raw reasoning back (`content[].reasoning_text`), where OpenAI refuses it."""

CACHE_MARKS = "prompt_cache_breakpoint"
"""Quirk of a target that takes marks where its prompt cache should end; others have an automatic cache only."""

NO_DEVELOPER = "no_developer_role"
"""Quirk of a target that knows `system` only."""


def split_instructions(turns: list[Turn], notes: Notes, *, marks: bool) -> tuple[str | None, list[Turn]]:
    """The leading system turn as `instructions`, if it is nothing but text, and the turns that remain.

    `marks`: the target takes cache marks, for which `instructions` have no place.
    """
    if not turns or turns[0].role != "system":
        return None, turns
    texts = [part for part in turns[0].parts if isinstance(part, Text)]
    if not texts or len(texts) != len(turns[0].parts):
        return None, turns
    if any(part.cache is not None for part in texts):
        if marks:
            return None, turns
        notes.emulate("cache_control")
    return "\n\n".join(part.text for part in texts), turns[1:]


def write_input(turns: list[Turn], notes: Notes, quirks: frozenset[str], *, own: bool) -> list[Doc]:
    """`own`: the conversation came in this wire, so that its items go back as they were.

    Items go without ids: a server that finds one in its store demands the neighbours it had there.
    """
    calls = {part.id: part.kind for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    writer = _InputWriter(notes, quirks, calls, own=own)
    for turn in turns:
        writer.add(turn)
    return writer.items


class _InputWriter:
    def __init__(self, notes: Notes, quirks: frozenset[str], calls: dict[str, Any], *, own: bool) -> None:
        self.items: list[Doc] = []
        self._notes = notes
        self._quirks = quirks
        self._calls = calls
        self._own = own
        self._cache = own or CACHE_MARKS in quirks
        self._message: Doc | None = None
        self._turn = Turn(role="user", parts=[])
        self._summary = ""

    def add(self, turn: Turn) -> None:
        self._turn = turn
        self._message = None
        if turn.name is not None:
            self._notes.drop("name")
        for part in turn.parts:
            if not isinstance(part, Thinking):
                self._summary = ""
            _PART_WRITERS.get(type(part), _InputWriter.content)(self, part)
        self._summary = ""

    def content(self, part: Part) -> None:
        """A part of a message; neighbours share one message."""
        doc = self._content_doc(part)
        if doc is not None:
            self._append(doc, self._role())

    def _append(self, doc: Doc, role: str) -> None:
        if self._message is None or self._message["role"] != role:
            self._message = {"type": "message", "role": role, "content": []}
            if self._turn.phase is not None and role == "assistant":
                self._message["phase"] = self._turn.phase
            self.items.append(self._message)
        self._message["content"].append(doc)

    def _role(self) -> str:
        if self._turn.role == "developer" and NO_DEVELOPER in self._quirks:
            return "system"
        return self._turn.role

    def _content_doc(self, part: Part) -> Doc | None:
        if self._turn.role != "assistant":
            return write_input_part(part, self._notes, cache=self._cache)
        write = _ASSISTANT_WRITERS.get(type(part))
        if write is None:
            self._notes.drop(label_of(part))
            return None
        return write(part)

    def assistant_image(self, part: Image) -> None:
        """Assistant messages hold text only: the model sees its image as one that it is shown."""
        if self._turn.role != "assistant":
            return self.content(part)
        doc = write_input_part(part, self._notes, cache=False)
        if doc is not None:
            self._notes.emulate("image in an assistant message")
            self._append(doc, "user")
        return None

    def thinking(self, part: Thinking) -> None:
        signature = part.signature
        if signature is not None and signature.wire == WIRE:
            self._own_reasoning(part, signature)
        elif part.text and not part.summary and RAW_REASONING in self._quirks:
            name = sha256(part.text.encode()).hexdigest()[:24]
            self._item(
                {
                    "type": "reasoning",
                    "id": f"rs_{name}",
                    "summary": [],
                    "content": reasoning_texts(part.text),
                }
            )
        elif signature is None and part.summary:
            self._summary = part.text

    def _own_reasoning(self, part: Thinking, signature: Signature) -> None:
        raw = "" if part.summary else part.text
        if not signature.value and not raw and not self._own:
            return
        item: Doc = {"type": "reasoning"}
        if signature.id is not None:
            item["id"] = signature.id
        item["summary"] = summary_texts(part.text if part.summary else self._summary)
        # OpenAI refuses raw text beside the encrypted form of it; a server that sent both takes both.
        if raw and (self._own or not signature.value):
            item["content"] = reasoning_texts(raw)
        if signature.value:
            item["encrypted_content"] = signature.value
        self._summary = ""
        self._item(item)

    def call(self, part: ToolCall) -> None:
        self._item(call_item(part))

    def result(self, part: ToolResult) -> None:
        custom = self._calls.get(part.id, part.kind) == "custom"
        self._item(
            {
                "type": "custom_tool_call_output" if custom else "function_call_output",
                "call_id": part.id,
                "output": self._output(part),
            }
        )

    def _output(self, result: ToolResult) -> str | list[Doc]:
        parts = [write_input_part(part, self._notes, cache=self._cache) for part in result.content]
        docs = [doc for doc in parts if doc is not None]
        if result.error:
            docs = self._marked_as_error(docs)
        if result.cache is not None and not self._cache:
            self._notes.emulate("cache_control")
        if not docs:
            return ""
        plain = len(docs) == 1 and docs[0].keys() == {"type", "text"}
        return str(docs[0]["text"]) if plain else docs

    def _marked_as_error(self, docs: list[Doc]) -> list[Doc]:
        """The format has no mark for a failed tool: the text says it, if it does not say so already."""
        first = docs[0].get("text", "") if docs else ""
        if "error" in first[:40].lower():
            return docs
        self._notes.emulate("tool_result.is_error")
        if docs and "text" in docs[0]:
            return [{**docs[0], "text": f"Error: {first}"}, *docs[1:]]
        return [{"type": "input_text", "text": "Error"}, *docs]

    def opaque(self, part: Opaque) -> None:
        if part.wire == WIRE:
            self._item(part.doc)
        else:
            self._notes.drop(label_of(part))

    def _item(self, item: Doc) -> None:
        self._message = None
        self.items.append(item)


_PART_WRITERS: dict[type, Callable[[_InputWriter, Any], None]] = {
    Thinking: _InputWriter.thinking,
    ToolCall: _InputWriter.call,
    ToolResult: _InputWriter.result,
    Opaque: _InputWriter.opaque,
    Image: _InputWriter.assistant_image,
}


def _assistant_text(part: Any) -> Doc | None:
    if not part.text:
        return None
    citations: list[Citation] = part.citations
    native = [c.native for c in citations if c.wire == WIRE and c.native is not None]
    return {"type": "output_text", "text": part.text, "annotations": native}


def _assistant_refusal(part: Any) -> Doc | None:
    return {"type": "refusal", "refusal": part.text} if part.text else None


def _assistant_audio(part: Any) -> Doc | None:
    return {"type": "output_text", "text": part.transcript, "annotations": []} if part.transcript else None


_ASSISTANT_WRITERS: dict[type, Callable[[Any], Doc | None]] = {
    Text: _assistant_text,
    Refusal: _assistant_refusal,
    Audio: _assistant_audio,
}
