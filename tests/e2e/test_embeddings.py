"""Embeddings: clients of three formats, targets of four, and all that holds for chats, on real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.support.http import post, post_raw

CONFIG = """
providers:
  up: {{format: {format}, base_url: "{url}/x", accounts: {{a: {{key: k}}}}, models: {{e: {{price: {{input: 2, output: 9}}}}}}}}
"""
VECTORS = [[0.5, -0.25, 1.0], [0.0, 2.0, -4.0]]
BASE64 = ["AAAAPwAAgL4AAIA/", "AAAAAAAAAEAAAIDA"]


def vectors(count: int) -> list[list[float]]:
    return VECTORS[:count]


def upstream_answer(format: str, count: int = 1) -> dict[str, Any]:
    """What a provider of that format says to `count` texts."""
    if format == "openai-chat":
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors(count))]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return {"object": "list", "data": data[::-1], "model": "e-001", "usage": usage}
    if format == "gemini" and count == 1:
        return {"embedding": {"values": VECTORS[0]}, "usageMetadata": {"promptTokenCount": 7}}
    if format == "gemini":
        return {
            "embeddings": [{"values": v} for v in vectors(count)],
            "usageMetadata": {"promptTokenCount": 7},
        }
    if format == "ollama":
        return {"model": "e", "embeddings": vectors(count), "total_duration": 5, "prompt_eval_count": 7}
    billed = {"billed_units": {"input_tokens": 7}}
    return {"id": "1", "texts": ["…"] * count, "embeddings": {"float": vectors(count)}, "meta": billed}


TARGETS = {
    "openai-chat": ("/x/embeddings", "/x/embeddings"),
    "gemini": ("/x/models/e:embedContent", "/x/models/e:batchEmbedContents"),
    "ollama": ("/x/api/embed", "/x/api/embed"),
    "cohere": ("/x/embed", "/x/embed"),
}
"""Format → the path for one text, and that for several."""

ASK = {
    "openai-chat": ("/v1/embeddings", {"model": "up/e", "input": ["a", "b"]}),
    "gemini": (
        "/v1beta/models/up/e:batchEmbedContents",
        {"requests": [{"model": "models/up/e", "content": {"parts": [{"text": t}]}} for t in ("a", "b")]},
    ),
    "ollama": ("/api/embed", {"model": "up/e", "input": ["a", "b"]}),
}
ASK_ONE = {
    "openai-chat": ("/v1/embeddings", {"model": "up/e", "input": "a"}),
    "gemini": ("/v1beta/models/up/e:embedContent", {"content": {"parts": [{"text": "a"}]}}),
    "ollama": ("/api/embed", {"model": "up/e", "input": "a"}),
    "ollama-prompt": ("/api/embeddings", {"model": "up/e", "prompt": "a"}),
}


def found(format: str, body: dict[str, Any]) -> list[list[float]]:
    """The vectors of an answer in a client's format."""
    if format == "openai-chat":
        return [one["embedding"] for one in body["data"]]
    if format == "gemini":
        return [one["values"] for one in body.get("embeddings", [body.get("embedding")])]
    return list(body["embeddings"]) if "embeddings" in body else [body["embedding"]]


def used(format: str, body: dict[str, Any]) -> int:
    if format == "openai-chat":
        return int(body["usage"]["total_tokens"])
    return int(body["usageMetadata"]["promptTokenCount"] if format == "gemini" else body["prompt_eval_count"])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", ASK)
async def test_several_texts(client: str, target: str) -> None:
    async with FakeUpstream([Scripted(json=upstream_answer(target, 2))]) as up:
        async with gateway(CONFIG.format(format=target, url=up.url)) as gw:
            path, asked = ASK[client]
            status, body, headers = await post(gw, path, asked)
    assert status == 200, body
    assert sorted(found(client, body)) == sorted(VECTORS)
    if client != target:
        assert found(client, body) == VECTORS
    assert used(client, body) == 7
    assert up.requests[0].path == TARGETS[target][1]
    assert headers["X-OmniRoute-Target"] == "up/e"
    assert "X-OmniRoute-Dropped" not in headers


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", ASK_ONE)
async def test_one_text(client: str, target: str) -> None:
    answer = upstream_answer(target)
    if (client, target) == ("ollama-prompt", "ollama"):
        answer = {"embedding": VECTORS[0]}
    async with FakeUpstream([Scripted(json=answer)]) as up:
        async with gateway(CONFIG.format(format=target, url=up.url)) as gw:
            path, asked = ASK_ONE[client]
            status, body, _ = await post(gw, path, asked)
    assert status == 200, body
    assert found(client, body) == VECTORS[:1]
    expected = "/x/api/embeddings" if answer.get("embedding") == VECTORS[0] else TARGETS[target][0]
    assert up.requests[0].path == expected


# ── bytes through, and what is translated ────────────────────────────────────────────────────────


async def test_the_same_format_passes_as_bytes_but_for_the_model() -> None:
    raw = b'{"input" : ["a",  [1, 2]], "model":"up/e", "made_up": 1.50}'
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat"))]) as up:
        async with gateway(CONFIG.format(format="openai-chat", url=up.url)) as gw:
            assert (await post_raw(gw, "/v1/embeddings", raw))[0] == 200
            assert gw.records[-1].path == "same"
    assert up.requests[0].body == b'{"input":["a",  [1, 2]],"model":"e","made_up":1.50}'


@pytest.mark.parametrize(
    "body, sent",
    [
        (b'{"content":{"parts":[{"text":"a"}]}}', b'{"content":{"parts":[{"text":"a"}]}}'),
        (b'{"model":"models/e", "content":"a"}', b'{"model":"models/e", "content":"a"}'),
        (b'{"model":"models/up/e","content": "a"}', b'{"model":"models/e","content":"a"}'),
        (
            b'{"requests":[{"model":"models/up/e","content":{"parts": [{"text":"a"}]}}], "x":1.0}',
            b'{"requests":[{"model":"models/e","content":{"parts": [{"text":"a"}]}}],"x":1.0}',
        ),
        (b'{"requests": "odd"}', b'{"requests": "odd"}'),
    ],
)
async def test_gemini_names_its_model_in_the_body_too(body: bytes, sent: bytes) -> None:
    verb = "batchEmbedContents" if b"requests" in body else "embedContent"
    async with FakeUpstream([Scripted(json=upstream_answer("gemini"))]) as up:
        async with gateway(CONFIG.format(format="gemini", url=up.url)) as gw:
            assert (await post_raw(gw, f"/v1beta/models/up/e:{verb}", body))[0] == 200
    assert (up.requests[0].path, up.requests[0].body) == (f"/x/models/e:{verb}", sent)


PATHS = ("/v1beta/models/{}:{}", "/v1/models/{}:{}", "/v1alpha/models/{}:{}", "/v1beta1/publishers/google/models/{}:{}",
         "/v1beta1/projects/p/locations/l/publishers/google/models/{}:{}")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_gemini_clients_spell_the_path_in_many_ways(path: str) -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("cohere"))]) as up:
        async with gateway(CONFIG.format(format="cohere", url=up.url)) as gw:
            status, body, _ = await post(gw, path.format("up/e", "embedContent"), ASK_ONE["gemini"][1])
    assert (status, body["embedding"]["values"]) == (200, VECTORS[0])


@pytest.mark.parametrize("target", [t for t in TARGETS if t != "openai-chat"])
async def test_base64_is_made_of_any_targets_numbers(target: str) -> None:
    async with FakeUpstream([Scripted(json=upstream_answer(target, 2))]) as up:
        async with gateway(CONFIG.format(format=target, url=up.url)) as gw:
            _, body, _ = await post(
                gw, "/v1/embeddings", {**ASK["openai-chat"][1], "encoding_format": "base64"}
            )
    assert [one["embedding"] for one in body["data"]] == BASE64
    assert "encoding_format" not in up.requests[0].json


async def test_base64_of_an_upstream_is_read() -> None:
    answer = upstream_answer("openai-chat", 2)
    for one in answer["data"]:
        one["embedding"] = BASE64[one["index"]]
    async with FakeUpstream([Scripted(json=answer)]) as up:
        async with gateway(CONFIG.format(format="openai-chat", url=up.url)) as gw:
            assert found("ollama", (await post(gw, *ASK["ollama"]))[1]) == VECTORS


async def test_tokens_that_nobody_told_are_estimated_and_marked() -> None:
    answer = upstream_answer("gemini")
    del answer["usageMetadata"]
    asked = {"model": "up/e", "input": "word " * 40}
    async with FakeUpstream([Scripted(json=answer)]) as up:
        async with gateway(CONFIG.format(format="gemini", url=up.url)) as gw:
            _, body, headers = await post(gw, "/v1/embeddings", asked)
            assert (gw.records[-1].input_tokens, gw.records[-1].estimated) == (50, True)
    assert body["usage"] == {"prompt_tokens": 50, "total_tokens": 50}
    assert headers["X-OmniRoute-Estimated"] == "tokens"


# ── what is lost is said, or refused ─────────────────────────────────────────────────────────────


STRICT = """
pipelines:
  careful: {{stages: [auth, route, {{stage: translate, strict: true}}, retry, log]}}
routes: [{{match: {{path: /v1/embeddings}}, pipeline: careful}}]
"""


async def test_what_is_lost_has_its_name_in_a_header_and_in_the_log() -> None:
    asked = {"model": "up/e", "input": "a", "user": "u-1", "input_type": "query", "made_up": 1}
    async with FakeUpstream([Scripted(json=upstream_answer("ollama"))]) as up:
        async with gateway(CONFIG.format(format="ollama", url=up.url)) as gw:
            status, _, headers = await post(gw, "/v1/embeddings", asked)
            assert gw.records[-1].dropped == ["input_type", "made_up"]
    assert (status, headers["X-OmniRoute-Dropped"]) == (200, "input_type, made_up")


async def test_a_strict_pipeline_refuses_it() -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("ollama"))]) as up:
        async with gateway((CONFIG + STRICT).format(format="ollama", url=up.url)) as gw:
            good = await post(gw, "/v1/embeddings", {"model": "up/e", "input": "a", "dimensions": 3})
            status, body, _ = await post(
                gw, "/v1/embeddings", {"model": "up/e", "input": "a", "input_type": "query"}
            )
            assert gw.records[-1].status == 400
    assert good[0] == 200
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "cannot_express", "input_type")
    assert len(up.requests) == 1


@pytest.mark.parametrize(
    "path, asked, param",
    [
        ("/v1/embeddings", {"model": "up/e", "input": [1, 2, 3]}, "input"),
        ("/v1/embeddings", {"model": "up/e", "input": ["a", [1]]}, "input[1]"),
        ("/v1/embeddings", {"model": "up/e", "input": []}, "input"),
        ("/v1/embeddings", {"model": "up/e", "input": "a", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"model": "up/e", "input": "a", "dimensions": 0}, "dimensions"),
        ("/v1/embeddings", {"input": "a"}, None),
    ],
)
async def test_what_cannot_be_translated_is_refused_by_name(path: str, asked: Any, param: str | None) -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("cohere"))]) as up:
        async with gateway(CONFIG.format(format="cohere", url=up.url)) as gw:
            status, body, _ = await post(gw, path, asked)
    assert (status, body["error"]["param"]) == (400, param)
    assert up.requests == []


@pytest.mark.parametrize("client", ASK_ONE)
async def test_a_format_without_embeddings_is_refused_in_the_clients_words(client: str) -> None:
    config = CONFIG.format(format="anthropic-messages", url="http://127.0.0.1:9")
    async with gateway(config) as gw:
        status, body, _ = await post(gw, *ASK_ONE[client])
    assert status == 404
    error = body["error"]
    assert "up/e has no embeddings" in (error if isinstance(error, str) else error["message"])


# ── all that holds for chats ─────────────────────────────────────────────────────────────────────


COMBO = """
providers:
  claude: {{format: anthropic-messages, base_url: "{a}/claude", accounts: {{a: {{key: k}}}}}}
  first: {{format: cohere, base_url: "{a}/first", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}}}}
  second: {{format: openai-chat, base_url: "{b}/second", accounts: {{a: {{key: k}}}}}}
combos:
  texts: {{targets: [claude/m, first/e, second/e]}}
  none: {{targets: [claude/m]}}
"""
GOES_ON = {
    "an error": Scripted(status=503, json={"message": "no room"}),
    "a limit": Scripted(status=429, json={"message": "slow down"}),
    "no vectors": Scripted(json={"id": "1", "embeddings": {"float": []}}),
    "an error in a 200": Scripted(json={"message": "something broke"}),
    "no JSON": Scripted(body="<html>"),
    "a vector too few": Scripted(json=upstream_answer("cohere", 1)),
    "words for numbers": Scripted(json={"embeddings": {"float": [["x"], ["y"]]}}),
}


@pytest.mark.parametrize("failure", GOES_ON)
async def test_a_failure_goes_to_the_next_target_past_those_without_embeddings(failure: str) -> None:
    async with (
        FakeUpstream([GOES_ON[failure]]) as bad,
        FakeUpstream([Scripted(json=upstream_answer("openai-chat", 2))]) as good,
        gateway(COMBO.format(a=bad.url, b=good.url)) as gw,
    ):
        status, body, headers = await post(gw, "/api/embed", {"model": "texts", "input": ["a", "b"]})
        assert [tried.partition(":")[0] for tried in gw.records[-1].tried] == ["first/e"]
    assert (status, found("ollama", body)) == (200, VECTORS)
    assert headers["X-OmniRoute-Target"] == "second/e"
    assert [request.path for request in bad.requests] == ["/first/embed"]


async def test_token_ids_go_to_the_target_that_takes_them() -> None:
    async with (
        FakeUpstream([Scripted(status=500)]) as bad,
        FakeUpstream([Scripted(json=upstream_answer("openai-chat"))]) as good,
        gateway(COMBO.format(a=bad.url, b=good.url)) as gw,
    ):
        status, _, headers = await post(gw, "/v1/embeddings", {"model": "texts", "input": [1, 2]})
    assert (status, headers["X-OmniRoute-Target"], bad.requests) == (200, "second/e", [])


async def test_a_combo_without_embeddings_says_so_and_an_explanation_why() -> None:
    async with gateway(COMBO.format(a="http://127.0.0.1:9", b="http://127.0.0.1:9")) as gw:
        status, body, _ = await post(gw, "/v1/embeddings", {"model": "none", "input": "a"})
        _, told, _ = await post(
            gw, "/v1/embeddings", {"model": "texts", "input": "a"}, **{"X-OmniRoute-Explain": "1"}
        )
    assert (status, body["error"]["code"]) == (404, "unsupported_operation")
    assert "it has no embeddings" in str(told)


KEYED = """
keys:
  me: {{key: ork_me, budget: {{usd: 0.00002, per: day}}}}
  chats: {{key: ork_chats, endpoints: [/v1/chat/*]}}
"""


async def test_input_tokens_are_charged_to_the_budget_of_the_key() -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("gemini"))]) as up:
        async with gateway((CONFIG + KEYED).format(format="gemini", url=up.url)) as gw:
            me = {"Authorization": "Bearer ork_me"}
            statuses = [(await post(gw, *ASK_ONE["openai-chat"], **me))[0] for _ in range(3)]
            record = gw.records[0]
            other = await post(gw, *ASK_ONE["openai-chat"], Authorization="Bearer ork_chats")
    assert statuses == [200, 200, 402]
    assert (record.endpoint, record.input_tokens, record.output_tokens) == ("/v1/embeddings", 7, 0)
    assert record.cost == pytest.approx(7 * 2e-6)
    assert other[0] == 403


@pytest.mark.parametrize(
    "client, status, error",
    [
        ("openai-chat", 429, {"code": None}),
        ("gemini", 429, {"status": "RESOURCE_EXHAUSTED"}),
        ("ollama", 429, {}),
    ],
)
async def test_errors_of_a_provider_in_the_clients_format(client: str, status: int, error: Any) -> None:
    refusal = Scripted(status=429, json={"message": "slow down"}, headers={"Retry-After": "17"})
    async with FakeUpstream([refusal]) as up:
        async with gateway(CONFIG.format(format="cohere", url=up.url)) as gw:
            told, body, headers = await post(gw, *ASK_ONE[client])
    assert (told, headers["Retry-After"]) == (status, "17")
    said = body["error"] if isinstance(body["error"], dict) else {"message": body["error"]}
    assert "slow down" in said["message"]
    assert {name: said[name] for name in error if error[name] is not None} == {
        name: value for name, value in error.items() if value is not None
    }


CACHED = """
pipelines:
  embeddings:
    stages: [auth, {{stage: cache, exact: {{}}}}, route, translate, retry, log]
"""


async def test_the_same_request_is_answered_from_the_cache_and_costs_nothing() -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("gemini"))]) as up:
        async with gateway((CONFIG + CACHED).format(format="gemini", url=up.url)) as gw:
            answers = [await post(gw, *ASK_ONE["openai-chat"]) for _ in range(2)]
            other = await post(gw, *ASK_ONE["ollama"])
            assert [record.cost for record in gw.records] == [pytest.approx(14e-6), 0, pytest.approx(14e-6)]
    assert [headers["X-OmniRoute-Cache"] for _, _, headers in answers] == ["MISS", "HIT"]
    assert answers[0][1] == answers[1][1]
    assert found("ollama", other[1]) == VECTORS[:1]
    assert len(up.requests) == 2


async def test_an_idempotency_key_holds_for_embeddings() -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat"))]) as up:
        async with gateway(CONFIG.format(format="openai-chat", url=up.url)) as gw:
            key = {"Idempotency-Key": "one"}
            answers = [await post(gw, *ASK_ONE["openai-chat"], **key) for _ in range(2)]
    assert answers[0][1] == answers[1][1]
    assert answers[1][2]["X-OmniRoute-Idempotent"] == "true"
    assert len(up.requests) == 1


EDITED = """
combos:
  short: {{targets: [{{model: up/e, params: {{dimensions: 2}}}}]}}
transforms:
  note: {{on: request, ops: [{{set: {{input_type: query}}}}]}}
"""


async def test_parameters_and_transforms_are_of_the_targets_format() -> None:
    provider = CONFIG.replace("accounts", "transforms: [note], accounts")
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat", 2))]) as up:
        async with gateway((provider + EDITED).format(format="openai-chat", url=up.url)) as gw:
            for path, asked in (ASK["openai-chat"], ASK["ollama"]):
                assert (await post(gw, path, {**asked, "model": "short"}))[0] == 200
            assert [record.path for record in gw.records] == ["edited", "cross"]
    sent = {"model": "e", "input": ["a", "b"], "dimensions": 2, "input_type": "query"}
    assert [request.json for request in up.requests] == [sent, sent]


CHAT_STAGES = """
pipelines:
  house:
    stages: [auth, {{stage: system_prompt, text: Be brief.}}, {{stage: thinking_budget, mode: auto}}, route, translate,
             retry, log]
routes: [{{match: {{path: "*"}}, pipeline: house}}]
"""


@pytest.mark.parametrize("client", ASK)
async def test_stages_for_chats_leave_embeddings_alone(client: str) -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat", 2))]) as up:
        async with gateway((CONFIG + CHAT_STAGES).format(format="openai-chat", url=up.url)) as gw:
            assert (await post(gw, *ASK[client]))[0] == 200
    assert up.requests[0].json == {"model": "e", "input": ["a", "b"]}


async def test_a_transform_that_changes_nothing_leaves_the_bytes_alone() -> None:
    config = CONFIG.replace("accounts", "transforms: [short], accounts")
    edit = "transforms: {{short: {{on: request, ops: [{{remove: made_up}}]}}}}\n"
    raw = b'{"model":"e", "input" : "a"}'
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat"))]) as up:
        async with gateway(
            (config + edit + "models: {{e: up/e}}\n").format(format="openai-chat", url=up.url)
        ) as gw:
            assert (await post_raw(gw, "/v1/embeddings", raw))[0] == 200
            assert gw.records[-1].path == "same"
    assert up.requests[0].body == raw


SHIPPED = sorted(file.stem for file in (Path(__file__).parents[2] / "transforms").glob("*.yaml"))


async def test_the_shipped_transforms_are_for_chats_and_do_no_harm_here() -> None:
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat"))]) as up:
        provider = (
            "  {0}: {{format: openai-chat, base_url: '{1}', transforms: [{0}], accounts: {{a: {{key: k}}}}}}"
        )
        config = "\n".join(["providers:", *(provider.format(name, up.url) for name in SHIPPED)])
        async with gateway(config + "\n") as gw:
            for name in SHIPPED:
                assert (await post(gw, "/v1/embeddings", {"model": f"{name}/e", "input": "a"}))[0] == 200
    assert len(up.requests) == len(SHIPPED) > 10
    assert all(request.json == {"model": "e", "input": "a"} for request in up.requests)


RACE = """
providers:
  slow: {{format: cohere, base_url: "{a}/slow", accounts: {{a: {{key: k}}}}}}
  fast: {{format: gemini, base_url: "{b}/fast", accounts: {{a: {{key: k}}}}}}
combos:
  both: {{strategy: {{type: race, first: 2}}, targets: [slow/e, fast/e]}}
"""


async def test_targets_can_race_for_vectors() -> None:
    async with (
        FakeUpstream([Scripted(json=upstream_answer("cohere"), pause=5)]) as slow,
        FakeUpstream([Scripted(json=upstream_answer("gemini"))]) as fast,
        gateway(RACE.format(a=slow.url, b=fast.url)) as gw,
    ):
        status, body, headers = await post(gw, "/v1/embeddings", {"model": "both", "input": "a"})
        await gw.recorded(1)
        assert gw.records[-1].lost == ["slow/e"]
    assert (status, headers["X-OmniRoute-Target"]) == (200, "fast/e")
    assert found("openai-chat", body) == VECTORS[:1]


async def test_the_tokens_count_for_the_limits_of_a_model() -> None:
    limited = CONFIG.replace("e: {{price", "e: {{limits: {{tpm: 20}}, price")
    async with FakeUpstream([Scripted(json=upstream_answer("ollama"))]) as up:
        async with gateway(limited.format(format="ollama", url=up.url)) as gw:
            statuses = [(await post(gw, *ASK_ONE["ollama"]))[0] for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_failures_rest_an_account_and_a_good_answer_heals_it() -> None:
    answers = [Scripted(status=500, json={}), Scripted(json=upstream_answer("ollama"))]
    config = CONFIG.replace("accounts:", "retry: {{attempts: 2, wait: 0s}}, accounts:")
    async with FakeUpstream(answers) as up:
        async with gateway(config.format(format="ollama", url=up.url)) as gw:
            status, _, _ = await post(gw, *ASK_ONE["ollama"])
            assert gw.records[-1].attempts == 2
            assert gw.gateway.state.cooldowns.all() == {}
    assert status == 200


async def test_an_edited_batch_names_the_target_in_each_request() -> None:
    config = CONFIG.replace("accounts", "transforms: [short], accounts")
    edit = "transforms: {{short: {{on: request, side: client, ops: [{{set: {{odd: true}}}}]}}}}\n"
    async with FakeUpstream([Scripted(json=upstream_answer("gemini", 2))]) as up:
        async with gateway((config + edit).format(format="gemini", url=up.url)) as gw:
            status, body, _ = await post(gw, *ASK["gemini"])
            assert status == 200, body
    assert [one["model"] for one in up.requests[0].json["requests"]] == ["models/e", "models/e"]


# ── more texts than a target takes at once ───────────────────────────────────────────────────────


def told_by_length(seen: Seen) -> Scripted:
    """A vector for each text, which is its number; 10 tokens a request."""
    texts = seen.json.get("texts") or [
        one["content"]["parts"][0]["text"] for one in seen.json.get("requests", ())
    ]
    vectors = [[float(text)] for text in texts]
    if "texts" in seen.json:
        return Scripted(
            json={"embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": 10}}}
        )
    answer: dict[str, Any] = {"embeddings": [{"values": one} for one in vectors]}
    return Scripted(json=answer | {"usageMetadata": {"promptTokenCount": 10}})


MANY = [str(number) for number in range(250)]
PARTS = """
keys:
  me: {{key: ork_me, budget: {{usd: 1, per: day}}}}
providers:
  up:
    format: {format}
    base_url: "{url}/x"
    accounts: {{a: {{key: k, quota: {{window: daily, limit: {{tokens: 1000}}}}}}}}
    models: {{e: {{price: {{input: 1000, output: 0}}}}}}
"""


@pytest.mark.parametrize("target, sizes", [("gemini", [100, 100, 50]), ("cohere", [96, 96, 58])])
async def test_too_many_texts_are_asked_for_in_parts(target: str, sizes: list[int]) -> None:
    me = {"Authorization": "Bearer ork_me"}
    async with FakeUpstream(told_by_length) as up:
        async with gateway(PARTS.format(format=target, url=up.url)) as gw:
            asked = {"model": "up/e", "input": MANY}
            status, body, _ = await post(gw, "/v1/embeddings", asked, **me)
            record = gw.records[-1]
            now = gw.gateway.state.clock()
            caller = gw.gateway.runtime.generation.keyring.find("ork_me")
            account = gw.gateway.runtime.generation.directory.providers["up"].accounts[0]
            assert caller is not None
            assert caller.budget is not None
            ledger = gw.gateway.state.ledger
            spent = ledger.standing(caller.budget, now).used
            tokens = ledger.standing(account.allowances[0], now).used
    assert status == 200, body
    assert found("openai-chat", body) == [[float(number)] for number in range(250)]
    assert body["usage"]["total_tokens"] == 30
    assert [len(one.json.get("texts") or one.json["requests"]) for one in up.requests] == sizes
    assert (record.attempts, record.input_tokens, record.estimated) == (3, 30, False)
    assert (record.cost, spent, tokens) == (pytest.approx(0.03), pytest.approx(0.03), 30)


async def test_a_part_that_fails_leads_to_the_next_target_and_the_others_are_paid_for() -> None:
    def script(seen: Seen) -> Scripted:
        return Scripted(status=500, json={}) if b'"200"' in seen.body else told_by_length(seen)

    def all_at_once(seen: Seen) -> Scripted:
        data = [{"index": at, "embedding": [float(t)]} for at, t in enumerate(seen.json["input"])]
        return Scripted(json={"data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}})

    config = """
providers:
  first: {{format: gemini, base_url: "{a}", retry: {{attempts: 1}}, accounts: {{a: {{key: k}}}},
           models: {{e: {{price: {{input: 1000, output: 0}}}}}}}}
  second: {{format: openai-chat, base_url: "{b}", accounts: {{a: {{key: k}}}},
            models: {{e: {{price: {{input: 1000, output: 0}}}}}}}}
combos:
  texts: {{targets: [first/e, second/e]}}
"""
    async with (
        FakeUpstream(script) as bad,
        FakeUpstream(all_at_once) as good,
        gateway(config.format(a=bad.url, b=good.url)) as gw,
    ):
        status, body, _ = await post(gw, "/v1/embeddings", {"model": "texts", "input": MANY})
        record = gw.records[-1]
    assert (status, len(body["data"]), body["usage"]["total_tokens"]) == (200, 250, 7)
    assert (record.target, record.attempts, record.cost) == ("second/e", 4, pytest.approx(0.027))


async def test_tokens_of_parts_that_nobody_told_are_estimated() -> None:
    def script(seen: Seen) -> Scripted:
        answer = told_by_length(seen)
        return Scripted(json={"embeddings": answer.json["embeddings"]})

    async with FakeUpstream(script) as up:
        async with gateway(PARTS.format(format="gemini", url=up.url)) as gw:
            me = {"Authorization": "Bearer ork_me"}
            _, body, headers = await post(
                gw, "/api/embed", {"model": "up/e", "input": ["12345678"] * 101}, **me
            )
            assert (gw.records[-1].input_tokens, gw.records[-1].estimated) == (202, True)
    assert (body["prompt_eval_count"], headers["X-OmniRoute-Estimated"]) == (202, "tokens")


async def test_a_long_request_is_read_once_and_passes() -> None:
    texts = ["word " * 4000] * 3
    async with FakeUpstream([Scripted(json=upstream_answer("openai-chat", 2))]) as up:
        async with gateway(CONFIG.format(format="openai-chat", url=up.url)) as gw:
            status, _, _ = await post(gw, "/v1/embeddings", {"input": texts, "model": "up/e"})
    assert status == 200
    assert up.requests[0].json == {"input": texts, "model": "e"}
