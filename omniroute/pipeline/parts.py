"""The three shapes that a stage can take (ARCHITECTURE 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.wire.conversation import Doc

Handler = Callable[[Exchange], Awaitable[Reply]]


async def at_once(reply: Reply) -> Reply:
    """For who answers without waiting for anything."""
    return reply


@dataclass(frozen=True, slots=True)
class Gate:
    """Looks at the request and may answer early. A plain function: it never waits."""

    check: Callable[[Exchange], Reply | None]


@dataclass(frozen=True, slots=True)
class Around:
    """Owns what comes after it: may call `proceed` never, once, or again."""

    run: Callable[[Exchange, Handler], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Observer:
    """Is told once, at the true end of the answer, whatever happened."""

    done: Callable[[Exchange, Reply], None]


Part = Gate | Around | Observer


class Edit(Protocol):
    """A compiled transform, as the pipeline sees it."""

    @property
    def name(self) -> str: ...
    @property
    def on(self) -> Literal["request", "response", "event"]: ...
    @property
    def side(self) -> Literal["client", "upstream"]: ...

    def apply(
        self, document: Doc, names: Mapping[str, Any], headers: MutableMapping[str, str] | None
    ) -> Doc | None:
        """Change `document` in place, or give a new one. Raises `Refused` naming the transform."""
        ...
