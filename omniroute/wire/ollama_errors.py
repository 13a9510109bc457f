"""Errors of Ollama out: `{"error": "…"}`, a sentence and no type. https://docs.ollama.com/api/errors

What comes in is read by `openai_chat_errors.read_error`, which knows this shape among many.
"""

from __future__ import annotations

from omniroute.errors import Problem
from omniroute.wire.conversation import Doc
from omniroute.wire.failures import words_of


def write_error(problem: Problem, request_id: str) -> Doc:
    """The error body; what programs may want to test stands beside the sentence."""
    doc: Doc = {"error": problem.message} | words_of(problem)
    return doc | {"request_id": request_id} if request_id else doc
