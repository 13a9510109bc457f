"""What a plan costs: microseconds to plan a request over a combo of three, by strategy. No sockets.

    python benchmarks/planner.py [--rounds 200]

Each figure is the best of several rounds: what the planner takes when the machine leaves it alone.
"""

from __future__ import annotations

import argparse
import random
import sys
import timeit
from typing import Any

from omniroute.config.load import load_text
from omniroute.engine.build import Workshop, build
from omniroute.engine.generation import Generation
from omniroute.pipeline.exchange import Exchange, IdSource, Request
from omniroute.registry import load
from omniroute.routing.facts import facts_of
from omniroute.routing.plan import plan
from omniroute.server.endpoints import Endpoints
from omniroute.state.state import State
from omniroute.transforms.expressions import condition

BODY = b'{"model":"many","messages":[{"role":"user","content":"' + b"word " * 180 + b'"}]}'

CONFIG = """
version: 1
providers:
  one: {{format: openai-chat, base_url: "http://a/v1", tier: cheap, accounts: {{a: {{key: x}}}}, models: {{m: {card}}}}}
  two: {{format: openai-chat, base_url: "http://b/v1", tier: free, accounts: {{a: {{key: x}}}}, models: {{m: {card}}}}}
  three: {{format: openai-chat, base_url: "http://c/v1", accounts: {{a: {{key: x}}}}, models: {{m: {card}}}}}
combos:
  many: {{strategy: {strategy}, targets: [one/m, two/m, three/m]}}
"""
PLAIN = "{}"
KNOWN = "{context: 128k, capabilities: [tools], price: {input: 1, output: 2}}"


def exchange_of(generation: Generation) -> Exchange:
    registry = load(plugins=False)
    endpoints = Endpoints({d.name: d.cls() for d in registry.all("wire")})
    found = endpoints.find("/v1/chat/completions", {})
    if found is None:
        raise RuntimeError("there is no chat endpoint")
    request = Request(
        method="POST",
        path="/v1/chat/completions",
        query={},
        headers={"content-type": "application/json", "x-session-id": "s"},
        body=BODY,
        client_ip="127.0.0.1",
        id="r",
        received=0.0,
        started=0.0,
    )
    return generation.exchange(request, found.endpoint, found.peek, IdSource(random.Random(1)))


def measure(strategy: str, card: str, rounds: int) -> float:
    """Microseconds of one plan, its facts included."""
    registry = load(plugins=False)
    state = State(dice=random.Random(1))
    loaded = load_text(
        CONFIG.format(strategy=strategy, card=card), env={}, registry=registry, condition=condition
    )
    transport: Any = None
    generation = build(loaded, 1, Workshop(registry, state, lambda kind: transport, lambda record: None))
    exchange = exchange_of(generation)

    def once() -> None:
        plan(generation.directory, facts_of(exchange), state, now=state.clock(), dice=state.dice)

    number = 100
    return min(timeit.repeat(once, number=number, repeat=rounds)) / number * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    print(f"python {sys.version.split()[0]}, best of {rounds}, microseconds a plan")
    print(f"{'strategy':<20} {'plain':>8} {'known':>8}")
    for declaration in load(plugins=False).all("strategy"):
        plain, known = (measure(declaration.name, card, rounds) for card in (PLAIN, KNOWN))
        print(f"{declaration.name:<20} {plain:8.1f} {known:8.1f}")


if __name__ == "__main__":
    main()
