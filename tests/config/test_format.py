"""The layout of files: what moves, what stays, and that nothing is ever lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omniroute.cli.fmt import SECTIONS
from omniroute.config.format import Unformattable, formatted, same_meaning
from tests.support.properties import examples

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ("*.yaml", "pipelines/*.yaml", "transforms/*.yaml", "examples/**/*.yaml", "omniroute/**/*.yaml")
SHIPPED = sorted(
    path
    for pattern in PATTERNS
    for path in ROOT.glob(pattern)
    if "yaml-language-server" in path.read_text("utf-8").split("\n", 1)[0]
)
"""What is ours: files of Kubernetes and the like have layouts of their own."""

CASES = {
    "indentation": (
        "a:\n    b: 1\n    c:\n        - 1\n        -   d: 2\n            e: 3\nf:\n- 1\n-\n    g: 1\n",
        "a:\n  b: 1\n  c:\n    - 1\n    - d: 2\n      e: 3\nf:\n  - 1\n  -\n    g: 1\n",
    ),
    "lists in lists": ("a:\n- - 1\n  -   - 2\n- b:\n  - c\n", "a:\n  - - 1\n    - - 2\n  - b:\n      - c\n"),
    "blank lines": ("\n\na: 1\n\n\n\nb: 2   \n\n\n", "a: 1\n\nb: 2\n"),
    "line ends": ("\ufeffa: 1\r\nb: 2\r\n", "a: 1\nb: 2\n"),
    "no line end": ("a: 1", "a: 1\n"),
    "comments": (
        "# head\n\n# of a\na:   # beside\n     # above b\n     b: 1 # why\n     # at the end\n# of c\nc: 1\n# tail\n",
        "# head\n\n# of a\na:   # beside\n  # above b\n  b: 1 # why\n  # at the end\n# of c\nc: 1\n# tail\n",
    ),
    "comments in lists": (
        "a:\n    # one\n    - 1\n    # two\n    -  b: 1\n       # of c\n       c: 2\n    # end\nd: 1\n",
        "a:\n  # one\n  - 1\n  # two\n  - b: 1\n    # of c\n    c: 2\n  # end\nd: 1\n",
    ),
    "a section that is a comment": ("a:\n    b: 1\n    # c:\n    #     d: 1\n", "a:\n  b: 1\n  # c:\n  #     d: 1\n"),
    "texts of several lines": (
        "a:\n    b: |\n        one\n          two\n\n\n        three  \n    c: >-\n        x\n        y\n    d: \"q\n\n      r\"\n    e: p\n      q\n",
        "a:\n  b: |\n      one\n        two\n\n\n      three  \n  c: >-\n      x\n      y\n  d: \"q\n\n    r\"\n  e: p\n    q\n",
    ),
    "a text with a comment inside": ("a:\n    b: |\n      # no comment\n      x\n    # a comment\n    c: 1\n",
                                     "a:\n  b: |\n    # no comment\n    x\n  # a comment\n  c: 1\n"),
    "an indentation in so many words": ("a:\n    b: |2\n          x\n", "a:\n  b: |2\n        x\n"),
    "what is in braces": ("a:\n    {b: 1,\n     c: [1,\n         2]}\nd: {x:   1}   # kept\n",
                          "a:\n    {b: 1,\n     c: [1,\n         2]}\nd: {x:   1}   # kept\n"),
    "anchors": (
        "x-all: &all\n    a: 1\nb:\n    <<: *all\n    c: &c {d: 1}\n    e: *c\n    f: &f\n    - 1\n    g: *f\n",
        "x-all: &all\n  a: 1\nb:\n  <<: *all\n  c: &c {d: 1}\n  e: *c\n  f: &f\n    - 1\n  g: *f\n",
    ),
    "quotes": ("a: 'x'\nb: \"y\"\nc: ${X}\n\"d\": 'it''s'\n", "a: 'x'\nb: \"y\"\nc: ${X}\n\"d\": 'it''s'\n"),
    "a marker": ("---\na: 1\n...\n", "---\na: 1\n...\n"),
    "comments alone": ("# a\n\n\n# b", "# a\n\n# b\n"),
    "a list": ("- 1\n-   2\n", "- 1\n- 2\n"),
}  # fmt: skip

SECTIONED = {
    "sections": ("combos: {a: [b/c]}\nversion: 1\nserver: {}\n", "version: 1\nserver: {}\ncombos: {a: [b/c]}\n"),
    "comments and blank lines go along": (
        "# yaml-language-server: $schema=x\n# of the combos\ncombos:\n  a: [b/c]\n  # still a\n\n# of the version\nversion: 1\n\n# tail\n",
        "# yaml-language-server: $schema=x\n# of the version\nversion: 1\n\n# of the combos\ncombos:\n  a: [b/c]\n  # still a\n\n# tail\n",
    ),
    "groups stay together": (
        "version: 1\n\nserver: {}\nstore: memory\n\ninclude: []\n\nauth: {}\n",
        "version: 1\n\ninclude: []\n\nserver: {}\nstore: memory\n\nauth: {}\n",
    ),
    "a head stays": ("# Ours.\n\ndefault: a\nversion: 1\n", "# Ours.\n\nversion: 1\ndefault: a\n"),
    "shared blocks come first": (
        "version: 1\nkeys: {a: *k}\nx-k: &k {key: z}\n".replace("keys: {a: *k}\nx-k: &k {key: z}", "keys: {}\nx-k: &k {key: z}"),
        "version: 1\nx-k: &k {key: z}\nkeys: {}\n",
    ),
    "an anchor that is needed before": (
        "combos: {a: &a [b/c]}\nversion: 1\nkeys: {k: {models: *a}}\n",
        "combos: {a: &a [b/c]}\nversion: 1\nkeys: {k: {models: *a}}\n",
    ),
    "names keep their order": ("version: 1\ncombos:\n  z: [a/b]\n  a: [a/b]\n", "version: 1\ncombos:\n  z: [a/b]\n  a: [a/b]\n"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_layout(before: str, after: str) -> None:
    assert formatted(before) == after
    assert formatted(after) == after


@pytest.mark.parametrize(("before", "after"), SECTIONED.values(), ids=SECTIONED.keys())
def test_sections(before: str, after: str) -> None:
    assert formatted(before, SECTIONS) == after
    assert formatted(after, SECTIONS) == after


@pytest.mark.parametrize("text", ["? a\n: 1\n", "a: 1\n? [b]\n: 2\n", "--- {a: 1}\n", "- ? a\n  : b\n"])
def test_what_is_not_taken_apart_is_left_alone(text: str) -> None:
    try:
        assert same_meaning(text, formatted(text))
    except Unformattable as error:
        assert "unusual" in str(error) or "mistake" in str(error)


def test_meaning() -> None:
    assert same_meaning("a: 1\nb: 2\n", "b: 2\na: 1\n")
    for other in ("a: 1\nb: '2'\n", "a: 1\n", "a: 1\nb: 2\n# c\n", "a: 1\nb: 2.0\n"):
        assert not same_meaning("a: 1\nb: 2\n", other)
    assert not same_meaning("a: {x: 1, y: 2}\n", "a: {y: 2, x: 1}\n")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_shipped_is_formatted(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text, SECTIONS if path.name == "omniroute.yaml" else ()) == text


words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z"]), max_size=12)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.just("two\nlines\n\n  and more\n"),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(words, below, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(words, trees, max_size=6), st.integers(2, 7), st.sampled_from([None, False, True]))
@examples(150)
def test_any_document_means_the_same_and_is_done_at_once(tree: Any, indent: int, flow: bool | None) -> None:
    text = yaml.safe_dump(tree, indent=indent, default_flow_style=flow, allow_unicode=True)
    try:
        result = formatted(text)
    except Unformattable:
        assert "? " in text
        return
    assert same_meaning(text, result)
    assert formatted(result) == result
