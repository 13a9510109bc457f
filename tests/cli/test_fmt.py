"""`omniroute fmt`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from omniroute.cli.main import main

MAIN = "include: parts/*.yaml\nversion: 1   # first\nauth:\n    required: false\n"
LAID = "version: 1   # first\ninclude: parts/*.yaml\nauth:\n  required: false\n"
PART = "combos:\n    a: [demo/demo]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    for name in ("parts", "transforms"):
        (tmp_path / name).mkdir()
    (tmp_path / "omniroute.yaml").write_text(MAIN, "utf-8")
    (tmp_path / "parts" / "a.yaml").write_text(PART, "utf-8")
    (tmp_path / "transforms" / "t.yaml").write_text("ops:\n- remove: user\ndescription: x\n", "utf-8")
    return tmp_path


def test_all_files_of_a_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check"]) == 1
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "omniroute.yaml would change",
        "parts/a.yaml would change",
        "transforms/t.yaml would change",
    ]
    assert (folder / "omniroute.yaml").read_text("utf-8") == MAIN
    assert main(["fmt"]) == 0
    assert (folder / "omniroute.yaml").read_text("utf-8") == LAID
    assert (folder / "parts" / "a.yaml").read_text("utf-8") == "combos:\n  a: [demo/demo]\n"
    assert (folder / "transforms" / "t.yaml").read_text("utf-8") == "ops:\n  - remove: user\ndescription: x\n"
    assert main(["fmt", "--check"]) == 0
    assert main(["validate"]) == 0


def test_a_diff_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--diff", "parts/a.yaml"]) == 0
    assert "+  a: [demo/demo]\n" in capsys.readouterr().out
    assert (folder / "parts" / "a.yaml").read_text("utf-8") == PART


def test_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(MAIN))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == LAID


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("a: [1\n", 1, "bad.yaml:2:1: not YAML"),
        ("a: 1\na: 2\n", 1, "the key 'a' stands already"),
        ("? a\n: 1\n", 1, "written in an unusual way"),
        (None, 2, "No such file"),
    ],
)
def test_what_cannot_be_formatted(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str | None, code: int, told: str
) -> None:
    if text is not None:
        (folder / "bad.yaml").write_text(text, "utf-8")
    assert main(["fmt", "bad.yaml"]) == code
    assert told in capsys.readouterr().err
    if text is not None:
        assert (folder / "bad.yaml").read_text("utf-8") == text
