"""What a translation may lose, because the client's format has no place for it: one row and one reason each.

A difference that no row allows is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fidelity.meaning import Choice, Meaning

CHAT, RESPONSES, ANTHROPIC, GEMINI = "openai-chat", "openai-responses", "anthropic-messages", "gemini"
ALL = (CHAT, RESPONSES, ANTHROPIC, GEMINI)


def always(expected: Choice, got: Choice) -> bool:
    return True


@dataclass(frozen=True)
class Law:
    """A client of one of `clients` may differ in `field` for `reason`, when `when` holds of the two choices."""

    field: str
    clients: tuple[str, ...]
    reason: str
    when: Callable[[Choice, Choice], bool] = always


def _fewer(expected: Choice, got: Choice) -> bool:
    return not got.server


def _only_named_sources(expected: Choice, got: Choice) -> bool:
    """All sources with a URL came."""
    missing = expected.citations - got.citations
    return not any(name.startswith(("http://", "https://")) for name in missing)


def _broken(expected: Choice, got: Choice) -> bool:
    return any(c.broken for c in expected.calls) and [c.name for c in expected.calls] == [
        c.name for c in got.calls
    ]


def _between_gateway_and_provider(expected: Meaning, got: Meaning) -> bool:
    """The gateway's own key was refused: the client must not think that it was its key."""
    refused = expected.error is not None and expected.error.kind in (
        "authentication",
        "permission",
        "billing",
    )
    bad_key = expected.error is not None and "api key" in expected.error.message.lower()
    return (refused or bad_key) and got.error is not None and got.error.status in (502, 503)


def _paused(expected: Choice, got: Choice) -> bool:
    return expected.finish == "pause"


def _refused_in_words(expected: Choice, got: Choice) -> bool:
    return bool(expected.refusal) and expected.refusal in "".join(got.texts)


def _pending(expected: Choice, got: Choice) -> bool:
    return expected.finish == "pending"


LAWS = (
    Law("choices", (RESPONSES, ANTHROPIC), "an answer of this format is one choice; the first one is kept"),
    Law("server", ALL, "a server tool's block can be read in its own format only", _fewer),
    Law("citations", ALL, "this format cites web pages, not places in documents", _only_named_sources),
    Law("images", (ANTHROPIC,), "an answer of this format has no images"),
    Law("audio", (ANTHROPIC, RESPONSES), "an answer of this format has no audio"),
    Law("logprobs", (ANTHROPIC,), "this format has no log probabilities"),
    Law("calls", (ANTHROPIC, GEMINI), "arguments are an object here; broken JSON cannot be one", _broken),
    Law("finish", (CHAT, RESPONSES, GEMINI), "this format cannot say that a turn is paused", _paused),
    Law("finish", (GEMINI,), "a refusal in words is an ordinary answer in this format", _refused_in_words),
    Law("refusal", (ANTHROPIC, GEMINI), "a refusal stands in the text in this format", _refused_in_words),
    Law("finish", (CHAT, ANTHROPIC, GEMINI), "only Responses can ask for background answers", _pending),
    Law("finish", (RESPONSES,), "a stream made of an answer that was put off is over all the same", _pending),
    Law(
        "finish",
        (CHAT, RESPONSES, ANTHROPIC),
        "this format has no word for a malformed call or for 'other reasons'",
        lambda expected, got: expected.finish in ("malformed", "other") and got.finish in ("stop", "filter"),
    ),
)


def _status(meaning: Meaning) -> int | None:
    return meaning.error.status if meaning.error is not None else None


ERROR_LAWS = (
    (
        ("error.status",),
        "529 is a status of one format; elsewhere it is 503",
        lambda expected, got: (_status(expected), _status(got)) == (529, 503),
    ),
    (
        ("error.status", "error.kind"),
        "the provider refused the gateway's key, which is no matter of the client's own",
        _between_gateway_and_provider,
    ),
)

ARTEFACTS = {
    "openai-image-generation-tool-1-0-63ee08": "the recorder cut the image's base64 short",
    "openai-image-generation-tool-1-0-a3eaae": "the recorder cut the image's base64 short",
}
"""Recordings that no receiver could read whole, and why."""


def allowed(field: str, client: str, expected: Meaning, got: Meaning) -> str | None:
    """The reason why a difference in this field is no failure, or None."""
    for law in LAWS:
        if law.field == field and client in law.clients and law.when(expected.first, got.first):
            return law.reason
    for fields, reason, when in ERROR_LAWS:
        if field in fields and when(expected, got):
            return reason
    return None
