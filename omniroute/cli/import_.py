"""`omniroute import`: a configuration of another gateway becomes one of ours, and what does not is told."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from omniroute.catalog.read import read_catalogue
from omniroute.config.load import load_text
from omniroute.errors import ConfigError, Finding
from omniroute.importers import claude_code_router, cliproxy, litellm
from omniroute.importers.draft import Draft
from omniroute.registry import load as load_registry

GATEWAYS: dict[str, ModuleType] = {
    "litellm": litellm,
    "claude-code-router": claude_code_router,
    "cliproxy": cliproxy,
}


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "import",
        help="take over the configuration of another gateway",
        description=(
            "Write an omniroute.yaml that does what a configuration of another gateway did, and tell what could not be "
            "taken over. Keys of providers that stood in the file become variables, those of clients hashes. "
            "Exits 0 (written), 1 (what came out is not valid, or a file is in the way), 2 (could not read)."
        ),
        epilog="example: omniroute import litellm config.yaml --output omniroute.yaml --secrets .env",
    )
    parser.add_argument("gateway", choices=sorted(GATEWAYS), help="whose configuration it is")
    parser.add_argument("file", metavar="FILE", help="the file, `-` for standard input")
    parser.add_argument("--output", "-o", metavar="FILE", help="where to write it (standard output)")
    parser.add_argument(
        "--secrets", metavar="FILE", help="write the values of the variables there, for nobody else to read"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("--json", action="store_true", help="print configuration and report as JSON")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it. `findings` are those of our own check."""

    draft: Draft
    text: str
    findings: list[Finding]

    @property
    def valid(self) -> bool:
        return not any(f.severity == "error" for f in self.findings)


def run(args: argparse.Namespace) -> int:
    gateway = GATEWAYS[args.gateway]
    in_the_way = [f for f in (args.output, args.secrets) if f and Path(f).exists() and not args.force]
    if in_the_way:
        print(f"{' and '.join(in_the_way)} would be replaced: say --force", file=sys.stderr)
        return 1
    try:
        text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text("utf-8")
        document = gateway.parse(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"{args.file} cannot be read: {error}", file=sys.stderr)
        return 2
    if not isinstance(document, dict):
        print(f"{args.file} is no configuration of {args.gateway}: it is no map", file=sys.stderr)
        return 2
    imported = convert(gateway.convert, document)
    _write(imported, args)
    return 0 if imported.valid else 1


def convert(into: Callable[[Any, Draft], None], document: Any) -> Imported:
    """The configuration that a parsed file becomes, checked as ours are."""
    draft = Draft(read_catalogue())
    into(document, draft)
    text = draft.text()
    try:
        loaded = load_text(text, env={**os.environ, **draft.secrets}, registry=load_registry())
    except ConfigError as error:
        return Imported(draft, text, error.findings)
    return Imported(draft, text, list(loaded.findings))


def _write(imported: Imported, args: argparse.Namespace) -> None:
    if args.secrets:
        lines = "".join(f"{name}={json.dumps(value)}\n" for name, value in imported.draft.secrets.items())
        file = os.open(args.secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(lines)
    if args.output:
        Path(args.output).write_text(imported.text, "utf-8")
    if args.json:
        print(json.dumps(_document(imported), indent=2, ensure_ascii=False))
        return
    if not args.output:
        print(imported.text, end="")
    print(_report(imported, args), file=sys.stderr)


def _report(imported: Imported, args: argparse.Namespace) -> str:
    draft = imported.draft
    made = {
        "providers": draft.providers,
        "combos": draft.combos,
        "aliases": draft.aliases,
        "keys": draft.keys,
    }
    lines = [f"{args.gateway}: " + ", ".join(f"{len(entries)} {what}" for what, entries in made.items())]
    if draft.secrets and not args.secrets:
        lines.append("set these variables to the keys that stood in the file, or say --secrets FILE:")
        lines += [f"  {name}" for name in draft.secrets]
    if draft.notes:
        lines.append("not taken over, or as something else:")
        lines += [f"  {note.path}: {note.text}" for note in draft.notes]
    problems = [f for f in imported.findings if f.severity != "note"]
    if problems:
        lines.append("the check says:" if imported.valid else "this has to be mended by hand:")
        lines += [f"  {finding} [{finding.code}]" for finding in problems]
    return "\n".join(lines)


def _document(imported: Imported) -> dict[str, Any]:
    return {
        "valid": imported.valid,
        "config": imported.text,
        "variables": list(imported.draft.secrets),
        "notes": [{"path": n.path, "text": n.text} for n in imported.draft.notes],
        "findings": [{"code": f.code, "text": str(f)} for f in imported.findings],
    }
