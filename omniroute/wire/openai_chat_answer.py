"""A plain Chat Completions answer, in and out, with its usage and its finish reasons.

https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from omniroute.errors import UpstreamError
from omniroute.wire.carried_thinking import carrying
from omniroute.wire.codec import Glance, Reference
from omniroute.wire.content import audio_media_type, url_of_source
from omniroute.wire.conversation import (
    Answer,
    Audio,
    Choice,
    Citation,
    Doc,
    Finish,
    FinishReason,
    Image,
    Notes,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    Video,
)
from omniroute.wire.conversation import File as FilePart
from omniroute.wire.custom_calls import free_text
from omniroute.wire.losses import label_of
from omniroute.wire.openai_chat_errors import problem_of_body
from omniroute.wire.openai_chat_messages import attach_signature
from omniroute.wire.openai_chat_parts import (
    TIERS,
    WIRE,
    arguments_of,
    read_answer_content,
    read_call,
    read_citation,
    read_images,
    read_reasoning,
    read_sources,
    write_call,
    write_detail,
    write_extra_signature,
)
from omniroute.wire.shapes import doc_of, docs_of, text_of
from omniroute.wire.think_tags import split_think

# ── finish ───────────────────────────────────────────────────────────────────────────────────────

_FINISH_IN: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "context_length",
    "model_context_window_exceeded": "context_length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "malformed_function_call": "malformed_call",
}
"""The words of the format and of servers that speak it loosely, in lower case."""

FINISH_OUT: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "context_length": "length",
    "malformed_call": "stop",
    "other": "stop",
}


def read_finish(word: str, called: bool) -> Finish:
    """A finish reason. Not all servers tell calls from a stop: an answer with calls ends for them."""
    reason = _FINISH_IN.get(word.lower(), "other") if word else "stop"
    if called and reason == "stop":
        reason = "tool_calls"
    return Finish(reason=reason, native=word or None)


def write_finish(finish: Finish | None, called: bool) -> str:
    word = FINISH_OUT[finish.reason] if finish is not None else "stop"
    return "tool_calls" if called and word == "stop" else word


# ── usage ────────────────────────────────────────────────────────────────────────────────────────


_TOTALS = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)

NUMBERS = (int, float)
"""As a tuple: a union would be made anew for every count of every event."""


def _count(doc: Doc, *keys: str) -> int:
    """The first of these counts that is there and not zero."""
    for key in keys:
        value = doc.get(key)
        if value and isinstance(value, NUMBERS) and value > 0:
            return int(value)
    return 0


def read_usage(given: Any) -> Usage | None:
    """Usage in any server's words.

    Some leave reasoning out of `completion_tokens`. Either `total_tokens` shows it, or reasoning is larger
    than the output that should hold it; a difference of a few tokens is only loose counting. Likewise some leave
    cached tokens out of `prompt_tokens`: then there are more of them than of the prompt that should hold them.
    """
    if not given:
        return None
    usage = doc_of(given)
    if not ("prompt_tokens" in usage or "completion_tokens" in usage or "total_tokens" in usage):
        return None
    prompt = doc_of(usage.get("prompt_tokens_details"))
    completion = doc_of(usage.get("completion_tokens_details"))
    total, input = _count(usage, "total_tokens"), _count(usage, "prompt_tokens")
    said = _count(usage, "completion_tokens")
    if not prompt and not completion and usage.keys() <= _TOTALS:
        # Most compatible servers tell no more than these.
        output = max(said, total - input)
        return Usage(input=input, output=output, reasoning=output - said)
    reasoning = _count(completion, "reasoning_tokens") or _count(usage, "reasoning_tokens")
    output = max(said, total - input)
    if output == said and reasoning > 2 * said:
        output += reasoning
    cached = _count(prompt, "cached_tokens") or _count(
        usage, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"
    )
    return Usage(
        input=input + cached if cached > input else input,
        output=output,
        cached=cached,
        cache_write=_count(prompt, "cache_write_tokens") or _count(usage, "cache_creation_input_tokens"),
        audio_input=_count(prompt, "audio_tokens"),
        reasoning=min(output, max(reasoning, output - said if not reasoning else 0)),
        audio_output=_count(completion, "audio_tokens"),
        accepted_prediction=_count(completion, "accepted_prediction_tokens"),
        rejected_prediction=_count(completion, "rejected_prediction_tokens"),
    )


def find_usage(doc: Doc) -> Usage | None:
    """The usage of an answer or a chunk, wherever the server puts it."""
    found = read_usage(doc.get("usage")) or read_usage(doc_of(doc.get("x_groq")).get("usage"))
    if found is not None:
        return found
    for choice in docs_of(doc.get("choices")):
        found = read_usage(choice.get("usage")) if "usage" in choice else None
        if found is not None:
            return found
    return None


def write_usage(usage: Usage) -> Doc:
    prompt = {"cached_tokens": usage.cached, "audio_tokens": usage.audio_input}
    written = usage.cache_write + usage.cache_write_1h
    if written:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": usage.accepted_prediction,
            "rejected_prediction_tokens": usage.rejected_prediction,
        },
    }


# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_answer(doc: Doc) -> Answer:
    """Raises `UpstreamError` when the body, for all its status 200, holds an error and no answer."""
    choices = docs_of(doc.get("choices"))
    problem = problem_of_body(doc) if not choices else None
    if problem is not None:
        raise UpstreamError(problem)
    answer = Answer(
        id=text_of(doc.get("id")),
        model=text_of(doc.get("model")),
        created=_count(doc, "created"),
        choices=[_read_choice(choice, doc) for choice in choices],
        usage=find_usage(doc),
        service_tier=text_of(doc.get("service_tier")) or None,
    )
    sources = read_sources(doc)
    for choice in answer.choices:
        text = next((p for p in choice.parts if isinstance(p, Text)), None)
        if text is not None and not text.citations:
            text.citations = sources
    return answer


def _read_choice(choice: Doc, doc: Doc) -> Choice:
    message = doc_of(choice.get("message")) or doc_of(choice.get("delta"))
    parts = read_message(message, text_of(doc.get("id")), choice.get("index"))
    word = text_of(choice.get("finish_reason"))
    called = any(isinstance(part, ToolCall) for part in parts)
    return Choice(
        parts=parts, finish=read_finish(word, called), logprobs=read_logprobs(choice.get("logprobs"))
    )


def read_logprobs(given: Any) -> Doc | None:
    """Log probabilities, unless all that is there is null."""
    logprobs = doc_of(given)
    return logprobs if any(logprobs.values()) else None


def read_message(message: Doc, answer_id: str, choice: Any) -> list[Part]:
    """The parts of an assistant message, in the order reasoning, text, refusal, images, audio, calls."""
    parts: list[Part] = [*read_reasoning(message), *_read_said(message.get("content"))]
    text = next((p for p in reversed(parts) if isinstance(p, Text)), None)
    annotations = [read_citation(a) for a in docs_of(message.get("annotations"))]
    if annotations:
        if text is None:
            text = Text(text="")
            parts.append(text)
        text.citations = annotations
    if text_of(message.get("refusal")):
        parts.append(Refusal(text=message["refusal"]))
    parts += read_images(message)
    audio = read_audio(message.get("audio"))
    if audio is not None:
        parts.append(audio)
    parts += _read_calls(message, f"{answer_id}/{choice}")
    attach_signature(message, parts, parts)
    return parts


def _read_said(content: Any) -> list[Part]:
    if not isinstance(content, str):
        return read_answer_content(content)
    return [_PIECES[kind](text=text) for kind, text in split_think(content)]


_PIECES: dict[str, type[Text] | type[Thinking]] = {"text": Text, "thinking": Thinking}


def read_audio(given: Any) -> Audio | None:
    """Spoken content; None when all of it is empty."""
    audio = doc_of(given)
    data, transcript = text_of(audio.get("data")), text_of(audio.get("transcript"))
    if not data and not transcript:
        return None
    source = Source(data=data, media_type=audio_media_type(text_of(audio.get("format"))))
    return Audio(source=source, transcript=transcript or None, id=text_of(audio.get("id")) or None)


def _read_calls(message: Doc, place: str) -> list[ToolCall]:
    calls = []
    for index, doc in enumerate(docs_of(message.get("tool_calls"))):
        call = read_call(doc, made_id(place, index))
        if call is not None:
            calls.append(call)
    legacy = doc_of(message.get("function_call"))
    if text_of(legacy.get("name")):
        arguments = arguments_of(legacy.get("arguments")) or "{}"
        calls.append(ToolCall(id=made_id(place, len(calls)), name=legacy["name"], arguments=arguments))
    return calls


def made_id(place: str, index: int) -> str:
    """An id for a call to which the server gave none: always the same for the same place."""
    return f"call_{hashlib.sha256(f'{place}/{index}'.encode()).hexdigest()[:24]}"


# ── out ──────────────────────────────────────────────────────────────────────────────────────────


class Habits(msgspec.Struct, frozen=True):
    """What a client's request says about the form of its answer.

    `legacy`: it knows `function_call`, not `tool_calls`. `custom`: the names of its free-form tools, which an
    upstream may have called as functions with the one argument `input`.
    """

    legacy: bool = False
    custom: frozenset[str] = frozenset()
    include_usage: bool = False


def habits_of(request: Doc) -> Habits:
    tools = docs_of(request.get("tools"))
    customs = (text_of(doc_of(t.get("custom")).get("name")) for t in tools if t.get("type") == "custom")
    return Habits(
        legacy=bool(request.get("functions")) and not tools,
        custom=frozenset(customs),
        include_usage=doc_of(request.get("stream_options")).get("include_usage") is True,
    )


def answer_id(given: str, reference: Reference) -> str:
    """The upstream's id where it is one of this format, else a fresh one."""
    return given if given.startswith("chatcmpl-") else reference.new_id("chatcmpl-")


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    habits = habits_of(reference.request)
    doc: Doc = {
        "id": answer_id(answer.id, reference),
        "object": "chat.completion",
        "created": reference.created,
        "model": reference.model,
        "choices": [
            _write_choice(choice, index, habits, reference, notes)
            for index, choice in enumerate(answer.choices or [Choice()])
        ],
    }
    if answer.usage is not None:
        doc["usage"] = write_usage(answer.usage)
    if answer.service_tier in TIERS:
        doc["service_tier"] = answer.service_tier
    return doc


def _write_choice(choice: Choice, index: int, habits: Habits, reference: Reference, notes: Notes) -> Doc:
    message = _write_message(carrying(choice.parts, WIRE), habits, reference, notes)
    word = write_finish(choice.finish, any(isinstance(p, ToolCall) for p in choice.parts))
    return {
        "index": index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": "function_call" if word == "tool_calls" and habits.legacy else word,
    }


def _write_message(parts: list[Part], habits: Habits, reference: Reference, notes: Notes) -> Doc:
    texts = [p for p in parts if isinstance(p, Text)]
    content = "".join(part.text for part in texts)
    calls = [p for p in parts if isinstance(p, ToolCall)]
    refusal = "".join(p.text for p in parts if isinstance(p, Refusal))
    spoken = any(isinstance(p, Audio) for p in parts)
    message: Doc = {
        "role": "assistant",
        "content": None if not content and (calls or refusal or spoken) else content,
        "refusal": refusal or None,
    }
    _add_reasoning(message, [p for p in parts if isinstance(p, Thinking)])
    annotations = _write_annotations(texts, notes)
    if annotations:
        message["annotations"] = annotations
    _add_media(message, parts, reference, notes)
    _add_calls(message, calls, habits, reference, notes)
    for part in texts:
        if part.signature is not None:
            message["extra_content"] = write_extra_signature(part.signature)
    return message


def _add_reasoning(message: Doc, thinking: list[Thinking]) -> None:
    shown = "\n\n".join(part.text for part in thinking if part.text)
    if shown:
        message["reasoning_content"] = shown
    if any(part.signature is not None for part in thinking):
        message["reasoning_details"] = [write_detail(part, i) for i, part in enumerate(thinking)]


def _write_annotations(texts: list[Text], notes: Notes) -> list[Doc]:
    """Citations, with offsets into the whole content instead of into their own part."""
    annotations: list[Doc] = []
    base = 0
    for text in texts:
        for citation in text.citations:
            annotation = write_annotation(citation, base, base + len(text.text))
            if annotation is None:
                notes.drop("citations")
            else:
                annotations.append(annotation)
        base += len(text.text)
    return annotations


def write_annotation(citation: Citation, start: int, end: int) -> Doc | None:
    """An entry of `annotations` for a citation of the text from `start` to `end`; None if it has no URL."""
    if citation.wire == WIRE and citation.native is not None:
        return citation.native
    if citation.url is None:
        return None
    cited: Doc = {
        "url": citation.url,
        "title": citation.title or citation.url,
        "start_index": start + citation.start if citation.start is not None else start,
        "end_index": start + citation.end if citation.end is not None else end,
    }
    return {"type": "url_citation", "url_citation": cited}


def _add_media(message: Doc, parts: list[Part], reference: Reference, notes: Notes) -> None:
    for part in parts:
        if isinstance(part, Image):
            message.setdefault("images", []).extend(write_images(part))
        elif isinstance(part, Audio):
            message["audio"] = write_audio(part, reference)
        elif isinstance(part, Opaque | FilePart | Video | ToolResult):
            notes.drop(label_of(part))


def write_images(part: Image) -> list[Doc]:
    url = url_of_source(part.source)
    return [{"type": "image_url", "image_url": {"url": url}}] if url is not None else []


def write_audio(part: Audio, reference: Reference) -> Doc:
    return {
        "id": part.id or reference.new_id("audio_"),
        "data": part.source.data or "",
        "transcript": part.transcript or "",
        "expires_at": reference.created + 3600,
    }


def _add_calls(
    message: Doc, calls: list[ToolCall], habits: Habits, reference: Reference, notes: Notes
) -> None:
    if not calls:
        return
    if habits.legacy:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
        if len(calls) > 1:
            notes.drop("tool_calls[1:]")
        return
    message["tool_calls"] = [_write_client_call(call, habits, reference) for call in calls]


def _write_client_call(call: ToolCall, habits: Habits, reference: Reference) -> Doc:
    doc = write_call(call)
    if call.kind == "function" and call.name in habits.custom:
        body = {"name": call.name, "input": free_text(call.arguments)}
        doc = {"id": call.id, "type": "custom", "custom": body}
    doc["id"] = doc["id"] or reference.new_id("call_")
    if call.signature is not None:
        doc["extra_content"] = write_extra_signature(call.signature)
    return doc


# ── glance ───────────────────────────────────────────────────────────────────────────────────────


class _GlancedMessage(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()


class _GlancedChoice(msgspec.Struct):
    message: _GlancedMessage | None = None
    finish_reason: str | None = None


class _GlancedAnswer(msgspec.Struct):
    model: str | None = None
    choices: list[_GlancedChoice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_GLANCER = msgspec.json.Decoder(_GlancedAnswer)
_SPEAKS_FOR_ITSELF = frozenset({"length", "content_filter", "refusal", "context_length", "malformed_call"})
"""Finish reasons that explain an answer without content."""
_NOTHING = frozenset({b"", b"null", b'""', b"[]", b"{}"})


def glance(raw: bytes) -> Glance:
    """Raises `msgspec.DecodeError` when `raw` is not JSON."""
    try:
        seen = _GLANCER.decode(raw)
    except msgspec.ValidationError:
        return _glance_slowly(msgspec.json.decode(raw))
    problem = None
    if seen.error or not seen.choices:
        problem = problem_of_body(msgspec.json.decode(raw))
    choice = seen.choices[0] if seen.choices else None
    if choice is None:
        return Glance(usage=read_usage(seen.usage), model=seen.model or "", empty=True, problem=problem)
    message = choice.message or _GlancedMessage()
    finish = read_finish(choice.finish_reason or "", bytes(message.tool_calls) not in _NOTHING)
    said = bytes(message.content) not in _NOTHING or any(
        bytes(getattr(message, field)) not in _NOTHING for field in message.__struct_fields__
    )
    return Glance(
        usage=read_usage(seen.usage) or find_usage(msgspec.json.decode(raw)),
        finish=finish,
        model=seen.model or "",
        empty=not said and finish.reason not in _SPEAKS_FOR_ITSELF,
        problem=problem,
    )


def _glance_slowly(doc: Any) -> Glance:
    """For answers whose types are odd somewhere."""
    problem = problem_of_body(doc)
    if not docs_of(doc_of(doc).get("choices")):
        return Glance(empty=True, problem=problem, usage=find_usage(doc_of(doc)))
    answer = read_answer(doc)
    choice = answer.choices[0]
    finish = choice.finish or Finish()
    empty = not choice.parts and finish.reason not in _SPEAKS_FOR_ITSELF
    return Glance(usage=answer.usage, finish=finish, model=answer.model, empty=empty, problem=problem)
