"""The front door: `omniroute VERB …`. Every module of this package that has `register` is a verb."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import omniroute
from omniroute import cli

ALONE = "serve"
"""The verb that is meant when none is given."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0 fine, 1 problems, 2 could not read (or another usage)."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, ALONE)
    args = _parser(given[0]).parse_args(given)
    try:
        code: int = args.run(args)
    except BrokenPipeError:
        # The reader of our output has enough (`omniroute … | head`): what is buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omniroute",
        description="A declarative reverse proxy for AI providers. Without a verb: serve.",
        epilog="example: omniroute validate --config omniroute.yaml",
    )
    parser.add_argument("--version", action="version", version=f"omniroute {omniroute.__version__}")
    subparsers = parser.add_subparsers(metavar="VERB", required=True)
    for name in _modules(verb):
        module = importlib.import_module(f"{cli.__name__}.{name}")
        if hasattr(module, "register"):
            module.register(subparsers)
    return parser


def _modules(verb: str) -> list[str]:
    """The module of the verb alone, which starts faster; all of them when there is no such module."""
    names = [module.name for module in pkgutil.iter_modules(cli.__path__) if module.name != "main"]
    wanted = verb.replace("-", "_")
    return [wanted] if wanted in names else names
