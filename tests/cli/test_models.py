"""`omniroute models`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main

CONFIG = """\
version: 1
keys: {ci: {key: k, models: [best, "lab/*"]}}
providers:
  lab:
    from: none
    format: openai-chat
    base_url: http://lab.example/v1
    auth: none
    models: {small: {context: 128k, price: {input: 0.5, output: 2}}, local: {price: {input: 0, output: 0}}}
  paid: {from: none, format: openai-chat, base_url: "http://p.example/v1", accounts: {a: {key: ""}}, models: {big: {}}}
combos: {best: [paid/big, lab/small], dead: [paid/big], off: {targets: [lab/small], enabled: false}}
models: {short: best, "gpt-*": best}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "omniroute.yaml"
    path.write_text(CONFIG, "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ([], ["best", "dead", "short", "lab/small", "lab/local", "demo/demo"]),
        (["--all"], ["best", "dead", "short", "lab/small", "lab/local", "paid/big", "demo/demo"]),
        (["--key", "ci"], ["best", "short", "lab/small", "lab/local"]),
    ],
)
def test_names(config: str, capsys: pytest.CaptureFixture[str], args: list[str], names: list[str]) -> None:
    assert main(["models", "-c", config, "--json", *args]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == names


def test_for_people(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "-c", config]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:5] == [
        "best 128k $0.5/$2 → lab/small",
        "dead (no account of paid is active: its key is empty)",
        "short 128k $0.5/$2 → lab/small",
        "lab/small 128k $0.5/$2",
        "lab/local free",
    ]


@pytest.mark.parametrize(("args", "code"), [(["--key", "nobody"], 1), (["-c", "gone.yaml"], 2)])
def test_what_does_not_work(config: str, args: list[str], code: int) -> None:
    assert main(["models", "-c", config, *args]) == code
