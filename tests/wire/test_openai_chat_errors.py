"""Errors of Chat Completions servers: what they mean, and how ours are worded."""

from __future__ import annotations

import json
import time
from typing import Any, get_args

import httpx2
import openai
import pytest

from omniroute.errors import Problem, ProblemKind, Tried
from omniroute.wire.openai_chat import OpenAIChat
from tests.support import recordings

WIRE = OpenAIChat()


def read(status: int, body: Any, **headers: str) -> Problem:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WIRE.read_error(status, {key.replace("_", "-"): value for key, value in headers.items()}, raw)


def error(message: str = "x", **fields: Any) -> Any:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # The words say it.
        (400, error(code="context_length_exceeded"), "context_length"),
        (401, error(type="invalid_request_error", code="invalid_api_key"), "authentication"),
        (401, error(type="authentication_error", code="invalid_request_error"), "authentication"),
        (429, error(type="requests", code="rate_limit_exceeded"), "rate_limit"),
        (429, error(type="insufficient_quota"), "quota"),
        (429, error(code="RateLimitReached"), "rate_limit"),
        (404, error(code="DeploymentNotFound"), "model_not_found"),
        (400, error(code="content_filter"), "content_filter"),
        (400, error(code=None, innererror={"code": "ResponsibleAIPolicyViolation"}), "content_filter"),
        (400, error(type="too_many_prompt_tokens", code=400), "context_length"),
        (503, error(type="engine_overloaded_error"), "overloaded"),
        (400, [error(code=400, status="INVALID_ARGUMENT")], "invalid_request"),
        (429, [error(code=429, status="RESOURCE_EXHAUSTED")], "rate_limit"),
        # The message says it.
        (400, error("This model's maximum context length is 8192 tokens."), "context_length"),
        (400, error("prompt too long; exceeded max context length by 5 tokens"), "context_length"),
        (413, error("Input is too long for the requested model."), "context_length"),
        (402, error("Insufficient Balance"), "billing"),
        (429, error("You exceeded your current quota, please check your plan."), "quota"),
        (429, error("Rate limit exceeded: 1 request per minute. High demand."), "rate_limit"),
        (429, error("The engine is currently overloaded"), "overloaded"),
        (500, error("The model is overloaded. Please try again later."), "overloaded"),
        (404, error("The model `a` does not exist or you do not have access to it."), "model_not_found"),
        (400, error("llama-9 is not a valid model ID"), "model_not_found"),
        (400, error("API key not valid. Please pass a valid API key."), "authentication"),
        (400, error("filtered due to our content management policy"), "content_filter"),
        # A gateway behind the gateway says it.
        (
            400,
            error("Provider returned error", metadata={"raw": '{"error":{"message":"prompt is too long"}}'}),
            "context_length",
        ),
        # Only the status says it.
        (400, error(), "invalid_request"),
        (401, error(), "authentication"),
        (402, error(), "billing"),
        (403, error(), "permission"),
        (404, error(), "not_found"),
        (405, error(), "method_not_allowed"),
        (408, error(), "timeout"),
        (413, error(), "too_large"),
        (422, error(), "invalid_request"),
        (429, error(), "rate_limit"),
        (500, error(type="invalid_request_error"), "server"),
        (502, error(), "bad_gateway"),
        (503, error(), "unavailable"),
        (504, error(), "timeout"),
        (529, error(), "overloaded"),
        # An ordinary mistake that only sounds like something else.
        (
            400,
            error("'stop' is not supported with this model.", code="unsupported_parameter"),
            "invalid_request",
        ),
        (500, error("Internal error: no rate limit information", type="server_error"), "server"),
        # No JSON.
        (502, b"<html><title>502 Bad Gateway</title></html>", "bad_gateway"),
        (503, b"", "unavailable"),
        (500, b"oops", "server"),
        (429, b"Too Many Requests", "rate_limit"),
        (500, b'{"error": {"mess', "server"),
        (500, b"\xff\xfe", "server"),
        (302, b"", "bad_gateway"),
        (200, b"<html>", "bad_gateway"),
        (500, None, "server"),
        (500, "just text", "server"),
        (500, [], "server"),
        (500, {"error": None}, "server"),
    ],
)
def test_kinds(status: int, body: Any, kind: ProblemKind) -> None:
    problem = read(status, body)
    assert problem.kind == kind
    assert problem.status == (status if status >= 400 else 0)
    assert problem.message and "<" not in problem.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (error("a\n  b"), "a b"),
        ({"error": "a"}, "a"),
        ({"error": "Bad Request", "message": "a"}, "a"),
        ({"message": "a"}, "a"),
        ({"detail": "a"}, "a"),
        ({"detail": [{"loc": ["body"], "msg": "a"}, {"msg": "b"}]}, "a; b"),
        ({"object": "error", "message": "a", "code": 400}, "a"),
        ({"errors": [{"message": "a"}]}, "a"),
        ([error("a")], "a"),
        (error("Provider returned error", metadata={"raw": "a"}), "Provider returned error: a"),
        (b"a", "a"),
        (b"<!DOCTYPE html>", "The upstream answered with a page instead of an error message (status 400)."),
        (b"", "The upstream failed and gave no reason (status 400)."),
        ({}, "The upstream failed and gave no reason (status 400)."),
        (b'{"error', "The upstream's error message was cut off (status 400)."),
        (error("Incorrect key sk-proj-abcdefghijklmnop1234."), "Incorrect key [secret]."),
        (error("x" * 5000), "x" * 2000),
    ],
)
def test_messages(body: Any, message: str) -> None:
    assert read(400, body).message == message


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry_after": "20"}, "x", 20.0),
        ({"retry_after": "0.5"}, "x", 0.5),
        ({"retry_after_ms": "1500", "retry_after": "2"}, "x", 1.5),
        (
            {"retry_after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"},
            "x",
            30.0,
        ),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "x", 0.0),
        ({"retry_after": "soon"}, "x", None),
        ({"retry_after": "-5"}, "x", None),
        ({"retry_after": "nan"}, "x", None),
        ({}, "Please try again in 20s.", 20.0),
        ({}, "Please try again in 1m20.5s.", 80.5),
        ({}, "Please try again in 250ms.", 0.25),
        ({}, "Please try again in 2h.", 7200.0),
        ({}, "Please retry in 37.2s", 37.2),
        ({}, "Please try again later.", None),
        ({"retry_after": "3"}, "try again in 20s", 3.0),
    ],
)
def test_when_to_come_back(headers: dict[str, str], message: str, seconds: float | None) -> None:
    assert read(429, error(message), **headers).retry_after == seconds


def test_limits_that_a_gateway_passes_on_in_the_body() -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{(time.time() + 60) * 1000:.0f}"}
    found = read(429, error("Rate limit exceeded", code=429, metadata={"headers": reset})).retry_after
    assert found is not None and 50 < found < 61


def test_words_are_kept() -> None:
    problem = read(400, error(type="t", code="c", param="messages[0]"))
    assert (problem.native, problem.param) == ("c", "messages[0]")
    assert read(400, error(code=401)).native == "401"


ERRORS = [name for f in ("openai-chat", "mistral-chat") for name in recordings.ids(f, feature="error")]


@pytest.mark.parametrize("name", ERRORS)
def test_recorded_errors(name: str) -> None:
    recording = recordings.load(name)
    if recording.status == 200:
        pytest.skip("the error came in a stream")
    raw = recording.body if isinstance(recording.body, str) else json.dumps(recording.body)
    problem = WIRE.read_error(recording.status, recording.headers, raw.encode())
    expected = {401: {"authentication"}, 404: {"model_not_found"}, 429: {"rate_limit"}}
    assert problem.kind in expected.get(recording.status, {"invalid_request", "context_length"})
    assert problem.status == recording.status


def test_documented_errors() -> None:
    path = recordings.require("recordings") / "documented-errors.json"
    for given in json.loads(path.read_text())["errors"]:
        problem = WIRE.read_error(given["status"], given["headers"], json.dumps(given["body"]).encode())
        assert problem.status == given["status"]
        if given["provider"] == "openai":
            assert problem.message == given["body"]["error"]["message"]


@pytest.mark.parametrize("kind", get_args(ProblemKind))
def test_the_sdk_understands_our_errors(kind: ProblemKind) -> None:
    problem = Problem(
        kind=kind,
        message="It failed.",
        param="model",
        tried=(Tried(target="a/b", reason="busy", status=503),),
    )
    body = WIRE.write_error(problem, "req_1")
    assert WIRE.read_error(problem.http_status, {}, json.dumps(body).encode()).kind in (kind, "quota")

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(problem.http_status, json=body)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(model="m", messages=[])
    assert raised.value.status_code == problem.http_status
    assert raised.value.body["message"] == "It failed."  # type: ignore[index]  # an object
    assert raised.value.param == "model"
    assert raised.value.body["tried"] == [{"target": "a/b", "reason": "busy", "status": 503}]  # type: ignore[index]  # an object


def test_our_own_code_is_told() -> None:
    body = WIRE.write_error(Problem(kind="invalid_request", message="x", code="strict_translation"), "")
    assert body["error"]["code"] == "strict_translation"
    assert "request_id" not in body["error"] and "tried" not in body["error"]
