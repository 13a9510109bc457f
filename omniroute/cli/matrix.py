"""`omniroute matrix`: what each translation keeps, emulates and drops."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from omniroute.engine.build import wire_of
from omniroute.registry import load
from omniroute.wire.embeddings_matrix import embeddings_matrix
from omniroute.wire.matrix import Cell, matrix

MARKS = {"kept": "kept", "emulated": "emulated", "dropped": "DROPPED", "refused": "REFUSED", "unsaid": "·"}


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "matrix",
        help="what each translation keeps, emulates and drops",
        description="What becomes of each feature of a request on its way from a client's format to a target's, found "
        "out from the codecs. A dot: the client's format has no words for it.",
        epilog="example: omniroute matrix --client anthropic-messages",
    )
    parser.add_argument("--client", help="only this client format")
    parser.add_argument("--target", help="only this target format")
    parser.add_argument("--embeddings", action="store_true", help="of requests for embeddings, not of chats")
    parser.add_argument("--json", action="store_true", help="print JSON, with the names that are noted")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    wires = {d.name: wire_of(d.cls) for d in load().all("wire")}
    for name in (args.client, args.target):
        if name is not None and name not in wires:
            print(f"there is no format {name!r}; there are {', '.join(wires)}", file=sys.stderr)
            return 1
    found = {
        (client, target): cells
        for (client, target), cells in (embeddings_matrix if args.embeddings else matrix)(wires).items()
        if args.client in (None, client) and args.target in (None, target)
    }
    if args.json:
        print(json.dumps([_json(c, t, cells) for (c, t), cells in found.items()], indent=2))
        return 0
    for client in dict.fromkeys(client for client, _ in found):
        _print_table(client, {t: cells for (c, t), cells in found.items() if c == client})
    return 0


def _json(client: str, target: str, cells: dict[str, Cell]) -> dict[str, Any]:
    return {"client": client, "target": target, "features": {f: cell._asdict() for f, cell in cells.items()}}


def _print_table(client: str, columns: dict[str, dict[str, Cell]]) -> None:
    print(f"\n{client} client to" + "".join(f"{target:>20}" for target in columns))
    for feature in next(iter(columns.values())):
        row = "".join(f"{MARKS[cells[feature].verdict]:>20}" for cells in columns.values())
        print(
            f"  {feature:<{len(client) + 8}}{row}"
            if len(feature) < len(client) + 8
            else f"  {feature}\n{'':>{len(client) + 10}}{row}"
        )
