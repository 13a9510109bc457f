"""`omniroute config`: look at a configuration: its steps, who set what, what changed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from omniroute.cli.revisions import add_stand_ins, opened
from omniroute.config.diff import differences, needs_restart
from omniroute.config.excerpt import text_report
from omniroute.config.load import Draft, draft, find_config, load
from omniroute.config.settings import Settings
from omniroute.config.show import STAGES, as_yaml, blame, show
from omniroute.engine.plans import all_plans
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.registry import load as load_registry


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "config",
        help="look at the configuration: show, blame, diff",
        description="Look at a configuration without running it. Secrets are printed as ***.",
        epilog="example: omniroute config blame providers.glm.accounts",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _register_show(verbs)
    _register_blame(verbs)
    _register_diff(verbs)


def _register_show(verbs: Any) -> None:
    parser = verbs.add_parser(
        "show",
        help="print a step of the load as YAML",
        description="source: as written. merged: files and catalogue in one. normalised: short forms made long. "
        "plan: what every name leads to.",
        epilog="example: omniroute config show --stage merged",
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument(
        "--stage", choices=(*STAGES, "plan"), default="normalised", help="which step (normalised)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_stand_ins(parser)
    parser.set_defaults(run=run_show)


def _register_blame(verbs: Any) -> None:
    parser = verbs.add_parser(
        "blame",
        help="which file and line, variable or default set a value",
        description="Which file and line, variable, catalogue entry or default set a value, and all below it.",
        epilog="example: omniroute config blame server.listen",
    )
    parser.add_argument("path", help="a dotted path, such as combos.fast.targets[0]")
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_stand_ins(parser)
    parser.set_defaults(run=run_blame)


def _register_diff(verbs: Any) -> None:
    parser = verbs.add_parser(
        "diff",
        help="what changed between two files, in names",
        description="What changed between two configurations: names, never values. Exits 0 when they mean the same, 2 "
        "when they differ, 1 when one of them is wrong or cannot be read.",
        epilog="example: omniroute config diff git:main omniroute.yaml",
    )
    parser.add_argument("old", help="the file as it was: a path, git:REV or git:REV:PATH")
    parser.add_argument("new", nargs="?", help="the file as it is to be (the configuration)")
    add_stand_ins(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_diff)


def run_show(args: argparse.Namespace) -> int:
    if args.stage == "plan":
        return _show_plans(args)
    found = _draft(args)
    if found is None:
        return 2
    print(show(found, args.stage, as_json=args.json), end="")
    return _problems(found)


def _show_plans(args: argparse.Namespace) -> int:
    """What every combo, alias and the default lead to, with nothing cooling and an empty request."""
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        plans = all_plans(path, os.environ, load_registry(), stand_ins=args.stand_ins)
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(plans, indent=2) if args.json else as_yaml(plans), end="\n" if args.json else "")
    return 0


def run_blame(args: argparse.Namespace) -> int:
    found = _draft(args)
    if found is None:
        return 2
    try:
        rows = list(blame(found, args.path))
    except KeyError:
        print(f"there is no {args.path!r} in this configuration", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps([{"path": path, "from": place} for path, place in rows], indent=2))
        return _problems(found)
    widest = max(len(path) for path, _ in rows)
    for path, place in rows:
        print(f"{path:<{widest}}  {place}")
    return _problems(found)


def run_diff(args: argparse.Namespace) -> int:
    new_path = args.new or str(find_config(None, os.environ, Path.cwd()))
    try:
        old = _settings(args.old, new_path, args.stand_ins)
        new = _settings(new_path, args.old, args.stand_ins)
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 1
    except ConfigError as error:
        errors = [f for f in error.findings if f.severity == "error"]
        print(text_report(errors), file=sys.stderr)
        return 1
    changes, restart = differences(old, new), needs_restart(old, new)
    if args.json:
        print(json.dumps({"changes": changes, "needs_restart": restart}, indent=2))
    else:
        for line in changes:
            print(line)
        for path in restart:
            print(f"! {path} needs a restart")
    return 2 if changes else 0


def _settings(written: str, beside: str, stand_ins: bool) -> Settings:
    """The settings of one side. Raises `ConfigUnreadable`, `ConfigError` with the places in the commit."""
    with opened(written, beside) as named, named.told():
        return load(named.path, env=os.environ, registry=load_registry(), stand_ins=stand_ins).settings


def _draft(args: argparse.Namespace) -> Draft | None:
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        return draft(path, env=os.environ, registry=load_registry(), stand_ins=args.stand_ins)
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return None


def _problems(found: Draft) -> int:
    """A wrong configuration can be looked at; what is wrong goes to standard error."""
    if not found.report.failed:
        return 0
    errors = [f for f in found.report.sorted() if f.severity == "error"]
    print(text_report(errors), file=sys.stderr)
    return 1
