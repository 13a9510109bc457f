"""`omniroute explain`: what would happen to a request, without sending it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from omniroute.cli.revisions import add_stand_ins
from omniroute.cli.traffic import Item, Judge, item_of
from omniroute.config.load import find_config
from omniroute.config.marks import Map
from omniroute.engine.generation import Generation
from omniroute.engine.plans import dry_generation, placed
from omniroute.errors import ConfigError, ConfigUnreadable, Refused
from omniroute.pipeline.compile import Pipeline
from omniroute.pipeline.exchange import Exchange, parse_object
from omniroute.registry import load as load_registry
from omniroute.routing.explain import explanation, explanation_text
from omniroute.routing.facts import facts_of
from omniroute.routing.plan import Plan, Step, plan
from omniroute.state.state import State


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "explain",
        help="show the plan for a model or a request",
        description="The plan: what a name means, every stage and target, what is in, out or later, and why.",
        epilog="examples: omniroute explain always-on    omniroute explain request.json    omniroute explain pipeline chat",
    )
    parser.add_argument(
        "what",
        nargs="+",
        help="a model name, a .json file with a request (its body, or path, headers, key and body), or `pipeline NAME`",
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--key", help="the name of a calling key")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_stand_ins(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    state = State()
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        generation = dry_generation(path, os.environ, load_registry(), state, stand_ins=args.stand_ins)
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    if args.what[0] == "pipeline" and len(args.what) == 2:
        return _pipeline(generation, args.what[1], args.json)
    return _plan(generation, state, args)


def _plan(generation: Generation, state: State, args: argparse.Namespace) -> int:
    judge = Judge(generation, load_registry())
    try:
        item = _asked(args.what[0], args.key)
    except (Refused, ValueError) as error:
        print(f"{args.what[0]}: {error}", file=sys.stderr)
        return 2
    if item.key and generation.keyring.named(item.key) is None:
        print(f"there is no key {item.key!r}", file=sys.stderr)
        return 1
    exchange = judge.exchange(item)
    if exchange is None:
        print(f"nothing answers at {item.path}", file=sys.stderr)
        return 1
    refused = judge.called(item, exchange) if item.key else None
    facts = facts_of(exchange)
    if item.tokens is not None:
        facts = msgspec.structs.replace(facts, tokens=item.tokens, _prompt=item.tokens)
    made = plan(generation.directory, facts, state, now=state.clock(), dice=state.dice, explain=True)
    if made is None:
        near = generation.directory.near(exchange.model)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        print(f"there is no model, alias or combo {exchange.model!r}.{hint}", file=sys.stderr)
        return 1
    return _tell(generation, made, state, exchange, refused, args.json)


def _tell(
    generation: Generation, made: Plan, state: State, exchange: Exchange, refused: str | None, as_json: bool
) -> int:
    def place(step: Step) -> str:
        return placed(generation, step)

    pipeline, route = _taken(generation, exchange)
    if as_json:
        told = explanation(made, state.clock(), place)
        told |= {"place": _named_at(generation, made), "refused": refused, "route": route}
        told["pipeline"] = {"name": pipeline.name, "stages": _stages(pipeline)}
        print(json.dumps(told, indent=2))
        return 0
    head, *rows = explanation_text(made, state.clock(), place).split("\n")
    at = _named_at(generation, made)
    print("\n".join([f"{head}  ({at})" if at else head, *rows]))
    if refused is not None:
        print(f"  refused all the same: {refused}")
    print(f"\npipeline {pipeline.name}" + (f"  ({route})" if route else ""))
    _print_stages(pipeline)
    return 0


def _taken(generation: Generation, exchange: Exchange) -> tuple[Pipeline, str]:
    """The pipeline that a request takes, and the route that says so, if one does."""
    for index, rule in enumerate(generation.rules):
        if rule.fits(exchange, generation.keyring):
            return rule.pipeline, f"routes[{index}] at {generation.loaded.place(f'routes[{index}]')}"
    return generation.pipeline(exchange), ""


def _named_at(generation: Generation, made: Plan) -> str:
    """Where the configuration says what the name means; nothing for a provider's own model."""
    tree = generation.loaded.stages.normalised
    section, name = {"combo": ("combos", made.found.of.name), "alias": ("models", made.asked)}.get(
        made.found.via, ("", "default")
    )
    entries = tree.get(section) if section else tree
    if not isinstance(entries, Map) or name not in entries or made.found.via in ("provider", "model"):
        return ""
    mark = entries.key_mark(name) if section else entries.value_mark(name)
    return str(mark.by(""))


def _asked(what: str, key: str | None) -> Item:
    """A model's name, or a file with a request: its body alone, or with `path`, `headers` and the name of its `key`.

    Raises `Refused`, `ValueError`.
    """
    path = Path(what)
    if not (what.endswith(".json") and path.is_file()):
        return item_of({"model": what, "key": key, "tokens": 0})
    document = parse_object(path.read_bytes())
    request = document if isinstance(document.get("body"), dict) else {"body": document}
    return item_of({**request, "key": key or request.get("key")})


def _pipeline(generation: Generation, name: str, as_json: bool) -> int:
    pipeline = generation.pipelines.get(name)
    if pipeline is None:
        print(f"there is no pipeline {name!r}; there are {', '.join(generation.pipelines)}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(_stages(pipeline), indent=2))
        return 0
    _print_stages(pipeline)
    return 0


def _stages(pipeline: Pipeline) -> list[dict[str, str]]:
    rows = [
        {
            "name": s.name,
            "stage": s.stage,
            "shape": type(s.part).__name__.lower(),
            "from": s.place or "built in",
        }
        for s in pipeline.steps
    ]
    return [*rows, {"name": "send", "stage": "send", "shape": "end", "from": "built in"}]


def _print_stages(pipeline: Pipeline) -> None:
    for row in _stages(pipeline):
        print(f"  {row['name']:<20} {row['shape']:<9} {row['from']}")
