"""YAML into marked trees."""

from __future__ import annotations

from typing import Any

import pytest

from omniroute.config import reader
from omniroute.config.marks import Map, Mark, find, leaves, lookup, plain, written
from omniroute.config.report import Report
from omniroute.config.slow_parser import SlowParser


def read(text: str) -> Any:
    report = Report()
    tree = reader.read(text, "f.yaml", report)
    assert report.sorted() == []
    return tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0x1f", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ("012", 12),
        ("12:30", "12:30"),
        ("2027-01-01", "2027-01-01"),
        ("1_000", "1_000"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_keys_are_their_text() -> None:
    assert list(read("on: 1\n404: 2\n1.50: 3\ntrue: 4")) == ["on", "404", "1.50", "true"]


def test_marks_tell_line_and_column_of_keys_values_and_items() -> None:
    tree = read("a: 1\nb:\n  - x\n  - {c: äö, d: 2}\n")
    assert tree.key_mark("b") == Mark("f.yaml", 2, 1)
    assert tree["b"].item_mark(1) == Mark("f.yaml", 4, 5)
    assert tree["b"][1].value_mark("d") == Mark("f.yaml", 4, 16)


def test_anchors_and_merge_keys() -> None:
    tree = read("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [{c: 4}, *x], a: 5}\n")
    assert tree["y"] == {"a": 1, "b": 3}
    assert tree["z"] == {"a": 5, "b": 2, "c": 4}
    assert tree["y"].key_mark("a").line == 1


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read('"<<": 1') == {"<<": 1}


def test_anchors_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    report = Report()
    assert reader.read("\n".join(lines), "f.yaml", report) is None
    assert [f.code for f in report.sorted()] == ["OR1009"]


@pytest.mark.parametrize("text", ["[" * 500 + "]" * 500, "{a: " * 100 + "}" * 100, "- " * 900 + "x"])
def test_deep_nesting_is_refused(text: str) -> None:
    report = Report()
    assert reader.read(text, "f.yaml", report) is None
    assert {f.code for f in report.sorted()} <= {"OR1009", "OR1002"}
    assert report.failed


@pytest.mark.parametrize("text", ["\x00", "a: \x07", "\ud800", "%YAML 9.9\n---\na", "&", "*a", "? [a]\n: b"])
def test_odd_text_is_a_finding(text: str) -> None:
    report = Report()
    reader.read(text, "f.yaml", report)
    assert report.failed


def test_the_slow_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &a {b: 1, c: [x, 'y']}\ne: ${Z}\nd: {<<: *a}\n"
    slow = type(
        "Slow",
        (SlowParser,),
        {n: vars(reader._Composer)[n] for n in ("resolve", "descend_resolver", "ascend_resolver")},
    )
    fast = list(leaves(read(text)))
    monkeypatch.setattr(reader, "_Composer", slow)
    assert list(leaves(read(text))) == fast


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("m.glm-4.7.price", ("m", "glm-4.7", "price")),
        ('m."glm-4.7".price', ("m", "glm-4.7", "price")),
        ("l[1].x", ("l", 1, "x")),
        ("l.1.x", ("l", 1, "x")),
        ("m.glm-4", ("m", "glm-4")),
        ("l[7]", None),
        ("nope", None),
        ("a.b", None),
    ],
)
def test_paths(text: str, path: Any) -> None:
    tree = read("{a: 1, l: [0, {x: 1}], m: {glm-4: {}, glm-4.7: {price: 3}}}")
    assert find(tree, text) == path
    if path:
        assert find(tree, written(path)) == path
        assert lookup(tree, path)[0] is not None


def test_plain_drops_marks() -> None:
    tree = read("a: [1, {b: '${C}'}]")
    assert type(tree) is Map
    assert plain(tree) == {"a": [1, {"b": "${C}"}]}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: &x 1\nb: *x\n", {"a": 1, "b": 1}),
        ("&x a: 1\nb: *x\n", {"a": 1, "b": "a"}),
        ("a: &x key\n*x : 1\n", {"a": "key", "key": 1}),
        ("a: &x {b: &y [1]}\nc: *y\nd: *x\n", {"a": {"b": [1]}, "c": [1], "d": {"b": [1]}}),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": 1, "b": 2, "c": 2}),
        ("'<<': {a: 1}\n", {"<<": {"a": 1}}),
        ("b: !!str 5\nc: !!int '5'\n", {"b": "5", "c": 5}),
        ("--- # only a marker\n", None),
    ],
)
def test_anchors_tags_and_markers(text: str, tree: Any) -> None:
    report = Report()
    assert reader.read(text, "f", report) == tree
    assert report.sorted() == []


def test_what_is_shared_is_one_object() -> None:
    tree = reader.read("a: &x {b: 1}\nc: *x\n", "f", Report())
    assert tree["a"] is tree["c"]
