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
from omniroute.config.load import find_config
from omniroute.engine.generation import Generation
from omniroute.engine.plans import dry_generation, dry_plan, placed
from omniroute.errors import ConfigError, ConfigUnreadable, Refused
from omniroute.pipeline.compile import Pipeline
from omniroute.pipeline.exchange import parse_object
from omniroute.registry import load as load_registry
from omniroute.routing.explain import explanation, explanation_text
from omniroute.routing.facts import BYTES_PER_TOKEN
from omniroute.routing.plan import Step
from omniroute.state.state import State


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "explain",
        help="show the plan for a model or a request",
        description="The plan: what a name means, every stage and target, what is in, out or later, and why.",
        epilog="examples: omniroute explain always-on    omniroute explain request.json    omniroute explain pipeline chat",
    )
    parser.add_argument("what", nargs="+", help="a model name, a file with a request, or `pipeline NAME`")
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
    try:
        model, document = _asked(args.what[0])
    except Refused as error:
        print(f"{args.what[0]}: {error}", file=sys.stderr)
        return 2
    caller = generation.keyring.named(args.key) if args.key else None
    if args.key and caller is None:
        print(f"there is no key {args.key!r}", file=sys.stderr)
        return 1
    tokens = len(msgspec.json.encode(document)) // BYTES_PER_TOKEN
    made = dry_plan(generation, state, model, document=document, tokens=tokens, caller=caller)
    if made is None:
        near = generation.directory.near(model)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        print(f"there is no model, alias or combo {model!r}.{hint}", file=sys.stderr)
        return 1

    def place(step: Step) -> str:
        return placed(generation, step)

    if args.json:
        print(json.dumps(explanation(made, state.clock(), place), indent=2))
        return 0
    print(explanation_text(made, state.clock(), place))
    chat = generation.families.get("chat")
    if chat is not None:
        print(f"\npipeline {chat.name}")
        _print_stages(chat)
    return 0


def _asked(what: str) -> tuple[str, dict[str, Any]]:
    path = Path(what)
    if what.endswith(".json") and path.is_file():
        document = parse_object(path.read_bytes())
        return str(document.get("model", "")), document
    return what, {}


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
