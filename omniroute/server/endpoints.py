"""The endpoints of the data plane, as a table: method and path → wire, operation, pipeline family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from omniroute.pipeline.exchange import Dress, Endpoint
from omniroute.wire import gemini_embeddings, ollama_embeddings, ollama_generate, openai_embeddings
from omniroute.wire.codec import Operation, Peek, Wire
from omniroute.wire.embeddings import Embeddings
from omniroute.wire.ollama import OLLAMA_VERSION

Listing = Literal["list", "one"]


class Row(NamedTuple):
    """`paths` are all spellings that real clients use."""

    paths: tuple[str, ...]
    wire: str
    operation: Operation
    family: str
    dress: Dress | None = None
    embeddings: Embeddings | None = None


ROWS = (
    Row(
        ("/v1/chat/completions", "/chat/completions", "/v1/v1/chat/completions"),
        "openai-chat",
        "chat",
        "chat",
    ),
    Row(("/v1/messages", "/messages", "/v1/v1/messages"), "anthropic-messages", "chat", "chat"),
    Row(
        ("/v1/messages/count_tokens", "/messages/count_tokens", "/v1/v1/messages/count_tokens"),
        "anthropic-messages",
        "count_tokens",
        "count_tokens",
    ),
    Row(("/v1/responses", "/responses", "/v1/v1/responses"), "openai-responses", "chat", "chat"),
    Row(
        ("/v1/responses/input_tokens", "/responses/input_tokens"),
        "openai-responses",
        "count_tokens",
        "count_tokens",
    ),
    Row(("/api/chat", "/v1/api/chat"), "ollama", "chat", "chat"),
    Row(
        ("/api/generate", "/v1/api/generate"),
        "ollama",
        "chat",
        "chat",
        Dress(ollama_generate.dress, ollama_generate.DressTap),
    ),
    Row(
        ("/v1/embeddings", "/embeddings", "/v1/v1/embeddings"),
        "openai-chat",
        "embed",
        "embeddings",
        embeddings=openai_embeddings.EMBEDDINGS,
    ),
    Row(
        ("/api/embed", "/v1/api/embed"),
        "ollama",
        "embed",
        "embeddings",
        embeddings=ollama_embeddings.EMBED,
    ),
    Row(
        ("/api/embeddings", "/v1/api/embeddings"),
        "ollama",
        "embed",
        "embeddings",
        embeddings=ollama_embeddings.PROMPT,
    ),
)


class Verb(NamedTuple):
    """What a path asks for that ends in a verb. `streamed`: the answer is a stream."""

    operation: Operation
    family: str
    streamed: bool = False
    embeddings: Embeddings | None = None


CLOUDCODE_VERBS = {
    "generateContent": Verb("chat", "chat"),
    "streamGenerateContent": Verb("chat", "chat", streamed=True),
    "countTokens": Verb("count_tokens", "count_tokens"),
}
GEMINI_VERBS = {
    **CLOUDCODE_VERBS,
    "embedContent": Verb("embed", "embeddings", embeddings=gemini_embeddings.ONE),
    "batchEmbedContents": Verb("embed", "embeddings", embeddings=gemini_embeddings.MANY),
}

GEMINI = re.compile(
    r"/(?:v1beta1|v1beta|v1alpha|v1|v1/v1beta)/(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/google/)?models/(?P<model>.+)"
    rf":(?P<verb>{'|'.join(GEMINI_VERBS)})"
)
"""AI Studio's paths, and those of Vertex, where the project stands before the model."""
CLOUDCODE = re.compile(rf"/v1internal:(?P<verb>{'|'.join(CLOUDCODE_VERBS)})")

MODELS = re.compile(r"(?P<base>/v1beta|/v1alpha|/v1)?/models(?:/(?P<model>.+))?|(?:/v1)?(?P<tags>/api/tags)")
SHOW = frozenset({"/api/show", "/v1/api/show"})
"""Where clients of Ollama ask what one model can do, with its name in the body."""
FIXED = {path: {"version": OLLAMA_VERSION} for path in ("/api/version", "/v1/api/version")}
"""Paths whose answer is always the same. Clients of Ollama ask for the version of its API before they use it."""


class Found(NamedTuple):
    """`peek` (or `stream` alone) and `array` are known where the path and query say them (Gemini), else not set."""

    endpoint: Endpoint
    peek: Peek | None = None
    array: bool = False
    stream: bool | None = None


class Endpoints:
    """The table, compiled with the wires of this process."""

    def __init__(self, wires: Mapping[str, Wire]) -> None:
        self._wires = wires
        self._exact = {
            path: Found(
                Endpoint(
                    path=path,
                    wire=wires[row.wire],
                    operation=row.operation,
                    family=row.family,
                    dress=row.dress,
                    embeddings=row.embeddings,
                )
            )
            for row in ROWS
            for path in row.paths
        }
        self._gemini = _verbs(wires["gemini"], "/v1beta/models/{model}", GEMINI_VERBS)
        self._cloudcode = _verbs(wires["cloudcode"], "/v1internal", CLOUDCODE_VERBS)

    def find(self, path: str, query: Mapping[str, str]) -> Found | None:
        """What answers POST at this path."""
        found = self._exact.get(path)
        if found is not None:
            return found
        match = GEMINI.fullmatch(path) or CLOUDCODE.fullmatch(path)
        if match is None:
            return None
        verb = match["verb"]
        streamed = GEMINI_VERBS[verb].streamed
        array = streamed and query.get("alt") != "sse"
        if match.re is CLOUDCODE:
            return Found(self._cloudcode[verb], None, array, streamed)
        return Found(self._gemini[verb], Peek(match["model"].removeprefix("models/"), streamed), array)

    def spoken_at(self, path: str, headers: Mapping[str, str]) -> Wire:
        """The wire in which an error at any path is told: that of the endpoint, else what the client seems to be."""
        found = self._exact.get(path)
        if found is not None:
            return found.endpoint.wire
        if path.startswith(("/api/", "/v1/api/")):
            return self._wires["ollama"]
        if path.startswith("/v1internal"):
            return self._wires["cloudcode"]
        if path.startswith(("/v1beta", "/v1alpha")) or GEMINI.fullmatch(path) or "x-goog-api-key" in headers:
            return self._wires["gemini"]
        if "messages" in path or "anthropic-version" in headers:
            return self._wires["anthropic-messages"]
        return self._wires["openai-responses" if "responses" in path else "openai-chat"]

    def models_wire(self, base: str | None, headers: Mapping[str, str]) -> Wire:
        """In whose shape a model list is asked for."""
        if base == "/api/tags":
            return self._wires["ollama"]
        if base in ("/v1beta", "/v1alpha") or "x-goog-api-key" in headers:
            return self._wires["gemini"]
        return self._wires["anthropic-messages" if "anthropic-version" in headers else "openai-chat"]


def _verbs(wire: Wire, base: str, verbs: Mapping[str, Verb]) -> dict[str, Endpoint]:
    """The endpoints of a wire whose paths end in a verb."""
    return {
        verb: Endpoint(
            path=f"{base}:{verb}",
            wire=wire,
            operation=asked.operation,
            family=asked.family,
            embeddings=asked.embeddings,
        )
        for verb, asked in verbs.items()
    }
