"""Settings that a format has under names of its own, each of which is one field of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omniroute.wire.conversation import Conversation, Doc

Settings = Mapping[str, tuple[str, Callable[[Any, str], Any]]]
"""Key → field of `Conversation`, and what reads the value, given its place; it raises `Refused` for a wrong one."""


def read_settings(doc: Doc, settings: Settings, talk: Conversation, place: str = "") -> None:
    """Take over what `doc` says; null is "not said". `place` is where it stands in the request (`options.`)."""
    for key, (field, read) in settings.items():
        if doc.get(key) is not None:
            setattr(talk, field, read(doc[key], place + key))


def write_settings(talk: Conversation, settings: Settings) -> Doc:
    """What was said, under the keys of the format."""
    values = {key: getattr(talk, field) for key, (field, _) in settings.items()}
    return {key: value for key, value in values.items() if value is not None and value != []}
