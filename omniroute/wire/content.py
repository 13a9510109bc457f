"""Small facts about content that several wires share: data URLs, media types, and thinking effort."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Collection
from typing import get_args

from omniroute.wire.conversation import Effort, Source

AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
    "audio/pcm": "pcm16",
}
"""Media type → the short name that OpenAI uses."""

_EFFORT_BUDGETS: tuple[tuple[Effort, int], ...] = (
    ("none", 0),
    ("minimal", 1024),
    ("low", 4096),
    ("medium", 8192),
    ("high", 16384),
    ("xhigh", 32768),
    ("max", 65536),
)


def budget_of(effort: Effort) -> int:
    """Thinking tokens that an effort word stands for where the target only knows budgets."""
    return dict(_EFFORT_BUDGETS)[effort]


def effort_of(budget: int) -> Effort:
    """The effort word for a budget, where the target only knows words: the smallest that grants as much."""
    for effort, tokens in _EFFORT_BUDGETS:
        if budget <= tokens:
            return effort
    return "max"


EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""The effort words, the weakest first."""


def level_for(effort: Effort, levels: Collection[str]) -> Effort:
    """The least of a model's levels that grants as much as was asked, else its highest; as asked if it has none."""
    known = [level for level in EFFORTS if level in levels]
    enough = (level for level in known if EFFORTS.index(level) >= EFFORTS.index(effort))
    return next(enough, known[-1] if known else effort)


def titled(name: str | None, text: str) -> str:
    """A document that is told in the prompt."""
    return f"{name}:\n{text}" if name else text


def source_of_url(url: str) -> Source:
    """A `data:` URL becomes its base64 data and media type; any other URL stays one.

    RFC 2397: without a media type it is text/plain; data that is not base64 stays a URL, for the target to judge.
    """
    if not url.startswith("data:"):
        return Source(url=url)
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return Source(url=url)
    media_type = head[: -len(";base64")].split(";", 1)[0] or "text/plain"
    return Source(data=data, media_type=media_type)


def url_of_source(source: Source) -> str | None:
    """The reverse: a URL that holds the data, or the URL itself; None for a file id or text."""
    if source.data is not None:
        return f"data:{source.media_type or 'application/octet-stream'};base64,{source.data}"
    return source.url


def text_of_source(source: Source) -> str | None:
    """The text of a document that is text; None for any other."""
    if source.text is not None:
        return source.text
    if source.data is None or not (source.media_type or "").startswith("text/"):
        return None
    try:
        return b64decode(source.data).decode("utf-8", "replace")
    except (BadBase64, ValueError):
        return None


def audio_format(media_type: str | None) -> str | None:
    """`audio/mpeg` → `mp3`."""
    return AUDIO_FORMATS.get(media_type or "")


def audio_media_type(format: str | None) -> str:
    """`mp3` → `audio/mpeg`."""
    for media_type, name in AUDIO_FORMATS.items():
        if name == format and media_type != "audio/mp3":
            return media_type
    return f"audio/{format or 'wav'}"
