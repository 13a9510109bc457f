"""`POST /api/generate` of Ollama: one prompt and its answer, in the words of `/api/chat` but for a few.

A prompt is a conversation of one message, so that every target can answer it. What works on raw text has no
counterpart there, and is refused by name. https://docs.ollama.com/api/generate
"""

from __future__ import annotations

import msgspec

from omniroute.errors import Problem, UnsupportedContent
from omniroute.wire.conversation import Doc
from omniroute.wire.ndjson import LineSplitter, line

encode = msgspec.json.Encoder().encode

_RAW = ("suffix", "raw", "template", "context")
_OF_THE_MESSAGE = frozenset({"prompt", "system", "images", *_RAW})


def adopt(doc: Doc) -> Doc:
    """The body of a chat, made of that of a prompt. Raises `UnsupportedContent` for what works on raw text."""
    for name in _RAW:
        if doc.get(name):
            raise UnsupportedContent(
                f"`{name}` works on raw text, and models here take conversations only", name
            )
    user: Doc = {"role": "user", "content": doc.get("prompt")}
    if doc.get("images"):
        user["images"] = doc["images"]
    system = [{"role": "system", "content": doc["system"]}] if doc.get("system") else []
    rest = {name: value for name, value in doc.items() if name not in _OF_THE_MESSAGE}
    return {**rest, "messages": [*system, user]}


def dress(answer: bytes) -> bytes:
    """An answer of a chat, or a line of one, as that to a prompt; an error is the same in both."""
    doc: Doc = msgspec.json.decode(answer)
    message = doc.get("message")
    if not isinstance(message, dict):
        return answer
    said: Doc = {}
    for name, value in doc.items():
        if name != "message":
            said[name] = value
            continue
        said["response"] = message.get("content") or ""
        if message.get("thinking"):
            said["thinking"] = message["thinking"]
    return encode(said)


class DressTap:
    """The lines of a chat on their way to a client that sent a prompt."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = LineSplitter()

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(line(dress(event.data)) for event in self._splitter.feed(chunk))

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        return b"".join(line(dress(event.data)) for event in self._splitter.end()), problem
