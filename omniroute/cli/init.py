"""`omniroute init`: write a first configuration, from the keys that are in the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omniroute.catalog.read import read_catalogue
from omniroute.config.load import load_text
from omniroute.errors import ConfigError
from omniroute.registry import load as load_registry

Doc = dict[str, Any]
SUFFIX = "_API_KEY"


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "init",
        help="write a first configuration",
        description="Write a configuration with the providers whose key is in the environment (NAME_API_KEY): the file "
        "names the variables and never holds a key. An existing file is left alone.",
        epilog="example: omniroute init && omniroute serve",
    )
    parser.add_argument(
        "file", nargs="?", default="omniroute.yaml", help="the file to write (omniroute.yaml)"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--print", action="store_true", help="print it, write nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    file = Path(args.file)
    catalogue = read_catalogue()
    found = keys_in(os.environ, catalogue)
    text = written(found, catalogue)
    try:
        load_text(text, env=os.environ, registry=load_registry())
    except ConfigError as error:
        print(f"what would be written is wrong, which is a mistake of ours:\n{error}", file=sys.stderr)
        return 1
    if args.print:
        print(text, end="")
        return 0
    if file.exists() and not args.force:
        print(f"{file} is there already; --force replaces it", file=sys.stderr)
        return 1
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        print(f"cannot write {file}: {error.strerror}", file=sys.stderr)
        return 2
    told = ", ".join(found) if found else f"none: no NAME{SUFFIX} of a known provider is set"
    print(
        f"{file} is written. Providers: {told}.\nNext: omniroute validate, omniroute serve, omniroute connect TOOL"
    )
    return 0


def keys_in(env: Mapping[str, str], catalogue: Mapping[str, Doc]) -> dict[str, str]:
    """Provider → the variable of the environment that holds its key: the id in capitals, and `_API_KEY`."""
    names = {id: id.upper().replace("-", "_") + SUFFIX for id in catalogue}
    return {id: name for id, name in names.items() if env.get(name)}


def written(found: Mapping[str, str], catalogue: Mapping[str, Doc]) -> str:
    """The file as text."""
    width = max((len(id) for id in found), default=0)
    providers = [
        f'  {id}:{" " * (width - len(id))} {{accounts: {{main: {{key: "${{{name}:-}}"}}}}}}'
        for id, name in found.items()
    ]
    targets = [f"{id}/{model}" for id in found if (model := _first_model(catalogue[id]))] + ["demo/demo"]
    lines = [
        "# What runs: `omniroute explain auto`. What may stand here: `omniroute schema --write schemas`.",
        "version: 1",
        "",
        "server:",
        "  listen: 127.0.0.1:20128",
        "",
        "providers:",
        *providers,
        "  demo: {}",
        "",
        "combos:",
        "  # The next target is tried when one fails before its first word: put them in your order.",
        "  auto:",
        "    targets:",
        *(f"      - {target}" for target in targets),
        "",
        "# What no provider knows is answered by `auto`, so that any client works with its own default model.",
        "default: auto",
    ]
    return "\n".join(lines) + "\n"


def _first_model(entry: Doc) -> str | None:
    """The first model that the catalogue lists with a price: the provider's newest, as a rule."""
    models = entry.get("models") or {}
    priced = [
        name
        for name, about in models.items()
        if name != "*" and isinstance(about, dict) and about.get("price")
    ]
    return priced[0] if priced else next((name for name in models if name != "*"), None)
