"""Gemini generateContent answers, by Google's API reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.fidelity.meaning import Choice, Failure, Meaning, Usage, call, kind_of_status

FINISH = {
    "STOP": "stop",
    1: "stop",
    "MAX_TOKENS": "length",
    2: "length",
    "SAFETY": "filter",
    "RECITATION": "filter",
    "BLOCKLIST": "filter",
    "PROHIBITED_CONTENT": "filter",
    "SPII": "filter",
    "IMAGE_SAFETY": "filter",
    "MODEL_ARMOR": "filter",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    None: "none",
}

ERROR_KIND = {
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "INTERNAL": "server",
    "UNAVAILABLE": "server",
    "DEADLINE_EXCEEDED": "server",
}

SERVER_PARTS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


def read(doc: dict[str, Any]) -> Meaning:
    """A plain answer."""
    return read_stream([doc])


def read_stream(chunks: Iterable[dict[str, Any]]) -> Meaning:
    """A streamed answer: parts in a row, the last usage."""
    choices: dict[int, Choice] = {}
    last_usage: Usage | None = None
    blocked = False
    for chunk in chunks:
        if chunk.get("error"):
            return Meaning(error=error(chunk, None))
        blocked = blocked or bool((chunk.get("promptFeedback") or {}).get("blockReason"))
        last_usage = usage(chunk.get("usageMetadata")) or last_usage
        for candidate in chunk.get("candidates") or []:
            _candidate(choices.setdefault(candidate.get("index") or 0, Choice()), candidate)
    if blocked and not choices:
        choices[0] = Choice(finish="filter")
    return Meaning([choices[i] for i in sorted(choices)], last_usage)


def _candidate(choice: Choice, candidate: dict[str, Any]) -> None:
    for part in (candidate.get("content") or {}).get("parts") or []:
        _part(choice, part)
    if candidate.get("finishReason"):
        choice.finish = FINISH.get(candidate["finishReason"], "other")
    grounding = candidate.get("groundingMetadata") or {}
    for chunk in grounding.get("groundingChunks") or []:
        source = chunk.get("web") or chunk.get("retrievedContext") or {}
        choice.citations.add(source.get("uri") or f"grounding:{source.get('title')}")
    choice.logprobs = choice.logprobs or bool(candidate.get("logprobsResult"))


def _part(choice: Choice, part: dict[str, Any]) -> None:
    if part.get("functionCall") is not None:
        _call(choice, part["functionCall"])
    elif part.get("inlineData"):
        kind = part["inlineData"].get("mimeType") or ""
        choice.images += kind.startswith("image/")
        choice.audio += kind.startswith("audio/")
    elif isinstance(part.get("text"), str):
        (choice.reasoning if part.get("thought") else choice.texts).append(part["text"])
    choice.server += [name for name in SERVER_PARTS if part.get(name)]


def _call(choice: Choice, doc: dict[str, Any]) -> None:
    """A whole call, or a piece of one: with a name it begins a call, without one it goes on with the last."""
    if doc.get("name"):
        choice.calls.append(call(doc["name"], doc.get("args") or {}))
    for piece in doc.get("partialArgs") or []:
        arguments, place = choice.calls[-1].arguments, str(piece.get("jsonPath")).removeprefix("$.")
        if "stringValue" in piece:
            arguments[place] = arguments.get(place, "") + piece["stringValue"]
        else:
            arguments[place] = piece.get("numberValue", piece.get("boolValue"))


def usage(doc: dict[str, Any] | None) -> Usage | None:
    if not doc or not isinstance(doc.get("promptTokenCount"), int):
        return None
    thoughts = doc.get("thoughtsTokenCount")
    return Usage(
        input=doc["promptTokenCount"] + (doc.get("toolUsePromptTokenCount") or 0),
        output=(doc.get("candidatesTokenCount") or 0) + (thoughts or 0),
        cached=doc.get("cachedContentTokenCount"),
        reasoning=thoughts,
    )


def error(doc: Any, status: int | None) -> Failure:
    """An error's body; a stream's array of one as well."""
    if isinstance(doc, list):
        doc = doc[0] if doc else {}
    inner = (doc.get("error") if isinstance(doc, dict) else None) or {}
    if not isinstance(inner, dict):
        inner = {"message": str(inner)}
    status = status or inner.get("code")
    # `INVALID_ARGUMENT` goes with 400 and 413 alike: there the status tells more.
    kind = ERROR_KIND.get(inner.get("status") or "") or kind_of_status(status)
    return Failure(kind, status, str(inner.get("message") or ""), _retry_delay(inner))


def _retry_delay(inner: dict[str, Any]) -> str | None:
    """What `google.rpc.RetryInfo` says: seconds with an `s`."""
    for detail in inner.get("details") or []:
        if isinstance(detail, dict) and str(detail.get("@type")).endswith("RetryInfo"):
            return str(detail.get("retryDelay") or "").removesuffix("s") or None
    return None
