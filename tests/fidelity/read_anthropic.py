"""Anthropic Messages answers, by its API reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.fidelity.meaning import Choice, Failure, Meaning, Usage, call, kind_of_status

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool",
    "refusal": "filter",
    "pause_turn": "pause",
    None: "none",
}

ERROR_KIND = {
    "invalid_request_error": "invalid",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "server",
    "api_error": "server",
    "overloaded_error": "overloaded",
}


def read(doc: dict[str, Any]) -> Meaning:
    """A message, plain or folded."""
    if doc.get("type") == "error":
        return Meaning(error=error(doc, None))
    choice = Choice(finish=FINISH.get(doc.get("stop_reason"), "other"))
    for block in doc.get("content") or []:
        _block(choice, block)
    return Meaning([choice], usage(doc.get("usage")))


def _block(choice: Choice, block: dict[str, Any]) -> None:
    kind = block.get("type")
    if kind == "text":
        choice.texts.append(block.get("text") or "")
        choice.citations |= {_cited(c) for c in block.get("citations") or []}
    elif kind == "thinking":
        choice.reasoning.append(block.get("thinking") or "")
    elif kind == "tool_use":
        choice.calls.append(call(block.get("name") or "", block.get("input")))
    elif kind != "redacted_thinking":
        choice.server.append(str(kind))


def _cited(citation: dict[str, Any]) -> str:
    url = citation.get("url")
    return url or f"{citation.get('type')}:{citation.get('document_title') or citation.get('title') or ''}"


def usage(doc: dict[str, Any] | None) -> Usage | None:
    if not doc or not isinstance(doc.get("input_tokens"), int):
        return None
    read_tokens, written = doc.get("cache_read_input_tokens"), doc.get("cache_creation_input_tokens")
    return Usage(
        input=doc["input_tokens"] + (read_tokens or 0) + (written or 0),
        output=doc.get("output_tokens") or 0,
        cached=read_tokens,
        cache_write=written,
        reasoning=(doc.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


def read_stream(events: Iterable[dict[str, Any]]) -> Meaning:
    """A streamed message: the fold of its events. Usage totals replace what came before."""
    message: dict[str, Any] = {"content": [], "usage": {}}
    partial: dict[int, str] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind = event.get("type")
        if kind == "error":
            return Meaning(error=error(event, None))
        if kind == "message_start":
            message["usage"] |= {k: v for k, v in event["message"].get("usage", {}).items() if v is not None}
        elif kind == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
            message["content"].append(blocks[event["index"]])
        elif kind == "content_block_delta":
            _delta(blocks[event["index"]], event["delta"], partial, event["index"])
        elif kind == "content_block_stop" and partial.get(event["index"]):
            blocks[event["index"]]["input"] = partial.pop(event["index"])
        elif kind == "message_delta":
            message["stop_reason"] = event["delta"].get("stop_reason")
            message["usage"] |= {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
        elif kind == "message_stop":
            # Some recordings hold two streams in a row: the answer ends with the first.
            break
    return read(message)


def _delta(block: dict[str, Any], delta: dict[str, Any], partial: dict[int, str], index: int) -> None:
    kind = delta.get("type")
    if kind == "text_delta":
        block["text"] = block.get("text", "") + delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] = block.get("thinking", "") + delta["thinking"]
    elif kind == "input_json_delta":
        partial[index] = partial.get(index, "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]


def error(doc: Any, status: int | None) -> Failure:
    """An error's body."""
    inner = (doc.get("error") if isinstance(doc, dict) else None) or {}
    if not isinstance(inner, dict):
        inner = {"message": str(inner)}
    kind = ERROR_KIND.get(inner.get("type") or "") or kind_of_status(status)
    return Failure(kind, status, str(inner.get("message") or ""))
