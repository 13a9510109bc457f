"""Errors of Cohere, in and out: `{"id", "message"}`, a sentence, at times with an `error_type`.

https://docs.cohere.com/reference/errors
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire import openai_chat_errors
from omniroute.wire.conversation import Doc

_STATUSES: dict[int, ProblemKind] = {498: "content_filter", 499: "cancelled"}
"""Statuses of the API's own."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The sentence is read as that of any other server; only some statuses have a meaning of their own."""
    problem = openai_chat_errors.read_error(status, headers, body)
    kind = _STATUSES.get(status)
    return problem if kind is None else msgspec.structs.replace(problem, kind=kind, status=0)


def write_error(problem: Problem, request_id: str) -> Doc:
    """The error body; what programs may want to test stands beside the sentence."""
    doc: Doc = {"id": request_id} if request_id else {}
    doc["message"] = problem.message
    if problem.code is not None:
        doc["code"] = problem.code
    if problem.param is not None:
        doc["param"] = problem.param
    if problem.tried:
        doc["tried"] = [msgspec.to_builtins(step) for step in problem.tried]
    return doc
