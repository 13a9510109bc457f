"""`omniroute config show | blame | diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main

TEXT = """\
version: 1
server:
  drain: ${DRAIN:-5s}
providers: {lab: {format: openai-chat, base_url: "http://lab.example", accounts: {a: {key: plain-secret}}}}
combos: {best: [lab/x]}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    monkeypatch.delenv("DRAIN", raising=False)
    path = tmp_path / "omniroute.yaml"
    path.write_text(TEXT, "utf-8")
    return path


@pytest.mark.parametrize(
    ("stage", "line"),
    [("source", "  drain: ${DRAIN:-5s}"), ("merged", "  drain: 5s"), ("normalised", "    - model: lab/x")],
)
def test_show(file: Path, capsys: pytest.CaptureFixture[str], stage: str, line: str) -> None:
    assert main(["config", "show", "--stage", stage]) == 0
    out = capsys.readouterr().out
    assert line in out.splitlines()
    assert "plain-secret" not in out


def test_show_of_a_wrong_file_tells_both(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TEXT + "oops: 1\n", "utf-8")
    assert main(["config", "show", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["oops"] == 1
    assert "unknown key 'oops'" in told.err


def test_blame(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "blame", "server.drain"]) == 0
    assert capsys.readouterr().out == "server.drain  omniroute.yaml:3:10 (default of ${DRAIN})\n"
    assert main(["config", "blame", "server.workers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"path": "server.workers", "from": "default"}]
    assert main(["config", "blame", "sever"]) == 1


def test_diff(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = file.with_name("other.yaml")
    other.write_text(TEXT.replace("best", "fast").replace("  drain: ${DRAIN:-5s}", "  workers: 2"), "utf-8")
    assert main(["config", "diff", "omniroute.yaml", "omniroute.yaml"]) == 0
    assert main(["config", "diff", "omniroute.yaml", "other.yaml"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "~ server: workers, drain",
        "- combo best",
        "+ combo fast",
        "! server.workers needs a restart",
    ]
    assert main(["config", "diff", "omniroute.yaml", "gone.yaml"]) == 1
