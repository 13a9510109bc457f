"""Real recorded traffic, read where it lies: `../shared/recordings` beside the project.

In CI a missing folder fails; in a user's clone the tests that need it are skipped with one visible line.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@dataclass(frozen=True)
class Recording:
    """One interaction. `body` is a str for a stream as recorded, else the JSON value."""

    id: str
    wire_format: str
    features: tuple[str, ...]
    streaming: bool
    status: int
    request: dict[str, Any] | None
    headers: dict[str, str]
    body: Any
    meta: dict[str, Any]


def require(folder: str) -> Path:
    """The folder under `shared`, or a skip (a failure in CI)."""
    path = SHARED / folder
    if path.is_dir():
        return path
    message = f"../shared/{folder} is not here: tests on real recordings do not run"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@cache
def index() -> list[dict[str, Any]]:
    """The lines of `index.json`; empty where the folder is missing (so that collection never fails)."""
    path = SHARED / "recordings" / "index.json"
    return list(json.loads(path.read_text())) if path.is_file() else []


def ids(wire_format: str, *, streaming: bool | None = None, feature: str | None = None) -> list[str]:
    """`folder/id` of the recordings of a wire format, sorted, to parametrise a test with."""
    found = [
        e["file"].removesuffix(".json")
        for e in index()
        if e["wire_format"] == wire_format
        and (streaming is None or e["streaming"] is streaming)
        and (feature is None or feature in e["features"])
    ]
    return sorted(found) or ["missing"]


def load(name: str) -> Recording:
    """A recording by `folder/id`."""
    root = require("recordings")
    raw = json.loads((root / f"{name}.json").read_text())
    response = raw["response"]
    return Recording(
        id=raw["id"],
        wire_format=raw["wire_format"],
        features=tuple(raw["features"]),
        streaming=raw["streaming"],
        status=response["status"],
        request=raw["request"],
        headers=response["headers"],
        body=response["body"],
        meta=raw["meta"],
    )
