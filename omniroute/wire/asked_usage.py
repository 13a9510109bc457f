"""Chat Completions streams tell what they used only when asked: asked for on behalf of the gateway, and kept from a
client that did not ask.

https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
"""

from __future__ import annotations

import msgspec

from omniroute.errors import Problem
from omniroute.wire.conversation import Doc
from omniroute.wire.shapes import doc_of

_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_USAGE = b'"usage"'


def ask_for_usage(body: bytes) -> bytes | None:
    """The request with `stream_options.include_usage` set; None when it is set already, or the body is no object."""
    try:
        document = _TOP_LEVEL.decode(body)
        options: Doc = doc_of(msgspec.json.decode(document.get("stream_options", msgspec.Raw(b"{}"))))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if options.get("include_usage") is True:
        return None
    document["stream_options"] = msgspec.Raw(msgspec.json.encode(options | {"include_usage": True}))
    return msgspec.json.encode(document)


class UnaskedUsageTap:
    """Takes the chunk without choices, which holds the usage, out of a stream; all else passes as it came.

    Only whole lines are looked at, so that a chunk that is cut anywhere is found: the end of the line that has begun
    waits for the rest of it when it may be the one.
    """

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        data = self._pending + chunk if self._pending else chunk
        end = data.rfind(b"\n") + 1
        whole, self._pending = (data, b"") if end == len(data) else (data[:end], data[end:])
        return self._without(whole) if _USAGE in whole else whole

    def end(self, problem: Problem | None) -> tuple[bytes, Problem | None]:
        rest, self._pending = self._pending, b""
        return (self._without(rest) if _USAGE in rest else rest), problem

    def _without(self, data: bytes) -> bytes:
        kept: list[bytes] = []
        skipping = False
        for line in data.splitlines(keepends=True):
            if skipping and not line.strip():
                # The blank line that ended the event.
                skipping = False
                continue
            skipping = _USAGE in line and _only_usage(line)
            if not skipping:
                kept.append(line)
        return b"".join(kept)


def _only_usage(line: bytes) -> bool:
    if not line.startswith(b"data:"):
        return False
    try:
        document = doc_of(msgspec.json.decode(line[5:]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return not document.get("choices") and bool(document.get("usage"))
