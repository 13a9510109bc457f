"""Claude on Google's Vertex AI: Anthropic Messages behind Google's paths and errors.

The model stands in the path, which also says whether the answer is streamed; the version of the API stands in the
body, where others have a header. https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

import msgspec

from omniroute.declare import wire
from omniroute.errors import Problem
from omniroute.wire import gemini_errors
from omniroute.wire.anthropic import AnthropicMessages
from omniroute.wire.anthropic_blocks import WIRE
from omniroute.wire.codec import Dialect, Operation, Peek
from omniroute.wire.conversation import Conversation, Doc, Notes
from omniroute.wire.losses import note_loss
from omniroute.wire.shapes import doc_of, text_of

VERSION = "vertex-2023-10-16"

_TAKEN = frozenset({"metadata", "output_config", "thinking"})
"""What Vertex takes of the settings that only Anthropic's format knows; others need a beta of Anthropic's own API."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@wire("anthropic-vertex")
class AnthropicVertex(AnthropicMessages):
    """Anthropic Messages as Vertex AI offers it; for providers, not for clients.

    The base URL of a provider ends in `/v1/projects/PROJECT/locations/LOCATION/publishers/anthropic`.
    """

    name: ClassVar[str] = "anthropic-vertex"
    model_in_body: ClassVar[bool] = False
    names_model_once: ClassVar[bool] = False

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        asked = _OBJECT.decode(raw)
        return Peek("", bytes(asked.get("stream", b"")) == b"true")

    def read_request(self, doc: Doc) -> Conversation:
        return super().read_request(
            {name: value for name, value in doc.items() if name != "anthropic_version"}
        )

    def write_request(self, talk: Conversation, dialect: Dialect, notes: Notes) -> Doc:
        doc = super().write_request(_without_betas(talk, notes), dialect, notes)
        for name in ("model", "service_tier"):
            # Vertex sells capacity in ways of its own, and both tiers of this format mean the ordinary one there.
            doc.pop(name, None)
        return {"anthropic_version": VERSION, **doc}

    def count_request(self, doc: Doc, model: str) -> Doc:
        return {"model": model, **super().count_request(doc, model)}

    def path(self, model: str, stream: bool, operation: Operation) -> str | None:
        if operation == "count_tokens":
            return "/models/count-tokens:rawPredict"
        return f"/models/{quote(model, safe='@')}:{'streamRawPredict' if stream else 'rawPredict'}"

    # errors ─────────────────────────────────────────────────────────────────────────────────────
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        """What Claude says is in Anthropic's words, what is said before it in Google's."""
        reader = gemini_errors.read_error if _is_google(body) else super().read_error
        return reader(status, headers, body)


def _without_betas(talk: Conversation, notes: Notes) -> Conversation:
    own = talk.extras.get(WIRE)
    if own is None or own.keys() <= _TAKEN:
        return talk
    for name in own.keys() - _TAKEN:
        note_loss(notes, name, own[name])
    kept = {name: value for name, value in own.items() if name in _TAKEN}
    return msgspec.structs.replace(talk, extras={**talk.extras, WIRE: kept})


def _is_google(body: bytes) -> bool:
    """Whether an error has a status word of Google's, alone or in a list."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    first = found[0] if isinstance(found, list) and found else found
    return bool(text_of(doc_of(doc_of(first).get("error")).get("status")))
