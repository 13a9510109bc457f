"""`omniroute test`: exit codes, the forms of its report, coverage, and speed."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from xml.etree import ElementTree

import pytest

from omniroute.cli.main import main

CONFIG = """\
version: 1
providers:
  glm: {accounts: {main: {key: "${GLM_API_KEY}"}}}
combos:
  cheap: [glm/glm-4.7, demo/demo-fast]
  other: [demo/demo-fast]
models: {"gpt-*": cheap, fast: other}
"""
GOOD = "- {name: 'it # 1 answers', request: {model: gpt-5}, upstreams: {glm: {text: ciao}}, expect: {text: ciao}}"
BAD = "- {name: it fails, request: {model: cheap}, upstreams: {glm: {text: ciao}}, expect: {status: 201}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    (tmp_path / "omniroute.yaml").write_text(CONFIG, "utf-8")
    return tmp_path


def write(folder: Path, *tests: str, name: str = "a.test.yaml") -> None:
    (folder / name).write_text("tests:\n" + "".join(f"  {t}\n" for t in tests), "utf-8")


def test_tests_beside_the_configuration_are_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD)
    write(folder, GOOD, name="b.test.yaml")
    assert main(["test"]) == 0
    assert capsys.readouterr().out.startswith("2 tests, all hold")


def test_a_failure_says_what_and_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD, BAD)
    assert main(["test"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "FAIL it fails"
    column = BAD.index("201") + 3
    assert out[1] == f"  a.test.yaml:3:{column}: expect.status: expected 201, got 200"
    assert out[2].startswith("2 tests, 1 failed")


def test_one_can_be_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD, BAD)
    assert main(["test", "a.test.yaml", "--only", "answers"]) == 0
    assert capsys.readouterr().out.startswith("1 test, all hold")
    assert main(["test", "--only", "nothing"]) == 2


def test_another_configuration_can_be_tested(folder: Path) -> None:
    write(folder, GOOD)
    (folder / "new.yaml").write_text(CONFIG.replace('"gpt-*": cheap, ', ""), "utf-8")
    assert main(["test", "--config", "new.yaml"]) == 1
    assert main(["test", "--config", "omniroute.yaml"]) == 0


@pytest.mark.parametrize("args", [["nowhere.test.yaml"], []])
def test_what_cannot_be_read(folder: Path, args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", *args]) == 2
    assert capsys.readouterr().err


def test_a_wrong_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD.replace("expect", "expct"))
    assert main(["test"]) == 1
    assert "a.test.yaml:2:" in capsys.readouterr().err


def test_tap(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD, BAD)
    assert main(["test", "--format", "tap"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["TAP version 14", "1..2", "ok 1 - it \\# 1 answers", "not ok 2 - it fails"]
    assert lines[4] == "  ---" and lines[-1] == "  ..."


def test_junit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD, BAD)
    assert main(["test", "--format", "junit", "--output", "out.xml"]) == 1
    assert "2 tests, 1 failed" in capsys.readouterr().out
    (suite,) = ElementTree.parse(folder / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = list(suite)
    assert [c.get("name") for c in cases] == ["it # 1 answers", "it fails"]
    assert [c.get("line") for c in cases] == ["2", "3"]
    assert len(cases[0]) == 0
    assert "expected 201, got 200" in (cases[1][0].get("message") or "")


def test_json_and_coverage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, GOOD)
    assert main(["test", "--json", "--coverage"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [t["ok"] for t in told["tests"]] == [True]
    assert [m["what"] for m in told["coverage"]["missed"]] == [
        "combo other",
        "target demo/demo-fast of combo cheap",
        "target demo/demo-fast of combo other",
        "alias fast",
    ]
    assert told["coverage"]["missed"][0]["place"].endswith("omniroute.yaml:6:10")
    assert told["coverage"]["percent"] == pytest.approx(100 * 3 / 7, abs=0.1)


@pytest.mark.parametrize(("least", "code"), [("40", 0), ("50", 1)])
def test_coverage_can_be_demanded(folder: Path, least: str, code: int) -> None:
    write(folder, GOOD)
    assert main(["test", "--coverage", "--fail-under", least]) == code


def test_a_thousand_tests_take_seconds(folder: Path) -> None:
    write(folder, *(GOOD.replace("# 1", f"{n}") for n in range(1000)))
    began = process_time()
    assert main(["test"]) == 0
    assert process_time() - began < 10
