"""Anthropic Messages as Vertex AI has it: what is said in the path, in the body, and in whose words errors come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.wire.anthropic import AnthropicMessages
from omniroute.wire.anthropic_vertex import AnthropicVertex
from omniroute.wire.codec import Dialect, Peek
from omniroute.wire.conversation import Notes
from tests.support import recordings

WIRE = AnthropicVertex()
HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("name", recordings.ids("anthropic-vertex"))
def test_recorded_requests_are_written_as_they_were(name: str) -> None:
    request = recordings.load(name).request
    assert request is not None
    body, path = request["body"], request["url_path"]
    model = path.rpartition("/")[2].partition(":")[0]
    stream = body.get("stream", False)
    assert path.endswith(WIRE.path(model, stream, "chat") or "nowhere")
    assert WIRE.peek(json.dumps(body).encode()) == Peek("", stream)
    notes = Notes()
    written = WIRE.write_request(WIRE.read_request(body), Dialect(model=model), notes)
    assert notes.dropped == []
    assert {name: written[name] for name in ("anthropic_version", "max_tokens", "tools")} == {
        name: body[name] for name in ("anthropic_version", "max_tokens", "tools")
    }
    assert "model" not in written
    assert written.get("stream", False) is stream


def test_what_needs_a_beta_of_anthropic_stays_away_and_is_named() -> None:
    asked: dict[str, Any] = {
        "model": "m",
        "max_tokens": 5,
        "messages": HI,
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "mcp_servers": [{"name": "a"}],
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "cache_control": {"type": "ephemeral"},
    }
    talk = AnthropicMessages().read_request(asked)
    notes = Notes()
    written = WIRE.write_request(talk, Dialect(model="claude-x@1"), notes)
    assert written == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 5,
        "messages": HI,
        "metadata": {"user_id": "u"},
    }
    assert (notes.dropped, notes.emulated) == (["mcp_servers"], ["cache_control"])


def test_tokens_are_counted_at_an_address_of_their_own() -> None:
    assert WIRE.path("claude-x@1", False, "count_tokens") == "/models/count-tokens:rawPredict"
    talk = AnthropicMessages().read_request({"model": "m", "max_tokens": 5, "messages": HI})
    written = WIRE.write_request(talk, Dialect(model="claude-x@1"), Notes())
    assert WIRE.count_request(written, "claude-x@1") == {
        "model": "claude-x@1",
        "anthropic_version": "vertex-2023-10-16",
        "messages": HI,
    }


GOOGLE = {"error": {"code": 403, "message": "Permission denied on the model.", "status": "PERMISSION_DENIED"}}


@pytest.mark.parametrize(
    "status, body, kind, message",
    [
        (403, GOOGLE, "permission", "Permission denied on the model."),
        (403, [GOOGLE], "permission", "Permission denied on the model."),
        (
            429,
            {"error": {"code": 429, "message": "Quota exceeded for x.", "status": "RESOURCE_EXHAUSTED"}},
            "quota",
            "Quota exceeded for x.",
        ),
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9"}},
            "context_length",
            "prompt is too long: 9",
        ),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Full."}}, "overloaded", "Full."),
        (500, "<html>oops</html>", "server", "The upstream answered with status 500."),
    ],
)  # fmt: skip
def test_errors_in_both_words(status: int, body: Any, kind: str, message: str) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    problem = WIRE.read_error(status, {}, raw.encode())
    assert (problem.kind, problem.message) == (kind, message)
