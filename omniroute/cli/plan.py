"""`omniroute plan`: what a change of the configuration means, before it is live."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omniroute.cli.revisions import add_stand_ins, opened
from omniroute.cli.traffic import Comparison, Item, Judge, compare, read_traffic
from omniroute.config.excerpt import text_report
from omniroute.config.load import find_config
from omniroute.engine.consequences import Change, Consequences, consequences, still
from omniroute.engine.generation import Generation
from omniroute.engine.plans import dry_generation
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import Registry
from omniroute.registry import load as load_registry

SECTIONS = ("models", "keys", "routes", "limits")
MOST = 25
"""Ways in which requests fare differently that are printed; `--json` has all."""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "plan",
        help="what a change means: models, keys, routes, limits, recorded traffic",
        description="What behaves differently in a changed configuration, found with the planner that serves. With "
        "--traffic, also where recorded requests would go, which would be refused, and what they would cost. Exits 0 when "
        "nothing behaves differently, 2 when something does, 1 when a side is wrong or cannot be read.",
        epilog="examples: omniroute plan git:main    omniroute plan git:main --traffic requests.jsonl --markdown",
    )
    parser.add_argument("old", help="the file as it was: a path, git:REV or git:REV:PATH")
    parser.add_argument("new", nargs="?", help="the file as it is to be (the configuration)")
    parser.add_argument(
        "--traffic",
        metavar="FILE",
        help="recorded requests, one JSON object a line; the gateway's log will do",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="print JSON")
    form.add_argument(
        "--markdown",
        action="store_const",
        const="markdown",
        dest="form",
        help="print Markdown, for a pull request",
    )
    add_stand_ins(parser)
    parser.set_defaults(run=run, form="text")


def run(args: argparse.Namespace) -> int:
    registry = load_registry()
    written = args.new or str(find_config(None, os.environ, Path.cwd()))
    try:
        old = _compiled(args.old, written, args.stand_ins, registry)
        new = _compiled(written, args.old, args.stand_ins, registry)
        items = _traffic(args.traffic)
    except ConfigUnreadable as error:
        return _failed(str(error))
    except ConfigError as error:
        return _failed(text_report([f for f in error.findings if f.severity == "error"]))
    except ValueError as error:
        return _failed(f"{args.traffic}: {error}")
    found = consequences(old, new)
    compared = compare(items, Judge(old, registry), Judge(new, registry)) if items is not None else None
    print(FORMS[args.form](found, compared))
    differs = compared is not None and compared.same != compared.requests
    return 2 if found.any or differs else 0


def _compiled(written: str, beside: str, stand_ins: bool, registry: Registry) -> Generation:
    """One side, ready to be asked. Raises `ConfigError`, `ConfigUnreadable` with the places in the commit."""
    with opened(written, beside) as named, named.told():
        return dry_generation(named.path, os.environ, registry, still(), stand_ins=stand_ins)


def _traffic(file: str | None) -> list[Item] | None:
    if file is None:
        return None
    try:
        return list(read_traffic(sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")))
    except OSError as error:
        raise ConfigUnreadable(f"cannot read {file!r}: {error.strerror}") from None


def _failed(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


# ── forms ────────────────────────────────────────────────────────────────────────────────────────


def _json(found: Consequences, compared: Comparison | None) -> str:
    document = asdict(found)
    if compared is not None:
        document["traffic"] = asdict(compared)
    return json.dumps(document, indent=2, ensure_ascii=False)


def _text(found: Consequences, compared: Comparison | None) -> str:
    lines = list(found.changes)
    lines += [f"! {path} needs a restart" for path in found.restart]
    for section in SECTIONS:
        changes: list[Change] = getattr(found, section)
        if changes:
            lines += ["", section]
            width = min(40, max(len(c.name) for c in changes))
            lines += [f"  {c.sign} {c.name:<{width}}  {c.text}".rstrip() for c in changes]
    if compared is not None:
        lines += ["", *_traffic_lines(compared)]
    return "\n".join(lines).strip() or "nothing behaves differently"


def _traffic_lines(compared: Comparison) -> Iterator[str]:
    yield f"traffic: {compared.requests} requests, {compared.same} as before"
    for words, count in _counts(compared):
        if count:
            yield f"  {count} {words}"
    yield f"  cost {_money(compared)}"
    for difference in compared.differences[:MOST]:
        key = f" (key {difference.key})" if difference.key else ""
        yield f"  {difference.count} × {difference.model}{key}: {difference.before} ⇒ {difference.after}"
    if len(compared.differences) > MOST:
        yield f"  … and {len(compared.differences) - MOST} more ways"


def _counts(compared: Comparison) -> list[tuple[str, int]]:
    return [
        ("newly refused", compared.newly_refused),
        ("newly served", compared.newly_served),
        ("with another first target", compared.other_target),
        ("with other targets behind the first", compared.other_fallback),
        ("through another pipeline", compared.other_pipeline),
    ]


def _money(compared: Comparison) -> str:
    unknown = f"; {compared.without_price} requests without a price" if compared.without_price else ""
    return f"${compared.cost_before:.4f} ⇒ ${compared.cost_after:.4f} (estimated{unknown})"


def _markdown(found: Consequences, compared: Comparison | None) -> str:
    blocks = ["## What this change of the configuration means"]
    if not found.any:
        blocks.append("Nothing behaves differently.")
    if found.restart:
        blocks.append(f"> Needs a restart: {', '.join(f'`{path}`' for path in found.restart)}")
    for section in SECTIONS:
        changes: list[Change] = getattr(found, section)
        if changes:
            rows = [f"| {c.sign} | {_cell(c.name)} | {_cell(c.text)} |" for c in changes]
            blocks.append(
                "\n".join([f"### {section.capitalize()}", "", "| | name | |", "| --- | --- | --- |", *rows])
            )
    if compared is not None:
        blocks.append(_markdown_traffic(compared))
    if found.changes:
        names = "\n".join(["```diff", *found.changes, "```"])
        blocks.append(f"<details><summary>{len(found.changes)} changes</summary>\n\n{names}\n\n</details>")
    return "\n\n".join(blocks)


def _markdown_traffic(compared: Comparison) -> str:
    counts = [f"{count} {words}" for words, count in _counts(compared) if count]
    told = f"{compared.requests} recorded requests: {compared.same} as before"
    lines = ["### Traffic", "", ", ".join([told, *counts]) + f". Cost {_money(compared)}."]
    if compared.differences:
        lines += ["", "| requests | model | key | before | after |", "| ---: | --- | --- | --- | --- |"]
        lines += [
            f"| {d.count} | {_cell(d.model)} | {_cell(d.key or '')} | {_cell(d.before)} | {_cell(d.after)} |"
            for d in compared.differences[:MOST]
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Names come from files and clients: nothing in them may end a cell, or become a link or a mention."""
    clean = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{clean}`" if clean else ""


FORMS = {"text": _text, "json": _json, "markdown": _markdown}
