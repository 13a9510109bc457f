"""The messages of a Cohere chat, in and out. https://docs.cohere.com/reference/chat

One system message begins the conversation; results stand in `tool` messages; documents to answer from stand beside
the messages, in `documents`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from omniroute.wire.cohere_parts import (
    WIRE,
    note_foreign,
    read_content,
    read_document,
    read_said,
    write_call,
    write_document,
)
from omniroute.wire.content import text_of_source, titled, url_of_source
from omniroute.wire.conversation import (
    Audio,
    Conversation,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Video,
)
from omniroute.wire.losses import note_turn, spoken
from omniroute.wire.shapes import list_at, object_at, objects_at, refused, text_in

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_messages(doc: Doc) -> list[Turn]:
    """The turns, with the request's documents in the first one of the user. Raises `Refused`, `UnsupportedContent`."""
    turns = []
    for message, path in objects_at(doc.get("messages"), "messages"):
        read = _ROLES_IN.get(text_in(message, "role", path))
        if read is None:
            raise refused("must be system, user, assistant or tool", f"{path}.role")
        turns.append(read(message, path))
    documents: list[Part] = [
        read_document(given, f"documents[{index}]")
        for index, given in enumerate(list_at(doc.get("documents"), "documents"))
    ]
    if documents:
        asking = next((turn for turn in turns if turn.role == "user"), None)
        if asking is None:
            raise refused("there is no message of the user that they could belong to", "documents")
        asking.parts = [*documents, *asking.parts]
    return turns


def _read_turn(role: Role) -> Callable[[Doc, str], Turn]:
    def read(message: Doc, path: str) -> Turn:
        return Turn(role=role, parts=read_content(message.get("content"), f"{path}.content"))

    return read


def _read_assistant(message: Doc, path: str) -> Turn:
    read_content(message.get("content"), f"{path}.content")
    for call, place in objects_at(message.get("tool_calls"), f"{path}.tool_calls"):
        function = object_at(call.get("function"), f"{place}.function")
        text_in(function, "name", f"{place}.function")
    return Turn(role="assistant", parts=read_said(message))


def _read_result(message: Doc, path: str) -> Turn:
    id = text_in(message, "tool_call_id", path)
    content = read_content(message.get("content"), f"{path}.content")
    return Turn(role="user", parts=[ToolResult(id=id, content=content)])


_ROLES_IN: dict[str, Callable[[Doc, str], Turn]] = {
    "system": _read_turn("system"),
    "user": _read_turn("user"),
    "assistant": _read_assistant,
    "tool": _read_result,
}

# ── out ──────────────────────────────────────────────────────────────────────────────────────────


class MessagesWriter:
    """The turns of one request. `documents` holds what is to stand beside the messages, once they are written.

    `plans`: the model does not think, but takes the plan that it made before it called tools. `inline`: documents
    must stand in the text, since the request has what goes with none.
    """

    def __init__(self, notes: Notes, *, plans: bool, inline: bool) -> None:
        self._notes = notes
        self._plans = plans
        self._inline = inline
        self.documents: list[Doc] = []
        self._parts_out: dict[type, Callable[[Any], list[Doc]]] = {
            Text: self._text,
            Refusal: self._text,
            Image: self._image,
            Audio: self._audio,
            Video: lambda part: self._lost("video"),
            File: self._file,
            Opaque: self._opaque,
            Thinking: lambda part: [],
            ToolCall: lambda part: [],
            ToolResult: lambda part: [],
        }

    def write(self, talk: Conversation) -> list[Doc]:
        system: list[Doc] = []
        messages: list[Doc] = []
        for turn in talk.turns:
            note_turn(turn, self._notes)
            if turn.role not in ("system", "developer"):
                messages += _TURNS_OUT[turn.role](self, turn)
            elif WIRE in talk.extras and messages:
                messages.append({"role": "system", "content": _short(self._content(turn.parts))})
            else:
                system += self._content(turn.parts)
        return [{"role": "system", "content": _short(system)}, *messages] if system else messages

    def _user(self, turn: Turn) -> list[Doc]:
        results = [self._result(part) for part in turn.parts if isinstance(part, ToolResult)]
        beside = [doc for _, docs in results for doc in docs]
        content = beside + self._content(turn.parts)
        messages = [message for message, _ in results]
        return [*messages, {"role": "user", "content": _short(content)}] if content else messages

    def _assistant(self, turn: Turn) -> list[Doc]:
        content = self._content(turn.parts)
        calls = [write_call(part) for part in turn.parts if isinstance(part, ToolCall)]
        # What another provider signed is no use here, and it would not be believed.
        thoughts = [p.text for p in turn.parts if isinstance(p, Thinking) and p.signature is None and p.text]
        message: Doc = {"role": "assistant"}
        if thoughts and not self._plans:
            content = [{"type": "thinking", "thinking": "\n\n".join(thoughts)}, *content]
        if thoughts and self._plans and calls:
            message["tool_plan"] = "\n\n".join(thoughts)
        if content:
            message["content"] = _short(content)
        if calls:
            message["tool_calls"] = calls
        cited = [c for part in turn.parts if isinstance(part, Text) for c in part.citations]
        note_foreign(cited, self._notes)
        own = [c.native for c in cited if c.wire == WIRE and c.native is not None]
        if own:
            message["citations"] = own
        return [message] if content or calls else []

    def _result(self, part: ToolResult) -> tuple[Doc, list[Doc]]:
        """The `tool` message, and what of it has to stand in a message of the user."""
        texts = [self._tool_part(inner) for inner in part.content if isinstance(inner, Text | Refusal | File)]
        content = [doc for docs in texts for doc in docs]
        beside = self._content([p for p in part.content if not isinstance(p, Text | Refusal | File)])
        if beside:
            self._notes.emulate("tool_result.image")
            beside = [_text(f"The content of the result of tool call {part.id}:"), *beside]
            content = content or [_text("The result is in the next message of the user.")]
        if part.error:
            self._notes.emulate("tool_result.is_error")
            content = [_text("Error:"), *content]
        return {"role": "tool", "tool_call_id": part.id, "content": _short(content)}, beside

    def _tool_part(self, part: Text | Refusal | File) -> list[Doc]:
        """The content of a result: here documents have a place of their own."""
        text = text_of_source(part.source) if isinstance(part, File) else None
        if isinstance(part, File) and text is not None:
            return [{"type": "document", "document": write_document(text, part)}]
        return self._content([part])

    def _content(self, parts: Iterable[Part]) -> list[Doc]:
        return [doc for part in parts for doc in self._parts_out[type(part)](part)]

    def _text(self, part: Text | Refusal) -> list[Doc]:
        return [_text(part.text)] if part.text else []

    def _image(self, part: Image) -> list[Doc]:
        url = url_of_source(part.source)
        if url is None:
            return self._lost("image_url")
        detail = {"detail": part.detail} if part.detail else {}
        return [{"type": "image_url", "image_url": {"url": url, **detail}}]

    def _audio(self, part: Audio) -> list[Doc]:
        text = spoken(part, self._notes, "input_audio")
        return [_text(text)] if text else []

    def _file(self, part: File) -> list[Doc]:
        if (part.source.media_type or "").startswith("image/"):
            return self._image(Image(source=part.source))
        text = text_of_source(part.source)
        if text is None:
            return self._lost("file")
        if self._inline:
            self._notes.emulate("file")
            return [_text(titled(part.name, text))]
        self.documents.append(write_document(text, part))
        return []

    def _opaque(self, part: Opaque) -> list[Doc]:
        return [part.doc] if part.wire == WIRE else self._lost(part.label or "content")

    def _lost(self, word: str) -> list[Doc]:
        self._notes.drop(word)
        return []


_TURNS_OUT: dict[str, Callable[[MessagesWriter, Turn], list[Doc]]] = {
    "user": MessagesWriter._user,
    "assistant": MessagesWriter._assistant,
}


def _text(text: str) -> Doc:
    return {"type": "text", "text": text}


def _short(content: list[Doc]) -> str | list[Doc]:
    """One plain text is written as a string."""
    if not content:
        return ""
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        text: str = content[0]["text"]
        return text
    return content
