"""Errors of Amazon Bedrock, in and out: a name in the header `x-amzn-errortype` or in `__type`, and a sentence.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire import openai_chat_errors
from omniroute.wire.conversation import Doc
from omniroute.wire.failures import words_of
from omniroute.wire.shapes import doc_of, text_of

TYPE_HEADER = "x-amzn-errortype"

_KINDS: dict[str, ProblemKind] = {
    "accessdenied": "permission",
    "expiredtoken": "authentication",
    "incompletesignature": "authentication",
    "internalfailure": "server",
    "internalserver": "server",
    "internalservererror": "server",
    "invalidclienttokenid": "authentication",
    "invalidsignature": "authentication",
    "missingauthenticationtoken": "authentication",
    "modelerror": "server",
    "modelnotready": "unavailable",
    "modelstreamerror": "server",
    "modeltimeout": "timeout",
    "notauthorized": "permission",
    "optinrequired": "permission",
    "requestexpired": "authentication",
    "requestentitytoolarge": "too_large",
    "resourcenotfound": "model_not_found",
    "servicequotaexceeded": "quota",
    "serviceunavailable": "unavailable",
    "signaturedoesnotmatch": "authentication",
    "throttling": "rate_limit",
    "toomanyrequests": "rate_limit",
    "unrecognizedclient": "authentication",
    "validation": "invalid_request",
}
"""Names of errors, without case and the `Exception` at their end."""

_OWN_STATUS = frozenset({408, 424})
"""Statuses of this API that mean something else, or nothing, elsewhere."""

_SAYINGS: tuple[tuple[ProblemKind, frozenset[str], re.Pattern[str]], ...] = (
    (
        "model_not_found",
        frozenset({"invalid_request", "not_found", "permission"}),
        re.compile(
            r"model identifier is invalid|on-demand throughput isn.t supported|model ID .{0,200}(not found|isn.t)"
            r"|access to the model|model version .{0,80}end of its life|could not resolve the foundation model",
            re.IGNORECASE,
        ),
    ),
    (
        "context_length",
        frozenset({"invalid_request"}),
        re.compile(
            r"input is too long|too many (input )?tokens|prompt is too long|exceed(s|ed)? (the )?(model.s )?context"
            r"|input length and `?max_tokens`? exceed|maximum (input|context) (length|tokens)",
            re.IGNORECASE,
        ),
    ),
    (
        "content_filter",
        frozenset({"invalid_request"}),
        re.compile(r"content filter|guardrail", re.IGNORECASE),
    ),
    ("quota", frozenset({"rate_limit"}), re.compile(r"tokens per day|daily", re.IGNORECASE)),
    (
        "authentication",
        frozenset({"permission"}),
        re.compile(
            r"security token .{0,40}(invalid|expired)|signature we calculated|api key|bearer token|credential"
            r"|authorization header",
            re.IGNORECASE,
        ),
    ),
)
"""What a sentence says of an error of these kinds."""


def _kind(name: str, message: str, otherwise: ProblemKind) -> ProblemKind:
    plain = name.lower().removesuffix("exception")
    kind = _KINDS.get(plain, otherwise)
    for said, of, pattern in _SAYINGS:
        if kind in of and pattern.search(message):
            return said
    return kind


def _name(given: str) -> str:
    """`com.amazon.coral.service#ThrottlingException:http://…` → `ThrottlingException`."""
    return given.partition(":")[0].rpartition("#")[2]


# ── in ───────────────────────────────────────────────────────────────────────────────────────────


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """Of an error answer; pages, empty and broken bodies are read as those of any other server."""
    doc = _object(body)
    told = msgspec.json.encode(doc) if doc else body
    problem = openai_chat_errors.read_error(status, headers, told)
    name = _name(headers.get(TYPE_HEADER) or text_of(doc.get("__type")) or text_of(doc.get("code")))
    kind = _kind(name, problem.message, problem.kind)
    shown = 0 if status in _OWN_STATUS else problem.status
    return msgspec.structs.replace(problem, kind=kind, status=shown, native=name or problem.native)


def _object(body: bytes) -> Doc:
    """The error's body, if it is an object. The front of the service writes `Message`, what is behind it `message`."""
    try:
        doc = doc_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return {"message" if key == "Message" else key: value for key, value in doc.items()}


def problem_of_body(doc: Doc) -> Problem | None:
    """The error that stands where an answer should, if one does."""
    if not (text_of(doc.get("message")) or text_of(doc.get("Message"))):
        return None
    return problem_of_exception(text_of(doc.get("__type")), doc)


def problem_of_exception(name: str, payload: Any) -> Problem:
    """An error of which the name is known: an exception of a stream."""
    doc = doc_of(payload)
    message = (
        text_of(doc.get("message")) or text_of(doc.get("Message")) or text_of(doc.get("originalMessage"))
    )
    message = openai_chat_errors.clean(message) or "The upstream failed and gave no reason."
    native = _name(name)
    return Problem(kind=_kind(native, message, "server"), message=message, native=native or None)


# ── out ──────────────────────────────────────────────────────────────────────────────────────────

_NAMES: dict[ProblemKind, str] = {
    "invalid_request": "ValidationException",
    "authentication": "UnrecognizedClientException",
    "billing": "AccessDeniedException",
    "permission": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "model_not_found": "ResourceNotFoundException",
    "method_not_allowed": "ValidationException",
    "too_large": "ValidationException",
    "context_length": "ValidationException",
    "content_filter": "ValidationException",
    "rate_limit": "ThrottlingException",
    "quota": "ServiceQuotaExceededException",
    "overloaded": "ServiceUnavailableException",
    "timeout": "ModelTimeoutException",
    "cancelled": "InternalServerException",
    "server": "InternalServerException",
    "bad_gateway": "InternalServerException",
    "unavailable": "ServiceUnavailableException",
}


def exception_name(problem: Problem) -> str:
    """The name of an exception of a stream."""
    name = _NAMES[problem.kind]
    return name[0].lower() + name[1:]


def write_error(problem: Problem, request_id: str) -> Doc:
    """The error body; what programs may want to test stands beside the sentence."""
    doc: Doc = {"__type": _NAMES[problem.kind], "message": problem.message} | words_of(problem)
    return doc | {"request_id": request_id} if request_id else doc
