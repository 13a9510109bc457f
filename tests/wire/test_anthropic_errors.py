"""Errors of Anthropic Messages, read in all shapes and written in one."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from omniroute.errors import STATUS_OF, Problem, Tried
from tests.support import recordings
from tests.support.anthropic_messages import (
    MESSAGE,
    WIRE,
    Doc,
    sdk_message,
    sse,
)


def error(type: str, message: str) -> Doc:
    return {"type": "error", "error": {"type": type, "message": message}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            400,
            error("invalid_request_error", "messages: at least one message is required"),
            "invalid_request",
        ),
        (
            400,
            error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            "context_length",
        ),
        (
            400,
            error("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            "context_length",
        ),
        (400, error("invalid_request_error", "Output blocked by content filtering policy"), "content_filter"),
        (400, error("invalid_request_error", "Your credit balance is too low to access the API."), "billing"),
        (400, error("invalid_request_error", "You have reached your specified API usage limits."), "quota"),
        (401, error("authentication_error", "invalid x-api-key"), "authentication"),
        (402, error("billing_error", "pay"), "billing"),
        (403, error("permission_error", "no"), "permission"),
        (404, error("not_found_error", "model: claude-none"), "model_not_found"),
        (404, error("not_found_error", "Not found"), "not_found"),
        (413, error("request_too_large", "Request exceeds the maximum size"), "too_large"),
        (
            429,
            error("rate_limit_error", "This request would exceed your account's rate limit."),
            "rate_limit",
        ),
        (429, error("rate_limit_error", "Your weekly limit is reached; it resets on Monday."), "quota"),
        (500, error("api_error", "Internal server error"), "server"),
        (504, error("timeout_error", "Request timed out."), "timeout"),
        (529, error("overloaded_error", "Overloaded"), "overloaded"),
        (529, {}, "overloaded"),
        (429, {"error": {"code": "1302", "message": "High concurrency usage of this API"}}, "rate_limit"),
        (404, {"error": {"message": "model glm-9 does not exist", "code": 1211}}, "model_not_found"),
        (401, {"detail": "Unauthorized"}, "authentication"),
        (400, {"error": "Unknown model"}, "model_not_found"),
        (500, {"code": 500, "msg": "404 NOT_FOUND", "success": False}, "server"),
        (418, {"message": "teapot"}, "invalid_request"),
        (599, [], "server"),
    ],
)
def test_upstream_errors_have_one_meaning(status: int, body: Any, kind: str) -> None:
    problem = WIRE.read_error(status, {}, json.dumps(body).encode())
    assert problem.kind == kind
    assert problem.http_status == status
    assert problem.message


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Bad gateway</body></html>", b'{"error": {"mess', b"\xff\xfe", b"null"]
)
def test_foreign_text_never_reaches_the_client(body: bytes) -> None:
    problem = WIRE.read_error(502, {"content-type": "text/html"}, body)
    assert (problem.kind, problem.message) == ("bad_gateway", "The upstream answered with status 502.")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "17"}, 17),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert WIRE.read_error(429, headers, b"{}").retry_after == seconds


def test_documented_and_recorded_errors() -> None:
    root = recordings.require("recordings")
    kinds = {
        529: "overloaded",
        500: "server",
        429: "rate_limit",
        413: "too_large",
        403: "permission",
        504: "timeout",
    }
    documented = [
        e
        for e in json.loads((root / "documented-errors.json").read_text())["errors"]
        if e["provider"] == "anthropic"
    ]
    for entry in documented:
        problem = WIRE.read_error(entry["status"], entry["headers"], json.dumps(entry["body"]).encode())
        assert problem.kind == kinds[entry["status"]]
        assert problem.message == entry["body"]["error"]["message"]
        assert WIRE.write_error(problem, "req_1")["error"]["type"] == entry["body"]["error"]["type"]


@pytest.mark.parametrize("kind", sorted(STATUS_OF))
def test_every_kind_of_error_can_be_written(kind: Any) -> None:
    doc = WIRE.write_error(Problem(kind=kind, message="so it is"), "req_1")
    assert doc["type"] == "error"
    assert doc["request_id"] == "req_1"
    assert doc["error"]["type"].endswith("_error") or doc["error"]["type"] == "request_too_large"
    assert doc["error"]["message"].endswith("so it is")


def test_an_error_tells_what_was_tried() -> None:
    tried = (Tried(target="a/b", reason="rate limit", status=429), Tried(target="c/d", reason="breaker open"))
    doc = WIRE.write_error(
        Problem(kind="unavailable", message="no", code="all_failed", param="model", tried=tried), ""
    )
    assert doc == {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "no",
            "code": "all_failed",
            "param": "model",
            "tried": [
                {"target": "a/b", "reason": "rate limit", "status": 429},
                {"target": "c/d", "reason": "breaker open", "status": None},
            ],
        },
    }


def test_an_overlong_prompt_is_told_in_the_words_that_clients_look_for() -> None:
    written = WIRE.write_error(Problem(kind="context_length", message="128000 tokens at most"), "")
    assert written["error"]["message"] == "prompt is too long: 128000 tokens at most"


def test_the_error_event_raises_in_the_sdk() -> None:
    raw = sse(MESSAGE) + WIRE.error_event(Problem(kind="bad_gateway", message="cut"), "req_1")
    with pytest.raises(anthropic.APIStatusError, match="cut"):
        sdk_message(raw)
