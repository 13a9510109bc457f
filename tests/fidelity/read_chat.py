"""Chat Completions answers, by OpenAI's API reference and what compatible servers add to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.fidelity.meaning import Call, Choice, Failure, Meaning, Usage, call, kind_of_status

FINISH = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "filter",
    "": "none",
    None: "none",
}

ERROR_KIND = {
    "authentication_error": "authentication",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limit",
    "insufficient_quota": "rate_limit",
    "server_error": "server",
    "overloaded_error": "overloaded",
}


def read(doc: dict[str, Any]) -> Meaning:
    """A plain answer."""
    if isinstance(doc.get("error"), dict) and not doc.get("choices"):
        return Meaning(error=error(doc, None))
    extra = _sources(doc)
    choices = sorted(doc.get("choices") or [], key=lambda c: c.get("index") or 0)
    read_choices = [_choice(c.get("message") or {}, c) for c in choices]
    for choice in read_choices:
        choice.citations |= extra
    return Meaning(read_choices, usage(doc.get("usage")))


def _choice(message: dict[str, Any], frame: dict[str, Any]) -> Choice:
    choice = Choice(finish=FINISH.get(frame.get("finish_reason"), "other"))
    _content(choice, message.get("content"))
    choice.reasoning += _reasoning(message)
    choice.refusal = message.get("refusal") or ""
    choice.calls += [_call(c) for c in message.get("tool_calls") or []]
    legacy = message.get("function_call") or {}
    if legacy.get("name"):
        choice.calls.append(call(legacy["name"], legacy.get("arguments")))
    choice.citations = {_cited(a) for a in message.get("annotations") or []}
    choice.images += len(message.get("images") or [])
    audio = message.get("audio") or {}
    choice.audio += bool(audio.get("data"))
    choice.server += ["executed_tools"] * bool(message.get("executed_tools"))
    choice.logprobs = bool((frame.get("logprobs") or {}).get("content"))
    return choice


def _content(choice: Choice, content: Any) -> None:
    if isinstance(content, str):
        choice.texts += [content] if content else []
        return
    for part in content or []:
        if part.get("type") == "text":
            choice.texts.append(part.get("text") or "")
        elif part.get("type") == "thinking":
            inner = part.get("thinking")
            choice.reasoning += (
                [inner] if isinstance(inner, str) else [p.get("text", "") for p in inner or []]
            )
        elif part.get("type") == "refusal":
            choice.refusal += part.get("refusal") or ""
        elif part.get("type") == "image_url":
            choice.images += 1


def _reasoning(message: dict[str, Any]) -> list[str]:
    """The three names that servers have for it; they say the same where they stand side by side."""
    for name in ("reasoning_content", "reasoning"):
        if message.get(name):
            return [message[name]]
    return [d.get("text") or d.get("summary") or "" for d in message.get("reasoning_details") or []]


def _call(doc: dict[str, Any]) -> Call:
    custom = doc.get("custom") or {}
    function = doc.get("function") or {}
    if custom.get("name") and not function.get("name"):
        return Call(custom["name"], custom.get("input") or "")
    return call(function.get("name") or "", function.get("arguments"))


def _cited(annotation: dict[str, Any]) -> str:
    kind = annotation.get("type") or "other"
    inner = annotation.get(kind) or annotation
    return inner.get("url") or f"{kind}:{inner.get('file_id') or inner.get('title') or ''}"


def _sources(doc: dict[str, Any]) -> set[str]:
    """The sources that search services put beside the choices."""
    return {c for c in doc.get("citations") or [] if isinstance(c, str)}


def usage(doc: dict[str, Any] | None) -> Usage | None:
    if not doc or not isinstance(doc.get("prompt_tokens"), int):
        return None
    prompt, completion = doc["prompt_tokens"], doc.get("completion_tokens") or 0
    inputs = doc.get("prompt_tokens_details") or {}
    outputs = doc.get("completion_tokens_details") or {}
    reasoning = outputs.get("reasoning_tokens")
    apart = reasoning or 0
    total = doc.get("total_tokens") or 0
    if total == prompt + completion + apart or apart > completion:
        # Some servers leave reasoning out of the completion: the total shows it, or that a part exceeds the whole.
        completion += apart
    elif total > prompt + completion:
        # Or it is not told at all, but for the total.
        completion = total - prompt
    cached = _cached(doc, inputs)
    beside = cached if cached is not None and cached > prompt else 0
    return Usage(
        # Likewise a server that counts cached tokens apart from the prompt.
        input=prompt + beside,
        output=completion,
        cached=cached,
        reasoning=reasoning,
    )


def _cached(doc: dict[str, Any], inputs: dict[str, Any]) -> int | None:
    said = (
        inputs.get("cached_tokens"),
        doc.get("prompt_cache_hit_tokens"),
        doc.get("cached_tokens"),
        doc.get("num_cached_tokens"),
    )
    return max((c for c in said if c is not None), default=None)


def read_stream(chunks: Iterable[dict[str, Any]]) -> Meaning:
    """A streamed answer: the fold of its chunks."""
    messages: dict[int, dict[str, Any]] = {}
    frames: dict[int, dict[str, Any]] = {}
    last_usage: dict[str, Any] | None = None
    sources: set[str] = set()
    for chunk in chunks:
        if chunk.get("error"):
            failure = error(chunk, None)
            failure.status = None
            return Meaning(error=failure)
        sources |= _sources(chunk)
        last_usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or last_usage
        for choice in chunk.get("choices") or []:
            index = choice.get("index") or 0
            _fold(messages.setdefault(index, {}), choice.get("delta") or {})
            frame = frames.setdefault(index, {})
            frame["finish_reason"] = choice.get("finish_reason") or frame.get("finish_reason")
            frame["logprobs"] = choice.get("logprobs") or frame.get("logprobs")
    choices = [_choice(messages[i], frames[i]) for i in sorted(messages)]
    for choice in choices:
        choice.citations |= sources
    return Meaning(choices, usage(last_usage))


def _fold(message: dict[str, Any], delta: dict[str, Any]) -> None:
    content = delta.get("content")
    if isinstance(content, str) and isinstance(message.get("content", ""), str):
        message["content"] = message.get("content", "") + content
    elif content:
        before = message.get("content") or []
        before = [{"type": "text", "text": before}] if isinstance(before, str) else before
        after = [{"type": "text", "text": content}] if isinstance(content, str) else content
        message["content"] = before + after
    for name in ("reasoning_content", "reasoning", "refusal"):
        if delta.get(name):
            message[name] = message.get(name, "") + delta[name]
    for name in ("reasoning_details", "annotations", "images", "executed_tools"):
        message.setdefault(name, []).extend(delta.get(name) or [])
    for fragment in delta.get("tool_calls") or []:
        _fold_call(message.setdefault("tool_calls", []), fragment)
    legacy = delta.get("function_call") or {}
    if legacy:
        whole = message.setdefault("function_call", {"name": "", "arguments": ""})
        whole["name"] += legacy.get("name") or ""
        whole["arguments"] += legacy.get("arguments") or ""
    if (delta.get("audio") or {}).get("data"):
        message["audio"] = delta["audio"]


def _fold_call(calls: list[dict[str, Any]], fragment: dict[str, Any]) -> None:
    index = fragment.get("index")
    found = next((c for c in reversed(calls) if c["index"] == index), None)
    if index is None:
        found = calls[-1] if calls and not fragment.get("id") else None
    kind = "custom" if fragment.get("custom") else "function"
    inner = fragment.get(kind) or {}
    if found is not None and fragment.get("id") and inner.get("name") and found["id"] != fragment["id"]:
        found = None
    if found is None:
        found = {"index": index, "id": fragment.get("id"), kind: {}}
        calls.append(found)
    whole = found.setdefault(kind, {})
    for name in ("name", "arguments", "input"):
        if inner.get(name):
            whole[name] = whole.get(name, "") + inner[name]


def error(doc: Any, status: int | None) -> Failure:
    """An error's body, of whatever shape compatible servers give it."""
    inner = doc.get("error") if isinstance(doc, dict) else None
    if isinstance(inner, dict):
        code = inner.get("code")
        status = status or (code if isinstance(code, int) else None) or inner.get("status_code")
        # `invalid_request_error` goes with 400, 401 and 404 alike: there the status tells more.
        kind = ERROR_KIND.get(inner.get("type") or "") or kind_of_status(status)
        kind = "not_found" if code == "model_not_found" else kind
        return Failure(kind, status, str(inner.get("message") or ""))
    message = ""
    if isinstance(doc, dict):
        message = str(inner or doc.get("message") or doc.get("detail") or "")
    return Failure(kind_of_status(status), status, message)
