"""Looks at Responses answers that pass as bytes: usage, ending, and whether there was anything in them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from omniroute.wire.codec import Glance
from omniroute.wire.conversation import Doc, Finish, Usage
from omniroute.wire.openai_responses_errors import problem_of_response
from omniroute.wire.openai_responses_object import read_finish, read_usage
from omniroute.wire.openai_responses_shapes import said
from omniroute.wire.shapes import docs_of


class _Seen(msgspec.Struct):
    """The fields of a response that matter here; of the largest, `tools` and `instructions`, nothing is decoded."""

    model: Any = None
    status: Any = None
    usage: Any = None
    output: Any = None
    error: Any = None
    incomplete_details: Any = None

    def doc(self) -> Doc:
        return msgspec.structs.asdict(self)


class _SeenEvent(msgspec.Struct):
    type: str = ""
    response: _Seen | None = None


def glance(raw: bytes) -> Glance:
    """Raises `msgspec.DecodeError` for what is not JSON."""
    try:
        doc = msgspec.json.decode(raw, type=_Seen).doc()
    except msgspec.ValidationError:
        return Glance(empty=True)
    finish = read_finish(doc)
    problem = problem_of_response(doc)
    return Glance(
        usage=read_usage(doc["usage"]),
        finish=finish,
        model=said(doc, "model") or "",
        empty=problem is None and finish.reason == "stop" and not any(map(_content, docs_of(doc["output"]))),
        problem=problem,
    )


def _content(item: Doc) -> bool:
    """Whether an output item is something for the client; a message may be an empty one."""
    if item.get("type") == "reasoning":
        return False
    entries = item.get("content")
    return not isinstance(entries, list) or any(
        said(entry, "text") or said(entry, "refusal") for entry in docs_of(entries)
    )


_MARK = re.compile(rb'"response\.(?:completed|incomplete|failed|done)"|"type":\s*"error"')


class ResponsesTap:
    """Watches for the terminal event. In JSON text a plain quote cannot stand inside a string, so that a mark with
    its quotes is always the real type."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False
        self._line: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        if self.finished:
            return
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r", b"\n")
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            self._line.append(head)
            self._look(b"".join(self._line))
            self._line = [tail]
        else:
            self._line.append(tail)
        if tail.endswith(b"}"):
            # The last event of a stream may come without its line end.
            self._look(b"".join(self._line))

    def _look(self, text: bytes) -> None:
        if _MARK.search(text) is None:
            return
        for line in text.split(b"\n"):
            if line.startswith(b"data:") and _MARK.search(line) is not None:
                self._read(line[5:])
                if self.finished:
                    return

    def _read(self, data: bytes) -> None:
        try:
            event = msgspec.json.decode(data, type=_SeenEvent)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        name = event.type.removeprefix("response.")
        if name not in _ENDINGS:
            return
        self.finished = True
        if event.response is None:
            return
        doc = event.response.doc()
        self.usage = read_usage(doc["usage"])
        if name != "failed":
            self.finish = read_finish({**doc, "status": said(doc, "status") or _ENDINGS[name]})


_ENDINGS = {
    "completed": "completed",
    "done": "completed",
    "incomplete": "incomplete",
    "failed": "failed",
    "error": "failed",
}
