"""Errors of the Responses API: those of Chat Completions, and what stands in streams and failed responses.

https://platform.openai.com/docs/api-reference/responses-streaming/error
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire import openai_chat_errors
from omniroute.wire.conversation import Doc
from omniroute.wire.openai_responses_shapes import said
from omniroute.wire.retry_after import retry_after

_OWN_WORDS: dict[str, ProblemKind] = {
    "previous_response_not_found": "not_found",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "usage_limit_reached": "quota",
    "usage_not_included": "billing",
}
"""Words that only this API and the subscription behind Codex use."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The problem of an HTTP error answer, whatever its body holds. Header names are lower case."""
    problem = openai_chat_errors.read_error(status, headers, body)
    if problem.native not in _OWN_WORDS:
        return problem
    waiting = retry_after(status, headers, _until_reset(body)) or problem.retry_after
    return msgspec.structs.replace(problem, kind=_OWN_WORDS[problem.native], retry_after=waiting)


class _Reset(msgspec.Struct):
    resets_in_seconds: float | None = None


class _ResetBody(msgspec.Struct):
    error: _Reset


def _until_reset(body: bytes) -> float | None:
    """A used-up subscription tells in its body when it is filled again."""
    try:
        return msgspec.json.decode(body, type=_ResetBody).error.resets_in_seconds
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def problem_of_response(response: Doc) -> Problem | None:
    """The problem of a response object with `status: failed`, or with an error; None for any other."""
    if response.get("status") != "failed" and not response.get("error"):
        return None
    return problem_in(response)


def problem_in(doc: Doc) -> Problem:
    """The problem that an error event or a failed response tells of."""
    problem = openai_chat_errors.problem_of_body(doc, named_error=True)
    if problem is None or not (said(doc, "message") or doc.get("error")):
        return Problem(kind="server", message="The upstream failed and gave no reason.")
    return msgspec.structs.replace(problem, kind=_OWN_WORDS.get(problem.native or "", problem.kind))


FAILURE_CODES: dict[ProblemKind, str] = {
    "invalid_request": "invalid_prompt",
    "too_large": "invalid_prompt",
    "content_filter": "invalid_prompt",
    "context_length": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "overloaded": "server_is_overloaded",
}
"""`error.code` of a failed response; else `server_error`. Clients act on three words that the SDK's type leaves
out, though the API sends them: the context is full, the quota is used up, the server is overloaded."""


def write_error(problem: Problem, request_id: str) -> Doc:
    """An error body, in the shape that all of OpenAI's endpoints share."""
    return openai_chat_errors.write_error(problem, request_id)


def error_fields(problem: Problem) -> Doc:
    """What an `error` event says, beside its type and number."""
    error = write_error(problem, "")["error"]
    return {"code": error["code"], "message": problem.message, "param": problem.param}
