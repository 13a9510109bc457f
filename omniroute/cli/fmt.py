"""`omniroute fmt`: configuration files in one layout, with every comment where it belongs."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from omniroute.config.edit import text_of, write
from omniroute.config.excerpt import headline
from omniroute.config.format import Unformattable, formatted
from omniroute.config.load import draft, find_config
from omniroute.config.marks import Map, ignored
from omniroute.config.reader import read
from omniroute.config.report import Report
from omniroute.config.settings import Settings
from omniroute.errors import ConfigUnreadable
from omniroute.registry import load as load_registry

SECTIONS = Settings.__struct_encode_fields__


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "fmt",
        help="bring configuration files into one layout",
        description="Bring configuration files into one layout: sections in the order of the language, two spaces a "
        "level, one blank line at most. Comments, quotes, anchors and short forms stay as they are, and a file is written only "
        "when it means the same as before. Exits 0; with --check 1 when a file would change; 2 when one cannot be read.",
        epilog="examples: omniroute fmt    omniroute fmt --check    omniroute fmt - < part.yaml",
    )
    parser.add_argument(
        "files", nargs="*", help="the files (those of the configuration); - is standard input"
    )
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file would change")
    parser.add_argument("--diff", action="store_true", help="write nothing; print what would change")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.files == ["-"]:
        return _standard_input()
    try:
        files = [Path(f) for f in args.files] or _files(args.config)
        texts = {file: text_of(file) for file in files}
    except (ConfigUnreadable, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    results = [_one(file, text, args) for file, text in texts.items()]
    return max(results, default=0)


def _files(config: str | None) -> list[Path]:
    """The user's files of a configuration, right or wrong. Raises `ConfigUnreadable`."""
    found = draft(find_config(config, os.environ, Path.cwd()), env=os.environ, registry=load_registry())
    return sorted({Path(source.file) for source in found.stages.source if source.own})


def _one(file: Path, text: str, args: argparse.Namespace) -> int:
    result = _formatted(text, str(file))
    if result is None:
        return 1
    if result == text:
        return 0
    if args.diff:
        before, after = text.splitlines(keepends=True), result.splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(before, after, f"{file}", f"{file} (formatted)"))
    if args.check:
        print(f"{file} would change", file=sys.stderr)
        return 1
    if not args.diff:
        write(file, result)
        print(file)
    return 0


def _standard_input() -> int:
    result = _formatted(sys.stdin.read(), "<stdin>")
    if result is None:
        return 1
    sys.stdout.write(result)
    return 0


def _formatted(text: str, name: str) -> str | None:
    """The text in its layout, or None with the reason on standard error."""
    report = Report(name)
    tree = read(text, name, report)
    if report.failed:
        print("\n".join(headline(finding) for finding in report.sorted()), file=sys.stderr)
        return None
    try:
        return formatted(text, SECTIONS if _is_configuration(tree) else ())
    except (Unformattable, yaml.YAMLError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return None


def _is_configuration(tree: Any) -> bool:
    """Whether the keys of a file are those of a configuration: else it is a document of another kind."""
    return isinstance(tree, Map) and all(key in SECTIONS or ignored(key) or key == "<<" for key in tree)
