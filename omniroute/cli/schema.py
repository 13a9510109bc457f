"""`omniroute schema`: JSON Schema for editors, made from the declarations."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from omniroute.config.schema import FILES, source_schemas
from omniroute.registry import load as load_registry


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "schema",
        help="print or write the JSON Schema of the configuration",
        description="The JSON Schema of the configuration, with the stages of installed plugins.",
        epilog="example: omniroute schema --write schemas",
    )
    parser.add_argument(
        "name", nargs="?", default="omniroute", help=f"which one: {', '.join(_names())} (omniroute)"
    )
    parser.add_argument("--write", metavar="DIR", help="write all of them into a folder")
    parser.add_argument(
        "--check", metavar="DIR", nargs="?", const="schemas", help="exit 1 if those are stale"
    )
    parser.add_argument("--built-in", action="store_true", help="leave installed plugins out")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    schemas = source_schemas(load_registry(plugins=not args.built_in))
    texts = {name: as_text(schema) for name, schema in schemas.items()}
    if args.check:
        return _check(Path(args.check), texts)
    if args.write:
        return _write(Path(args.write), texts)
    text = texts.get(f"{args.name}.schema.json")
    if text is None:
        print(f"there is no schema {args.name!r}: there are {', '.join(_names())}", file=sys.stderr)
        return 1
    print(text, end="")
    return 0


def as_text(schema: dict[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _names() -> list[str]:
    return [name.removesuffix(".schema.json") for name in FILES]


def _write(folder: Path, texts: dict[str, str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
        print(folder / name)
    return 0


def _check(folder: Path, texts: dict[str, str]) -> int:
    stale = [
        n for n, t in texts.items() if not (folder / n).is_file() or (folder / n).read_text("utf-8") != t
    ]
    for name in stale:
        print(f"{folder / name} is stale: run `omniroute schema --write {folder}`", file=sys.stderr)
    return 1 if stale else 0
