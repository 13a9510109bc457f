"""A streamed Chat Completions answer: the reader, and the tap for streams that pass as bytes.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from typing import Any

import msgspec

from omniroute.errors import MalformedStream
from omniroute.wire.codec import Event
from omniroute.wire.content import audio_media_type
from omniroute.wire.conversation import (
    Audio,
    CallDelta,
    CallStart,
    Citation,
    CitationDelta,
    Delta,
    Doc,
    End,
    Finish,
    Finished,
    LogprobsDelta,
    Ping,
    RefusalDelta,
    Signature,
    SignatureDelta,
    Source,
    Start,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Usage,
    UsageDelta,
    WholePart,
)
from omniroute.wire.failures import CUT, failure_of
from omniroute.wire.openai_chat_answer import (
    find_usage,
    made_id,
    read_finish,
    read_logprobs,
)
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.openai_chat_parts import (
    arguments_of,
    plain_reasoning,
    read_answer_content,
    read_citation,
    read_detail,
    read_extra_signature,
    read_images,
    read_sources,
)
from omniroute.wire.shapes import doc_of, docs_of, text_of
from omniroute.wire.think_tags import Piece, ThinkTags

# ── in ───────────────────────────────────────────────────────────────────────────────────────────


class _Call:
    """A tool call whose fragments are still coming."""

    __slots__ = ("arguments", "custom", "id", "name", "part", "started")

    def __init__(self) -> None:
        self.part = -1
        self.id = ""
        self.name = ""
        self.arguments = ""
        self.custom = False
        self.started = False


class _Choice:
    """What has come of one choice. `run` is the kind of the piece that is being written, `part` its number."""

    __slots__ = (
        "audio",
        "calls",
        "cited",
        "finished",
        "index",
        "order",
        "part",
        "run",
        "tags",
        "text_part",
        "thought",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.run = ""
        self.part = -1
        self.tags: ThinkTags | None = ThinkTags()
        self.text_part = -1
        self.thought: list[str] = []
        self.calls: dict[object, _Call] = {}
        self.order: list[_Call] = []
        self.audio: list[Doc] = []
        self.cited: list[Citation] = []
        self.finished = False


_READ_HERE = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content", "reasoning_details"})
"""What a delta mostly holds; only one that holds more is looked at for the rest."""


class _Delta(msgspec.Struct, forbid_unknown_fields=True):
    content: str
    role: str | None = None
    refusal: None = None
    reasoning: None = None
    reasoning_content: None = None


class _Entry(msgspec.Struct):
    delta: _Delta
    index: int = 0
    message: None = None
    finish_reason: None = None
    logprobs: None = None
    usage: None = None


class _Words(msgspec.Struct):
    """An event that holds a piece of text and nothing else that is read."""

    choices: tuple[_Entry]
    usage: None = None
    x_groq: None = None
    citations: None = None
    search_results: None = None
    error: None = None


_words = msgspec.json.Decoder(_Words).decode


class Reader:
    """Deltas from the chunks of any server that speaks the format.

    Parts are runs: text after reasoning is a new part, and so is reasoning after text. A call is known by its
    index, or its id where servers leave the index out or give all calls the same.
    """

    def __init__(self) -> None:
        self._parts = 0
        self._id = ""
        self._started = False
        self._ended = False
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._wordy = True
        """Whether no event with text has held something else, too."""

    def feed(self, event: Event) -> Iterable[Delta]:
        """Raises `MalformedStream` for a payload that is not JSON."""
        if self._wordy and b'"content":"' in event.data:
            words = self._running_text(event.data)
            if words is not None:
                return (words,)
        if self._ended or not event.data.strip():
            return ()
        if event.data.strip() == b"[DONE]":
            return self._finish()
        try:
            doc = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedStream(f"an event of the stream is not JSON: {error}") from error
        deltas: list[Delta] = []
        if isinstance(doc, dict):
            self._chunk(doc, deltas)
        if event.name == "error" or not deltas or "error" in doc:
            problem = problem_of_body(doc, event.name == "error")
            if problem is not None:
                self._ended = True
                return [*deltas, failure_of(problem)]
        return deltas or (Ping(),)

    def _running_text(self, data: bytes) -> TextDelta | None:
        """What most events are: one more piece of the text that is running. None for all others."""
        choice = self._choices.get(0)
        if (
            choice is None
            or choice.run != "text"
            or choice.tags is not None
            or choice.finished
            or self._ended
        ):
            return None
        try:
            (entry,) = _words(data).choices
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._wordy = False
            return None
        text = entry.delta.content
        return TextDelta(part=choice.part, text=text) if text and not entry.index else None

    def end(self) -> Iterable[Delta]:
        if self._ended:
            return ()
        if self._choices and all(choice.finished for choice in self._choices.values()):
            return self._finish()
        self._ended = True
        return (CUT,)

    def _finish(self) -> list[Delta]:
        """All has come. Some servers give no finish reason: their terminal event must do."""
        self._ended = True
        deltas: list[Delta] = []
        for choice in self._choices.values():
            if not choice.finished:
                self._finish_choice(choice, "", deltas)
        deltas.append(End())
        return deltas

    def _chunk(self, doc: Doc, deltas: list[Delta]) -> None:
        choices = docs_of(doc.get("choices"))
        id, model = text_of(doc.get("id")), text_of(doc.get("model"))
        if not self._started and (id or choices):
            self._started = True
            self._id = id
            created = doc.get("created")
            deltas.append(Start(id=id, model=model, created=created if isinstance(created, int) else 0))
        sources = read_sources(doc) if "citations" in doc or "search_results" in doc else []
        in_choice = False
        for entry in choices:
            in_choice = in_choice or "usage" in entry
            index = entry.get("index")
            index = index if isinstance(index, int) else 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index)
            choice.cited = sources or choice.cited
            self._choice(choice, entry, deltas)
        usage = find_usage(doc) if "usage" in doc or "x_groq" in doc or in_choice else None
        if usage is not None and usage != self._usage:
            self._usage = usage
            deltas.append(UsageDelta(usage=usage))

    def _choice(self, choice: _Choice, entry: Doc, deltas: list[Delta]) -> None:
        delta = doc_of(entry.get("delta")) or doc_of(entry.get("message"))
        self._reasoning(choice, delta, deltas)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._text(choice, content, deltas)
        elif content:
            self._chunks(choice, content, deltas)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            part = self._run(choice, "refusal")
            deltas.append(RefusalDelta(part=part, text=refusal, choice=choice.index))
        if not delta.keys() <= _READ_HERE:
            self._rest(choice, delta, deltas)
        logprobs = read_logprobs(entry.get("logprobs")) if entry.get("logprobs") else None
        if logprobs is not None:
            deltas.append(LogprobsDelta(logprobs=logprobs, choice=choice.index))
        word = entry.get("finish_reason")
        if word and isinstance(word, str) and not choice.finished:
            self._finish_choice(choice, word, deltas)

    def _rest(self, choice: _Choice, delta: Doc, deltas: list[Delta]) -> None:
        images = read_images(delta) if delta.get("images") else []
        deltas += [WholePart(part=self._whole(choice), content=i, choice=choice.index) for i in images]
        for annotation in docs_of(delta.get("annotations")):
            self._cite(choice, read_citation(annotation), deltas)
        if doc_of(delta.get("audio")):
            choice.audio.append(delta["audio"])
        self._calls(choice, delta, deltas)

    # pieces ──────────────────────────────────────────────────────────────────────────────────────

    def _new_part(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _run(self, choice: _Choice, kind: str) -> int:
        """The number of the running piece of this kind; a new one if another kind was running."""
        if choice.run != kind:
            choice.run = kind
            choice.part = self._new_part()
            if kind == "text":
                choice.text_part = choice.part
        return choice.part

    def _whole(self, choice: _Choice) -> int:
        choice.run = ""
        return self._new_part()

    def _text(self, choice: _Choice, content: str, deltas: list[Delta]) -> None:
        if choice.tags is None:
            deltas.append(TextDelta(part=self._run(choice, "text"), text=content, choice=choice.index))
            return
        pieces = choice.tags.feed(content)
        if choice.tags.settled:
            choice.tags = None
        self._said(choice, pieces, deltas)

    def _said(self, choice: _Choice, pieces: list[Piece], deltas: list[Delta]) -> None:
        for kind, text in pieces:
            part = self._run(choice, kind)
            delta = ThinkingDelta if kind == "thinking" else TextDelta
            deltas.append(delta(part=part, text=text, choice=choice.index))

    def _let_go(self, choice: _Choice, deltas: list[Delta]) -> None:
        """What was held back as the possible beginning of a tag was none."""
        if choice.tags is not None:
            tags, choice.tags = choice.tags, None
            self._said(choice, tags.end(), deltas)

    def _chunks(self, choice: _Choice, content: Any, deltas: list[Delta]) -> None:
        for part in read_answer_content(content):
            if isinstance(part, Text):
                if part.text:
                    number = self._run(choice, "text")
                    deltas.append(TextDelta(part=number, text=part.text, choice=choice.index))
            elif isinstance(part, Thinking):
                self._think(choice, part.text, deltas)
            else:
                deltas.append(WholePart(part=self._whole(choice), content=part, choice=choice.index))

    def _cite(self, choice: _Choice, citation: Citation, deltas: list[Delta]) -> None:
        if choice.text_part < 0:
            self._run(choice, "text")
        deltas.append(CitationDelta(part=choice.text_part, citation=citation, choice=choice.index))

    # reasoning ───────────────────────────────────────────────────────────────────────────────────

    def _reasoning(self, choice: _Choice, delta: Doc, deltas: list[Delta]) -> None:
        plain = plain_reasoning(delta)
        if plain:
            self._think(choice, plain, deltas)
        if not delta.get("reasoning_details"):
            return
        for entry in docs_of(delta["reasoning_details"]):
            detail = read_detail(entry)
            # A signed text may be there once more as a whole, after its fragments.
            if not plain and detail.text != "".join(choice.thought):
                self._think(choice, detail.text, deltas, detail.summary)
            if detail.signature is not None:
                self._sign_thinking(choice, detail.signature, detail.redacted, deltas)

    def _think(self, choice: _Choice, text: str, deltas: list[Delta], summary: bool = False) -> None:
        if text:
            if choice.run != "thinking":
                choice.thought = []
            choice.thought.append(text)
            part = self._run(choice, "thinking")
            deltas.append(ThinkingDelta(part=part, text=text, choice=choice.index, summary=summary))

    def _sign_thinking(
        self, choice: _Choice, signature: Signature, redacted: bool, deltas: list[Delta]
    ) -> None:
        part = self._whole(choice) if redacted else self._run(choice, "thinking")
        deltas.append(SignatureDelta(part=part, signature=signature, redacted=redacted, choice=choice.index))
        # What is signed is complete: more reasoning is another piece.
        choice.run = ""

    # calls ───────────────────────────────────────────────────────────────────────────────────────

    def _calls(self, choice: _Choice, delta: Doc, deltas: list[Delta]) -> None:
        first: _Call | None = None
        for entry in docs_of(delta.get("tool_calls")):
            call = self._call(choice, entry, deltas)
            first = first or call
        legacy = doc_of(delta.get("function_call"))
        if text_of(legacy.get("name")) or legacy.get("arguments"):
            self._call(choice, {"index": "legacy", "function": legacy}, deltas)
        signature = read_extra_signature(delta) if "extra_content" in delta else None
        if signature is not None:
            part = first.part if first is not None and first.started else self._run(choice, "text")
            deltas.append(SignatureDelta(part=part, signature=signature, choice=choice.index))

    def _call(self, choice: _Choice, entry: Doc, deltas: list[Delta]) -> _Call | None:
        function, custom = doc_of(entry.get("function")), doc_of(entry.get("custom"))
        is_custom = bool(custom.get("name") or custom.get("input")) and not function.get("name")
        body = custom if is_custom else function
        id, name = text_of(entry.get("id")), text_of(body.get("name"))
        arguments = arguments_of(body.get("input" if is_custom else "arguments"))
        call = self._find(choice, entry.get("index"), id, name, arguments)
        if call is None:
            if not (id or name or arguments):
                return None
            self._let_go(choice, deltas)
            call = self._open(choice, entry.get("index"), id)
        call.custom = call.custom or is_custom
        call.id = call.id or id
        call.name = call.name or name
        self._fragment(choice, call, arguments, deltas)
        signature = read_extra_signature(entry) if "extra_content" in entry else None
        if signature is not None and call.started:
            deltas.append(SignatureDelta(part=call.part, signature=signature, choice=choice.index))
        return call

    def _fragment(self, choice: _Choice, call: _Call, arguments: str, deltas: list[Delta]) -> None:
        """Start the call once its name is known; until then its arguments wait."""
        if call.started:
            call.arguments += arguments
            if arguments:
                deltas.append(CallDelta(part=call.part, arguments=arguments, choice=choice.index))
            return
        call.arguments += arguments
        if call.name:
            self._start_call(choice, call, deltas)

    def _start_call(self, choice: _Choice, call: _Call, deltas: list[Delta]) -> None:
        call.started = True
        id = call.id or made_id(f"{self._id}/{choice.index}", choice.order.index(call))
        kind = "custom" if call.custom else "function"
        deltas.append(
            CallStart(part=call.part, id=id, name=call.name, kind=kind, choice=choice.index)  # type: ignore[arg-type]  # a Literal
        )
        if call.arguments:
            deltas.append(CallDelta(part=call.part, arguments=call.arguments, choice=choice.index))

    def _open(self, choice: _Choice, index: object, id: str) -> _Call:
        call = _Call()
        call.part = self._whole(choice)
        choice.order.append(call)
        if isinstance(index, int | str):
            choice.calls[index] = call
        if id:
            choice.calls[id] = call
        return call

    def _find(self, choice: _Choice, index: object, id: str, name: str, arguments: str) -> _Call | None:
        """The call that a fragment continues; None if it begins one."""
        if isinstance(index, int | str):
            known = choice.calls.get(index)
        elif id:
            return choice.calls.get(id)
        else:
            known = choice.order[-1] if choice.order else None
        if known is None:
            return None
        if id and known.id and id != known.id:
            # All calls under one index: the id tells them apart, unless the server makes a new one per chunk.
            return choice.calls.get(id) if name else known
        if name and known.name and not id and (name != known.name or _is_next(known.arguments, arguments)):
            return None
        return known

    # the end ─────────────────────────────────────────────────────────────────────────────────────

    def _finish_choice(self, choice: _Choice, word: str, deltas: list[Delta]) -> None:
        choice.finished = True
        self._let_go(choice, deltas)
        for call in choice.order:
            if not call.started:
                self._start_call(choice, call, deltas)
        audio = _join_audio(choice.audio)
        if audio is not None:
            deltas.append(WholePart(part=self._whole(choice), content=audio, choice=choice.index))
        for citation in choice.cited:
            self._cite(choice, citation, deltas)
        finish = read_finish(word, bool(choice.order))
        deltas.append(Finished(finish=finish, choice=choice.index))


def _is_next(so_far: str, arguments: str) -> bool:
    """Whether arguments begin anew: what came is complete JSON, and this starts another object."""
    if not arguments.startswith("{") or not so_far.endswith("}"):
        return False
    try:
        msgspec.json.decode(so_far)
    except msgspec.DecodeError:
        return False
    return True


def _join_audio(pieces: list[Doc]) -> Audio | None:
    """One audio from its pieces, each of them base64 in its own right."""
    data = b"".join(_decoded(text_of(piece.get("data"))) for piece in pieces)
    transcript = "".join(text_of(piece.get("transcript")) for piece in pieces)
    if not data and not transcript:
        return None
    format = next((text_of(piece.get("format")) for piece in pieces if piece.get("format")), "pcm16")
    source = Source(data=b64encode(data).decode(), media_type=audio_media_type(format))
    id = next((text_of(piece.get("id")) for piece in pieces if piece.get("id")), None)
    return Audio(source=source, transcript=transcript or None, id=id)


def _decoded(data: str) -> bytes:
    try:
        return b64decode(data)
    except (Base64Error, ValueError):
        return b""


# ── tap ──────────────────────────────────────────────────────────────────────────────────────────


_SPACED_CALLS = (b'_calls": [{', b'_call": {')
_SPACED_MARKS = (*_SPACED_CALLS, b'"usage": {', b'_reason": "')
_LONGEST_MARK = 16
_PLAIN = b'"finish_reason":null}]}\n\n'
"""How most events end: with one that does nothing is asked but whether it is whole, and none of the rare ones."""


def _tells(text: bytes) -> bool:
    """Whether an event without spaces after its colons may hold a usage or a finish reason."""
    return b'"usage":{' in text or b'_reason":"' in text


class Tap:
    """Looks for usage, finish reason and end in passing bytes; parses only events that hold one of them.

    A finish reason counts as the end: not every server sends `[DONE]`. Each byte is searched once; lines are put
    together only if they hold a mark.
    """

    __slots__ = ("_called", "_marked", "_pieces", "_seam", "finish", "finished", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.finished = False
        self._pieces: list[bytes] = []
        self._marked = False
        self._seam = b""
        self._called = False

    def feed(self, chunk: bytes) -> None:
        if not self._pieces and chunk.endswith(_PLAIN) and self._is_plain(chunk):
            return
        window = self._seam + chunk
        self._seam = window[-_LONGEST_MARK:]
        marked = self._look(window)
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if cut:
            if marked or self._marked:
                for line in (b"".join(self._pieces) + chunk[:cut]).splitlines():
                    self._line(line)
            self._pieces = []
            self._marked = False
        rest = chunk[cut:]
        if rest:
            self._pieces.append(rest)
            self._marked = self._marked or marked
            if self._marked and rest.endswith((b"}", b"]")):
                # A last event may come without its line end.
                self._line(b"".join(self._pieces))

    def _is_plain(self, chunk: bytes) -> bool:
        """Whether this is one event without anything to note. What came before ended with its line: no mark is cut."""
        if chunk.find(b"\n\n") != len(chunk) - 2 or b"_call" in chunk or b'"usage"' in chunk:
            return False
        self._seam = b""
        return True

    def _look(self, window: bytes) -> bool:
        if b'_calls":[{' in window or b'_call":{' in window:
            self._called = True
        # Most servers write no space after a colon; the search for those that do costs only where one is.
        if b'": ' in window and any(mark in window for mark in _SPACED_MARKS):
            self._called = self._called or any(mark in window for mark in _SPACED_CALLS)
            return True
        return b"[DONE]" in window or _tells(window)

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.finished = True
            return
        if not data.endswith(b"}") or not (_tells(data) or b'": ' in data):
            return
        try:
            doc = doc_of(msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self.usage = find_usage(doc) or self.usage
        for choice in docs_of(doc.get("choices")):
            word = text_of(choice.get("finish_reason"))
            self.finished = self.finished or bool(word)
            if word and (self.finish is None or choice.get("index") in (0, None)):
                self.finish = read_finish(word, self._called)
