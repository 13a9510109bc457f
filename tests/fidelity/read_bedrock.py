"""Bedrock Converse answers, by its API reference.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

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
    "guardrail_intervened": "filter",
    "content_filtered": "filter",
    "malformed_tool_use": "malformed",
    "malformed_model_output": "other",
    None: "none",
}

EXCEPTIONS = {
    "throttlingException": "rate_limit",
    "validationException": "invalid",
    "modelStreamErrorException": "server",
    "internalServerException": "server",
    "serviceUnavailableException": "server",
}

ERROR_KIND = {
    "The provided model identifier is invalid.": "not_found",
    "The provided model doesn't support counting tokens.": "invalid",
}
"""The one word for "no such model" that this API has is a sentence, under the status of any wrong request."""


def read(doc: dict[str, Any]) -> Meaning:
    """An answer, plain or folded."""
    choice = Choice(finish=FINISH.get(doc.get("stopReason"), "other"))
    for block in doc["output"]["message"]["content"]:
        _block(choice, block)
    return Meaning([choice], usage(doc.get("usage")))


def _block(choice: Choice, block: dict[str, Any]) -> None:
    if "citationsContent" in block:
        cited = block["citationsContent"]
        choice.texts += [piece["text"] for piece in cited["content"]]
        choice.citations |= {_cited(one) for one in cited["citations"]}
    elif "text" in block:
        choice.texts.append(block["text"])
    elif "reasoningContent" in block:
        choice.reasoning.append(block["reasoningContent"].get("reasoningText", {}).get("text", ""))
    elif "toolUse" in block and block["toolUse"].get("type") != "server_tool_use":
        choice.calls.append(call(block["toolUse"]["name"], block["toolUse"]["input"]))
    elif "image" in block:
        choice.images += 1
    else:
        choice.server.append(next(iter(block)))


def _cited(citation: dict[str, Any]) -> str:
    location = citation.get("location", {})
    source = citation.get("source") or location.get("web", {}).get("url") or ""
    return source if "://" in source else f"{PLACES[next(iter(location))]}:{citation.get('title', '')}"


PLACES = {
    "documentChar": "char_location",
    "documentPage": "page_location",
    "documentChunk": "content_block_location",
}
"""Kinds of places in documents, and Anthropic's words for them: no other format has any."""


def usage(doc: dict[str, Any] | None) -> Usage | None:
    """`inputTokens` leaves out what the cache gave and got: the total tells."""
    if not doc:
        return None
    cached, written = doc.get("cacheReadInputTokens"), doc.get("cacheWriteInputTokens")
    return Usage(
        input=doc["totalTokens"] - doc["outputTokens"],
        output=doc["outputTokens"],
        cached=cached,
        cache_write=written,
    )


def read_stream(events: Iterable[dict[str, Any]]) -> Meaning:
    """A streamed answer: the fold of its `{name: payload}` events."""
    blocks: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    for event in events:
        ((name, payload),) = event.items()
        if name in EXCEPTIONS:
            return Meaning(error=Failure(EXCEPTIONS[name], None, payload.get("message", "")))
        index = payload.get("contentBlockIndex")
        if name == "contentBlockStart":
            blocks[index] = {kind: dict(named) for kind, named in payload["start"].items()}
        elif name == "contentBlockDelta":
            _delta(blocks.setdefault(index, {}), payload["delta"])
        elif name == "messageStop":
            answer["stopReason"] = payload["stopReason"]
        elif name == "metadata":
            answer["usage"] = payload["usage"]
    content = [_whole(block) for _, block in sorted(blocks.items())]
    return read({**answer, "output": {"message": {"content": [block for block in content if block]}}})


def _delta(block: dict[str, Any], delta: dict[str, Any]) -> None:
    ((kind, piece),) = delta.items()
    if kind == "text":
        block["text"] = block.get("text", "") + piece
    elif kind == "citation":
        block.setdefault("citations", []).append(piece)
    elif kind == "reasoningContent":
        said = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
        for name, text in piece.items():
            said[name] = said.get(name, "") + text
    elif kind == "toolUse":
        block["toolUse"]["input"] = block["toolUse"].get("input", "") + piece["input"]


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block as a plain answer would hold it."""
    if "citations" in block:
        cited = {"content": [{"text": block.get("text", "")}], "citations": block["citations"]}
        return {"citationsContent": cited}
    if "toolUse" in block:
        return {"toolUse": {"input": "", **block["toolUse"]}}
    return block


def error(doc: Any, status: int | None) -> Failure:
    """An error's body; the name of an error is in a header that no recording kept."""
    message = str(doc.get("message") or "") if isinstance(doc, dict) else ""
    return Failure(ERROR_KIND.get(message) or kind_of_status(status), status, message)
