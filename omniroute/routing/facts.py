"""What is known of a request before it is sent anywhere: all that a plan may depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omniroute.pipeline.exchange import Exchange
from omniroute.pipeline.keys import Caller
from omniroute.pipeline.patterns import Bar

Doc = dict[str, Any]

BYTES_PER_TOKEN = 4
"""A rough rule for English and code in JSON, good enough to compare with a context window."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`tokens` is an estimate from the size of the body. `document` parses the body, at most once."""

    model: str
    wire: str
    operation: str
    stream: bool
    tokens: int
    headers: Mapping[str, str]
    caller: Caller | None
    document: Callable[[], Doc]
    client_ip: str = ""
    barred: tuple[Bar, ...] = ()
    """Tests for providers and targets that this request may not use."""

    def names(self) -> Doc:
        """What a `when` sees: `{request, model, key, headers}`; `request` is the body with `tokens` and `stream`."""
        return {
            "request": {**self.document(), "tokens": self.tokens, "stream": self.stream},
            "model": self.model,
            "key": self.caller.name if self.caller is not None else None,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }


def estimated_tokens(exchange: Exchange) -> int:
    """Of the prompt, before anything is known of it but its size."""
    return len(exchange.request.body) // BYTES_PER_TOKEN


def facts_of(exchange: Exchange) -> Facts:
    """What the planner may know of an exchange."""
    return Facts(
        model=exchange.model,
        wire=exchange.wire.name,
        operation=exchange.endpoint.operation,
        stream=exchange.stream,
        tokens=estimated_tokens(exchange),
        headers=exchange.request.headers,
        caller=exchange.caller,
        document=lambda: exchange.doc,
        client_ip=exchange.request.client_ip,
        barred=exchange.barred,
    )
