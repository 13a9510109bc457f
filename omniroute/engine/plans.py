"""Plans without a gateway: what names lead to, for `explain` and `config show --stage plan`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from omniroute.config.load import load
from omniroute.engine.build import Workshop, build, wire_of
from omniroute.engine.generation import Generation
from omniroute.pipeline.keys import Caller
from omniroute.registry import Registry
from omniroute.routing.explain import config_path, explanation
from omniroute.routing.facts import Facts
from omniroute.routing.plan import Plan, Step, plan
from omniroute.state.state import State
from omniroute.transforms.expressions import condition
from omniroute.upstream.transport import Inbound, Outbound, Transport
from omniroute.wire.openai_chat import OpenAIChat


class Nowhere:
    """A transport for what is built to be looked at: it never sends."""

    async def send(self, outbound: Outbound) -> Inbound:
        raise RuntimeError("this generation was built to be looked at, not to send")

    async def close(self) -> None:
        """There is nothing to close."""


def dry_generation(
    path: Path, env: Mapping[str, str], registry: Registry, state: State, *, stand_ins: bool = False
) -> Generation:
    """A generation to look at. Raises `ConfigError`, `ConfigUnreadable`."""
    nowhere: Transport = Nowhere()
    loaded = load(path, env=env, registry=registry, condition=condition, stand_ins=stand_ins)
    return build(loaded, 1, Workshop(registry, state, lambda kind: nowhere, lambda record: None))


def dry_plan(
    generation: Generation,
    state: State,
    model: str,
    *,
    document: dict[str, Any] | None = None,
    tokens: int = 0,
    caller: Caller | None = None,
) -> Plan | None:
    """The plan for a model, as if a chat request with this body asked for it."""
    body = document if document is not None else {"model": model}
    facts = Facts(
        model=model,
        wire="openai-chat",
        operation="chat",
        stream=bool(body.get("stream")),
        tokens=tokens,
        headers={},
        caller=caller,
        document=lambda: body,
        body=msgspec.json.encode(body),
        talk=lambda: wire_of(OpenAIChat).read_request(body),
    )
    return plan(generation.directory, facts, state, now=state.clock(), dice=state.dice, explain=True)


def placed(generation: Generation, step: Step) -> str:
    """Where the configuration wrote a step."""
    return generation.loaded.place(config_path(step))


def all_plans(
    path: Path, env: Mapping[str, str], registry: Registry, *, stand_ins: bool = False
) -> dict[str, Any]:
    """Every combo, alias and the default, each with its plan. Raises `ConfigError`, `ConfigUnreadable`."""
    state = State()
    generation = dry_generation(path, env, registry, state, stand_ins=stand_ins)
    directory = generation.directory
    names = [*directory.combos, *(a for a in directory.aliases if "*" not in a)]
    if directory.default is not None:
        names.append(directory.default)
    plans = {name: dry_plan(generation, state, name) for name in dict.fromkeys(names)}
    return {
        name: explanation(made, state.clock(), lambda step: placed(generation, step))
        for name, made in plans.items()
        if made is not None
    }
