"""What the gateway sees of Anthropic Messages answers that pass as bytes: usage, stop reason, and the end."""

from __future__ import annotations

from typing import Any

import msgspec

from omniroute.wire.anthropic_answer import read_finish, read_usage
from omniroute.wire.anthropic_errors import read_error_doc
from omniroute.wire.codec import Glance
from omniroute.wire.conversation import Doc, Finish, Usage
from omniroute.wire.shapes import doc_of, text_of

_MARK = b'"message_'
_ERROR = b"event: error"


class AnthropicTap:
    """Looks for the three events that matter; all others cost one search for their mark."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False
        self._rest = b""
        self._counts: Doc = {}

    def feed(self, chunk: bytes) -> None:
        if self.finished:
            return
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r", b"\n")
        data = self._rest + chunk if self._rest else chunk
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        if _MARK in data or _ERROR in data:
            for line in data.split(b"\n"):
                self._look(line)

    def _look(self, line: bytes) -> None:
        if line.startswith(_ERROR):
            self.finished = True
        elif _MARK in line and line.startswith(b"data:") and not self.finished:
            # The last line may not be complete yet; it is looked at again when it is.
            try:
                doc = doc_of(msgspec.json.decode(line[5:]))
            except (msgspec.DecodeError, UnicodeDecodeError):
                return
            self._take(doc)

    def _take(self, doc: Doc) -> None:
        kind = doc.get("type")
        if kind == "message_start":
            self._count(doc_of(doc.get("message")).get("usage"))
        elif kind == "message_delta":
            self._count(doc.get("usage"))
            self.finish = read_finish(doc_of(doc.get("delta"))) or self.finish
        elif kind == "message_stop":
            self.finished = True

    def _count(self, usage: Any) -> None:
        known = {k: v for k, v in doc_of(usage).items() if v is not None}
        if known:
            self._counts |= known
            self.usage = read_usage(self._counts)


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct):
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Doc | None = None
    usage: Doc | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Message).decode


def glance(raw: bytes) -> Glance:
    """Raises `msgspec.DecodeError` when it is not JSON, or not of this shape."""
    message = _decode(raw)
    if message.error is not None:
        return Glance(problem=read_error_doc(doc_of(msgspec.json.decode(raw))), empty=True)
    usage = read_usage(message.usage) if message.usage else None
    finish = read_finish(
        {
            "stop_reason": message.stop_reason,
            "stop_sequence": message.stop_sequence,
            "stop_details": message.stop_details,
        }
    )
    return Glance(
        usage=usage, finish=finish, model=text_of(message.model), empty=_is_empty(message, finish, usage)
    )


def _is_empty(message: _Message, finish: Finish | None, usage: Usage | None) -> bool:
    """Without content, a model that ended its turn after some tokens meant it; one that wrote none did not answer."""
    if any(block.type != "text" or block.text for block in message.content or []):
        return False
    if finish is None:
        return True
    return finish.reason == "stop" and not (usage and usage.output)
