"""`omniroute demo` shows every format, with no account and no file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main

FORMATS = ["openai-chat", "openai-responses", "anthropic-messages", "gemini"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_shows_an_answer_in_every_format(capsys: pytest.CaptureFixture[str], empty_folder: Path) -> None:
    assert main(["demo", "--model", "demo-fast", "What a day!"]) == 0
    shown = capsys.readouterr().out
    for name in FORMATS:
        assert f"── {name}: POST /v1" in shown
        assert f"came to me in the format {name}" in shown
    assert shown.count("What a day!") == shown.count(" tokens in, ") == 4
    assert list(empty_folder.iterdir()) == []


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--model", "demo-fast", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["format"] for row in rows] == FORMATS
    assert all(row["text"] and row["usage"]["output"] > 0 and row["error"] is None for row in rows)


@pytest.mark.parametrize(
    "model, error", [("demo-error-500", "asked to fail with 500"), ("demo-cut", "error: ")]
)
def test_a_failure_is_shown_and_is_the_exit_code(
    capsys: pytest.CaptureFixture[str], model: str, error: str
) -> None:
    assert main(["demo", "--model", model]) == 1
    assert capsys.readouterr().out.count(error) >= 4
