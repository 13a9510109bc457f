"""What an answer means, in no format: the common ground on which a recording and an SDK's result are compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

FINISHES = ("stop", "length", "tool", "filter", "pause", "malformed", "other", "pending", "none")
"""The classes of finish reasons. `pending` is an answer that runs in the background, `none` one without a reason."""


@dataclass
class Call:
    """A tool call for the client. `arguments` is parsed JSON; a str when it is free text or broken JSON."""

    name: str
    arguments: Any
    broken: bool = False


@dataclass
class Choice:
    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = "none"
    images: int = 0
    audio: int = 0
    citations: set[str] = field(default_factory=set)
    """URLs; other sources as `kind:name`."""
    server: list[str] = field(default_factory=list)
    """What ran at the provider: kinds of server-tool blocks, not for the client to run."""
    logprobs: bool = False


@dataclass
class Usage:
    """`input` with all cached tokens, `output` with all reasoning. None: the format or the answer does not say."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


@dataclass
class Failure:
    """An error: `kind` is its class, told by the native type word where there is one, else by the status."""

    kind: str
    status: int | None = None
    message: str = ""
    retry_after: str | None = None


@dataclass
class Meaning:
    choices: list[Choice] = field(default_factory=list)
    usage: Usage | None = None
    error: Failure | None = None

    @property
    def first(self) -> Choice:
        return self.choices[0] if self.choices else Choice()

    @property
    def empty(self) -> bool:
        """Nothing that a client could show or run, and no reason for it."""
        return not any(
            c.texts or c.reasoning or c.refusal or c.calls or c.images or c.audio or c.server
            for c in self.choices
        ) and all(c.finish in ("stop", "none", "other", "tool") for c in self.choices)


KIND_OF_STATUS = {
    400: "invalid",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    413: "too_large",
    422: "invalid",
    429: "rate_limit",
    529: "overloaded",
}


def kind_of_status(status: int | None) -> str:
    """The class of an HTTP status; every other one is the server's."""
    return KIND_OF_STATUS.get(status or 0, "server")


def call(name: str, arguments: Any) -> Call:
    """A call whose arguments are JSON text, an object or nothing at all."""
    if arguments is None or arguments == "":
        return Call(name, {})
    if not isinstance(arguments, str):
        return Call(name, arguments)
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return Call(name, arguments, broken=True)
    return Call(name, {} if parsed is None else parsed)


THINK = re.compile(r"\A\s*<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)


def settle(meaning: Meaning) -> Meaning:
    """One reading where formats leave two: think tags are reasoning, a call ends with `tool`, a refusal is a filter's."""
    for choice in meaning.choices:
        whole = "".join(choice.texts)
        if tagged := THINK.match(whole):
            choice.reasoning.append(tagged[1].strip())
            choice.texts = [whole[tagged.end() :]]
        if choice.calls and choice.finish in ("stop", "none", "other"):
            choice.finish = "tool"
        if choice.refusal and choice.finish in ("stop", "none"):
            choice.finish = "filter"
        if choice.finish == "none" and not choice.calls:
            choice.finish = "stop"
    return meaning


def squeezed(texts: list[str]) -> str:
    """All the words, no white space: what is left to compare when the pieces are cut in other places."""
    return "".join("".join(texts).split())
