"""Requests in tests of any wire: short ones to read, and conversations to write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from omniroute.wire.codec import Dialect, Wire
from omniroute.wire.conversation import Conversation, Doc, Notes, Part, Text, Turn


def asked(**settings: Any) -> Doc:
    """A request as most formats have it."""
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **settings}


def talk(*parts: Part, role: Any = "user", **settings: Any) -> Conversation:
    """A conversation of one turn; without parts it says `hi`."""
    said = list(parts or (Text(text="hi"),))
    return Conversation(model="m", turns=[Turn(role=role, parts=said)], **settings)


def written(
    wire: Wire, conversation: Conversation, quirks: Iterable[str] = (), **dialect: Any
) -> tuple[Doc, Notes]:
    """The body for a target with these quirks, which is JSON, and what is noted."""
    notes = Notes()
    doc = wire.write_request(conversation, Dialect(quirks=frozenset(quirks), **dialect), notes)
    assert json.loads(json.dumps(doc)) == doc
    return doc, notes
