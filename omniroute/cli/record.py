"""`omniroute record FILE -- CMD`: what the command asks of providers, on a cassette."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from omniroute.cli.run import add_arguments, add_command, command_of, execute
from omniroute.config.cassettes import Cassette


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "record",
        help="record a command's calls to providers on a cassette",
        description=(
            "Run a command against a gateway of its own and record every call to a provider anew: requests, and "
            "answers with their bytes and timing, without secrets, in a file that people can read and commit."
        ),
        epilog="example: omniroute record tests/cassettes/login.yaml -- python login.py",
    )
    parser.add_argument("file", help="the cassette")
    add_arguments(parser)
    add_command(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    command = command_of(args)
    if not command:
        print("there is no command: omniroute record FILE -- CMD", file=sys.stderr)
        return 2
    return execute(args, command, Cassette(file=str(Path(args.file).absolute()), mode="record"))
