"""The import table of the house plan, kept true: a file imports from its own row's folder and from rows above it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "omniroute"

ROWS: list[set[str]] = [
    {"errors", "declare", "registry"},
    {"config", "wire", "state", "catalog"},
    {"pipeline", "upstream", "routing"},
    {"stages", "strategies", "transforms"},
    {"engine"},
    {"server", "cli", "reference", "importers", "simulation", "testing", "virtual_time", "__main__"},
]
SIBLINGS = {0: set(), 1: {("config", "catalog")}, 3: set()}
"""Rows whose folders do not import each other, with the exceptions."""

FILES = sorted(PACKAGE.rglob("*.py"))


def row_of(folder: str) -> int:
    return next(number for number, row in enumerate(ROWS) if folder in row)


def folder_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@cache
def imports(file: Path) -> set[str]:
    """Top-level names below `omniroute` that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("omniroute.")}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_upwards(file: Path) -> None:
    here = folder_of(file)
    if here == "__init__":
        return
    row = row_of(here)
    for other in imports(file):
        there = row_of(other)
        assert there <= row, f"{here} (row {row}) imports {other} (row {there})"
        if there == row and other != here and row in SIBLINGS and row != 0:
            assert (here, other) in SIBLINGS[row], (
                f"{here} and {other} are siblings and do not know each other"
            )


def test_components_are_reached_by_name_only() -> None:
    """No stage or strategy is imported outside its own folder: the registry is the way."""
    for file in FILES:
        here = folder_of(file)
        for folder in ("stages", "strategies"):
            if here != folder:
                assert folder not in imports(file), f"{file.relative_to(PACKAGE)} imports from {folder}"
