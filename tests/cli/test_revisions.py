"""Configurations as they were in git, and on machines that have no secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main
from tests.support.git import commit

HEAD = "version: 1\ninclude: parts/*.yaml\nauth: {required: false}\n"
PART = "providers: {lab: {format: openai-chat, base_url: 'http://lab.example', auth: none}}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    for name in ("LAB_KEY", "OTHER_KEY"):
        monkeypatch.delenv(name, raising=False)
    commit(tmp_path, {"gate/omniroute.yaml": HEAD, "gate/parts/lab.yaml": PART})
    commit(tmp_path, {"gate/omniroute.yaml": HEAD + "combos: {a: [lab/x]}\n"})
    monkeypatch.chdir(tmp_path / "gate")
    return tmp_path / "gate"


@pytest.mark.parametrize(
    ("args", "code", "lines"),
    [
        (["git:HEAD"], 0, []),
        (["git:HEAD~1"], 2, ["+ combo a"]),
        (["git:HEAD~1", "omniroute.yaml"], 2, ["+ combo a"]),
        (["git:HEAD~1:gate/omniroute.yaml", "git:HEAD"], 2, ["+ combo a"]),
        (["omniroute.yaml", "git:HEAD~1"], 2, ["- combo a"]),
        (["."], 0, []),
    ],
)
def test_diff_with_a_revision(
    repository: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, lines: list[str]
) -> None:
    assert main(["config", "diff", *args]) == code
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("git:nowhere", "git rev-parse: there is no 'nowhere^{commit}'"),
        ("git:--help", "git rev-parse: there is no"),
        ("git:HEAD:gone.yaml", "cannot read 'git:HEAD:gone.yaml': no such file or directory"),
    ],
)
def test_what_is_not_there(repository: Path, capsys: pytest.CaptureFixture[str], old: str, told: str) -> None:
    assert main(["config", "diff", old, "omniroute.yaml"]) == 1
    assert told in capsys.readouterr().err


def test_findings_have_places_in_the_commit(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(repository.parent, {"gate/parts/lab.yaml": PART + "log: {level: loud}\n"})
    assert main(["config", "diff", "git:HEAD", "git:HEAD~1"]) == 1
    assert "git:HEAD:gate/parts/lab.yaml:2:14: log.level: 'loud' is not" in capsys.readouterr().err


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "omniroute.yaml").write_text(HEAD, "utf-8")
    assert main(["config", "diff", "git:HEAD", "omniroute.yaml"]) == 1


def test_links_of_a_commit_lead_nowhere_else(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "more.yaml"
    outside.write_text("combos: {b: [lab/x]}\n", "utf-8")
    (repository / "shared.yaml").write_text("combos: {c: [lab/x]}\n", "utf-8")
    (repository / "parts" / "inside.yaml").symlink_to("../shared.yaml")
    (repository / "parts" / "outside.yaml").symlink_to(outside)
    commit(repository.parent, {})
    assert main(["config", "diff", "git:HEAD~1", "git:HEAD"]) == 2
    assert capsys.readouterr().out.splitlines() == ["+ combo c"]


SECRETS = """\
version: 1
keys:
  one: {key: "${LAB_KEY}"}
  two: {key: "${file:gone/secret}"}
providers:
  lab:
    format: openai-chat
    base_url: http://${LAB_HOST:-lab.example}:${LAB_PORT}/v1
    accounts: {a: {key: "${OTHER_KEY:-}"}, b: {key: "${sealed:v1:00000000:AAAA}"}}
combos: {c: [lab/x]}
"""


def test_stand_ins(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "omniroute.yaml"
    path.write_text(SECRETS.replace(":${LAB_PORT}", ""), "utf-8")
    assert main(["validate"]) == 1
    assert main(["validate", "--stand-ins"]) == 0
    capsys.readouterr()
    assert main(["explain", "c", "--stand-ins", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["targets"][0]["verdict"] == "in"
    assert main(["config", "show", "--stand-ins"]) == 0
    assert "base_url: http://lab.example/v1" in capsys.readouterr().out
    assert main(["config", "blame", "keys.one.key", "--stand-ins"]) == 0
    assert "(a stand-in)" in capsys.readouterr().out


def test_a_stand_in_is_no_number(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "omniroute.yaml").write_text(SECRETS, "utf-8")
    assert main(["validate", "--stand-ins"]) == 1
    assert "'http://lab.example:stand-in-lab-port/v1' is not a URL" in capsys.readouterr().out
