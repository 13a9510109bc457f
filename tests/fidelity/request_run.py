"""Recorded requests, sent on to each upstream format: what arrives there, compared by meaning."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.fidelity import (
    request_anthropic,
    request_bedrock,
    request_chat,
    request_gemini,
    request_responses,
)
from tests.fidelity.replay import CLIENT_WIRES, PROVIDER_OF, asked_model, configuration, restless, wire_of
from tests.fidelity.requests import Request, differences
from tests.support import recordings

READ: dict[str, Callable[[dict[str, Any]], Request]] = {
    "openai-chat": request_chat.read,
    "openai-responses": request_responses.read,
    "anthropic-messages": request_anthropic.read,
    "gemini": request_gemini.read,
    "bedrock-converse": request_bedrock.read,
    "anthropic-vertex": request_anthropic.read,
}

PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}

ANSWERS: dict[str, dict[str, Any]] = {
    "openai-chat": {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    },
    "openai-responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "ok", "annotations": []}],
            }
        ],
    },
    "anthropic-messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]
    },
    "bedrock-converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    },
}
ANSWERS["anthropic-vertex"] = ANSWERS["anthropic-messages"]

Verdict = Literal["pass", "told", "refused", "fail"]


@dataclass(frozen=True)
class Sent:
    """One recorded request at one upstream. `told` is what the gateway said that it dropped."""

    id: str
    client: str
    upstream: str
    verdict: Verdict
    told: str
    differences: tuple[str, ...]


def wire_of_path(path: str) -> str:
    """The format of an upstream that was called."""
    if path.endswith(("/converse", "/converse-stream")):
        return "bedrock-converse"
    if path.endswith("awPredict"):
        return "anthropic-vertex"
    return next((wire for wire, end in PATHS.items() if path.endswith(end)), "gemini")


def asked(name: str) -> dict[str, Any] | None:
    """The recorded request of `folder/id`, for a plain answer; None where there is none in JSON."""
    request = recordings.load(name).request
    body = (request or {}).get("body")
    if not isinstance(body, dict):
        return None
    return {k: v for k, v in body.items() if k not in ("stream", "stream_options")}


async def run(names: Iterable[str], upstreams: Sequence[str] = (), *, jobs: int = 8) -> list[Sent]:
    """Every one of these recordings' requests × upstream formats (none: all)."""
    arrived: dict[tuple[str, str], dict[str, Any]] = {}

    def answer(seen: Seen) -> Scripted:
        wire = wire_of_path(seen.path)
        arrived[wire, asked_model(seen)] = seen.json
        return Scripted(json=ANSWERS[wire])

    found = [(recordings.load(n), body) for n in names if (body := asked(n)) is not None]
    bodies = [(recording, body) for recording, body in found if wire_of(recording) in CLIENT_WIRES]
    gate = asyncio.Semaphore(jobs)
    sent: list[Sent] = []
    async with (
        FakeUpstream(answer) as upstream,
        gateway(configuration(upstream.url), state=restless()) as running,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as tasks,
    ):

        async def one(recording: recordings.Recording, body: dict[str, Any], target: str) -> None:
            client = wire_of(recording)
            url, document = _call(client, f"{PROVIDER_OF[target]}/{recording.id}", body)
            async with gate, session.post(running.url + url, json=document) as response:
                told = response.headers.get("X-OmniRoute-Dropped", "")
                text = await response.text()
            seen = arrived.get((target, recording.id))
            got = None if seen is None else READ[target](seen)
            asked = READ[client](body)
            sent.append(judge(recording.id, client, target, asked, got, told, response.status, text))

        for recording, body in bodies:
            for target in PROVIDER_OF:
                if not upstreams or target in upstreams:
                    tasks.create_task(one(recording, body, target))
    return sorted(sent, key=lambda s: (s.client, s.upstream, s.id))


def _call(client: str, model: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if client == "gemini":
        return f"/v1beta/models/{model}:generateContent", body
    return PATHS[client], {**body, "model": model}


def judge(
    id: str, client: str, target: str, asked: Request, got: Request | None, told: str, status: int, text: str
) -> Sent:
    """What was asked, beside what got to the target."""
    if got is None:
        verdict: Verdict = "refused" if status == 400 else "fail"
        return Sent(id, client, target, verdict, "", (f"{status}: {_message(text)}",))
    found = [d for d in differences(asked, got) if not lawful(d, target, asked, got)]
    silent = [f"{field}: {words}" for field, words in found if not is_told(field, told)]
    if silent:
        return Sent(id, client, target, "fail", told, tuple(silent))
    return Sent(id, client, target, "told" if found else "pass", told, tuple(f"{f}: {w}" for f, w in found))


COOL = ("bedrock-converse", "anthropic-vertex")
"""Formats whose temperatures end at 1."""


def lawful(difference: tuple[str, str], target: str, expected: Request, got: Request) -> bool:
    """The least output that the Responses API takes is 16 tokens. Converse has no word for "no tool": none is there;
    and it wants all tools declared that earlier turns called."""
    field, words = difference
    if target == "openai-responses":
        return field == "max_tokens" and words.endswith("became 16")
    if field == "temperature" and target in COOL:
        return expected.sampling[field] > 1 and got.sampling.get(field) == 1
    if target != "bedrock-converse":
        return False
    barred = expected.choice is not None and expected.choice[0] == "none"
    if field in ("tools", "tool_choice") and barred:
        return not got.tools
    return field == "tools" and not expected.tools and set(got.tools) == {name for name, _ in expected.calls}


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return text[:200]


def is_told(field: str, told: str) -> bool:
    """Whether one of the names in the header is this field's."""
    return any(re.search(TOLD.get(field, re.escape(field)), name.strip()) for name in told.split(",") if name)


TOLD = {
    "results": r"previous_response_id",
    "dialogue": r"previous_response_id",
    "tool_choice": r"tool_?[cC]hoice|toolConfig",
    "server_tools": r"tools\[\]\.|web_search_options|additional_tools|mcp_servers",
    "server_parts": r"_(call|use|result|output|reference|tools)$|^(executableCode|codeExecutionResult|toolCall)",
    "media": r"image|file|video|audio|document",
    "reasoning": r"reasoning|thinking|output_config",
}
"""Field → what its names in the header look like; the client's own words for it."""
