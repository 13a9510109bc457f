"""Recordings served as an upstream: what is asked is the recording's name, what is answered its body."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from omniroute.state.cooldowns import Cooldowns, Pace, Rest
from omniroute.state.state import State
from omniroute.testing import FakeUpstream, Running, Scripted, Seen, gateway
from tests.fidelity import read_anthropic, read_bedrock, read_chat, read_gemini, read_responses
from tests.fidelity.clients import Offer
from tests.fidelity.meaning import Meaning, settle
from tests.support import aws_events, recordings
from tests.support.recordings import Recording

WIRE_OF_FOLDER = {
    "openai-chat": "openai-chat",
    "mistral-chat": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic-messages",
    "gemini-generate": "gemini",
    "gemini-stream": "gemini",
    "bedrock-converse": "bedrock-converse",
    "bedrock-converse-stream": "bedrock-converse",
    "anthropic-vertex": "anthropic-vertex",
}
"""The folders of recordings that are replayed, and the wire format that their upstream speaks."""

PROVIDER_OF = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic-messages": "anthropic",
    "gemini": "gemini",
    "bedrock-converse": "converse",
    "anthropic-vertex": "claude-in-vertex",
}
"""The name of the gateway's provider for an upstream of each wire format."""

CLIENT_WIRES = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")
"""The formats that have an SDK to call the gateway with."""

BASE = {
    "openai-chat": "/v1",
    "openai-responses": "/v1",
    "anthropic-messages": "/v1",
    "gemini": "/v1beta",
    "bedrock-converse": "",
    "anthropic-vertex": "/v1/projects/p/locations/l/publishers/anthropic",
}

MODELS = {
    "bedrock-converse": ', models: {"*": {capabilities: [tools, vision, pdf, thinking, json_schema]}}',
    "anthropic-vertex": ', models: {"*": {capabilities: [tools, vision, pdf, thinking, json_schema]}}',
}
"""What is known of models where the provider's name leads to no catalogue entry that says it."""

HOP_BY_HOP = frozenset(
    "connection content-encoding content-length date keep-alive server set-cookie transfer-encoding".split()
)

PATH_MODEL = re.compile(
    r"/models/(.+):(?:(?:streamG|g)enerateContent|rawPredict|streamRawPredict)$|/model/(.+)/converse(?:-stream)?$"
)


def names(wires: Iterable[str] = ()) -> list[str]:
    """`folder/id` of every recording that is replayed, of these upstream formats (none: of all)."""
    wanted = set(wires) or set(PROVIDER_OF)
    folders = [f for f, wire in WIRE_OF_FOLDER.items() if wire in wanted]
    return sorted(e["file"].removesuffix(".json") for e in recordings.index() if e["wire_format"] in folders)


def wire_of(recording: Recording) -> str:
    return WIRE_OF_FOLDER[recording.wire_format]


@dataclass(frozen=True)
class Tape:
    """A recording as an upstream would send it."""

    recording: Recording
    answer: Scripted
    meaning: Meaning

    @property
    def wire(self) -> str:
        return wire_of(self.recording)

    @property
    def model(self) -> str:
        """The model to ask the gateway for."""
        return f"{PROVIDER_OF[self.wire]}/{self.recording.id}"

    @property
    def int_enums(self) -> bool:
        """Recorded with `enum-encoding=int`, which the official SDK does not ask for."""
        body = self.answer.body
        return isinstance(body, bytes) and re.search(rb'"finishReason": *\d', body) is not None

    @property
    def offers(self) -> list[Offer]:
        """The tools that the answer calls, custom ones marked."""
        found: dict[str, Offer] = {}
        for choice in self.meaning.choices:
            for one in choice.calls:
                custom = isinstance(one.arguments, str) and not one.broken
                found.setdefault(one.name, Offer(one.name, custom))
        return list(found.values())


WIRE_OF_MAKER = {
    "openai": "openai-chat",
    "azure": "openai-chat",
    "anthropic": "anthropic-messages",
    "gemini": "gemini-generate",
}
"""Whose errors are documented, and the folder that their format has."""


def documented(wires: Iterable[str] = ()) -> list[Tape]:
    """Errors that no public recording holds, in the shape that the providers document."""
    path = recordings.SHARED / "recordings" / "documented-errors.json"
    if not path.is_file():
        return []
    tapes = []
    for number, error in enumerate(json.loads(path.read_text())["errors"]):
        recording = Recording(
            id=f"documented-{number}-{error['provider']}-{error['status']}",
            wire_format=WIRE_OF_MAKER[error["provider"]],
            features=("error",),
            streaming=False,
            status=error["status"],
            request=None,
            headers=error["headers"],
            body=error["body"],
            meta={},
        )
        tapes.append(_tape(recording, recording.body))
    return [t for t in tapes if not wires or t.wire in wires]


@cache
def tape(name: str) -> Tape:
    """A recording by `folder/id`. An array-framed Gemini stream is put into events: the gateway asks for them."""
    recording = recordings.load(name)
    body = recording.body
    if recording.streaming and isinstance(body, list):
        body = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in body)
    return _tape(recording, body)


def _tape(recording: Recording, body: Any) -> Tape:
    return Tape(recording, _scripted(recording, body), settle(_meaning(recording, body)))


def _scripted(recording: Recording, body: Any) -> Scripted:
    headers = {k: str(v) for k, v in recording.headers.items() if k.lower() not in HOP_BY_HOP}
    kind = next((headers.pop(k) for k in list(headers) if k.lower() == "content-type"), None)
    if recording.wire_format == "bedrock-converse-stream" and recording.status == 200:
        stream = aws_events.recorded(body)
        return Scripted(body=stream, headers=headers, content_type="application/vnd.amazon.eventstream")
    if recording.streaming and recording.status == 200:
        kind = kind if kind and "event-stream" in kind else "text/event-stream"
    if recording.meta.get("body_encoding") == "base64":
        data = base64.b64decode(body)
    else:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Scripted(status=recording.status, body=data, headers=headers, content_type=kind)


PLAIN = {
    "openai-chat": read_chat.read,
    "openai-responses": read_responses.read,
    "anthropic-messages": read_anthropic.read,
    "gemini": read_gemini.read,
    "bedrock-converse": read_bedrock.read,
    "anthropic-vertex": read_anthropic.read,
}
STREAMED = {
    "openai-chat": read_chat.read_stream,
    "openai-responses": read_responses.read_stream,
    "anthropic-messages": read_anthropic.read_stream,
    "gemini": read_gemini.read_stream,
    "bedrock-converse": read_bedrock.read_stream,
    "anthropic-vertex": read_anthropic.read_stream,
}
FAILED = {
    "openai-chat": read_chat.error,
    "openai-responses": read_responses.error,
    "anthropic-messages": read_anthropic.error,
    "gemini": read_gemini.error,
    "bedrock-converse": read_bedrock.error,
    "anthropic-vertex": read_anthropic.error,
}


def _meaning(recording: Recording, body: Any) -> Meaning:
    wire = wire_of(recording)
    if recording.status >= 400:
        failure = FAILED[wire](_json(body), recording.status)
        headers = {k.lower(): v for k, v in recording.headers.items()}
        failure.retry_after = headers.get("retry-after") or failure.retry_after
        return Meaning(error=failure)
    if isinstance(body, str):
        found = aws_events.events(aws_events.recorded(body)) if wire == "bedrock-converse" else events(body)
        return STREAMED[wire](found)
    return PLAIN[wire](body)


def _json(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return {}


def events(text: str) -> list[dict[str, Any]]:
    """The JSON payloads of recorded server-sent events; `[DONE]` and comments are none."""
    found: list[dict[str, Any]] = []
    for block in re.split(r"\r\n\r\n|\n\n|\r\r", text):
        data = "\n".join(line[5:].strip() for line in block.splitlines() if line.startswith("data:"))
        if data.startswith("{"):
            found.append(json.loads(data))
    return found


class NoRest(Cooldowns):
    """Nobody rests: one recorded failure must not spoil the next recording."""

    def rest(
        self, name: str, identity: str, *, pace: Pace, reason: str, seconds: float | None, began: float
    ) -> Rest:
        return Rest(identity, 0.0, 0, reason, 0.0)


def restless() -> State:
    state = State()
    state.cooldowns = NoRest(state.clock)
    return state


def configuration(url: str) -> str:
    """A provider for each upstream format, all at one fake upstream; nothing is tried twice."""
    lines = ["providers:"]
    for wire, name in PROVIDER_OF.items():
        lines.append(
            f"  {name}: {{format: {wire}, base_url: '{url}{BASE[wire]}', retry: {{attempts: 1}}, breaker: {{scope: target}},"
            f" accounts: {{a: {{key: k1}}}}{MODELS.get(wire, '')}}}"
        )
    return "\n".join(lines) + "\n"


def asked_model(seen: Seen) -> str:
    """The model that a request to an upstream is for: from its path, else its body."""
    found = PATH_MODEL.search(seen.path)
    return found[1] or found[2] if found else str(seen.json.get("model"))


@contextlib.asynccontextmanager
async def replaying(tapes: Mapping[str, Tape]) -> AsyncIterator[Running]:
    """A gateway in front of these recordings, by their id."""

    def answer(seen: Seen) -> Scripted:
        return tapes[asked_model(seen)].answer

    async with (
        FakeUpstream(answer) as upstream,
        gateway(configuration(upstream.url), state=restless()) as running,
    ):
        yield running
