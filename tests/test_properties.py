"""Runs are repeatable: a property sees the same examples each time, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

DRAWS = """
import sys
from tests.support import properties
properties.begin()
from hypothesis import given, strategies as st
if "first" in sys.argv:
    import omniroute.config.load
seen = []

@given(st.lists(st.text()), st.integers(), st.floats())
@properties.examples(50)
def look(words, number, share):
    seen.append((words, number, share))

look()
print(repr(seen))
"""


def drawn(*words: str, search: str = "0") -> str:
    env = {"OMNIROUTE_SEARCH": search, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:backslashreplace"}
    run = [sys.executable, "-c", DRAWS, *words]
    return subprocess.run(run, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", [(), ("first",)], ids=["the-same-modules", "others"])
def test_a_run_is_like_the_one_before(words: tuple[str, ...]) -> None:
    assert drawn() == drawn(*words)


def test_a_search_is_not() -> None:
    assert drawn(search="1") != drawn(search="1")
