"""The event stream of a Cohere chat, in. https://docs.cohere.com/docs/streaming

`message-start`; pieces of content, of the tool plan and of calls, each with start, deltas and end; citations, in the
midst of the text that they are about; `message-end` with finish reason and usage, mostly followed by `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from omniroute.errors import MalformedStream, Problem
from omniroute.wire.codec import Event
from omniroute.wire.cohere_answer import failure_in, read_finish, read_logprobs, read_usage
from omniroute.wire.cohere_parts import is_of_text, read_citation
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
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
)
from omniroute.wire.failures import CUT, failure_of
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.shapes import doc_of, docs_of, text_of

decode = msgspec.json.Decoder().decode


class _Call:
    __slots__ = ("part", "said")

    def __init__(self, part: int) -> None:
        self.part = part
        self.said = False


class CohereReader:
    """Events of one stream into deltas."""

    def __init__(self) -> None:
        self._parts = 0
        self._content: dict[Any, tuple[int, str]] = {}
        self._plan: int | None = None
        self._calls: dict[Any, _Call] = {}
        self._text: int | None = None
        """The last part that is text: citations that do not say which they are of belong there."""
        self._over = False
        self._events: dict[str, Callable[[Doc], Iterable[Delta]]] = {
            "message-start": self._start,
            "content-start": self._content_start,
            "content-delta": self._piece,
            "content-end": self._content_end,
            "tool-plan-delta": self._plan_delta,
            "tool-call-start": self._call_start,
            "tool-call-delta": self._call_delta,
            "tool-call-end": self._call_end,
            "citation-start": self._citation,
            "message-end": self._message_end,
        }

    def feed(self, event: Event) -> Iterable[Delta]:
        """Raises `MalformedStream` for a payload that is not JSON."""
        data = event.data.strip()
        if self._over or not data or data == b"[DONE]":
            return ()
        try:
            doc = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedStream(f"an event of the stream is not JSON: {error}") from error
        if not isinstance(doc, dict):
            return ()
        kind = text_of(doc.get("type")) or event.name
        read = self._events.get(kind)
        if read is not None:
            return list(read(doc))
        if "error" in doc or kind == "error" or (not kind and text_of(doc.get("message"))):
            return self._fail(problem_of_body(doc, named_error=True))
        return ()

    def end(self) -> Iterable[Delta]:
        if self._over:
            return ()
        self._over = True
        return (CUT,)

    def _fail(self, problem: Problem | None) -> Iterable[Delta]:
        self._over = True
        problem = problem or Problem(kind="bad_gateway", message="The upstream failed.")
        return (failure_of(problem),)

    def _new_part(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _start(self, doc: Doc) -> Iterator[Delta]:
        yield Start(id=text_of(doc.get("id")))

    # content ────────────────────────────────────────────────────────────────────────────────────
    def _content_start(self, doc: Doc) -> Iterator[Delta]:
        self._content.pop(_key(doc.get("index")), None)
        return self._piece(doc)

    def _piece(self, doc: Doc) -> Iterator[Delta]:
        delta = doc_of(doc.get("delta"))
        content = doc_of(doc_of(delta.get("message")).get("content"))
        for kind, delta_of in (("thinking", ThinkingDelta), ("text", TextDelta)):
            text = text_of(content.get(kind))
            if text:
                yield from self._close_plan()
                yield delta_of(part=self._part_of(doc.get("index"), kind), text=text)
        logprobs = read_logprobs(delta.get("logprobs"))
        if logprobs is not None:
            yield LogprobsDelta(logprobs=logprobs)

    def _part_of(self, index: Any, kind: str) -> int:
        key = _key(index)
        part, known = self._content.get(key, (-1, ""))
        if known != kind:
            part = self._new_part()
            self._content[key] = (part, kind)
        if kind == "text":
            self._text = part
        return part

    def _content_end(self, doc: Doc) -> Iterator[Delta]:
        part, _ = self._content.get(_key(doc.get("index")), (None, ""))
        if part is not None:
            yield PartEnd(part=part)

    def _citation(self, doc: Doc) -> Iterator[Delta]:
        given = doc_of(doc_of(doc.get("delta")).get("message")).get("citations")
        for citation in [given] if isinstance(given, dict) else docs_of(given):
            part, kind = self._content.get(_key(citation.get("content_index")), (self._text, ""))
            part = part if kind == "text" else self._text
            if part is not None and is_of_text(citation):
                for found in read_citation(citation):
                    yield CitationDelta(part=part, citation=found)

    # plan and calls ─────────────────────────────────────────────────────────────────────────────
    def _plan_delta(self, doc: Doc) -> Iterator[Delta]:
        text = text_of(doc_of(doc_of(doc.get("delta")).get("message")).get("tool_plan"))
        if text:
            if self._plan is None:
                self._plan = self._new_part()
            yield ThinkingDelta(part=self._plan, text=text)

    def _close_plan(self) -> Iterator[Delta]:
        if self._plan is not None:
            yield PartEnd(part=self._plan)
            self._plan = None

    def _call_start(self, doc: Doc) -> Iterator[Delta]:
        yield from self._close_plan()
        call = _call_in(doc)
        function = doc_of(call.get("function"))
        opened = self._calls[_key(doc.get("index"))] = _Call(self._new_part())
        yield CallStart(part=opened.part, id=text_of(call.get("id")), name=text_of(function.get("name")))
        yield from self._arguments(opened, function)

    def _call_delta(self, doc: Doc) -> Iterator[Delta]:
        opened = self._calls.get(_key(doc.get("index")))
        if opened is not None:
            yield from self._arguments(opened, doc_of(_call_in(doc).get("function")))

    def _arguments(self, call: _Call, function: Doc) -> Iterator[Delta]:
        arguments = text_of(function.get("arguments"))
        if arguments:
            call.said = True
            yield CallDelta(part=call.part, arguments=arguments)

    def _call_end(self, doc: Doc) -> Iterator[Delta]:
        opened = self._calls.pop(_key(doc.get("index")), None)
        if opened is not None:
            yield from _closed(opened)

    # the end ────────────────────────────────────────────────────────────────────────────────────
    def _message_end(self, doc: Doc) -> Iterator[Delta]:
        delta = doc_of(doc.get("delta"))
        self._over = True
        usage = read_usage(delta.get("usage"))
        if usage is not None:
            yield UsageDelta(usage=usage)
        problem = failure_in(delta.get("finish_reason"), delta.get("error"))
        if problem is not None:
            yield from self._fail(problem)
            return
        yield from self._close_plan()
        for call in self._calls.values():
            yield from _closed(call)
        yield Finished(finish=read_finish(delta.get("finish_reason")) or Finish())
        yield End()


def _key(index: Any) -> Any:
    return index if isinstance(index, int | str) else 0


def _call_in(doc: Doc) -> Doc:
    """The one call of an event; some servers put it into a list."""
    given = doc_of(doc_of(doc.get("delta")).get("message")).get("tool_calls")
    return given if isinstance(given, dict) else next(iter(docs_of(given)), {})


def _closed(call: _Call) -> Iterator[Delta]:
    if not call.said:
        # A call without arguments comes without a word about them.
        yield CallDelta(part=call.part, arguments="{}")
    yield PartEnd(part=call.part)


_MARK = b'"message-end"'


class CohereTap:
    """Looks for the last event; all others cost one search for its mark."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        if self.finished:
            return
        data = self._rest + chunk
        self._rest = data[data.rfind(b"\n") + 1 :]
        if _MARK in data:
            for line in data.split(b"\n"):
                self._look(line)

    def _look(self, line: bytes) -> None:
        if _MARK not in line or not line.startswith(b"data:"):
            return
        try:
            delta = doc_of(doc_of(decode(line[5:])).get("delta"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The last line may not be complete yet; it is looked at again when it is.
            return
        self.usage = read_usage(delta.get("usage"))
        self.finish = read_finish(delta.get("finish_reason"))
        self.finished = True
