"""The messages of an Ollama chat, in and out. https://docs.ollama.com/api/chat

Content is one string, images stand beside it as base64, and the arguments of a call are an object. Calls have an id
only in newer versions: where a client leaves them out, results belong to calls by the tool's name and their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from omniroute.wire.codec import Position
from omniroute.wire.content import source_of_url, text_of_source, titled
from omniroute.wire.conversation import (
    Audio,
    Doc,
    File,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Role,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Video,
)
from omniroute.wire.functions import input_of
from omniroute.wire.losses import note_turn, spoken
from omniroute.wire.pairing import Pairing
from omniroute.wire.shapes import (
    arguments_text,
    list_at,
    object_at,
    objects_at,
    refused,
    text_at,
    text_in,
    text_of,
)

WIRE = "ollama"

# ── in ───────────────────────────────────────────────────────────────────────────────────────────

_MAGIC: tuple[tuple[str, str], ...] = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How base64 of an image of that type begins: this format does not say the type, others want to know it."""


def read_messages(messages: Any) -> list[Turn]:
    """Raises `Refused` for a wrong shape."""
    pairing = Pairing("call_")
    turns = []
    for message, path in objects_at(messages, "messages"):
        read = _ROLES_IN.get(text_in(message, "role", path).lower())
        if read is None:
            raise refused("must be system, user, assistant or tool", f"{path}.role")
        turns.append(read(message, path, pairing))
    return turns


def _read_said(role: Role) -> Callable[[Doc, str, Pairing], Turn]:
    def read(message: Doc, path: str, pairing: Pairing) -> Turn:
        return Turn(role=role, parts=_read_content(message, path))

    return read


def _read_content(message: Doc, path: str) -> list[Part]:
    content = message.get("content")
    text = "" if content is None else text_at(content, f"{path}.content")
    images = list_at(message.get("images"), f"{path}.images")
    parts: list[Part] = [read_image(text_at(i, f"{path}.images[{n}]")) for n, i in enumerate(images)]
    return [*parts, Text(text=text)] if text or not parts else parts


def read_image(given: str) -> Image:
    """An image in base64; a URL, which Ollama itself does not take, stays one."""
    if given.startswith(("data:", "http:", "https:")):
        return Image(source=source_of_url(given))
    found = (media_type for start, media_type in _MAGIC if given.startswith(start))
    return Image(source=Source(data=given, media_type=next(found, None)))


def _read_assistant(message: Doc, path: str, pairing: Pairing) -> Turn:
    thinking = message.get("thinking")
    parts: list[Part] = [Thinking(text=text_at(thinking, f"{path}.thinking"))] if thinking else []
    given = objects_at(message.get("tool_calls"), f"{path}.tool_calls")
    calls = [_read_call(call, place, pairing) for call, place in given]
    said = _read_content(message, path)
    if said != [Text(text="")] or not (parts or calls):
        parts += said
    return Turn(role="assistant", parts=[*parts, *calls])


def _read_call(call: Doc, path: str, pairing: Pairing) -> ToolCall:
    function = object_at(call.get("function"), f"{path}.function")
    name = text_in(function, "name", f"{path}.function")
    arguments = arguments_text(function.get("arguments"))
    return ToolCall(id=pairing.called(text_of(call.get("id")), name), name=name, arguments=arguments)


def _read_result(message: Doc, path: str, pairing: Pairing) -> Turn:
    name = text_of(message.get("tool_name")) or text_of(message.get("name"))
    id, name = pairing.answered(text_of(message.get("tool_call_id")), name)
    result = ToolResult(id=id, name=name or None, content=_read_content(message, path))
    return Turn(role="user", parts=[result])


_ROLES_IN: dict[str, Callable[[Doc, str, Pairing], Turn]] = {
    "system": _read_said("system"),
    "developer": _read_said("developer"),
    "user": _read_said("user"),
    "assistant": _read_assistant,
    "tool": _read_result,
}

# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_ERROR = "Error: "


class MessagesWriter:
    """The turns of a request as messages. Never changes them."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._names: dict[str, str] = {}
        """Call id → name of its tool, which a result has to repeat."""

    def write(self, turns: Iterable[Turn]) -> list[Doc]:
        return [message for turn in turns for message in self._turn(turn)]

    def _turn(self, turn: Turn) -> list[Doc]:
        note_turn(turn, self._notes)
        results = [self._result(part) for part in turn.parts if isinstance(part, ToolResult)]
        role = "system" if turn.role == "developer" else turn.role
        said = self._content([part for part in turn.parts if not isinstance(part, ToolResult)])
        if turn.role == "assistant":
            said |= self._reasoning(turn.parts) | self._calls(turn.parts)
        if said == {"content": ""} and (results or turn.role == "assistant"):
            return results
        return [*results, {"role": role, **said}]

    def _content(self, parts: Iterable[Part]) -> Doc:
        """`content`, and `images` if there are any."""
        texts: list[str] = []
        images: list[str] = []
        for part in parts:
            _PARTS_OUT[type(part)](part, texts, images, self._notes)
        content: Doc = {"content": "\n\n".join(text for text in texts if text)}
        return content | {"images": images} if images else content

    def _result(self, part: ToolResult) -> Doc:
        said = self._content(part.content)
        if part.error:
            self._notes.emulate("tool_result.is_error")
            if not said["content"].lower().startswith("error"):
                said["content"] = _ERROR + said["content"]
        message: Doc = {"role": "tool", **said}
        name = part.name or self._names.get(part.id)
        if name:
            message["tool_name"] = name
        return message | {"tool_call_id": part.id}

    def _reasoning(self, parts: Iterable[Part]) -> Doc:
        """Earlier reasoning that nobody signed; what another provider signed is no use here."""
        thoughts = [p.text for p in parts if isinstance(p, Thinking) and p.signature is None and p.text]
        return {"thinking": "\n\n".join(thoughts)} if thoughts else {}

    def _calls(self, parts: Iterable[Part]) -> Doc:
        calls = [part for part in parts if isinstance(part, ToolCall)]
        self._names |= {call.id: call.name for call in calls}
        written = [write_call(call, call.id, self._notes) for call in calls]
        return {"tool_calls": written} if written else {}


def write_call(call: ToolCall, id: str, notes: Notes) -> Doc:
    """A call; free text becomes the one argument of a function."""
    return {"id": id, "function": {"name": call.name, "arguments": input_of(call, notes)}}


def write_image(part: Image, images: list[str], notes: Notes) -> None:
    """Ollama takes images only as base64: it fetches nothing."""
    if part.detail not in (None, "auto"):
        notes.drop("image_url.detail")
    if part.source.data is not None:
        images.append(part.source.data)
    else:
        notes.drop("image_url")


def _write_text(part: Text | Refusal, texts: list[str], images: list[str], notes: Notes) -> None:
    texts.append(part.text)


def _write_image(part: Image, texts: list[str], images: list[str], notes: Notes) -> None:
    write_image(part, images, notes)


def _write_audio(part: Audio, texts: list[str], images: list[str], notes: Notes) -> None:
    texts.append(spoken(part, notes, "input_audio"))


def _write_video(part: Video, texts: list[str], images: list[str], notes: Notes) -> None:
    notes.drop("video")


def _write_file(part: File, texts: list[str], images: list[str], notes: Notes) -> None:
    """A document that is text goes into the prompt; an image is one; for the rest there is no place."""
    if (part.source.media_type or "").startswith("image/"):
        write_image(Image(source=part.source), images, notes)
        return
    text = text_of_source(part.source)
    if text is None:
        notes.drop("file")
    else:
        notes.emulate("file")
        texts.append(titled(part.name, text))


def _write_opaque(part: Opaque, texts: list[str], images: list[str], notes: Notes) -> None:
    notes.drop(part.label or "content")


def _write_apart(part: Part, texts: list[str], images: list[str], notes: Notes) -> None:
    """Stands in a field of its own."""


_PARTS_OUT: dict[type, Callable[[Any, list[str], list[str], Notes], None]] = {
    Text: _write_text,
    Refusal: _write_text,
    Image: _write_image,
    Audio: _write_audio,
    Video: _write_video,
    File: _write_file,
    Opaque: _write_opaque,
    Thinking: _write_apart,
    ToolCall: _write_apart,
    ToolResult: _write_apart,
}


def add_system(doc: Doc, text: str, position: Position) -> None:
    """Put a system text before or after the system messages that begin a request."""
    messages = list(doc.get("messages") or [])
    leading = 0
    while leading < len(messages) and messages[leading].get("role") in ("system", "developer"):
        leading += 1
    messages.insert(0 if position == "prepend" else leading, {"role": "system", "content": text})
    doc["messages"] = messages
