"""The stream of an Ollama chat, in: a JSON document a line, each with a piece of the message; the last one is `done`.

Calls come whole, and an error is a line with `error`. https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    Delta,
    Doc,
    End,
    Finish,
    Finished,
    LogprobsDelta,
    PartEnd,
    Start,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import CUT, failure_of
from omniroute.wire.ollama_answer import (
    read_call,
    read_finish,
    read_images,
    read_logprobs,
    read_time,
    read_usage,
)
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import doc_of, docs_of, text_of
from omniroute.wire.think_tags import Piece, ThinkTags

decode = msgspec.json.Decoder().decode

_DELTAS = {"text": TextDelta, "thinking": ThinkingDelta}


class OllamaReader:
    """Lines of one stream into deltas. Parts are runs: text after reasoning is a new part, and so is a call."""

    def __init__(self) -> None:
        self._parts = 0
        self._run = ""
        self._tags: ThinkTags | None = ThinkTags()
        self._calls = 0
        self._started = False
        self._over = False

    def feed(self, event: Event) -> Iterable[Delta]:
        """Raises `MalformedStream` for a line that is not JSON."""
        if self._over or not event.data.strip():
            return ()
        try:
            doc = decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedStream(f"a line of the stream is not JSON: {error}") from error
        return self._line(doc) if isinstance(doc, dict) else ()

    def end(self) -> Iterable[Delta]:
        if self._over:
            return ()
        self._over = True
        return (CUT,)

    def _line(self, doc: Doc) -> list[Delta]:
        if "error" in doc:
            problem = problem_of_body(doc)
            if problem is not None:
                self._over = True
                return [failure_of(problem)]
        deltas: list[Delta] = []
        if not self._started and ("model" in doc or "message" in doc):
            self._started = True
            created = read_time(doc.get("created_at"))
            deltas.append(Start(model=text_of(doc.get("model")), created=created))
        message = doc_of(doc.get("message"))
        self._message(message, text_of(doc.get("created_at")), deltas)
        logprobs = read_logprobs(doc) if "logprobs" in doc else None
        if logprobs is not None:
            deltas.append(LogprobsDelta(logprobs=logprobs))
        if doc.get("done") is True:
            self._done(doc, deltas)
        return deltas

    def _message(self, message: Doc, place: str, deltas: list[Delta]) -> None:
        thinking, content = text_of(message.get("thinking")), text_of(message.get("content"))
        if thinking:
            # A server that tells reasoning apart leaves no tags in the text.
            self._tags = None
            self._said([Piece("thinking", thinking)], deltas)
        if content:
            self._said(self._pieces(content), deltas)
        deltas += [WholePart(part=self._new_part(), content=image) for image in read_images(message)]
        for doc in docs_of(message.get("tool_calls")):
            self._call(doc, place, deltas)

    def _pieces(self, content: str) -> list[Piece]:
        if self._tags is None:
            return [Piece("text", content)]
        pieces = self._tags.feed(content)
        if self._tags.settled:
            self._tags = None
        return pieces

    def _said(self, pieces: list[Piece], deltas: list[Delta]) -> None:
        for kind, text in pieces:
            if kind != self._run:
                self._new_part()
                self._run = kind
            deltas.append(_DELTAS[kind](part=self._parts - 1, text=text))

    def _call(self, doc: Doc, place: str, deltas: list[Delta]) -> None:
        call = read_call(doc, place, self._calls)
        if call is None:
            return
        self._calls += 1
        part = self._new_part()
        deltas += [
            CallStart(part=part, id=call.id, name=call.name),
            CallDelta(part=part, arguments=call.arguments),
            PartEnd(part=part),
        ]

    def _new_part(self) -> int:
        self._run = ""
        self._parts += 1
        return self._parts - 1

    def _done(self, doc: Doc, deltas: list[Delta]) -> None:
        self._over = True
        if self._tags is not None:
            self._said(self._tags.end(), deltas)
        usage = read_usage(doc)
        if usage is not None:
            deltas.append(UsageDelta(usage=usage))
        deltas.append(Finished(finish=read_finish(doc, called=self._calls > 0) or Finish()))
        deltas.append(End())


_MARKS = (b'"done":true', b'"done": true', b'"error"')


class OllamaTap:
    """Looks for the last line; all others cost a search for its marks."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False
        self._rest = b""
        self._called = False

    def feed(self, chunk: bytes) -> None:
        if self.finished:
            return
        data = self._rest + chunk if self._rest else chunk
        self._rest = data[data.rfind(b"\n") + 1 :]
        self._called = self._called or b'"tool_calls":[{' in data
        if any(mark in data for mark in _MARKS):
            for line in data.split(b"\n"):
                self._look(line)

    def _look(self, line: bytes) -> None:
        if not any(mark in line for mark in _MARKS):
            return
        try:
            doc: Any = doc_of(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The last line may not be complete yet; it is looked at again when it is.
            return
        if doc.get("done") is True:
            self.usage = read_usage(doc)
            self.finish = read_finish(doc, called=self._called)
            self.finished = True
        elif doc.get("error"):
            self.finished = True
