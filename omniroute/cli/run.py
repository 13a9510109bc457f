"""`omniroute run -- CMD`: a gateway for the time of a command, and the bill at the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from omniroute.config.cassettes import Cassette, Mode
from omniroute.config.load import find_config
from omniroute.errors import ConfigError, ConfigUnreadable
from omniroute.server.log import set_up_logging
from omniroute.simulation.errand import (
    Ledger,
    NoKey,
    Row,
    environment,
    errand,
    in_ci,
    key_for_clients,
    run_command,
)

NOT_FOUND = 127
"""What a shell says of a command that does not exist."""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a command against a gateway of its own, and show what it cost",
        description=(
            "Serve on a free port of this machine, point SDKs and coding CLIs at it (OPENAI_BASE_URL, "
            "ANTHROPIC_BASE_URL, GOOGLE_GEMINI_BASE_URL and their keys), run the command, print a table of calls and "
            "cost. Exits with the code of the command, or 1 when it cost or asked more than it may, or when a "
            "cassette lacked an answer."
        ),
        epilog="example: omniroute run --cassette tests/cassettes --max-cost 0.50 -- pytest -q",
    )
    add_arguments(parser)
    parser.add_argument("--max-cost", type=float, metavar="USD", help="fail when it cost more")
    parser.add_argument("--max-requests", type=int, metavar="N", help="fail when it asked more often")
    parser.add_argument(
        "--cassette",
        metavar="DIR",
        help="a folder of cassettes, or one file: answers are recorded there and played back",
    )
    parser.add_argument(
        "--mode",
        choices=get_args(Mode),
        help="replay (the default where CI is set), auto (the default elsewhere), record, off",
    )
    parser.add_argument("--name", help="the cassette's name in the folder (that of the command)")
    add_command(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `run`, `record` and `replay` have in common."""
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument(
        "--key", metavar="NAME", help="the key of the configuration that the command presents"
    )
    parser.add_argument("--report", metavar="FILE", help="write what happened there, as JSON")


def add_command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command")


def run(args: argparse.Namespace) -> int:
    command = command_of(args)
    if not command:
        print("there is no command: omniroute run -- CMD", file=sys.stderr)
        return 2
    return execute(args, command, _cassette(args, command))


def command_of(args: argparse.Namespace) -> list[str]:
    given: list[str] = list(args.command)
    return given[1:] if given[:1] == ["--"] else given


def execute(args: argparse.Namespace, command: list[str], cassette: Cassette | None) -> int:
    """Run the command in an errand, print the bill, judge it."""
    set_up_logging()
    ledger = Ledger()
    config = find_config(args.config, os.environ, Path.cwd())
    try:
        code = asyncio.run(_execute(config, command, cassette, ledger, args.key))
    except ConfigUnreadable as error:
        print(error, file=sys.stderr)
        return 2
    except (ConfigError, NoKey) as error:
        print(error, file=sys.stderr)
        return 1
    except FileNotFoundError:
        print(f"there is no command {command[0]!r}", file=sys.stderr)
        return NOT_FOUND
    except OSError as error:
        print(f"{command[0]}: {error.strerror or error}", file=sys.stderr)
        return NOT_FOUND - 1
    return _settle(args, command, cassette, ledger, code)


async def _execute(
    config: Path, command: list[str], cassette: Cassette | None, ledger: Ledger, key: str | None
) -> int:
    async with errand(config, ledger, cassette) as gateway:
        settings = gateway.runtime.generation.loaded.settings
        presented = key_for_clients(settings, key)
        return await run_command(command, environment(os.environ, gateway.urls[0], presented))


def _settle(
    args: argparse.Namespace, command: list[str], cassette: Cassette | None, ledger: Ledger, code: int
) -> int:
    wrong = list(_wrong(args, ledger))
    print(_table(ledger), file=sys.stderr)
    for line in wrong:
        print(f"omniroute run: {line}", file=sys.stderr)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(_markdown(ledger, command, wrong, code))
    if args.report:
        Path(args.report).write_text(_json(ledger, command, wrong, code, cassette), "utf-8")
    return code or (1 if wrong else 0)


def _cassette(args: argparse.Namespace, command: list[str]) -> Cassette | None:
    if args.cassette is None:
        return None
    path = Path(args.cassette)
    if path.suffix not in (".yaml", ".yml"):
        name = args.name or re.sub(r"[^a-z0-9]+", "-", Path(command[0]).name.lower()).strip("-")
        path = path / f"{name}.yaml"
    mode: Mode = args.mode or ("replay" if in_ci() else "auto")
    return Cassette(file=str(path.absolute()), mode=mode)


def _wrong(args: argparse.Namespace, ledger: Ledger) -> Iterator[str]:
    """Why the run fails, whatever the command says."""
    total = ledger.total()
    most_cost, most_calls = getattr(args, "max_cost", None), getattr(args, "max_requests", None)
    if most_cost is not None and total.cost > most_cost:
        yield f"it cost ${total.cost:.4f}, more than ${most_cost:g}"
    if most_cost is not None and total.unpriced:
        yield f"the cost of {total.unpriced} calls is not known: their models have no price"
    if most_calls is not None and total.calls > most_calls:
        yield f"it asked {total.calls} times, more than {most_calls}"
    yield from dict.fromkeys(f"not on the cassette: {miss}" for miss in ledger.misses())


# ── the forms of the bill ────────────────────────────────────────────────────────────────────────

HEADS = ("target", "calls", "failed", "input", "output", "cost")


def _cells(row: Row) -> tuple[str, ...]:
    cost = f"${row.cost:.4f}" + (f" + {row.unpriced} unknown" if row.unpriced else "")
    return (row.target, str(row.calls), str(row.failed), str(row.input), str(row.output), cost)


def _all_cells(ledger: Ledger) -> list[tuple[str, ...]]:
    rows = ledger.rows()
    return [HEADS, *map(_cells, rows), *([_cells(ledger.total())] if len(rows) != 1 else [])]


def _table(ledger: Ledger) -> str:
    cells = _all_cells(ledger)
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADS))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in cells
    )


def _markdown(ledger: Ledger, command: list[str], wrong: list[str], code: int) -> str:
    head, *rows = _all_cells(ledger)
    lines = [f"### `{' '.join(command)}`: {'passed' if not code and not wrong else 'failed'}", ""]
    lines += [f"| {' | '.join(head)} |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"- {line}" for line in wrong)]
    return "\n".join(lines).rstrip() + "\n\n"


def _json(ledger: Ledger, command: list[str], wrong: list[str], code: int, cassette: Cassette | None) -> str:
    document = {
        "command": command,
        "exit": code,
        "ok": not code and not wrong,
        "wrong": wrong,
        "cassette": {"file": cassette.file, "mode": cassette.mode} if cassette is not None else None,
        "total": asdict(ledger.total()),
        "targets": [asdict(row) for row in ledger.rows()],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
