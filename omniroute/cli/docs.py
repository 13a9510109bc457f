"""`omniroute docs`: the reference pages, made from the declarations."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from omniroute.reference.build import reference
from omniroute.reference.markdown import GENERATED
from omniroute.registry import load as load_registry

FOLDER = "docs/reference"


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "docs",
        help="write or check the reference pages",
        description="The reference pages, as Markdown, made from what is built in.",
        epilog="examples: omniroute docs --write docs/reference    omniroute docs --check",
    )
    parser.add_argument("--write", metavar="DIR", nargs="?", const=FOLDER, help=f"write them ({FOLDER})")
    parser.add_argument(
        "--check", metavar="DIR", nargs="?", const=FOLDER, help=f"exit 1 if those are stale ({FOLDER})"
    )
    parser.add_argument("--plugins", action="store_true", help="with the components of installed plugins")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    pages = reference(load_registry(plugins=args.plugins))
    if args.check:
        return _check(Path(args.check), pages)
    if args.write:
        return _write(Path(args.write), pages)
    for path in sorted(pages):
        print(path)
    return 0


def _write(folder: Path, pages: dict[str, str]) -> int:
    """Write every page, and take away generated ones that are no more."""
    for path in _left_over(folder, pages):
        path.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    print(f"{len(pages)} pages in {folder}")
    return 0


def _check(folder: Path, pages: dict[str, str]) -> int:
    wrong = [str(path) for path in _left_over(folder, pages)]
    wrong += [str(folder / name) for name, text in pages.items() if _read(folder / name) != text]
    for path in sorted(wrong):
        print(f"{path} is stale: run `omniroute docs --write {folder}`", file=sys.stderr)
    return 1 if wrong else 0


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _left_over(folder: Path, pages: dict[str, str]) -> list[Path]:
    """Generated pages in the folder that nothing makes any more; what was written by hand is left alone."""
    found = (path for path in folder.rglob("*.md") if path.relative_to(folder).as_posix() not in pages)
    return [path for path in found if path.read_text("utf-8").startswith(GENERATED)]
