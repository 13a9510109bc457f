"""What an op compiles into, and what it works on."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

NAMES = ("request", "response", "model", "provider", "account", "key", "headers", "event")
"""What conditions and templates may speak of. A name that has no value at the time is null."""

Doc = dict[str, Any]


class EditFailed(ValueError):
    """An edit that cannot be done on this document. The words are for the client: no values in them."""


@dataclass(slots=True)
class Work:
    """One document on its way through the ops of a transform.

    `on` is the name by which conditions and templates see the document. `headers` is None where there
    are none to edit.
    """

    document: Doc
    on: str
    names: dict[str, Any]
    headers: MutableMapping[str, str] | None

    def replace(self, document: Doc) -> None:
        """Go on with another document."""
        self.document = self.names[self.on] = document


Edit = Callable[[Work], bool]
"""Edits in place; True when the document (not its headers) may have changed. Raises EditFailed."""


class Op(Protocol):
    """What a class declared with `@transform_op` offers."""

    @classmethod
    def parse(cls, value: Any) -> Op:
        """The op from its YAML value. Raises ValueError with words for the person editing."""

    @classmethod
    def schema(cls) -> Doc:
        """The JSON Schema of the op's YAML value."""

    def compile(self) -> Edit:
        """The edit, with every path and template compiled. Raises ValueError."""
