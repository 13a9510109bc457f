"""Answers of Gemini, both ways: candidates, finish reasons, grounding, log probabilities and usage.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from omniroute.wire.carried_thinking import carrying
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import (
    Answer,
    Choice,
    Doc,
    Finish,
    FinishReason,
    Notes,
    Opaque,
    Part,
    Text,
    ToolCall,
    Usage,
)
from omniroute.wire.gemini_doc import as_count, as_list
from omniroute.wire.gemini_grounding import read_citations, write_grounding
from omniroute.wire.gemini_parts import MADE_ID, WIRE, PartWriter, join_signatures, read_part
from omniroute.wire.gemini_settings import read_tier, write_tier
from omniroute.wire.shapes import doc_of, text_of

# ── finish ───────────────────────────────────────────────────────────────────────────────────────────

_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "malformed_call",
    "UNEXPECTED_TOOL_CALL": "malformed_call",
    "CONTINUATION": "pause",
    "LANGUAGE": "other",
    "OTHER": "other",
    "IMAGE_OTHER": "other",
    "NO_IMAGE": "other",
    "TOO_MANY_TOOL_CALLS": "other",
    "MISSING_THOUGHT_SIGNATURE": "other",
    "MALFORMED_RESPONSE": "other",
}

_NUMBERED = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
)
"""What a number means for clients that asked for `enum-encoding=int`."""

_NATIVE: dict[FinishReason, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "context_length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "malformed_call": "MALFORMED_FUNCTION_CALL",
    "pause": "OTHER",
    "other": "OTHER",
}


def read_finish(value: Any, message: Any = None, *, calls: bool) -> Finish | None:
    """The finish of a candidate; None while it has none. Gemini says STOP after function calls as well."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = _NUMBERED[value] if 0 <= value < len(_NUMBERED) else str(value)
    native = text_of(value)
    if native in ("", "FINISH_REASON_UNSPECIFIED"):
        return None
    reason = _REASONS.get(native, "other")
    if reason == "stop" and calls:
        reason = "tool_calls"
    return Finish(reason=reason, native=native, message=text_of(message) or None)


def read_block(feedback: Any) -> Finish | None:
    """The finish of an answer whose prompt was blocked: there is no candidate then."""
    reason = doc_of(feedback).get("blockReason")
    if not reason:
        return None
    message = text_of(doc_of(feedback).get("blockReasonMessage"))
    return Finish(reason="content_filter", native=str(reason), message=message or None)


def write_finish(finish: Finish | None) -> Doc:
    """`finishReason` and `finishMessage`; the native word if it says the same."""
    if finish is None:
        return {}
    native = finish.native or ""
    meant = read_finish(native, calls=finish.reason == "tool_calls")
    word = (
        native
        if meant is not None and native in _REASONS and meant.reason == finish.reason
        else _NATIVE[finish.reason]
    )
    return {"finishReason": word} | ({"finishMessage": finish.message} if finish.message else {})


# ── usage ────────────────────────────────────────────────────────────────────────────────────────────

_AUDIO = ("AUDIO", 4)
_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)


def read_usage(value: Any) -> Usage | None:
    """None when nothing was counted: early events of a stream carry `usageMetadata` without a single count."""
    meta = doc_of(value)
    if not any(name in meta for name in _COUNTS):
        return None
    thoughts = as_count(meta.get("thoughtsTokenCount"))
    tool_input = as_count(meta.get("toolUsePromptTokenCount"))
    return Usage(
        input=as_count(meta.get("promptTokenCount")) + tool_input,
        output=as_count(meta.get("candidatesTokenCount")) + thoughts,
        cached=as_count(meta.get("cachedContentTokenCount")),
        tool_input=tool_input,
        reasoning=thoughts,
        audio_input=_audio(meta.get("promptTokensDetails")),
        audio_output=_audio(meta.get("candidatesTokensDetails")),
    )


def _audio(details: Any) -> int:
    entries = [doc_of(entry) for entry in as_list(details)]
    return sum(as_count(entry.get("tokenCount")) for entry in entries if entry.get("modality") in _AUDIO)


def write_usage(usage: Usage) -> Doc:
    prompt, candidates = usage.input - usage.tool_input, usage.output - usage.reasoning
    meta: Doc = {"promptTokenCount": max(prompt, 0), "candidatesTokenCount": max(candidates, 0)}
    optional = {
        "thoughtsTokenCount": usage.reasoning,
        "toolUsePromptTokenCount": usage.tool_input,
        "cachedContentTokenCount": usage.cached,
        "promptTokensDetails": _modalities(prompt, usage.audio_input),
        "candidatesTokensDetails": _modalities(candidates, usage.audio_output),
    }
    return (
        meta | {name: value for name, value in optional.items() if value} | {"totalTokenCount": usage.total}
    )


def _modalities(total: int, audio: int) -> list[Doc]:
    """Said only where it says more than the total."""
    if not audio:
        return []
    return [
        {"modality": "TEXT", "tokenCount": max(total - audio, 0)},
        {"modality": "AUDIO", "tokenCount": audio},
    ]


# ── log probabilities: the canonical form is that of Chat Completions ────────────────────────────────


def read_logprobs(value: Any) -> Doc | None:
    result = doc_of(value)
    chosen = as_list(result.get("chosenCandidates"))
    if not chosen:
        return None
    tops = [as_list(doc_of(step).get("candidates")) for step in as_list(result.get("topCandidates"))]
    tops += [[] for _ in range(len(chosen) - len(tops))]
    return {
        "content": [
            {**_token(token), "top_logprobs": [_token(other) for other in top]}
            for token, top in zip(chosen, tops, strict=False)
        ]
    }


def _token(value: Any) -> Doc:
    candidate = doc_of(value)
    text = text_of(candidate.get("token"))
    logprob = candidate.get("logProbability")
    return {
        "token": text,
        "logprob": logprob if isinstance(logprob, int | float) else 0.0,
        "bytes": list(text.encode()),
    }


def write_logprobs(logprobs: Doc | None) -> Doc:
    tokens = [doc_of(token) for token in as_list(doc_of(logprobs).get("content"))]
    if not tokens:
        return {}
    tops = [
        {"candidates": [_candidate(other) for other in as_list(token.get("top_logprobs"))]}
        for token in tokens
    ]
    result: Doc = {"chosenCandidates": [_candidate(token) for token in tokens]}
    if any(top["candidates"] for top in tops):
        result["topCandidates"] = tops
    return {"logprobsResult": result}


def _candidate(value: Any) -> Doc:
    token = doc_of(value)
    return {"token": text_of(token.get("token")), "logProbability": token.get("logprob", 0.0)}


# ── answer in ────────────────────────────────────────────────────────────────────────────────────────

_CANDIDATE_KEYS = ("content", "finishReason", "finishMessage", "index", "logprobsResult")
_ANSWER_KEYS = ("candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "promptFeedback")


def read_answer(doc: Doc) -> Answer:
    answer = Answer(
        id=text_of(doc.get("responseId")),
        model=text_of(doc.get("modelVersion")),
        created=read_time(doc.get("createTime")),
        usage=read_usage(doc.get("usageMetadata")),
    )
    answer.service_tier = read_tier(doc_of(doc.get("usageMetadata")).get("serviceTier"))
    candidates = [doc_of(candidate) for candidate in as_list(doc.get("candidates"))]
    ids = CallIds(answer.id)
    answer.choices = [_read_candidate(candidate, ids) for candidate in candidates]
    blocked = read_block(doc.get("promptFeedback"))
    if blocked is not None and not candidates:
        answer.choices = [Choice(finish=blocked)]
    extras = _answer_extras(doc, candidates)
    if extras:
        answer.extras = {WIRE: extras}
    return answer


def _answer_extras(doc: Doc, candidates: list[Doc]) -> Doc:
    extras = {key: value for key, value in doc.items() if key not in _ANSWER_KEYS}
    rests = [{k: v for k, v in candidate.items() if k not in _CANDIDATE_KEYS} for candidate in candidates]
    if any(rests):
        extras["candidates"] = rests
    uncounted = {k: v for k, v in doc_of(doc.get("usageMetadata")).items() if k not in _COUNTS}
    return extras | {
        key: rest
        for key, rest in (("promptFeedback", doc.get("promptFeedback")), ("usageMetadata", uncounted))
        if rest
    }


def _read_candidate(candidate: Doc, ids: CallIds) -> Choice:
    docs = as_list(doc_of(candidate.get("content")).get("parts"))
    parts = join_signatures(read_answer_part(doc_of(doc), ids) for doc in docs)
    calls = any(isinstance(part, ToolCall) for part in parts)
    for place, citation in read_citations(
        candidate, [part.text if isinstance(part, Text) else None for part in parts]
    ):
        target = parts[place]
        if isinstance(target, Text):
            target.citations = [*target.citations, citation]
    return Choice(
        parts=parts,
        finish=read_finish(candidate.get("finishReason"), candidate.get("finishMessage"), calls=calls),
        logprobs=read_logprobs(candidate.get("logprobsResult")),
    )


def read_answer_part(doc: Doc, ids: CallIds) -> Part:
    """Whatever an answer holds: what is not known is kept as it is."""
    part = read_part(doc)
    if part is None:
        return Opaque(wire=WIRE, doc=doc, label=next(iter(doc), "part"))
    if isinstance(part, ToolCall) and not part.id:
        return msgspec.structs.replace(part, id=ids.fresh())
    return part


class CallIds:
    """Ids for the calls of one answer that come without: unlike those of any other answer, so that a conversation
    of many turns never has one twice, and made of the answer's own id where it has one."""

    def __init__(self, answer_id: str) -> None:
        self._stem = "".join(char for char in answer_id if char.isalnum())[-24:] or uuid.uuid4().hex[:24]
        self._count = 0

    def fresh(self) -> str:
        self._count += 1
        return f"{MADE_ID}{self._stem}_{self._count}"


def read_time(value: Any) -> int:
    """Epoch seconds of an RFC 3339 time; 0 for what is none."""
    try:
        return int(datetime.fromisoformat(text_of(value).replace("Z", "+00:00")).timestamp())
    except (ValueError, OverflowError):
        return 0


# ── answer out ───────────────────────────────────────────────────────────────────────────────────────


def write_answer(answer: Answer, reference: Reference, notes: Notes) -> Doc:
    extras = answer.extras.get(WIRE, {})
    doc: Doc = {}
    feedback = extras.get("promptFeedback")
    if not (feedback and all(not choice.parts for choice in answer.choices)):
        rests = as_list(extras.get("candidates"))
        rests = rests if len(rests) == len(answer.choices) else [{} for _ in answer.choices]
        doc["candidates"] = [
            _write_candidate(choice, index, rest, notes)
            for index, (choice, rest) in enumerate(zip(answer.choices, rests, strict=True))
        ]
    doc |= {key: value for key, value in extras.items() if key != "candidates"}
    tier = write_tier(answer.service_tier)
    # The usual tier goes without saying: the SDK's types are one field behind the server.
    told = {"serviceTier": tier} if tier not in (None, "standard") else {}
    usage = (write_usage(answer.usage) if answer.usage is not None else {}) | told
    usage |= doc_of(extras.get("usageMetadata"))
    if usage:
        doc["usageMetadata"] = usage
    doc["modelVersion"] = reference.model
    doc["responseId"] = answer.id or reference.new_id("")
    return doc


def _write_candidate(choice: Choice, index: int, rest: Doc, notes: Notes) -> Doc:
    parts = write_answer_parts(carrying(choice.parts, WIRE), notes)
    candidate: Doc = {"content": {"parts": [doc for doc, _ in parts], "role": "model"}}
    candidate |= write_finish(choice.finish) | {"index": index} | write_logprobs(choice.logprobs)
    cited = [
        (place, part.text, part.citations)
        for place, (_, part) in enumerate(parts)
        if isinstance(part, Text) and part.citations
    ]
    sources = {} if rest.keys() & {"groundingMetadata", "citationMetadata"} else write_grounding(cited)
    return candidate | sources | rest


def write_answer_parts(parts: Iterable[Part], notes: Notes) -> list[tuple[Doc, Part]]:
    """The parts as they go to a client, each with what it was made from."""
    writer = PartWriter(notes, answer=True)
    return [(doc, part) for part in parts if (doc := writer.write(part)) is not None]
