"""`omniroute schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "pipeline"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A pipeline of OmniRoute"
    assert main(["schema", "nothing"]) == 1


def test_write_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--check", str(tmp_path)]) == 1
    assert main(["schema", "--write", str(tmp_path)]) == 0
    assert main(["schema", "--check", str(tmp_path)]) == 0
    (tmp_path / "omniroute.schema.json").write_text("{}", "utf-8")
    assert main(["schema", "--check", str(tmp_path)]) == 1
    assert "omniroute.schema.json is stale" in capsys.readouterr().err
