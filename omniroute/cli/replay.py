"""`omniroute replay FILE -- CMD`: a command against what was recorded, and nothing else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from omniroute.cli.run import add_arguments, add_command, command_of, execute
from omniroute.config.cassettes import Cassette


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "replay",
        help="run a command against a cassette, without asking any provider",
        description=(
            "Run a command against a gateway of its own that answers from a cassette. No provider is asked and no "
            "secret is needed; what is not recorded fails, and the nearest recorded call is shown."
        ),
        epilog="example: omniroute replay tests/cassettes/login.yaml --speed 1 -- python login.py",
    )
    parser.add_argument("file", help="the cassette")
    parser.add_argument(
        "--speed", type=float, default=0.0, help="1 as it was, 2 twice as fast; 0 without waiting (0)"
    )
    add_arguments(parser)
    add_command(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    command = command_of(args)
    if not command:
        print("there is no command: omniroute replay FILE -- CMD", file=sys.stderr)
        return 2
    file = Path(args.file)
    if not file.is_file():
        print(f"there is no cassette {args.file!r}", file=sys.stderr)
        return 2
    return execute(args, command, Cassette(file=str(file.absolute()), mode="replay", speed=args.speed))
