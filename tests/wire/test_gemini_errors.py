"""Gemini errors: what upstreams send gets one meaning, and clients get Google's words."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any, get_args

import pytest

from omniroute.errors import Problem, ProblemKind, Tried
from omniroute.wire.conversation import Doc
from tests.support import recordings
from tests.support.gemini import GEMINI, events

RPC = "type.googleapis.com/google.rpc."


def read(status: int, body: Any, **headers: str) -> Problem:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return GEMINI.read_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def error(status: str, message: str = "x", *details: Doc, code: int = 400) -> Doc:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
PER_MINUTE = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}
NONE_AT_ALL = {"violations": [{"quotaId": "GenerateRequestsPerMinute-FreeTier", "quotaValue": "0"}]}


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, error("INVALID_ARGUMENT"), "invalid_request"),
        (400, error("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), "authentication"),
        (400, error("INVALID_ARGUMENT", "x", {"reason": "API_KEY_INVALID"}), "authentication"),
        (400, error("INVALID_ARGUMENT", "The input token count (2000) exceeds the maximum number of tokens allowed (1000)."), "context_length"),
        (400, error("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."), "too_large"),
        (400, error("INVALID_ARGUMENT", "The prompt was blocked."), "content_filter"),
        (400, error("FAILED_PRECONDITION", "User location is not supported for the API use."), "permission"),
        (400, error("FAILED_PRECONDITION", "Please enable billing on your project."), "billing"),
        (401, error("UNAUTHENTICATED"), "authentication"),
        (403, error("PERMISSION_DENIED"), "permission"),
        (404, error("NOT_FOUND", "models/x is not found for API version v1beta"), "model_not_found"),
        (404, error("NOT_FOUND", "Cached content not found."), "not_found"),
        (429, error("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."), "quota"),
        (429, error("RESOURCE_EXHAUSTED", "You exceeded your current quota.", PER_DAY), "quota"),
        (429, error("RESOURCE_EXHAUSTED", "You exceeded your current quota.", PER_MINUTE), "rate_limit"),
        (429, error("RESOURCE_EXHAUSTED", "You exceeded your current quota.", NONE_AT_ALL), "quota"),
        (429, error("RESOURCE_EXHAUSTED", "You exceeded your current quota.", {"retryDelay": "3s"}), "rate_limit"),
        (429, error("RESOURCE_EXHAUSTED", "Too many requests."), "rate_limit"),
        (499, error("CANCELLED"), "cancelled"),
        (500, error("INTERNAL"), "server"),
        (503, error("UNAVAILABLE", "The model is overloaded."), "overloaded"),
        (504, error("DEADLINE_EXCEEDED"), "timeout"),
        # In an array, as streams without SSE have it; as text inside of a message, as proxies have it.
        (400, [error("PERMISSION_DENIED")], "permission"),
        (500, {"error": {"message": json.dumps(error("UNAVAILABLE", code=503))}}, "overloaded"),
        (500, {"error": "just text"}, "server"),
        (403, {"message": "no error object"}, "permission"),
        # What is no error of Google's at all.
        (502, b"<html><body>Bad gateway</body></html>", "bad_gateway"),
        (503, b"", "overloaded"),
        (429, b'{"error": {"mess', "rate_limit"),
        (418, b"teapot", "invalid_request"),
        (200, b"<html>", "bad_gateway"),
    ],
)  # fmt: skip
def test_errors_are_read(status: int, body: Any, kind: str) -> None:
    problem = read(status, body)
    assert problem.kind == kind
    assert problem.message and "<" not in problem.message
    assert problem.http_status >= 400


@pytest.mark.parametrize(
    "details, headers, seconds",
    [
        ([{"@type": f"{RPC}RetryInfo", "retryDelay": "34.4s"}], {}, 34.4),
        ([{"@type": f"{RPC}RetryInfo", "retryDelay": {"seconds": "7"}}], {}, 7.0),
        ([], {"retry_after": "12"}, 12.0),
        ([], {"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ([], {"retry_after": "soon"}, None),
        ([{"retryDelay": "later"}], {}, None),
        ([], {}, None),
    ],
)
def test_when_to_try_again(details: list[Doc], headers: dict[str, str], seconds: float | None) -> None:
    assert read(429, error("RESOURCE_EXHAUSTED", "x", *details), **headers).retry_after == seconds


def test_when_to_try_again_as_a_date() -> None:
    found = read(503, b"", retry_after=formatdate(time.time() + 60, usegmt=True)).retry_after
    assert found is not None and 55 < found <= 60
    assert read(503, b"", retry_after=formatdate(0, usegmt=True)).retry_after == 0.0


def test_messages_are_short_and_keep_no_secret() -> None:
    secret = "A" * 39
    problem = read(400, error("INVALID_ARGUMENT", f"API key: {secret} \n is bad. " + "x" * 5000))
    assert secret not in problem.message
    assert len(problem.message) <= 1000
    assert "\n" not in problem.message


RECORDED = [n for wire in ("gemini-generate", "gemini-stream", "gemini-count-tokens") for n in recordings.ids(wire, feature="error")]  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_errors(name: str) -> None:
    recording = recordings.load(name)
    problem = read(recording.status, recording.body)
    assert problem.status == recording.status
    assert problem.message.split()[:5] == recording.body["error"]["message"].split()[:5]
    assert problem.native == recording.body["error"]["status"]


def test_documented_errors() -> None:
    cases = json.loads((recordings.require("recordings") / "documented-errors.json").read_text())["errors"]
    found = {c["status"]: read(c["status"], c["body"]) for c in cases if c["provider"] == "gemini"}
    assert {status: problem.kind for status, problem in found.items()} == {
        503: "overloaded", 500: "server", 429: "rate_limit", 504: "timeout",
    }  # fmt: skip
    assert found[429].retry_after == 37.0


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_error_in_googles_words() -> None:
    problem = Problem(
        kind="overloaded", message="All targets failed.", code="no_target", retry_after=1.5, param="model",
        tried=(Tried(target="a/b", reason="rate_limit", status=429), Tried(target="c/d", reason="timeout")),
    )  # fmt: skip
    assert GEMINI.write_error(problem, "req_1") == {
        "error": {
            "code": 503,
            "message": "All targets failed.",
            "status": "UNAVAILABLE",
            "details": [
                {"@type": f"{RPC}ErrorInfo", "reason": "NO_TARGET", "domain": "omniroute"},
                {"@type": f"{RPC}BadRequest", "fieldViolations": [{"field": "model", "description": "All targets failed."}]},
                {"@type": f"{RPC}RetryInfo", "retryDelay": "1.5s"},
                {"@type": f"{RPC}RequestInfo", "requestId": "req_1"},
            ],
            "tried": [
                {"target": "a/b", "reason": "rate_limit", "status": 429},
                {"target": "c/d", "reason": "timeout", "status": None},
            ],
        }
    }  # fmt: skip


@pytest.mark.parametrize("kind", get_args(ProblemKind))
def test_every_kind_has_a_word(kind: ProblemKind) -> None:
    problem = Problem(kind=kind, message="x")
    found = GEMINI.write_error(problem, "")["error"]
    assert found["code"] == problem.http_status
    assert found["status"].isupper()
    assert "details" not in found


def test_the_event_for_a_stream_that_broke() -> None:
    found = events(GEMINI.error_event(Problem(kind="timeout", message="Too slow."), "req_1"))
    assert found[0]["error"]["status"] == "DEADLINE_EXCEEDED"
