"""The next turn: what a provider signed must come back to it, also through a client format that has no place for it.

Gemini 3 and Claude refuse a tool turn whose thought signatures are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from omniroute.testing import FakeUpstream, Running, Scripted, Seen, gateway
from tests.fidelity.clients import CLIENTS, GO_ON, LONGEST, RESULT, Client
from tests.fidelity.compare import Difference
from tests.fidelity.read_gemini import SERVER_PARTS
from tests.fidelity.replay import Tape, asked_model, configuration, events, restless
from tests.fidelity.request_run import ANSWERS, wire_of_path
from tests.fidelity.run import Outcome
from tests.support import aws_events


def documents(recorded: Tape) -> list[dict[str, Any]]:
    """The JSON of a recorded answer: one document, or one for each event."""
    body = recorded.recording.body
    if isinstance(body, str) and recorded.wire == "bedrock-converse":
        return aws_events.events(aws_events.recorded(body))
    if isinstance(body, str):
        return events(body)
    return body if isinstance(body, list) else [body]


def signatures(recorded: Tape) -> set[str]:
    """All that the provider signed or sealed in an answer."""
    if recorded.recording.status != 200:
        return set()
    found: set[str] = set()
    for document in documents(recorded):
        found |= {plain(s) for s in FINDERS[recorded.wire](document) if s}
    return found


def plain(signature: str) -> str:
    """Base64 of either alphabet, without padding."""
    return signature.replace("-", "+").replace("_", "/").rstrip("=")


def _members(value: Any, *names: str) -> Iterator[str]:
    """The strings under these names, at any depth."""
    if isinstance(value, list):
        for inner in value:
            yield from _members(inner, *names)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in names and isinstance(inner, str):
                yield inner
            else:
                yield from _members(inner, *names)


def _anthropic(document: dict[str, Any]) -> Iterator[str]:
    if document.get("type") == "message":
        blocks = document.get("content") or []
    else:
        blocks = [document.get("content_block") or document.get("delta") or {}]
    for block in blocks:
        if block.get("type") in ("thinking", "signature_delta"):
            yield block.get("signature") or ""
        elif block.get("type") == "redacted_thinking":
            yield block["data"]


def _responses(document: dict[str, Any]) -> Iterator[str]:
    kind = document.get("type")
    items = (
        [document.get("item") or {}] if kind == "response.output_item.done" else document.get("output") or []
    )
    for item in items:
        if item.get("type") == "reasoning":
            yield item.get("encrypted_content") or ""


def _gemini(document: dict[str, Any]) -> Iterator[str]:
    for candidate in document.get("candidates") or []:
        for part in (candidate.get("content") or {}).get("parts") or []:
            # What a server tool's part carries goes where the part goes: nowhere.
            if not any(name in part for name in SERVER_PARTS):
                yield part.get("thoughtSignature") or ""


def _chat(document: dict[str, Any]) -> Iterator[str]:
    for choice in (document.get("choices") or [])[:1]:
        message = choice.get("message") or choice.get("delta") or {}
        for detail in message.get("reasoning_details") or []:
            yield detail.get("signature") or detail.get("data") or ""
        yield from _members(message.get("extra_content"), "thought_signature")
        for call in message.get("tool_calls") or []:
            yield from _members(call.get("extra_content"), "thought_signature")


def _bedrock(document: dict[str, Any]) -> Iterator[str]:
    """A signature of a stream comes in one event."""
    yield from _members(document, "signature", "redactedContent")


FINDERS = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic-messages": _anthropic,
    "gemini": _gemini,
    "bedrock-converse": _bedrock,
    "anthropic-vertex": _anthropic,
}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield plain(value)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)


Arrived = dict[tuple[str, str], Any]


@contextlib.asynccontextmanager
async def two_turns(tapes: Mapping[str, Tape]) -> AsyncIterator[tuple[Running, Arrived]]:
    """A gateway in front of recordings: the first request gets one, what goes on from it arrives under its id."""
    arrived: Arrived = {}

    def answer(seen: Seen) -> Scripted:
        id = asked_model(seen)
        if GO_ON.encode() in seen.body or RESULT.encode() in seen.body:
            arrived[wire_of_path(seen.path), id] = seen.json
            return Scripted(json=ANSWERS[wire_of_path(seen.path)])
        return tapes[id].answer

    async with (
        FakeUpstream(answer) as upstream,
        gateway(configuration(upstream.url), state=restless()) as running,
    ):
        yield running, arrived


async def go_on(client: Client, recorded: Tape, arrived: Arrived) -> Outcome:
    """Two turns of one client; a difference when something signed did not come back."""
    differences: list[Difference] = []
    stream = recorded.recording.streaming
    heard = await client.hear(recorded.model, stream=stream, own=False, offers=recorded.offers)
    arrived.pop((recorded.wire, recorded.recording.id), None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            async with asyncio.timeout(LONGEST):
                await client.go_on(recorded.model, heard.turn, recorded.offers)
    except Exception as error:
        differences.append(Difference("crash", f"the next turn failed: {error!r:.200}"))
    body = arrived.pop((recorded.wire, recorded.recording.id), None)
    came = set(_strings(body))
    missing = {s for s in signatures(recorded) if s not in came}
    if missing and not differences:
        words = f"{len(missing)} of {len(signatures(recorded))} did not come back: {min(missing):.40}…"
        differences.append(Difference("signatures", words))
    return Outcome(recorded.recording.id, recorded.wire, client.wire, stream, tuple(differences))


async def run(tapes: Sequence[Tape], clients: Sequence[str] = ()) -> list[Outcome]:
    """Every recording with something signed × clients of other formats, one after the other."""
    signed = [t for t in tapes if signatures(t)]
    outcomes: list[Outcome] = []
    async with two_turns({t.recording.id: t for t in signed}) as (running, arrived):
        for kind in CLIENTS:
            if clients and kind.wire not in clients:
                continue
            client = kind(running.url)
            others = [t for t in signed if t.wire != kind.wire]
            outcomes += [await go_on(client, recorded, arrived) for recorded in others]
            await client.close()
    return sorted(outcomes, key=lambda o: (o.upstream, o.id, o.client))
