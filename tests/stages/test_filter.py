"""What the filter lets in."""

from __future__ import annotations

import json

import aiohttp
import pytest

from omniroute.testing import FakeUpstream, gateway
from tests.support.answers import call, responder

CONFIG = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
  spare: {{format: openai-chat, base_url: "{url}/v1", accounts: {{a: {{key: k}}}}}}
combos: {{both: [up/m, spare/m]}}
pipelines:
  chat: {{stages: [auth, {{stage: filter, {options}}}, route, translate, retry, log], endpoints: [chat]}}
"""


def nested(depth: int) -> str:
    return '{"model": "up/m", "messages": [], "x": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "options, body, status, code",
    [
        ("max_body: 100", {"pad": "x" * 200}, 413, "body_too_large"),
        ("max_body: 10kB", {}, 200, None),
        ("max_depth: 8", nested(20), 400, "json_too_deep"),
        ("max_depth: 8", {"pad": "[[[[[[[[[[[[[[{{{{{{"}, 200, None),
        ("max_depth: 8", {"pad": '"[[[[[[[[[[[[\\"[[[[[[[[[{'}, 200, None),
        ("max_depth: 30", nested(20), 200, None),
        ("deny_ips: [127.0.0.0/8]", {}, 403, "address_not_allowed"),
        ("allow_ips: [10.0.0.0/8]", {}, 403, "address_not_allowed"),
        ("allow_ips: [127.0.0.1]", {}, 200, None),
        ("deny_models: ['*/m']", {}, 403, "model_not_allowed"),
        ("allow_models: ['spare/*']", {}, 403, "model_not_allowed"),
        ("allow_models: ['up/*'], deny_models: ['up/x']", {}, 200, None),
    ],
)
async def test_what_is_let_in(options: str, body: object, status: int, code: str | None) -> None:
    path, request = call("openai-chat", "up/m")
    sent = body if isinstance(body, str) else json.dumps({**request, **body})  # type: ignore[dict-item]  # a dict
    async with FakeUpstream(responder()) as up:
        async with (
            gateway(CONFIG.format(url=up.url, options=options)) as gw,
            aiohttp.ClientSession() as session,
        ):
            async with session.post(gw.url + path, data=sent) as answer:
                found = await answer.json()
                assert (answer.status, found.get("error", {}).get("code")) == (status, code), found


@pytest.mark.parametrize(
    "options, target", [("deny_providers: [up]", "spare/m"), ("allow_providers: ['s*']", "spare/m")]
)
async def test_providers_are_kept_out_of_the_plan(options: str, target: str) -> None:
    path, request = call("openai-chat", "both")
    async with FakeUpstream(responder()) as up:
        async with (
            gateway(CONFIG.format(url=up.url, options=options)) as gw,
            aiohttp.ClientSession() as session,
        ):
            async with session.post(gw.url + path, json=request) as answer:
                assert answer.headers["X-OmniRoute-Target"] == target
            async with session.post(gw.url + path, json={**request, "model": "up/m"}) as answer:
                assert answer.status == 403


NAMES = """
providers:
  up: {{format: openai-chat, base_url: "{url}/v1", prefix: [u], accounts: {{a: {{key: k}}}}, models: [secret, open]}}
models: {{nice: up/secret}}
combos: {{c: [up/secret, up/open]}}
pipelines:
  chat: {{stages: [auth, {{stage: filter, deny_models: ["up/secret"]}}, route, translate, retry, log], endpoints: [chat]}}
"""


@pytest.mark.parametrize(
    "model, status",
    [("up/secret", 403), ("u/secret", 403), ("secret", 403), ("nice", 403), ("c", 200), ("up/open", 200)],
)
async def test_a_denied_model_is_denied_under_every_name(model: str, status: int) -> None:
    path, body = call("openai-chat", model)
    async with FakeUpstream(responder()) as up, gateway(NAMES.format(url=up.url)) as gw:
        async with aiohttp.ClientSession() as session, session.post(gw.url + path, json=body) as answer:
            assert answer.status == status
        assert "secret" not in [seen.json["model"] for seen in up.requests]
