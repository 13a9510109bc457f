"""What is known of a request before it is sent anywhere: all that a plan may depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from omniroute.errors import Refused, UnsupportedContent
from omniroute.pipeline.exchange import Exchange
from omniroute.pipeline.keys import Caller
from omniroute.pipeline.patterns import Bar
from omniroute.routing.needs import absent_from, needs_of
from omniroute.wire import estimate
from omniroute.wire.conversation import Conversation

Doc = dict[str, Any]

BYTES_PER_TOKEN = 4
"""A rough rule for English and code in JSON, good enough to compare with a context window."""


_NOTHING: frozenset[str] = frozenset()


class Facts(msgspec.Struct):
    """`tokens` is an estimate from the size of the body. `document` parses the body, `talk` reads it in its format;
    both do so at most once, and only when asked. `body` is None where the bytes that came in no longer count."""

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
    body: bytes | None = b""
    talk: Callable[[], Conversation] = Conversation
    unseen: int = 0
    """Characters of files that were cut out of `talk`."""
    _needs: frozenset[str] | None = None
    _absent: frozenset[str] = _NOTHING
    _prompt: int = 0

    @property
    def caller_name(self) -> str:
        return self.caller.name if self.caller is not None else ""

    def needs(self, capabilities: frozenset[str]) -> frozenset[str]:
        """Which of these the request needs. Looks at the bytes first, and reads the request only when they say that it
        could need one."""
        if self._needs is not None:
            return self._needs & capabilities
        if capabilities <= self._absent:
            return _NOTHING
        if self.body is not None:
            self._absent |= absent_from(self.body, capabilities - self._absent)
            if capabilities <= self._absent:
                return _NOTHING
        talk = self._read()
        self._needs = needs_of(talk) if talk is not None else _NOTHING
        return self._needs & capabilities

    def prompt(self) -> int:
        """Tokens of the prompt, counted with more care than `tokens`: an image is no text. Parses the body."""
        if not self._prompt:
            talk = self._read()
            self._prompt = estimate.estimated_tokens(talk, self.unseen) if talk is not None else self.tokens
        return self._prompt

    def _read(self) -> Conversation | None:
        """None for what cannot be read: what is wrong with it is told by whoever has to understand it."""
        try:
            return self.talk()
        except (Refused, UnsupportedContent):
            return None

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
    request, bulk = exchange.request, exchange.bulk
    outline = request.body if bulk is None else bulk.outline
    return Facts(
        model=exchange.model,
        wire=exchange.wire.name,
        operation=exchange.endpoint.operation,
        stream=exchange.stream,
        tokens=len(request.body) // BYTES_PER_TOKEN,
        headers=request.headers,
        caller=exchange.caller,
        document=lambda: exchange.doc,
        client_ip=request.client_ip,
        barred=exchange.barred,
        body=None if exchange.edited else outline,
        talk=lambda: exchange.talk,
        unseen=exchange.unseen if bulk is not None else 0,
    )
