"""Errors of Anthropic Messages, in and out: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

https://docs.claude.com/en/api/errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire.conversation import Doc
from omniroute.wire.failures import words_of
from omniroute.wire.retry_after import retry_after
from omniroute.wire.shapes import doc_of

_KIND_OF_TYPE: dict[str, ProblemKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
    "api_error": "server",
}
"""The types that the API documents; a compatible server's own words are judged by text and status."""

_TEXTS: tuple[tuple[str, ProblemKind], ...] = (
    (
        r"prompt is too long|context (window|length|limit)|maximum context|too many (input )?tokens",
        "context_length",
    ),
    (r"content (filter|management|policy)|sensitive content|flagged", "content_filter"),
    (r"credit balance|insufficient (balance|credit|funds)|out of credit|payment required", "billing"),
    (r"\bquota\b|usage limit|(daily|weekly|monthly|5.hour|spend(ing)?) limit|limit will reset", "quota"),
    (r"^model:|\bmodel\b.*(not found|not exist)|unknown model|no such model", "model_not_found"),
)
_KIND_OF_TEXT: tuple[tuple[re.Pattern[str], ProblemKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in _TEXTS
)
_JUDGED_BY_TEXT = frozenset(
    {"invalid_request", "not_found", "rate_limit", "permission", "billing", "server", ""}
)
_KIND_OF_STATUS: dict[int, ProblemKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    500: "server",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    524: "timeout",
    529: "overloaded",
}
_SENTENCES: dict[str, str] = {
    "authentication": "The upstream refused the credential.",
    "permission": "The upstream does not permit this.",
    "not_found": "The upstream does not know this address.",
    "rate_limit": "The upstream's rate limit is reached.",
    "overloaded": "The upstream is overloaded.",
    "timeout": "The upstream took too long.",
}
_TYPE_OF_KIND: dict[ProblemKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "model_not_found": "not_found_error",
    "method_not_allowed": "invalid_request_error",
    "too_large": "request_too_large",
    "context_length": "invalid_request_error",
    "content_filter": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "cancelled": "api_error",
    "server": "api_error",
    "bad_gateway": "api_error",
    "unavailable": "overloaded_error",
}
_TOO_LONG = "prompt is too long"
"""Clients of this format know an overlong prompt by these words, and shorten it."""

_LONGEST_MESSAGE = 2000


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """Of an upstream's answer in whatever shape; HTML and other foreign text is never repeated."""
    return read_error_doc(_decoded(body), status, headers)


def read_error_doc(doc: Doc, status: int = 0, headers: Mapping[str, str] | None = None) -> Problem:
    """Of an error body that is decoded already; `status` 0 when it came inside an answer or a stream."""
    error = doc.get("error")
    inner = doc_of(error)
    message = _first_text(inner.get("message"), error, doc.get("message"), doc.get("msg"), doc.get("detail"))
    native = _first_text(inner.get("type"), inner.get("code"), doc.get("code"), inner.get("code"))
    kind = _kind(native, message, status)
    return Problem(
        kind=kind,
        message=message[:_LONGEST_MESSAGE] or _SENTENCES.get(kind) or _said(status),
        status=status if status >= 400 else 0,
        param=_first_text(inner.get("param")) or None,
        retry_after=retry_after(status, headers or {}),
        native=native or None,
    )


def _said(status: int) -> str:
    return f"The upstream answered with status {status}." if status else "The upstream reported an error."


def _decoded(body: bytes) -> Doc:
    try:
        return doc_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _first_text(*values: Any) -> str:
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _kind(native: str, message: str, status: int) -> ProblemKind:
    by_type = _KIND_OF_TYPE.get(native)
    if (by_type or "") in _JUDGED_BY_TEXT:
        for pattern, kind in _KIND_OF_TEXT:
            if pattern.search(message):
                return kind
    if by_type is not None:
        return by_type
    by_status = _KIND_OF_STATUS.get(status)
    if by_status is not None:
        return by_status
    return "invalid_request" if 400 <= status < 500 else "server"


def write_error(problem: Problem, request_id: str) -> Doc:
    """The error body, with what was tried beside the message."""
    message = problem.message
    if problem.kind == "context_length" and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    error: Doc = {"type": _TYPE_OF_KIND[problem.kind], "message": message} | words_of(problem)
    doc: Doc = {"type": "error", "error": error}
    return doc | {"request_id": request_id} if request_id else doc
