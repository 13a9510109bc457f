"""`omniroute init`: a file that is right, and that holds no key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniroute.cli.init import keys_in
from omniroute.cli.main import main

CATALOGUE = {"acme": {}, "acme-eu": {}, "other": {}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name == "OMNIROUTE_CONFIG":
            monkeypatch.delenv(name)
    return tmp_path


def test_the_keys_that_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret")
    monkeypatch.setenv("GROQ_API_KEY", "gsk-a-secret")
    monkeypatch.setenv("DEEPSEEK_API_KEY", "")
    assert main(["init"]) == 0
    assert "Providers: groq, openai." in capsys.readouterr().out
    text = (folder / "omniroute.yaml").read_text("utf-8")
    assert "secret" not in text
    assert "deepseek" not in text
    assert main(["validate"]) == 0
    assert capsys.readouterr().out.endswith("omniroute.yaml is fine\n")
    assert main(["fmt", "--check"]) == 0
    assert main(["explain", "anything"]) == 0
    assert "1. in    groq/" in capsys.readouterr().out


def test_no_key_at_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--print"]) == 0
    assert "- demo/demo\n" in capsys.readouterr().out
    assert not (folder / "omniroute.yaml").exists()


def test_a_file_that_is_there_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text("mine", "utf-8")
    assert main(["init"]) == 1
    assert (folder / "omniroute.yaml").read_text("utf-8") == "mine"
    assert main(["init", "--force"]) == 0
    assert main(["init", "gone/omniroute.yaml"]) == 2


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({"ACME_API_KEY": "x"}, {"acme": "ACME_API_KEY"}),
        ({"ACME_EU_API_KEY": "x", "OTHER_API_KEY": ""}, {"acme-eu": "ACME_EU_API_KEY"}),
        ({"UNKNOWN_API_KEY": "x"}, {}),
    ],
)
def test_names_of_variables(env: dict[str, str], found: dict[str, str]) -> None:
    assert keys_in(env, CATALOGUE) == found
