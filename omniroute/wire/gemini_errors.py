"""Errors of Gemini, both ways: `{"error": {"code", "message", "status", "details"}}`.

`status` is a word of google.rpc.Code, `details` hold the reason and when to try again.
https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire.conversation import Doc
from omniroute.wire.gemini_doc import as_list
from omniroute.wire.retry_after import retry_after
from omniroute.wire.shapes import doc_of, text_of

_KIND_OF_REASON: dict[str, ProblemKind] = {
    "API_KEY_INVALID": "authentication",
    "API_KEY_EXPIRED": "authentication",
    "ACCESS_TOKEN_EXPIRED": "authentication",
    "CREDENTIALS_MISSING": "authentication",
    "API_KEY_SERVICE_BLOCKED": "permission",
    "SERVICE_DISABLED": "permission",
    "CONSUMER_SUSPENDED": "permission",
    "BILLING_DISABLED": "billing",
    "RATE_LIMIT_EXCEEDED": "rate_limit",
    "QUOTA_EXHAUSTED": "quota",
    "MODEL_CAPACITY_EXHAUSTED": "overloaded",
}
"""The `reason` of google.rpc.ErrorInfo."""

_Hint = tuple[re.Pattern[str], frozenset[str], ProblemKind]


def _hint(pattern: str, kind: ProblemKind, *words: str) -> _Hint:
    return re.compile(pattern, re.IGNORECASE), frozenset(words), kind


_TEXTS: tuple[_Hint, ...] = (
    _hint(r"api key (not valid|not found|expired|is invalid)|invalid api key", "authentication"),
    _hint(
        r"token count.*exceeds|exceeds the maximum number of tokens|context (length|window)", "context_length"
    ),
    _hint(r"payload size exceeds|request entity too large", "too_large"),
    _hint(
        r"(prompt|response|content|input) (was|is|has been) blocked|safety polic|prohibited content",
        "content_filter",
    ),
    _hint(r"billing", "billing", "FAILED_PRECONDITION", "PERMISSION_DENIED"),
    _hint(r"location is not supported", "permission", "FAILED_PRECONDITION"),
    _hint(r"model", "model_not_found", "NOT_FOUND"),
)
"""What a message tells beyond its status word: pattern, the words that it counts for (none: all), kind."""

_KIND_OF_STATUS: dict[str, ProblemKind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "ALREADY_EXISTS": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "UNIMPLEMENTED": "invalid_request",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "cancelled",
    "ABORTED": "overloaded",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
    "INTERNAL": "server",
    "UNKNOWN": "server",
    "DATA_LOSS": "server",
}

_KIND_OF_CODE: dict[int, ProblemKind] = {
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
    499: "cancelled",
    500: "server",
    502: "bad_gateway",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_STATUS_OF_KIND: dict[ProblemKind, str] = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "billing": "FAILED_PRECONDITION",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "model_not_found": "NOT_FOUND",
    "method_not_allowed": "UNIMPLEMENTED",
    "too_large": "INVALID_ARGUMENT",
    "context_length": "INVALID_ARGUMENT",
    "content_filter": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "timeout": "DEADLINE_EXCEEDED",
    "cancelled": "CANCELLED",
    "server": "INTERNAL",
    "bad_gateway": "UNAVAILABLE",
    "unavailable": "UNAVAILABLE",
}

_TYPE = "type.googleapis.com/google.rpc."
_LONGEST = 1000
_SECRET = re.compile(r"(?i)\b((?:api[_ -]?key|key|token|bearer)\b['\"]?\s*[:= ]\s*['\"]?)[\w.~+/-]{20,}=*")


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    error = _error(_decoded(body))
    problem = problem_of(error, status)
    return msgspec.structs.replace(problem, retry_after=retry_after(status, headers, problem.retry_after))


def _decoded(body: bytes | str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _error(found: Any) -> Doc:
    """The innermost error object: streams put it into an array, proxies put its JSON into a message."""
    if isinstance(found, list):
        found = found[0] if found else None
    error = doc_of(found).get("error")
    if isinstance(error, str):
        return {"message": error}
    error = doc_of(error) or ({"message": text_of(doc_of(found).get("message"))} if found else {})
    message = text_of(error.get("message")).strip()
    inner = doc_of(doc_of(_decoded(message)).get("error")) if message.startswith("{") else {}
    return inner or error


def problem_of(error: Doc, status: int = 0) -> Problem:
    """The meaning of the object under `error`; `status` is that of the answer, if it had one."""
    code = error.get("code")
    status = status if status >= 400 else code if isinstance(code, int) and 400 <= code < 600 else 502
    word = text_of(error.get("status"))
    message = _clean(text_of(error.get("message")))
    details = [doc_of(detail) for detail in as_list(error.get("details"))]
    reason = next((text for detail in details if (text := text_of(detail.get("reason")))), None)
    return Problem(
        kind=_kind(word, status, message, reason, details),
        message=message or f"The upstream answered {status} and did not say why.",
        status=status,
        code=reason.lower() if reason else None,
        retry_after=_retry_delay(details),
        native=word or None,
    )


def _kind(word: str, status: int, message: str, reason: str | None, details: list[Doc]) -> ProblemKind:
    if reason in _KIND_OF_REASON:
        return _KIND_OF_REASON[reason]
    for pattern, words, kind in _TEXTS:
        if (not words or word in words) and pattern.search(message):
            return kind
    if status == 402:
        # Gateways that speak this format say it with a status that Google itself never sends.
        return "billing"
    kind = (
        _KIND_OF_STATUS.get(word)
        or _KIND_OF_CODE.get(status)
        or ("server" if status >= 500 else "invalid_request")
    )
    return "quota" if kind == "rate_limit" and _used_up(message, details) else kind


def _used_up(message: str, details: list[Doc]) -> bool:
    """Whether a limit is one that waiting a moment does not lift. Google words both alike; the quota's id, or a
    delay after which to try again, tells them apart."""
    violations = [doc_of(entry) for detail in details for entry in as_list(detail.get("violations"))]
    ids = " ".join(text_of(entry.get("quotaId")) for entry in violations)
    if "PerDay" in ids or any(entry.get("quotaValue") == "0" for entry in violations):
        return True
    return "PerMinute" not in ids and _retry_delay(details) is None and "quota" in message.lower()


def _retry_delay(details: list[Doc]) -> float | None:
    """Seconds of google.rpc.RetryInfo: `"34.4s"`, or an object with `seconds`."""
    for detail in details:
        delay = detail.get("retryDelay")
        value = doc_of(delay).get("seconds") if isinstance(delay, dict) else text_of(delay).removesuffix("s")
        seconds = _seconds(value)
        if seconds is not None:
            return seconds
    return None


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _clean(message: str) -> str:
    """One line of plain text, without markup and without what looks like a credential."""
    if message.lstrip()[:1] == "<":
        return ""
    text = _SECRET.sub(r"\1[hidden]", " ".join(message.split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def write_error(problem: Problem, request_id: str) -> Doc:
    error: Doc = {
        "code": problem.http_status,
        "message": problem.message,
        "status": _STATUS_OF_KIND[problem.kind],
    }
    details = _details(problem, request_id)
    if details:
        error["details"] = details
    if problem.tried:
        error["tried"] = [msgspec.to_builtins(step) for step in problem.tried]
    return {"error": error}


def _details(problem: Problem, request_id: str) -> list[Doc]:
    found: list[tuple[Any, Doc]] = [
        (
            problem.code,
            {"@type": f"{_TYPE}ErrorInfo", "reason": (problem.code or "").upper(), "domain": "omniroute"},
        ),
        (
            problem.param,
            {
                "@type": f"{_TYPE}BadRequest",
                "fieldViolations": [{"field": problem.param, "description": problem.message}],
            },
        ),
        (problem.retry_after, {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{problem.retry_after or 0:g}s"}),
        (request_id, {"@type": f"{_TYPE}RequestInfo", "requestId": request_id}),
    ]
    return [detail for value, detail in found if value not in (None, "")]
