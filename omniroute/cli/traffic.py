"""Recorded traffic, judged by a configuration: which target each request goes to, what is refused, what it costs.

One JSON object a line: a request with its body (`path`, `headers`, `key` (a name), `body`), what is known of one
(`model`, `tokens`, `output_tokens`, `key`), or a line of the gateway's own JSON log.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from multidict import CIMultiDict

from omniroute.engine.build import wire_of
from omniroute.engine.consequences import still
from omniroute.engine.generation import Generation
from omniroute.pipeline.exchange import Exchange, IdSource, Request
from omniroute.registry import Registry
from omniroute.routing.cost import cost_of
from omniroute.routing.facts import facts_of
from omniroute.routing.plan import Plan, plan
from omniroute.server.endpoints import Endpoints
from omniroute.wire.conversation import Usage

Doc = dict[str, Any]
PATH = "/v1/chat/completions"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Item:
    """A recorded request. `tokens` None: from the size of the body. `time`: when it came, else now, in epoch seconds."""

    line: int
    path: str
    headers: Mapping[str, str]
    key: str | None
    ip: str
    time: float
    body: bytes
    tokens: int | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class Judgement:
    """`refused` says why there is no answer; `targets` are those that would be tried, in order."""

    refused: str | None
    pipeline: str = ""
    targets: tuple[str, ...] = ()
    cost: float | None = None


@dataclass(slots=True)
class Difference:
    """Requests that fare differently in one way, and how many."""

    model: str
    key: str | None
    before: str
    after: str
    count: int = 0


@dataclass(slots=True)
class Comparison:
    """What a change does to recorded traffic. Costs are of requests whose price both sides know."""

    requests: int = 0
    same: int = 0
    other_target: int = 0
    other_fallback: int = 0
    newly_refused: int = 0
    newly_served: int = 0
    other_pipeline: int = 0
    cost_before: float = 0.0
    cost_after: float = 0.0
    without_price: int = 0
    differences: list[Difference] = field(default_factory=list)


def read_traffic(text: str) -> Iterator[Item]:
    """The requests of a file. Raises `ValueError` with the line of what is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ValueError(f"line {number}: a request is a JSON object")
        if "level" in found and "endpoint" not in found and "model" not in found:
            continue  # what the gateway had to say, between its requests
        yield item_of(found, number)


def item_of(found: Doc, line: int = 1) -> Item:
    """A recorded request in one of its three forms. Raises `ValueError`."""
    body = found.get("body")
    model = found.get("model")
    if not isinstance(body, dict):
        if not isinstance(model, str):
            raise ValueError(f"line {line}: neither a `body` nor a `model`")
        body = {"model": model, "stream": bool(found.get("stream")), "messages": []}
    headers = found.get("headers")
    # A line of the log has the client's path in `endpoint`; its `path` is the gateway's.
    path = found.get("endpoint") or found.get("path")
    return Item(
        line=line,
        path=path if isinstance(path, str) and path.startswith("/") else PATH,
        headers=headers if isinstance(headers, dict) else {},
        key=found.get("key"),
        ip=found.get("ip") or LOOPBACK,
        time=float(found.get("time") or time.time()),
        body=msgspec.json.encode(body),
        tokens=_number(found, "tokens", "input_tokens"),
        usage=Usage(
            input=_number(found, "tokens", "input_tokens") or 0,
            output=_number(found, "output_tokens") or 0,
            cached=_number(found, "cached_tokens") or 0,
        ),
    )


def _number(found: Doc, *names: str) -> int | None:
    return next((int(found[name]) for name in names if isinstance(found.get(name), int | float)), None)


class Judge:
    """One compiled configuration that requests are held against."""

    def __init__(self, generation: Generation, registry: Registry) -> None:
        self._generation = generation
        self._endpoints = Endpoints({d.name: wire_of(d.cls) for d in registry.all("wire")})

    def judge(self, item: Item) -> Judgement:
        """What would become of a request, with nothing cooling and nothing spent."""
        exchange = self.exchange(item)
        if exchange is None:
            return Judgement("there is no such endpoint")
        refused = self.called(item, exchange)
        if refused is not None:
            return Judgement(refused)
        pipeline = self._generation.pipeline(exchange).name
        return self._planned(item, exchange, pipeline)

    def exchange(self, item: Item) -> Exchange | None:
        """The request as the pipeline would get it, or None where nothing answers at its path."""
        found = self._endpoints.find(item.path, {})
        if found is None:
            return None
        request = Request(
            method="POST",
            path=item.path,
            query={},
            headers=CIMultiDict(item.headers),
            body=item.body,
            client_ip=item.ip,
            id=f"line-{item.line}",
            received=item.time,
            started=0.0,
        )
        return self._generation.exchange(request, found.endpoint, found.peek, IdSource(still().dice))

    def called(self, item: Item, exchange: Exchange) -> str | None:
        """Who calls; why that is refused, if it is."""
        keyring = self._generation.keyring
        if item.key is None:
            return "a key is needed" if keyring.required else None
        exchange.caller = caller = keyring.named(item.key)
        if caller is None:
            return f"there is no key {item.key}" if keyring.required else None
        problem = caller.problem(item.path, item.ip, item.time)
        if problem is None and "use" not in caller.scopes:
            return "the key lacks the scope `use`"
        return problem.message if problem is not None else None

    def _planned(self, item: Item, exchange: Exchange, pipeline: str) -> Judgement:
        state = still()
        facts = facts_of(exchange)
        if item.tokens is not None:
            facts = msgspec.structs.replace(facts, tokens=item.tokens, _prompt=item.tokens)
        made = plan(self._generation.directory, facts, state, now=0.0, dice=state.dice)
        if made is None:
            return Judgement(f"there is no model {exchange.model}", pipeline)
        if not made.usable:
            return Judgement(_why(made), pipeline)
        usage = replace_input(item.usage, facts.tokens)
        price = made.usable[0].target.facts.price
        return Judgement(
            None,
            pipeline,
            tuple(step.target.name for step in made.usable),
            cost_of(usage, price) if price is not None else None,
        )


def replace_input(usage: Usage, tokens: int) -> Usage:
    """The usage with the tokens of the prompt, which are known at least by estimate."""
    return usage if usage.input else msgspec.structs.replace(usage, input=tokens)


def _why(made: Plan) -> str:
    reasons = list(dict.fromkeys(step.reason for step in made.steps))
    return f"no target: {'; '.join(reasons[:3])}" if reasons else "no target"


def compare(items: list[Item], old: Judge, new: Judge) -> Comparison:
    """How the same requests fare before and after."""
    result = Comparison()
    counted: Counter[tuple[str, str | None, str, str]] = Counter()
    for item in items:
        before, after = old.judge(item), new.judge(item)
        result.requests += 1
        _count(before, after, result)
        if (before.refused, before.targets, before.pipeline) != (
            after.refused,
            after.targets,
            after.pipeline,
        ):
            model = str(json.loads(item.body).get("model", item.path))
            counted[model, item.key, *_said(before, after)] += 1
        else:
            result.same += 1
    result.differences = [Difference(*how, count) for how, count in counted.most_common()]
    return result


def _count(before: Judgement, after: Judgement, result: Comparison) -> None:
    result.newly_refused += before.refused is None and after.refused is not None
    result.newly_served += before.refused is not None and after.refused is None
    if before.refused is None and after.refused is None:
        first = before.targets[0] != after.targets[0]
        result.other_target += first
        result.other_fallback += not first and before.targets != after.targets
        result.other_pipeline += before.pipeline != after.pipeline
    known = [j.cost for j in (before, after) if j.refused is None]
    if None in known:
        result.without_price += 1
        return
    result.cost_before += before.cost or 0.0
    result.cost_after += after.cost or 0.0


def _said(before: Judgement, after: Judgement) -> tuple[str, str]:
    """Both sides in words; the pipeline only where it is the difference."""
    pipelines = before.pipeline != after.pipeline and before.refused is None and after.refused is None
    return _one(before, pipelines), _one(after, pipelines)


def _one(judgement: Judgement, with_pipeline: bool) -> str:
    if judgement.refused is not None:
        return f"refused: {judgement.refused}"
    text = " → ".join(judgement.targets)
    return f"{text} (pipeline {judgement.pipeline})" if with_pipeline else text
