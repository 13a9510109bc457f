"""The response object of the Responses API: its frame, its usage, and how it ended; in both directions.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any, Literal

from omniroute.errors import Problem
from omniroute.wire.codec import Reference
from omniroute.wire.conversation import Doc, Finish, FinishReason, Usage
from omniroute.wire.openai_responses_errors import FAILURE_CODES
from omniroute.wire.openai_responses_shapes import said, whole
from omniroute.wire.shapes import docs_of

Status = Literal["completed", "incomplete", "failed"]

# ── the frame ────────────────────────────────────────────────────────────────────────────────────

_ECHOED: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""The settings of the request that its response repeats, with what stands for one that was not said."""

TIERS = frozenset({"auto", "default", "fast", "flex", "priority", "scale", "ultrafast"})
"""The service tiers that the format has words for."""


def tier_word(tier: str | None) -> str:
    """A service tier in the words of this format; others (`on_demand`) are the usual one."""
    return tier if tier in TIERS else "default"


def response_frame(reference: Reference, upstream_id: str) -> Doc:
    """A response without output, in progress. Its id is the upstream's if that is one of this format."""
    request = reference.request
    frame: Doc = {
        "id": upstream_id if upstream_id.startswith("resp_") else reference.new_id("resp_"),
        "object": "response",
        "created_at": reference.created,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": reference.model,
        "output": [],
        "usage": None,
        "service_tier": "default",
    }
    for key, default in _ECHOED.items():
        value = request.get(key)
        frame[key] = default if value is None else value
    reasoning, text = request.get("reasoning"), request.get("text")
    frame["reasoning"] = {
        "effort": None,
        "summary": None,
        **(reasoning if isinstance(reasoning, dict) else {}),
    }
    frame["text"] = {"format": {"type": "text"}, **(text if isinstance(text, dict) else {})}
    return frame


# ── usage ────────────────────────────────────────────────────────────────────────────────────────


def read_usage(value: Any) -> Usage | None:
    """None for no usage at all; missing counts are 0 (never raises).

    Servers that leave reasoning out of `output_tokens` show it in the total.
    """
    if not isinstance(value, dict) or not value:
        return None
    before = _details(value, "input_tokens_details")
    after = _details(value, "output_tokens_details")
    written, reasoning = whole(before.get("cache_write_tokens")), whole(after.get("reasoning_tokens"))
    lasting = whole(_details(before, "cache_write_tokens_details").get("ttl_12h_tokens"))
    usage = Usage(
        input=whole(value.get("input_tokens")),
        output=whole(value.get("output_tokens")),
        cached=whole(before.get("cached_tokens")),
        cache_write=max(written - lasting, 0),
        cache_write_1h=lasting,
        audio_input=whole(before.get("audio_tokens")),
        reasoning=reasoning,
        audio_output=whole(after.get("audio_tokens")),
    )
    if reasoning and whole(value.get("total_tokens")) == usage.total + reasoning:
        usage.output += reasoning
    return usage


def _details(value: Doc, key: str) -> Doc:
    details = value.get(key)
    return details if isinstance(details, dict) else {}


def write_usage(usage: Usage | None) -> Doc:
    """All five fields, as the SDK's types require, also for a usage that nobody counted."""
    usage = usage or Usage()
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


# ── how it ended ─────────────────────────────────────────────────────────────────────────────────

_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "max_messages": "pause",
    "steered": "pause",
}

_CALL_TYPES = frozenset({"function_call", "custom_tool_call"})


def read_finish(response: Doc) -> Finish:
    """Why a response object ended (never raises)."""
    calls = any(said(item, "type") in _CALL_TYPES for item in docs_of(response.get("output")))
    return finish_of(said(response, "status"), response.get("incomplete_details"), calls=calls)


def finish_of(status: str | None, details: Any, *, calls: bool) -> Finish:
    """`calls` says whether the client has calls to answer. No status and unknown ones of servers count as done."""
    if status == "incomplete":
        native = said(details, "reason") if isinstance(details, dict) else None
        return Finish(reason=_INCOMPLETE.get(native or "", "other"), native=native or status)
    if status in ("queued", "in_progress", "cancelled", "failed"):
        return Finish(reason="other", native=status)
    return Finish(reason="tool_calls" if calls else "stop", native=status)


_ENDINGS: dict[str, tuple[Status, str | None]] = {
    "length": ("incomplete", "max_output_tokens"),
    "context_length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "refusal": ("incomplete", "content_filter"),
    "malformed_call": ("incomplete", None),
    "pause": ("incomplete", None),
}


def finish_frame(frame: Doc, finish: Finish | None, usage: Usage | None, output: list[Doc]) -> Status:
    """Write the ending into `frame`: output, usage, status and, for an incomplete answer, why."""
    status, reason = _ENDINGS.get(finish.reason if finish is not None else "stop", ("completed", None))
    frame["status"] = status
    frame["output"] = output
    frame["usage"] = write_usage(usage)
    if status == "incomplete":
        frame["incomplete_details"] = {"reason": reason}
    else:
        frame["completed_at"] = frame["created_at"]
    return status


def fail_frame(frame: Doc, problem: Problem, usage: Usage | None, output: list[Doc]) -> None:
    """Write a failure into `frame`."""
    frame["status"] = "failed"
    frame["output"] = output
    frame["error"] = {"code": FAILURE_CODES.get(problem.kind, "server_error"), "message": problem.message}
    frame["usage"] = write_usage(usage) if usage is not None else None
