"""Responses answers, by OpenAI's API reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.fidelity.meaning import Call, Choice, Failure, Meaning, Usage, call
from tests.fidelity.read_chat import ERROR_KIND
from tests.fidelity.read_chat import error as error

CODE_KIND = {"rate_limit_exceeded": "rate_limit", "invalid_prompt": "invalid", "server_error": "server"}


def read(doc: dict[str, Any]) -> Meaning:
    """A response object, plain or from the terminal event of a stream."""
    if doc.get("status") == "failed" or (doc.get("error") and not doc.get("output")):
        inner = doc.get("error") or {}
        kind = CODE_KIND.get(inner.get("code") or "") or ERROR_KIND.get(inner.get("type") or "") or "server"
        return Meaning(error=Failure(kind, None, inner.get("message") or ""))
    choice = Choice()
    for item in doc.get("output") or []:
        ITEMS.get(item.get("type") or "message", _server)(choice, item)
    choice.finish = _finish(doc, choice)
    return Meaning([choice], usage(doc.get("usage")))


def _finish(doc: dict[str, Any], choice: Choice) -> str:
    reason = (doc.get("incomplete_details") or {}).get("reason")
    if doc.get("status") in ("queued", "in_progress"):
        return "pending"
    if doc.get("status") == "incomplete":
        return {"max_output_tokens": "length", "content_filter": "filter"}.get(reason or "", "other")
    return "tool" if choice.calls else "stop"


def _message(choice: Choice, item: dict[str, Any]) -> None:
    content = item.get("content")
    parts: list[dict[str, Any]] = (
        [{"type": "output_text", "text": content}] if isinstance(content, str) else content or []
    )
    for part in parts:
        if part.get("type") == "refusal":
            choice.refusal += part.get("refusal") or ""
            continue
        choice.texts.append(part.get("text") or "")
        choice.citations |= {_cited(a) for a in part.get("annotations") or []}
        choice.logprobs = choice.logprobs or bool(part.get("logprobs"))


def _cited(annotation: dict[str, Any]) -> str:
    name = annotation.get("url")
    return name or f"{annotation.get('type')}:{annotation.get('file_id') or annotation.get('title') or ''}"


def _reasoning(choice: Choice, item: dict[str, Any]) -> None:
    """Raw reasoning where it is given, else its summary."""
    raw = [p.get("text") or "" for p in item.get("content") or []]
    summary = [p.get("text") or "" for p in item.get("summary") or []]
    choice.reasoning += raw if any(raw) else summary


def _function(choice: Choice, item: dict[str, Any]) -> None:
    choice.calls.append(call(item.get("name") or "", item.get("arguments")))


def _custom(choice: Choice, item: dict[str, Any]) -> None:
    choice.calls.append(Call(item.get("name") or "", item.get("input") or ""))


def _image(choice: Choice, item: dict[str, Any]) -> None:
    choice.images += bool(item.get("result"))


def _server(choice: Choice, item: dict[str, Any]) -> None:
    choice.server.append(str(item.get("type")))


ITEMS: dict[str, Callable[[Choice, dict[str, Any]], None]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function,
    "custom_tool_call": _custom,
    "image_generation_call": _image,
}


def usage(doc: dict[str, Any] | None) -> Usage | None:
    if not doc or not isinstance(doc.get("input_tokens"), int):
        return None
    return Usage(
        input=doc["input_tokens"],
        output=doc.get("output_tokens") or 0,
        cached=(doc.get("input_tokens_details") or {}).get("cached_tokens"),
        reasoning=(doc.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )


CUT = ""
"""What a stream without a terminal event says about its failure."""

TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def read_stream(events: Iterable[dict[str, Any]]) -> Meaning:
    """A streamed answer: its terminal event, and the items that were done where that event names none."""
    done: list[dict[str, Any]] = []
    for event in events:
        kind = event.get("type")
        if kind == "error":
            return Meaning(error=_event_error(event))
        if kind == "response.output_item.done":
            done.append(event)
        if kind in TERMINAL:
            response = dict(event["response"])
            items = [e["item"] for e in sorted(done, key=lambda e: e.get("output_index") or 0)]
            response["output"] = response.get("output") or items
            return read(response)
    return Meaning(error=Failure("server", None, CUT))


def _event_error(event: dict[str, Any]) -> Failure:
    inner = event.get("error") or event
    kind = CODE_KIND.get(str(inner.get("code"))) or ERROR_KIND.get(str(inner.get("type"))) or "server"
    return Failure(kind, None, str(inner.get("message") or ""))


def streamed_twice(events: list[dict[str, Any]]) -> list[str]:
    """Where the deltas of a stream and its terminal object do not say the same (texts, reasoning, arguments)."""
    deltas = {"text": "", "reasoning": "", "arguments": ""}
    names = {
        "response.output_text.delta": "text",
        "response.reasoning_text.delta": "reasoning",
        "response.reasoning_summary_text.delta": "reasoning",
        "response.function_call_arguments.delta": "arguments",
        "response.custom_tool_call_input.delta": "arguments",
    }
    final: dict[str, Any] = {}
    # Deltas of several calls may come mixed; an item's own stand in their order.
    for event in sorted(events, key=lambda e: e.get("output_index") or 0):
        if name := names.get(event.get("type") or ""):
            deltas[name] += event.get("delta") or ""
        if event.get("type") in TERMINAL:
            final = event["response"]
    whole = {"text": "", "reasoning": "", "arguments": ""}
    for item in final.get("output") or []:
        kind = item.get("type")
        if kind == "message":
            whole["text"] += "".join(p.get("text") or "" for p in item.get("content") or [])
        elif kind == "reasoning":
            parts = [*(item.get("summary") or []), *(item.get("content") or [])]
            whole["reasoning"] += "".join(p.get("text") or "" for p in parts)
        elif kind in ("function_call", "custom_tool_call"):
            whole["arguments"] += item.get("arguments") or item.get("input") or ""
    return [
        f"{n}: streamed {deltas[n]!r:.80}, at the end {whole[n]!r:.80}"
        for n in deltas
        if deltas[n] != whole[n]
    ]
