"""Errors of Cohere, in and out: `{"id", "message"}`, a sentence, at times with an `error_type`.

https://docs.cohere.com/reference/errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from omniroute.errors import Problem, ProblemKind
from omniroute.wire import openai_chat_errors
from omniroute.wire.conversation import Doc
from omniroute.wire.failures import words_of

_STATUSES: dict[int, ProblemKind] = {498: "content_filter", 499: "cancelled"}
"""Statuses of the API's own."""
_MODEL_IS_GONE = re.compile(r"\bmodel\b.*\bwas removed\b", re.IGNORECASE)


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The sentence is read as that of any other server; little has a meaning of its own."""
    problem = openai_chat_errors.read_error(status, headers, body)
    kind = _STATUSES.get(status)
    if kind is not None:
        return msgspec.structs.replace(problem, kind=kind, status=0)
    if problem.kind == "not_found" and _MODEL_IS_GONE.search(problem.message):
        return msgspec.structs.replace(problem, kind="model_not_found")
    return problem


def write_error(problem: Problem, request_id: str) -> Doc:
    """The error body; what programs may want to test stands beside the sentence."""
    doc: Doc = {"id": request_id} if request_id else {}
    return doc | {"message": problem.message} | words_of(problem)
