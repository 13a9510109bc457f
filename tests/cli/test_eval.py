"""`omniroute eval` against a real upstream."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from omniroute.cli.main import main
from omniroute.testing import FakeUpstream, Scripted
from tests.support.answers import chat, error

QUESTIONS = """
models: [lab/m]
evals:
  - {name: capital, prompt: "capital of France?", expect: {contains: [paris], lacks: [Rome]}}
  - {name: counting, prompt: count, system: be brief, params: {temperature: 0}, expect: {matches: "1.*2.*3"}}
  - {name: status, prompt: json, expect: {json: true}}
  - {name: exactly, prompt: exactly, expect: {equals: "yes"}}
"""
SAID = {"capital of France?": "It is Paris.", "count": "1, 2, 3", "json": '{"ok": true}', "exactly": "yes"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    (tmp_path / "q.eval.yaml").write_text(QUESTIONS)
    return tmp_path


def script(**other: str) -> Any:
    def answer(seen: Any) -> Scripted:
        return Scripted(json=chat({**SAID, **other}[seen.json["messages"][-1]["content"]]))

    return answer


def configure(folder: Path, up: FakeUpstream) -> None:
    (folder / "omniroute.yaml").write_text(
        f"version: 1\nproviders: {{lab: {{format: openai-chat, base_url: '{up.url}/v1', auth: none}}}}\n"
    )


async def test_good_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream(script()) as up:
        configure(folder, up)
        assert await asyncio.to_thread(main, ["eval", "q.eval.yaml"]) == 0
        asked = {seen.json["messages"][-1]["content"]: seen.json for seen in up.requests}
    assert "lab/m: 4 of 4 good" in capsys.readouterr().out
    assert asked["count"]["temperature"] == 0
    assert asked["count"]["messages"][0] == {"role": "system", "content": "be brief"}


@pytest.mark.parametrize(
    "question, said, wrong",
    [
        ("capital of France?", "It is Rome.", ["it lacks 'paris'", "it holds 'Rome'"]),
        ("count", "3, 2, 1", ["it does not match '1.*2.*3'"]),
        ("json", "{oops", ["it is no JSON"]),
        ("exactly", "Yes, indeed", ["it is not 'yes'"]),
    ],
)
async def test_a_wrong_answer_says_what_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], question: str, said: str, wrong: list[str]
) -> None:
    async with FakeUpstream(script(**{question: said})) as up:
        configure(folder, up)
        assert await asyncio.to_thread(main, ["eval", "q.eval.yaml", "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert await asyncio.to_thread(main, ["eval", "q.eval.yaml", "--min", "0.75"]) == 0
    assert [v["wrong"] for v in told["verdicts"] if v["wrong"]] == [wrong]
    assert told["good"] == 3


async def test_a_model_that_fails_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream([error(400)]) as up:
        configure(folder, up)
        assert await asyncio.to_thread(main, ["eval", "q.eval.yaml", "--model", "lab/other"]) == 1
    out = capsys.readouterr().out
    assert "400: bad parameter" in out
    assert "lab/other: 0 of 4 good" in out


@pytest.mark.parametrize(
    "text, code, words",
    [
        ("evals: [{name: x, prompt: y, expect: {matches: '('}}]", 1, "q.eval.yaml:1:48"),
        ("evals: [{name: x, promt: y}]", 1, "did you mean 'prompt'"),
        ("evals: [{name: x, prompt: y}]", 1, "no model is named"),
        (None, 2, "cannot read"),
    ],
)
def test_what_is_wrong_with_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str | None, code: int, words: str
) -> None:
    file = folder / "q.eval.yaml"
    file.unlink() if text is None else file.write_text(text)
    assert main(["eval", "q.eval.yaml"]) == code
    assert words in capsys.readouterr().err
