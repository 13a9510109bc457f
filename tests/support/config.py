"""A small, fixed world for configurations: our own components and catalogue, so that findings stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from omniroute import registry as registries
from omniroute.config.load import Loaded, load_text
from omniroute.config.secrets import Secret
from omniroute.config.units import Duration
from omniroute.declare import Ask, Options, credential, declared, option, stage, strategy, transport, wire
from omniroute.errors import ConfigError
from omniroute.registry import Registry


@stage("auth", gives=["caller"], example="auth")
class Auth(Options, frozen=True, kw_only=True):
    """Who is calling."""


@stage("filter", example="filter")
class Filter(Options, frozen=True, kw_only=True):
    """What is let in."""

    deny_models: Annotated[tuple[str, ...], option("Globs.")] = ()
    deny_ips: Annotated[tuple[str, ...], option("Networks.")] = ()


@stage("cache", example="cache")
class Cache(Options, frozen=True, kw_only=True):
    """What was answered before."""


@stage("route", gives=["target"], example="route")
class Route(Options, frozen=True, kw_only=True):
    """Model to plan."""


@stage("translate", needs=["target"], gives=["upstream_request"], example="translate")
class Translate(Options, frozen=True, kw_only=True):
    """One format to the other."""


@stage("retry", needs=["target"], example="{stage: retry, attempts: 3}")
class Retry(Options, frozen=True, kw_only=True):
    """Again."""

    attempts: Annotated[int, option("How often.", ge=1, le=10)] = 2
    wait: Annotated[Duration, option("How long.")] = Duration(1)
    tries: Annotated[
        int | None, option("How often.", deprecated="write `attempts`; `tries` goes with 0.9", examples=[3])
    ] = None
    token: Annotated[Secret | None, option("A secret of the stage.", secret=True)] = None


@stage("system_prompt", example="{stage: system_prompt, text: hi}")
class SystemPrompt(Options, frozen=True, kw_only=True):
    """A text of the house."""

    text: Annotated[str, option("The text.")]


@stage(
    "thinking_budget",
    example="thinking_budget",
    asks=[Ask("thinking", "mode", ("custom", "adaptive"))],
)
class ThinkingBudget(Options, frozen=True, kw_only=True):
    """How much models think."""

    mode: Annotated[str, option("Who decides.")] = "passthrough"


@stage("transform", example="{stage: transform, use: [a]}")
class Transform(Options, frozen=True, kw_only=True):
    """Edits."""

    use: Annotated[tuple[str, ...], option("Names.", min_length=1)]


@stage("log", example="log")
class Log(Options, frozen=True, kw_only=True):
    """Records."""


@strategy("fill-first", aliases=["priority"], example="fill-first")
class FillFirst(Options, frozen=True, kw_only=True):
    """As written."""


class Sticky(Options, frozen=True, kw_only=True):
    by: Annotated[str, option("What tells sessions apart.")]
    ttl: Annotated[Duration, option("How long.")] = Duration(600)


@strategy("round-robin", example="{type: round-robin, limit: 2}")
class RoundRobin(Options, frozen=True, kw_only=True):
    """In turn."""

    limit: Annotated[int, option("Consecutive uses.", ge=1)] = 1
    sticky: Annotated[Sticky | None, option("Keeps sessions together.")] = None


@credential("bearer", example="{type: bearer}")
class Bearer(Options, frozen=True, kw_only=True):
    """A bearer token."""


@credential("header", example="{type: header, header: x-api-key}")
class Header(Options, frozen=True, kw_only=True):
    """A header of its own."""

    header: Annotated[str, option("Its name.")]


@credential("sigv4", example="{type: sigv4, service: bedrock}")
class SigV4(Options, frozen=True, kw_only=True):
    """A signature."""

    service: Annotated[str, option("What is signed for.")]


@credential("none", example="{type: none}")
class NoCredential(Options, frozen=True, kw_only=True):
    """Nothing."""


@transport("loop", example="loop")
class Loop(Options, frozen=True, kw_only=True):
    """Inside of the process."""


@wire("openai-chat")
class Chat:
    """A format."""


@wire("anthropic-messages")
class Messages:
    """Another one."""


COMPONENTS: tuple[type, ...] = (
    Auth, Filter, Cache, Route, Translate, Retry, SystemPrompt, ThinkingBudget, Transform, Log, FillFirst, RoundRobin,
    Bearer, Header, SigV4, NoCredential, Loop, Chat, Messages,
)  # fmt: skip

CATALOGUE: Mapping[str, dict[str, Any]] = {
    "acme": {
        "description": "Acme",
        "format": "openai-chat",
        "base_url": "https://api.acme.example/v1",
        "prefix": ["ac"],
        "models": {
            "fast": {"context": "128k", "price": {"input": 1, "output": 2}},
            "slow-4.5": {"context": "1M", "aliases": ["slow"]},
        },
    },
    "duo": {
        "formats": {
            "anthropic-messages": {"base_url": "https://duo.example/anthropic"},
            "openai-chat": {"base_url": "https://duo.example/v1"},
        },
        "headers": {"x-client": "omniroute"},
    },
}


@cache
def registry() -> Registry:
    """Our components, and the real ops of transforms (the shipped transforms use them)."""
    ops = registries.load(plugins=False).all("transform_op")
    return Registry([d for c in COMPONENTS if (d := declared(c)) is not None] + ops)


def configure(text: str, *, env: Mapping[str, str] | None = None, **more: Any) -> Loaded:
    """The settings of a text, in this small world."""
    more.setdefault("catalogue", CATALOGUE)
    return load_text(text, env=env or {}, registry=registry(), **more)


def findings(
    text: str, *, env: Mapping[str, str] | None = None, folder: Path | None = None, **more: Any
) -> list[str]:
    """What a load of a text tells, errors and warnings alike, one line each."""
    try:
        told = list(configure(text, env=env, folder=folder, **more).findings)
    except ConfigError as error:
        told = error.findings
    return [f"{f.code} {f}" for f in told]
