"""`omniroute validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main

GOOD = "version: 1\nproviders: {lab: {format: openai-chat, base_url: 'http://lab.example', auth: none}}\n"
BAD = (
    GOOD
    + "log: {level: loud}\ncombos: {a: [lab/x], b: [labb/y]}\nkeys: {me: {key: plain-secret, scope: [use]}}\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "code", "last"),
    [
        (GOOD, 0, "omniroute.yaml is fine"),
        (BAD, 1, "omniroute.yaml: 3 errors"),
        (GOOD + "tracing: {enabled: true}\n", 0, "omniroute.yaml is fine (1 warning)"),
        ("", 1, "omniroute.yaml: 1 error"),
    ],
)
def test_exit_codes(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, last: str
) -> None:
    (folder / "omniroute.yaml").write_text(text, "utf-8")
    assert main(["validate"]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_what_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--config", "gone.yaml"]) == 2
    assert capsys.readouterr().err == "cannot read 'gone.yaml': no such file or directory\n"


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    main(["validate", "--excerpt"])
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [
        "omniroute.yaml:3:14: log.level: 'loud' is not one of debug, info, warning, error [OR1203]",
        "    3 | log: {level: loud}",
        "                     ^",
    ]
    assert "keys: {me: {key: ************, scope: [use]}}" in out[-3]


def test_lenient(folder: Path) -> None:
    (folder / "omniroute.yaml").write_text(GOOD + "future: 1\n", "utf-8")
    assert (main(["validate"]), main(["validate", "--lenient"])) == (1, 0)


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    assert main(["validate", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["file"], len(told["digest"])) == (False, "omniroute.yaml", 12)
    assert {f["code"] for f in told["findings"]} == {"OR1203", "OR1301", "OR1201"}


def test_github(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    main(["validate", "--format", "github"])
    assert capsys.readouterr().out.splitlines()[0] == (
        "::error file=omniroute.yaml,line=3,col=14,title=OR1203::"
        "log.level: 'loud' is not one of debug, info, warning, error"
    )


def test_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "omniroute.yaml").write_text(BAD, "utf-8")
    main(["validate", "--format", "sarif"])
    run = json.loads(capsys.readouterr().out)["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 14,
    }
    assert {r["id"] for r in run["tool"]["driver"]["rules"]} == {r["ruleId"] for r in run["results"]}
