"""What a client sees that does something wrong: a clear error in its own format, and a line in the log."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, Running, gateway
from tests.support.answers import WIRES, call, responder

CONFIG = """
server: {{limits: {{body: 20kB}}}}
keys:
  laptop: {{key: sk-laptop}}
  narrow: {{key: sk-narrow, models: ["up/small", cheap]}}
  metrics: {{key: sk-metrics, scopes: [metrics]}}
  admin: {{key: sk-admin, scopes: [use, admin]}}
  off: {{key: sk-off, enabled: false}}
  old: {{key: sk-old, expires: 2020-01-01}}
  elsewhere: {{key: sk-elsewhere, ips: [10.0.0.0/8]}}
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: upstream-key}}}}, models: {{small: {{}}, large: {{}}}}}}
combos:
  cheap: [up/large]
  wide: [up/small, up/large]
models:
  nick: up/large
"""

KEY = {"Authorization": "Bearer sk-laptop"}


async def ask(gw: Running, method: str, path: str, **options: Any) -> tuple[int, Any, dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, gw.url + path, **options) as answer,
    ):
        kind = answer.headers.get("content-type", "")
        body = await answer.json() if "json" in kind else await answer.text()
        return answer.status, body, {k.lower(): v for k, v in answer.headers.items()}


def message_of(wire: str, body: Any) -> str:
    """The message of an error, at the place where the format's SDK looks for it; the shape is checked on the way."""
    if wire == "anthropic-messages":
        assert body["type"] == "error"
    if wire == "gemini":
        assert isinstance(body["error"]["code"], int)
        assert body["error"]["status"].isupper()
    else:
        assert isinstance(body["error"]["type"], str)
    return str(body["error"]["message"])


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "body, status, words",
    [
        (b"", 400, "empty"),
        (b"{", 400, "not valid JSON"),
        (b"[1]", 400, "array"),
        (b'"hi"', 400, ""),
        (b"\xff\xfe{}", 400, "JSON"),
        (b"[" * 5000, 400, ""),
        (b'{"model": 7, "messages": [], "contents": 7, "input": 7}', 400, ""),
        (b'{"model": "up/small", "messages": 7, "contents": 7, "input": 7, "max_tokens": 5}', 400, ""),
        (b'{"model": "up/small", "messages": [7], "contents": [7], "input": [7], "max_tokens": 5}', 400, ""),
        (b"x" * 30_000, 413, "larger than 20000 bytes"),
    ],
    ids=[
        "empty",
        "cut",
        "array",
        "string",
        "not-utf8",
        "deep",
        "wrong-model",
        "wrong-list",
        "wrong-item",
        "huge",
    ],
)
async def test_bodies_that_are_no_request(wire: str, body: bytes, status: int, words: str) -> None:
    path, _ = call(wire, "up/small")
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        found, answer, headers = await ask(gw, "POST", path, data=body, headers=KEY)
        if wire == "openai-chat" and b"up/small" in body:
            # The target speaks the client's own format: the provider judges what it gets.
            assert found == 200
            return
        assert found == status, answer
        assert words in message_of(wire, answer)
        assert headers["x-request-id"]
        assert up.requests == []


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "headers, status, words",
    [
        ({}, 401, "needs a key"),
        ({"Authorization": "Bearer nope"}, 401, "not known"),
        ({"x-api-key": "nope"}, 401, "not known"),
        ({"x-goog-api-key": "nope"}, 401, "not known"),
        ({"Authorization": "Bearer sk-off"}, 401, "disabled"),
        ({"Authorization": "Bearer sk-old"}, 401, "expired"),
        ({"Authorization": "Bearer sk-elsewhere"}, 403, "address"),
        ({"Authorization": "Bearer sk-metrics"}, 403, "scope"),
        ({"Authorization": "Bearer sk-narrow"}, 403, "may not use"),
    ],
)
async def test_keys_that_do_not_fit(wire: str, headers: dict[str, str], status: int, words: str) -> None:
    path, body = call(wire, "up/large")
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        found, answer, _ = await ask(gw, "POST", path, json=body, headers=headers)
        assert (found, words in message_of(wire, answer)) == (status, True), answer
        assert gw.records[0].status == status
        assert up.requests == []


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "x-goog-api-key", "query"])
async def test_a_key_is_taken_wherever_an_sdk_puts_it_and_goes_no_further(header: str) -> None:
    path, body = call("openai-chat", "up/small")
    headers = (
        {header: "Bearer sk-laptop" if header == "Authorization" else "sk-laptop"}
        if header != "query"
        else {}
    )
    path += "?key=sk-laptop" if header == "query" else ""
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        assert (await ask(gw, "POST", path, json=body, headers=headers))[0] == 200
        sent = up.requests[0]
    assert sent.headers["authorization"] == "Bearer upstream-key"
    assert "sk-laptop" not in str(sent.headers) + str(sent.query)


@pytest.mark.parametrize(
    "model, status", [("up/small", 200), ("cheap", 200), ("wide", 200), ("up/large", 403), ("nick", 403)]
)
async def test_a_combo_or_alias_never_widens_a_key(model: str, status: int) -> None:
    """`cheap` is listed and opens what is in it; `wide` is not, so only its listed target is left; an alias opens nothing."""
    path, body = call("openai-chat", model)
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        found, _, headers = await ask(
            gw, "POST", path, json=body, headers={"Authorization": "Bearer sk-narrow"}
        )
        assert found == status
        if model == "wide":
            assert headers["x-omniroute-target"] == "up/small"
        listed = (await ask(gw, "GET", "/v1/models", headers={"Authorization": "Bearer sk-narrow"}))[1]
    assert sorted(m["id"] for m in listed["data"]) == ["cheap", "up/small"]


@pytest.mark.parametrize("wire", WIRES)
async def test_an_unknown_model_is_404_with_the_nearest_names(wire: str) -> None:
    path, body = call(wire, "up/smal")
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        status, answer, _ = await ask(gw, "POST", path, json=body, headers=KEY)
    assert status == 404
    assert "'up/small'" in message_of(wire, answer)


@pytest.mark.parametrize(
    "method, path, status, wire",
    [
        ("POST", "/v1/nope", 404, "openai-chat"),
        ("POST", "/v1/messages/nope", 404, "anthropic-messages"),
        ("POST", "/v1beta/nope", 404, "gemini"),
        ("POST", "/v1beta/models/m:dance", 405, "gemini"),
        ("GET", "/v1/chat/completions", 405, "openai-chat"),
        ("DELETE", "/v1/messages", 405, "anthropic-messages"),
        ("PUT", "/v1/models", 405, "openai-chat"),
        ("GET", "/v1/models/nope", 404, "openai-chat"),
    ],
)
async def test_unknown_paths_and_methods(method: str, path: str, status: int, wire: str) -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9")) as gw:
        found, answer, headers = await ask(gw, method, path, headers=KEY)
        assert found == status
        assert message_of(wire, answer)
        assert ("allow" in headers) == (status == 405)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_front_page_answers_at_once(method: str) -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9")) as gw:
        status, body, _ = await ask(gw, method, "/")
        assert status == 200
        assert method == "HEAD" or body["name"] == "OmniRoute"
        status, page, _ = await ask(gw, "GET", "/", headers={"Accept": "text/html"})
        assert "<h1>OmniRoute" in page


async def test_browsers_may_call() -> None:
    origin = {"Origin": "https://app.example", "Access-Control-Request-Headers": "x-api-key, content-type"}
    path, body = call("openai-chat", "up/small")
    async with FakeUpstream(responder()) as up, gateway(CONFIG.format(url=up.url)) as gw:
        status, _, headers = await ask(gw, "OPTIONS", path, headers=origin)
        assert (status, headers["access-control-allow-origin"]) == (204, "*")
        assert headers["access-control-allow-headers"] == "x-api-key, content-type"
        _, _, headers = await ask(gw, "POST", path, json=body, headers={**KEY, **origin})
        assert headers["access-control-allow-origin"] == "*"
        config = CONFIG.replace("server: {{", "server: {{cors: {{origins: [https://mine.example]}}, ")
        async with gateway(config.format(url=up.url)) as closed:
            _, _, headers = await ask(closed, "POST", path, json=body, headers={**KEY, **origin})
            assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "scheme", [{}, {"Authorization": "Bearer sk-laptop"}, {"Authorization": "Bearer sk-metrics"}]
)
@pytest.mark.parametrize("path", ["/-/config", "/-/state", "/-/reload", "/-/metrics"])
async def test_the_admin_plane_needs_its_own_scope(scheme: dict[str, str], path: str) -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9")) as gw:
        method = "POST" if path == "/-/reload" else "GET"
        allowed = path == "/-/metrics" and "metrics" in str(scheme)
        assert (await ask(gw, method, path, headers=scheme))[0] == (
            200 if allowed else 403 if scheme else 401
        )
        assert (await ask(gw, method, path, headers={"Authorization": "Bearer sk-admin"}))[0] == 200
        assert (await ask(gw, "GET", "/-/health"))[0] == 200


async def test_no_secret_is_in_any_answer_of_the_admin_plane() -> None:
    async with gateway(CONFIG.format(url="http://127.0.0.1:9")) as gw:
        for path in ("/-/config", "/-/state", "/-/metrics", "/-/health", "/-/ready"):
            _, body, _ = await ask(gw, "GET", path, headers={"Authorization": "Bearer sk-admin"})
            assert "sk-" not in str(body).replace("sk-ok", ""), path
            assert "upstream-key" not in str(body)


@pytest.mark.parametrize(
    "path, headers, ids",
    [
        ("/v1/models", {}, lambda body: [m["id"] for m in body["data"]]),
        ("/models", {}, lambda body: [m["id"] for m in body["data"]]),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, lambda body: [m["id"] for m in body["data"]]),
        ("/v1beta/models", {}, lambda body: [m["name"].removeprefix("models/") for m in body["models"]]),
    ],
)
async def test_models_are_listed_in_the_askers_format(path: str, headers: dict[str, str], ids: Any) -> None:
    config = "providers: {demo: {}, anthropic: {accounts: {a: {key: k}}}}\ncombos: {mine: [demo/demo]}"
    async with gateway(config) as gw:
        status, body, _ = await ask(gw, "GET", path, headers=headers)
        assert status == 200
        assert {"mine", "demo/demo", "anthropic/claude-sonnet-4-6"} <= set(ids(body))
        status, one, _ = await ask(gw, "GET", f"{path}/demo/demo", headers=headers)
        assert (status, ids({"data": [one], "models": [one]})) == (200, ["demo/demo"])


async def test_what_the_gateway_itself_does_wrong_is_a_500_in_the_clients_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with gateway("providers: {demo: {}}") as gw:
        monkeypatch.setattr(gw.gateway.data_plane.endpoints, "models_wire", lambda *_: 1 / 0)
        status, body, _ = await ask(gw, "GET", "/v1/models", headers={"anthropic-version": "x"})
        assert (status, body["type"]) == (500, "error")


@pytest.mark.parametrize(
    "config, origin, status",
    [
        ("", None, 200),
        ("", "http://localhost:5173", 200),
        ("", "https://evil.example", 403),
        ("server: {cors: {origins: ['https://*.example']}}", "https://app.example", 200),
        ("server: {cors: {origins: ['https://*.example']}}", "http://localhost", 403),
        ("keys: {me: {key: k}}", "https://any.example", 200),
    ],
)
async def test_pages_from_elsewhere_do_not_reach_a_gateway_without_keys(
    config: str, origin: str | None, status: int
) -> None:
    """Else any page that is open in a browser on this machine could spend the providers' keys."""
    headers = {"Authorization": "Bearer k", **({"Origin": origin} if origin else {})}
    path, body = call("openai-chat", "demo")
    async with gateway(f"version: 1\n{config}") as gw:
        assert (await ask(gw, "POST", path, json=body, headers=headers))[0] == status
        if not config:
            assert (await ask(gw, "POST", "/-/state/reset", headers=headers))[0] == status
