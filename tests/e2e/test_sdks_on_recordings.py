"""What an official SDK gets when a real provider's recorded answer comes through the gateway from another format.

A choice of recordings; `python -m tests.fidelity` runs all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fidelity.clients import CLIENTS, Client
from tests.fidelity.replay import WIRE_OF_FOLDER, replaying, tape
from tests.fidelity.run import hear
from tests.fidelity.turns import go_on, two_turns
from tests.support import recordings

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHOSEN = {
    "openai-chat": (
        "openai-chat/openai-async-chat-completion-multiple-choices-0-219e07",
        "openai-chat/openai-streaming-detailed-usage-0-5c2f2e",
        "openai-chat/groq-multi-tool-streaming-0-125899",
        "openai-chat/avian-multi-tool-streaming-0-be8193",
        "openai-chat/deepseek-deferred-capability-with-thinking-1-997dce",
        "openai-chat/alibaba-reasoning-0-d0ac49",
        "openai-chat/groq-image-url-input-0-e9444a",
        "openai-chat/openai-async-parsed-refused-completion-0-ba5f53",
        "openai-chat/groq-tool-use-failed-error-streaming-with-text-0-2dc3e5",
        "openai-chat/openai-completion-error-0-8fbb38",
        "mistral-chat/mistral-reasoning-0-a17f7b",
    ),
    "openai-responses": (
        "openai-responses/openai-native-output-0-3a7b22",
        "openai-responses/openai-simple-object-streaming-0-5aa8cb",
        "openai-responses/openai-multiple-tools-0-d511e0",
        "openai-responses/openai-reasoning-encrypted-content-1-0-b1f99a",
        "openai-responses/azure-deepseek-reasoning-1-0-f46773",
        "openai-responses/deepseek-responses-function-tool-stream-1-223bef",
        "openai-responses/openai-responses-image-url-input-0-975314",
        "openai-responses/azure-web-search-preview-tool-1-0-0f4d6c",
        "openai-responses/openai-error-1-0-680e10",
        "openai-responses/openai-response-create-error-0-278292",
    ),
    "anthropic-messages": (
        "anthropic-messages/anthropic-cached-prompt-tokens-0-81a33a",
        "anthropic-messages/anthropic-streaming-cached-prompt-tokens-1-f8bc0a",
        "anthropic-messages/anthropic-function-calling-anthropic-claude-haiku-4-5-can-use-0-aeed4c",
        "anthropic-messages/anthropic-multi-tool-streaming-0-0bebbf",
        "anthropic-messages/anthropic-completion-thinking-tool-result-0-9f0bbe",
        "anthropic-messages/anthropic-completion-stream-thinking-0-ce68db",
        "anthropic-messages/anthropic-image-prompt-0-f128a1",
        "anthropic-messages/anthropic-refusal-no-details-0-6c85d8",
        "anthropic-messages/anthropic-web-search-tool-0-c05eaa",
        "anthropic-messages/anthropic-real-error-scenarios-anthropic-claude-haiku-4-5-hand-0-9de04a",
    ),
    "gemini": (
        "gemini-generate/gemini-complex-object-0-2b1495",
        "gemini-stream/gemini-complex-object-streaming-0-ea1053",
        "gemini-generate/gemini-multi-tool-0-fed2aa",
        "gemini-stream/gemini-memory-multi-function-call-2-046388",
        "gemini-generate/gemini-thinking-0-fd4aea",
        "gemini-stream/gemini-hooks-agent-flow-0-ee87a0",
        "gemini-stream/gemini-2-5-pro-stream-0-8ea2c0",
        "gemini-generate/vertex-google-model-armor-prompt-template-text-gets-blocked-1-10a059",
        "gemini-generate/gemini-google-429-retry-info-0-eb9bfc",
        "gemini-generate/gemini-google-model-max-tokens-thinking-model-empty-respons-0-074e50",
    ),
    "bedrock-converse": (
        "bedrock-converse/bedrock-cache-write-and-read-0-5ebc08",
        "bedrock-converse/bedrock-citations-with-bedrock-claude-haiku-4-5-cites-tool-r-1-a67849",
        "bedrock-converse/bedrock-function-calling-bedrock-claude-sonnet-4-5-can-use-p-0-030376",
        "bedrock-converse/bedrock-model-with-code-execution-tool-0-a543f2",
        "bedrock-converse/bedrock-multimodal-tool-return-matrix-direct-uploaded-file-i-1-584f97",
        "bedrock-converse/bedrock-titan-converse-guardrail-0-878588",
        "bedrock-converse-stream/bedrock-amazon-bedrock-json-with-tools-1-0-54a515",
        "bedrock-converse-stream/bedrock-converse-stream-prompt-caching-1-c6ac34",
        "bedrock-converse-stream/bedrock-model-thinking-part-stream-0-64d2d4",
        "bedrock-converse-stream/bedrock-streaming-error-0-287817",
    ),
}
"""Text, tools, parallel tools, thinking, vision, errors; plain and streamed."""

SIGNED = (
    "bedrock-converse/bedrock-model-thinking-part-anthropic-adaptive-effort-0-f29f24",
    "bedrock-converse-stream/bedrock-model-thinking-part-stream-0-64d2d4",
    "openai-responses/openai-reasoning-encrypted-content-1-0-b1f99a",
    "openai-responses/deepseek-responses-replay-own-reasoning-history-0-41667b",
    "anthropic-messages/anthropic-completion-stream-thinking-0-ce68db",
    "anthropic-messages/anthropic-mcp-servers-1-7e4fe5",
    "gemini-stream/gemini-browser-agent-persistent-session-0-39a87c",
    "gemini-generate/gemini-function-calling-gemini-gemini-2-5-flash-can-handle-0-9ddb78",
    "openai-chat/openrouter-reasoning-details-round-trip-replays-reasoning-detai-0-9997e6",
)
"""Answers with a signature, or sealed reasoning, that the provider wants back."""

Sdks = dict[str, Client]

PAIRS = [
    pytest.param(name, kind.wire, id=f"{name}-{kind.wire}")
    for wire, names in CHOSEN.items()
    for name in names
    for kind in CLIENTS
    if kind.wire != wire
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdks() -> AsyncIterator[Sdks]:
    """Each SDK, at one gateway in front of all chosen recordings."""
    recordings.require("recordings")
    tapes = [tape(name) for names in CHOSEN.values() for name in names]
    async with replaying({t.recording.id: t for t in tapes}) as running:
        clients = {kind.wire: kind(running.url) for kind in CLIENTS}
        yield clients
        for client in clients.values():
            await client.close()


@pytest.mark.parametrize(("name", "client"), PAIRS)
async def test_the_meaning_survives(sdks: Sdks, name: str, client: str) -> None:
    """Text, reasoning, calls, finish, usage and errors are those of the recording, but for what the law lets go."""
    outcome = await hear(sdks[client], tape(name))
    assert [str(d) for d in outcome.differences if d.lawful is None] == []


RECAST = [
    pytest.param(name, kind.wire, id=f"{name}-{kind.wire}")
    for wire, names in CHOSEN.items()
    for name in names
    for kind in CLIENTS
]


@pytest.mark.parametrize(("name", "client"), RECAST)
async def test_the_meaning_survives_another_shape(sdks: Sdks, name: str, client: str) -> None:
    """A whole answer where the client asked for a stream, a stream where it asked for a whole answer; in its own
    format, too."""
    outcome = await hear(sdks[client], tape(name), recast=True)
    assert [str(d) for d in outcome.differences if d.lawful is None] == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, id=f"{name}-{kind.wire}")
        for name in SIGNED
        for kind in CLIENTS
        if kind.wire != WIRE_OF_FOLDER[name.split("/")[0]]
    ],
)
async def test_what_was_signed_comes_back(name: str, kind: type[Client]) -> None:
    """The next turn brings the provider its own signature, whatever format the client keeps its history in."""
    recordings.require("recordings")
    recorded = tape(name)
    async with two_turns({recorded.recording.id: recorded}) as (running, arrived):
        client = kind(running.url)
        outcome = await go_on(client, recorded, arrived)
        await client.close()
    assert [str(d) for d in outcome.differences] == []
