"""Streams of Gemini in: every event is a whole `GenerateContentResponse` with what is new.

There is no terminator: an answer is complete when a finish reason was seen. Some servers repeat the reason in every
event, so the reader tells it when the stream has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.conversation import (
    CallDelta,
    CallStart,
    CitationDelta,
    Delta,
    Doc,
    End,
    Failure,
    Finish,
    Finished,
    LogprobsDelta,
    Part,
    PartEnd,
    Signature,
    SignatureDelta,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import failure_of
from omniroute.wire.gemini_answer import (
    CallIds,
    read_answer_part,
    read_block,
    read_finish,
    read_logprobs,
    read_time,
    read_usage,
)
from omniroute.wire.gemini_doc import as_list
from omniroute.wire.gemini_errors import problem_of
from omniroute.wire.gemini_grounding import read_citations
from omniroute.wire.gemini_partial import PartialArguments
from omniroute.wire.gemini_parts import json_text, read_signature
from omniroute.wire.shapes import doc_of, text_of


class _Partial:
    """A function call of which more is to come."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.arguments = PartialArguments()
        self.signature: Signature | None = None


class _Candidate:
    """What a reader remembers of one choice."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.open: tuple[type[Part], int] | None = None
        self.texts: dict[int, list[str]] = {}
        self.partial: _Partial | None = None
        self.called = False
        self.finish: Any = None
        self.message: Any = None
        self.cited: set[tuple[int, str]] = set()

    @property
    def number(self) -> int:
        """Of the open piece."""
        return self.open[1] if self.open is not None else -1


class GeminiReader:
    """Events to deltas. Takes the elements of a JSON array as it takes SSE events."""

    def __init__(self) -> None:
        self._candidates: dict[int, _Candidate] = {}
        self._parts = 0
        self._ids = CallIds("")
        self._started = False
        self._over = False
        self._block: Finish | None = None
        self._usage: Usage | None = None

    def feed(self, event: Event) -> Iterable[Delta]:
        if self._over or event.data.strip() in (b"", b"[DONE]"):
            return []
        try:
            found = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedStream(f"an event of the stream is not JSON: {error}") from error
        docs = found if isinstance(found, list) else [found]
        return [delta for doc in docs for delta in self._document(doc_of(doc))]

    def end(self) -> Iterable[Delta]:
        if self._over:
            return []
        self._over = True
        finished = [candidate for candidate in self._candidates.values() if candidate.finish is not None]
        if finished or self._block is not None:
            return [*self._finish(finished), End()]
        message = "the stream ended before the answer was complete"
        return [Failure(kind="bad_gateway", message=message)]

    def _document(self, doc: Doc) -> Iterator[Delta]:
        error = doc_of(doc.get("error"))
        if self._over:
            return
        if error:
            self._over = True
            yield failure_of(problem_of(error))
            return
        if not self._started and doc:
            yield self._start(doc)
        for place, candidate in enumerate(as_list(doc.get("candidates"))):
            yield from self._candidate(doc_of(candidate), place)
        self._block = read_block(doc.get("promptFeedback")) or self._block
        usage = read_usage(doc.get("usageMetadata"))
        if usage is not None and usage != self._usage:
            self._usage = usage
            yield UsageDelta(usage=usage)

    def _start(self, doc: Doc) -> Start:
        self._started = True
        answer_id = text_of(doc.get("responseId"))
        self._ids = CallIds(answer_id)
        return Start(
            id=answer_id, model=text_of(doc.get("modelVersion")), created=read_time(doc.get("createTime"))
        )

    def _candidate(self, doc: Doc, place: int) -> Iterator[Delta]:
        index = doc.get("index")
        index = index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else place
        state = self._candidates.setdefault(index, _Candidate(index))
        for part in as_list(doc_of(doc.get("content")).get("parts")):
            yield from self._part(state, doc_of(part))
        logprobs = read_logprobs(doc.get("logprobsResult"))
        if logprobs is not None:
            yield LogprobsDelta(logprobs=logprobs, choice=index)
        yield from self._citations(state, doc)
        if read_finish(doc.get("finishReason"), calls=False) is not None:
            state.finish, state.message = doc["finishReason"], doc.get("finishMessage")

    def _part(self, state: _Candidate, doc: Doc) -> Iterator[Delta]:
        call = doc.get("functionCall")
        if isinstance(call, dict) and (state.partial or "willContinue" in call or "partialArgs" in call):
            yield from self._partial(state, call, doc)
            return
        part = read_answer_part(doc, self._ids)
        yield from _READ[type(part)](self, state, part) if type(part) in _READ else self._whole(state, part)

    def _text(self, state: _Candidate, part: Text) -> Iterator[Delta]:
        yield from self._prose(state, part, TextDelta)

    def _thinking(self, state: _Candidate, part: Thinking) -> Iterator[Delta]:
        yield from self._prose(state, part, ThinkingDelta)

    def _prose(
        self, state: _Candidate, part: Text | Thinking, delta: type[TextDelta] | type[ThinkingDelta]
    ) -> Iterator[Delta]:
        if not part.text and part.signature is None:
            return
        bare = not part.text and (state.open is None or state.open[0] is not type(part))
        yield from self._continue(state, type(part))
        number = state.number
        if part.text:
            if isinstance(part, Text):
                state.texts.setdefault(number, []).append(part.text)
            yield delta(part=number, text=part.text, choice=state.index)
        if part.signature is not None:
            # It seals its part: what follows is another one, or it would not be what was signed.
            yield SignatureDelta(part=number, signature=part.signature, redacted=bare, choice=state.index)
            yield from self._close(state)

    def _call(self, state: _Candidate, part: ToolCall) -> Iterator[Delta]:
        yield from self._close(state)
        state.called = True
        number = self._next()
        yield CallStart(part=number, id=part.id, name=part.name, signature=part.signature, choice=state.index)
        yield CallDelta(part=number, arguments=part.arguments, choice=state.index)
        yield PartEnd(part=number, choice=state.index)

    def _partial(self, state: _Candidate, call: Doc, doc: Doc) -> Iterator[Delta]:
        if state.partial is None:
            yield from self._close(state)
            state.called = True
            state.partial = _Partial(self._next())
            yield CallStart(
                part=state.partial.part,
                id=text_of(call.get("id")) or self._ids.fresh(),
                name=text_of(call.get("name")),
                signature=read_signature(doc),
                choice=state.index,
            )
        else:
            state.partial.signature = read_signature(doc) or state.partial.signature
        partial = state.partial
        partial.arguments.value.update(doc_of(call.get("args")))
        partial.arguments.add(call.get("partialArgs"))
        if call.get("willContinue") is not True:
            yield from self._end_partial(state)

    def _end_partial(self, state: _Candidate) -> Iterator[Delta]:
        partial = state.partial
        if partial is None:
            return
        state.partial = None
        arguments = json_text(partial.arguments.value)
        yield CallDelta(part=partial.part, arguments=arguments, choice=state.index)
        if partial.signature is not None:
            yield SignatureDelta(part=partial.part, signature=partial.signature, choice=state.index)
        yield PartEnd(part=partial.part, choice=state.index)

    def _whole(self, state: _Candidate, part: Part) -> Iterator[Delta]:
        yield from self._close(state)
        yield WholePart(part=self._next(), content=part, choice=state.index)

    def _citations(self, state: _Candidate, doc: Doc) -> Iterator[Delta]:
        """Sources come late and all at once, or grow from event to event; they are of the text so far."""
        if "groundingMetadata" not in doc and "citationMetadata" not in doc:
            return
        numbers = list(state.texts)
        texts = ["".join(state.texts[number]) for number in numbers]
        for place, citation in read_citations(doc, texts):
            key = (numbers[place], json_text(citation))
            if key not in state.cited:
                state.cited.add(key)
                yield CitationDelta(part=numbers[place], citation=citation, choice=state.index)

    def _continue(self, state: _Candidate, kind: type[Part]) -> Iterator[Delta]:
        """Go on with the open piece if it is of this kind, else close it and open one."""
        if state.open is not None and state.open[0] is kind and state.partial is None:
            return
        yield from self._close(state)
        state.open = (kind, self._next())

    def _close(self, state: _Candidate) -> Iterator[Delta]:
        yield from self._end_partial(state)
        if state.open is not None:
            number = state.open[1]
            state.open = None
            yield PartEnd(part=number, choice=state.index)

    def _next(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _finish(self, finished: list[_Candidate]) -> Iterator[Delta]:
        for state in self._candidates.values():
            yield from self._close(state)
        for state in finished:
            finish = read_finish(state.finish, state.message, calls=state.called)
            if finish is not None:
                yield Finished(finish=finish, choice=state.index)
        if not finished and self._block is not None:
            yield Finished(finish=self._block)


_READ: dict[type, Callable[[GeminiReader, _Candidate, Any], Iterator[Delta]]] = {
    Text: GeminiReader._text,
    Thinking: GeminiReader._thinking,
    ToolCall: GeminiReader._call,
}
