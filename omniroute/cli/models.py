"""`omniroute models`: what can be asked for, and what it leads to."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omniroute.cli.revisions import add_stand_ins
from omniroute.config.load import find_config
from omniroute.config.schema import written_quantity
from omniroute.config.units import Count
from omniroute.engine.consequences import still
from omniroute.engine.generation import Generation
from omniroute.engine.plans import dry_generation, dry_plan
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.pipeline.keys import Caller
from omniroute.registry import load as load_registry
from omniroute.routing.explain import VIA


@dataclass(frozen=True, slots=True)
class Row:
    """A name. `leads_to` is its first usable target, or empty with `why_not`. Prices in USD per million tokens."""

    name: str
    kind: str
    leads_to: str = ""
    why_not: str = ""
    context: int | None = None
    input: float | None = None
    output: float | None = None


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "models",
        help="list what can be asked for",
        description="List the names that clients may ask for: combos, aliases, and the listed models of providers that "
        "have an active account. Read from the configuration, with nothing cooling.",
        epilog="examples: omniroute models    omniroute models --key ci --json",
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument(
        "--all", action="store_true", help="also models of providers without an active account"
    )
    parser.add_argument("--key", help="only what this key may use, by its name")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_stand_ins(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        generation = dry_generation(path, os.environ, load_registry(), still(), stand_ins=args.stand_ins)
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    caller = generation.keyring.named(args.key) if args.key else None
    if args.key and caller is None:
        print(f"there is no key {args.key!r}", file=sys.stderr)
        return 1
    rows = [row for row in _rows(generation, caller, args.all) if row.leads_to or caller is None]
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    _print(rows)
    return 0


def _rows(generation: Generation, caller: Caller | None, every: bool) -> Iterator[Row]:
    directory = generation.directory
    names = [name for name, combo in directory.combos.items() if combo.enabled]
    names += [name for name in directory.aliases if "*" not in name and name not in names]
    for provider in directory.providers.values():
        if provider.usable or (every and provider.settings.enabled):
            names += [f"{provider.name}/{model}" for model in provider.listed()]
    for name in names:
        yield _row(generation, name, caller)


def _row(generation: Generation, name: str, caller: Caller | None) -> Row:
    made = dry_plan(generation, still(), name, caller=caller)
    if made is None:
        return Row(name, "unknown", why_not="it means nothing")
    kind = VIA[made.found.via]
    if not made.usable:
        return Row(name, kind, why_not=made.steps[0].reason if made.steps else "no targets")
    target = made.usable[0].target
    price, context = target.facts.price, target.facts.context
    return Row(
        name,
        kind,
        target.name,
        context=int(context) if context is not None else None,
        input=price.input if price is not None else None,
        output=price.output if price is not None else None,
    )


def _print(rows: list[Row]) -> None:
    width = min(48, max((len(row.name) for row in rows), default=0))
    for row in rows:
        way = row.leads_to if row.leads_to != row.name else ""
        facts = [str(written_quantity(Count(row.context))) if row.context else "", _price(row)]
        what = f"→ {way}" if way else (f"({row.why_not})" if row.why_not else "")
        print(
            "  ".join(
                [row.name.ljust(width), *[f.ljust(n) for f, n in zip(facts, (6, 14), strict=True)], what]
            ).rstrip()
        )


def _price(row: Row) -> str:
    if row.input is None or row.output is None:
        return ""
    return "free" if not row.input and not row.output else f"${row.input:g}/${row.output:g}"
