"""The first requests of real coding CLIs, as they were sent, and what of them arrives at an upstream of each format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.fidelity import request_cohere, request_ollama
from tests.fidelity.replay import BASE, PROVIDER_OF, restless
from tests.fidelity.request_run import ANSWERS, PATHS, READ, Sent, judge
from tests.support import recordings

CLIS = ("aider", "claude-code", "cline", "codex", "gemini-cli", "kilo", "opencode", "pi", "qwen-code")

UPSTREAMS = {**PROVIDER_OF, "ollama": "ollama", "cohere": "cohere"}
"""Format → the name of the provider that speaks it."""
ENDS = {**PATHS, "ollama": "/api/chat", "cohere": "/v2/chat"}
READERS = {**READ, "ollama": request_ollama.read, "cohere": request_cohere.read}
REPLIES: dict[str, dict[str, Any]] = {
    **ANSWERS,
    "ollama": {"model": "m", "message": {"role": "assistant", "content": "ok"}, "done": True},
    "cohere": {
        "id": "1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "ok"}]},
    },
}


@dataclass(frozen=True)
class CliRequest:
    """A request of a CLI: the format that it speaks, where it goes, what it says."""

    cli: str
    number: int
    client: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.cli}-{self.number}"


def requests(cli: str) -> list[CliRequest]:
    """All calls of a model that a CLI was recorded with; none where the folder is missing."""
    path = recordings.SHARED / "clients" / f"{cli}.json"
    if not path.is_file():
        return []
    found = [r for r in json.loads(path.read_text())["requests"] if isinstance(r.get("body"), dict)]
    return [
        CliRequest(
            cli,
            number,
            next((wire for wire, end in PATHS.items() if r["path"].endswith(end)), "gemini"),
            r["path"],
            {k: v for k, v in r["headers"].items() if k.lower().startswith(("anthropic-", "openai-"))},
            r["body"],
        )
        for number, r in enumerate(found)
    ]


def configuration(url: str) -> str:
    bases = {**BASE, "ollama": "", "cohere": ""}
    lines = ["providers:"]
    for wire, name in UPSTREAMS.items():
        lines.append(
            f"  {name}: {{format: {wire}, base_url: '{url}{bases[wire]}', retry: {{attempts: 1}},"
            " accounts: {a: {key: k1}}}"
        )
    return "\n".join(lines) + "\n"


async def send(asked: list[CliRequest], upstream: str) -> list[Sent]:
    """Each of these requests through a gateway to an upstream of that format, streamed as the CLI asked."""
    arrived: list[dict[str, Any]] = []

    def answer(seen: Seen) -> Scripted:
        arrived.append(seen.json)
        return Scripted(json=REPLIES[upstream])

    sent: list[Sent] = []
    async with (
        FakeUpstream(answer) as fake,
        gateway(configuration(fake.url), state=restless()) as running,
        aiohttp.ClientSession() as session,
    ):
        for one in asked:
            arrived.clear()
            url, body = _call(one, f"{UPSTREAMS[upstream]}/model-1")
            async with session.post(running.url + url, json=body, headers=one.headers) as response:
                told = response.headers.get("X-OmniRoute-Dropped", "")
                text = await response.text()
            got = READERS[upstream](arrived[-1]) if arrived else None
            expected = READERS[one.client](one.body)
            sent.append(judge(one.id, one.client, upstream, expected, got, told, response.status, text))
    return sent


def _call(one: CliRequest, model: str) -> tuple[str, dict[str, Any]]:
    if one.client == "gemini":
        return f"/v1beta/models/{model}:streamGenerateContent?alt=sse", one.body
    return one.path, {**one.body, "model": model}
