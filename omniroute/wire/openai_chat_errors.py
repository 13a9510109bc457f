"""Errors of Chat Completions servers, in and out.

OpenAI wraps them as `{"error": {message, type, param, code}}`; compatible servers leave out, rename or number these
fields. What happened is read from the words first, then from the message, then from the HTTP status.
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire.conversation import Doc
from omniroute.wire.retry_after import retry_after
from omniroute.wire.shapes import doc_of, docs_of, text_of

# ── in: what it is ───────────────────────────────────────────────────────────────────────────────

_WORDS: dict[str, ProblemKind] = {
    "contextlengthexceeded": "context_length",
    "toomanyprompttokens": "context_length",
    "contextwindowexceeded": "context_length",
    "exceedcontextsizeerror": "context_length",
    "modelnotfound": "model_not_found",
    "modelnotfounderror": "model_not_found",
    "modelnotavailable": "model_not_found",
    "deploymentnotfound": "model_not_found",
    "invalidmodel": "model_not_found",
    "modeldecommissioned": "model_not_found",
    "invalidapikey": "authentication",
    "authenticationerror": "authentication",
    "invalidauthentication": "authentication",
    "invalidauthenticationerror": "authentication",
    "unauthorized": "authentication",
    "unauthenticated": "authentication",
    "insufficientquota": "quota",
    "quotaexceeded": "quota",
    "exceededcurrentquotaerror": "quota",
    "billingnotactive": "billing",
    "billinghardlimitreached": "billing",
    "insufficientbalance": "billing",
    "insufficientcredits": "billing",
    "paymentrequired": "billing",
    "ratelimitexceeded": "rate_limit",
    "ratelimiterror": "rate_limit",
    "ratelimitreached": "rate_limit",
    "ratelimitreachederror": "rate_limit",
    "toomanyrequests": "rate_limit",
    "resourceexhausted": "rate_limit",
    "requests": "rate_limit",
    "tokens": "rate_limit",
    "contentfilter": "content_filter",
    "contentpolicyviolation": "content_filter",
    "responsibleaipolicyviolation": "content_filter",
    "moderationblocked": "content_filter",
    "datainspectionfailed": "content_filter",
    "overloadederror": "overloaded",
    "overloaded": "overloaded",
    "engineoverloaded": "overloaded",
    "engineoverloadederror": "overloaded",
    "serveroverloaded": "overloaded",
    "serviceunavailable": "unavailable",
    "unavailable": "unavailable",
    "timeout": "timeout",
    "timeouterror": "timeout",
    "deadlineexceeded": "timeout",
    "permissionerror": "permission",
    "permissiondenied": "permission",
    "permissiondeniederror": "permission",
    "forbidden": "permission",
    "unsupportedcountryregionterritory": "permission",
    "requesttoolarge": "too_large",
    "payloadtoolarge": "too_large",
    "methodnotallowed": "method_not_allowed",
}
"""Words of `code`, `type` and `status`, without case and punctuation, that say what happened."""

_WEAK_WORDS: dict[str, ProblemKind] = {
    "notfounderror": "not_found",
    "notfound": "not_found",
    "servererror": "server",
    "internalerror": "server",
    "internalservererror": "server",
    "internal": "server",
    "apierror": "server",
    "badrequest": "invalid_request",
    "invalidrequesterror": "invalid_request",
    "invalidargument": "invalid_request",
}
"""Words that stand beside much that has a better name."""

_SAID: tuple[tuple[ProblemKind, tuple[int, ...], str], ...] = (
    (
        "context_length",
        (0, 400, 413, 422, 500),
        (
            r"context (length|window|size)|maximum context|exceed\w* (the )?(max\w* )?context|too many (input |prompt )?tokens"
            r"|prompt (is )?too long|input is too long|length of all messages is too long|input token count"
            r"|reduce the length of the (messages|prompt|input)"
        ),
    ),
    (
        "billing",
        (0, 400, 401, 402, 403, 429),
        (
            r"insufficient (balance|credits?|funds)|out of credits?|credit balance is too low|add (more )?credits"
            r"|payment required"
        ),
    ),
    (
        "quota",
        (0, 400, 402, 403, 429),
        (
            r"exceeded your current quota|insufficient quota|(usage|quota|monthly|daily|weekly) limit (reached|exceeded)"
            r"|quota (has been )?exceeded|hit your usage limit"
        ),
    ),
    (
        "content_filter",
        (0, 400, 403, 422, 451),
        r"content (management )?policy|content[ _]filter|safety system|flagged (as|by|for)",
    ),
    (
        "overloaded",
        (0, 429, 500, 502, 503, 529),
        r"overloaded|at capacity|no capacity|capacity exceeded",
    ),
    ("rate_limit", (0, 400, 403, 429, 503), r"rate.?limit|too many requests"),
    (
        "model_not_found",
        (0, 400, 404, 422),
        (
            r"\bmodel\b.{0,120}\b(does not exist|not found|has been (deprecated|decommissioned)|is not a valid model)"
            r"|no such model|unknown model|not a valid model|invalid model\b"
        ),
    ),
    (
        "authentication",
        (0, 400),
        r"(invalid|incorrect|missing|no) (api[ _]key|authentication)|api key not valid",
    ),
)
"""What a message says, for the statuses (0: in a stream or a 200) under which it is believed."""

_SAYINGS = tuple((kind, frozenset(statuses), re.compile(pattern, re.I)) for kind, statuses, pattern in _SAID)

_STATUSES: dict[int, ProblemKind] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    499: "cancelled",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    524: "timeout",
    529: "overloaded",
}


def _kind(status: int, words: list[str], message: str) -> ProblemKind:
    plain = [re.sub(r"[^a-z]", "", word.lower()) for word in words]
    for word in plain:
        if word in _WORDS:
            return _WORDS[word]
    for kind, statuses, saying in _SAYINGS:
        if status in statuses and saying.search(message):
            return kind
    if status in _STATUSES:
        return _STATUSES[status]
    weak = next((_WEAK_WORDS[word] for word in plain if word in _WEAK_WORDS), None)
    if weak is not None and (status == 0 or (weak == "server") == (status >= 500)):
        return weak
    return _kind_of_class(status)


def _kind_of_class(status: int) -> ProblemKind:
    if 400 <= status < 500:
        return "invalid_request"
    return "server" if status >= 500 else "bad_gateway"


# ── in: the body ─────────────────────────────────────────────────────────────────────────────────


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """A `Problem` for any error answer: JSON of any shape, HTML, text, or nothing."""
    try:
        problem = _problem(msgspec.json.decode(body), status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = _message_of_text(status, body)
        problem = Problem(kind=_kind(status, [], message), message=message, status=_shown(status))
    return msgspec.structs.replace(problem, retry_after=retry_after(status, headers, problem.retry_after))


def problem_of_body(doc: Any, named_error: bool = False) -> Problem | None:
    """The error that a body of status 200, or an event of a stream, holds; None if it holds none.

    `named_error`: the event's own name says that it is one.
    """
    if isinstance(doc, list) and doc:
        doc = doc[0]
    holder = doc_of(doc)
    is_error = bool(holder.get("error")) or holder.get("object") == "error" or holder.get("type") == "error"
    return _problem(doc, 0) if is_error or named_error else None


def _problem(doc: Any, status: int) -> Problem:
    error = _error_object(doc)
    numbers = [error.get(key) for key in ("code", "status_code", "status")]
    said = status or next((n for n in numbers if isinstance(n, int) and 400 <= n < 600), 0)
    words = [text_of(error.get(key)) for key in ("code", "type", "status")]
    words.append(text_of(doc_of(error.get("innererror")).get("code")))
    message = _message(error, doc, status)
    raw = text_of(doc_of(error.get("metadata")).get("raw"))
    native = next((word for word in words if word), None)
    return Problem(
        kind=_kind(said, words, f"{message} {raw}"),
        message=message,
        status=_shown(said),
        param=text_of(error.get("param")) or None,
        native=native or next((str(n) for n in numbers if isinstance(n, int)), None),
        retry_after=_wait_in(message, error),
    )


def _shown(status: int) -> int:
    """The status to answer with: the upstream's own if it is one of an error, else that of the kind."""
    return status if 400 <= status < 600 else 0


def _error_object(doc: Any) -> Doc:
    """The object that holds `message`, `type` and `code`, wherever the server puts it."""
    if isinstance(doc, list):
        doc = docs_of(doc)[0] if docs_of(doc) else {}
    holder = doc_of(doc)
    error = holder.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return holder | {"message": text_of(holder.get("message")) or error}
    errors = docs_of(holder.get("errors"))
    return errors[0] if errors else holder


_MESSAGE_KEYS = ("message", "detail", "msg", "error_msg", "error_description", "title")
_LONGEST_MESSAGE = 2000
_SECRET = re.compile(r"\b(sk|pk|gsk|ghp|ork)[-_][\w-]{12,}|\bAIza[\w-]{20,}|\bBearer\s+[\w.~+/-]{12,}")


def _message(error: Doc, doc: Any, status: int) -> str:
    found = next((_words_of(error[key]) for key in _MESSAGE_KEYS if error.get(key)), "")
    inner = _inner_message(doc_of(error.get("metadata")).get("raw"))
    if inner and inner not in found:
        found = f"{found}: {inner}" if found else inner
    if not found and isinstance(doc, str):
        found = doc
    return clean(found) or _no_reason(status)


def _words_of(value: Any) -> str:
    """A message that is a text, an object with one, or a list of findings (`detail` of FastAPI servers)."""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words_of(item) for item in value)))
    if isinstance(value, dict):
        return next((_words_of(value[key]) for key in _MESSAGE_KEYS if value.get(key)), "")
    return text_of(value)


def _inner_message(raw: Any) -> str:
    """What a server that is itself a gateway was told by the one behind it."""
    if not isinstance(raw, str):
        return ""
    try:
        doc = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return "" if "<" in raw else raw[:300]
    return _words_of(_error_object(doc).get("message")) if isinstance(doc, dict) else ""


def clean(message: str) -> str:
    """One short line without secrets."""
    line = " ".join(message.split())[:_LONGEST_MESSAGE]
    return _SECRET.sub("[secret]", line)


def _message_of_text(status: int, body: bytes) -> str:
    text = body[:4000].decode("utf-8", "replace").strip()
    if not text:
        return _no_reason(status)
    if text.startswith("<") or "</" in text:
        return f"The upstream answered with a page instead of an error message (status {status})."
    if text.startswith(("{", "[")):
        return f"The upstream's error message was cut off (status {status})."
    return clean(text[:300])


def _no_reason(status: int) -> str:
    return f"The upstream failed and gave no reason (status {status})." if status else "The upstream failed."


# ── in: when to come back ────────────────────────────────────────────────────────────────────────

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WAIT = re.compile(
    r"(?:try again|retry)(?: after| in)? (?:(\d+)h)?(?:(\d+)m(?!s))?(\d+(?:\.\d+)?)?\s?(ms|s|m|h)?", re.I
)


def _wait_in(message: str, error: Doc) -> float | None:
    """Seconds to wait, where the body says so: in a field, in the headers of the server behind, in the message
    ("try again in 1m20s")."""
    given = error.get("retry_after")
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    passed_on = doc_of(doc_of(error.get("metadata")).get("headers"))
    reset = retry_after(429, {name.lower(): text_of(value) for name, value in passed_on.items()})
    if reset is not None:
        return reset
    found = _WAIT.search(message)
    if found is None or not any(found.group(1, 2, 3)):
        return None
    hours, minutes, number, unit = found.groups()
    rest = float(number) * _UNITS[(unit or "s").lower()] if number else 0.0
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + rest


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_OUT: dict[ProblemKind, tuple[str, str | None]] = {
    "invalid_request": ("invalid_request_error", None),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "billing": ("insufficient_quota", "billing_not_active"),
    "permission": ("permission_error", "permission_denied"),
    "not_found": ("invalid_request_error", "not_found"),
    "model_not_found": ("invalid_request_error", "model_not_found"),
    "method_not_allowed": ("invalid_request_error", "method_not_allowed"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "context_length": ("invalid_request_error", "context_length_exceeded"),
    "content_filter": ("invalid_request_error", "content_filter"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "overloaded": ("server_error", "overloaded"),
    "timeout": ("server_error", "timeout"),
    "cancelled": ("server_error", "cancelled"),
    "server": ("server_error", None),
    "bad_gateway": ("server_error", "bad_gateway"),
    "unavailable": ("server_error", "unavailable"),
}
"""Kind → `type` and `code`, as OpenAI words them."""


def write_error(problem: Problem, request_id: str) -> Doc:
    """An error body in OpenAI's shape; `tried` tells what the steps of the plan failed of."""
    type, code = _OUT[problem.kind]
    error: Doc = {
        "message": problem.message,
        "type": type,
        "param": problem.param,
        "code": problem.code or code,
    }
    if problem.tried:
        error["tried"] = msgspec.to_builtins(problem.tried)
    if request_id:
        error["request_id"] = request_id
    return {"error": error}
