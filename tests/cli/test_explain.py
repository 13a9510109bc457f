"""`omniroute explain`: what a user reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniroute.cli.main import main

CONFIG = """version: 1
keys: {ci: {key: k, models: ["demo/*"]}}
providers:
  demo: {}
  off: {format: openai-chat, base_url: "http://x/v1", accounts: {a: {key: ""}}}
combos:
  mine: [off/m, {model: demo/demo, when: "request.tokens < `50`"}, demo/other]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "omniroute.yaml"
    path.write_text(CONFIG)
    return str(path)


def test_a_combo(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mine", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"mine is a combo, fill-first  ({config}:7:3)"
    assert [line.rsplit("/", 1)[-1] for line in lines[1:4]] == [
        "omniroute.yaml:7:10)",
        "omniroute.yaml:7:17)",
        "omniroute.yaml:7:68)",
    ]
    assert "1. out   off/m     " in lines[1] and "no account of off is active: its key is empty" in lines[1]
    assert "2. in    demo/demo " in lines[2] and "3. in    demo/other" in lines[3]
    assert lines[-1].split() == ["send", "end", "built", "in"]


def test_a_request_file_decides_by_its_facts(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"model": "mine", "messages": [{"role": "user", "content": "x" * 1000}]}))
    assert main(["explain", str(request), "--config", config, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [t["verdict"] for t in told["targets"]] == ["out", "out", "in"]
    assert "`when` is false" in told["targets"][1]["reason"]


def test_a_key_narrows_the_plan(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mine", "--key", "ci", "--config", config]) == 0
    assert "off/m                                    key ci may not use it" in capsys.readouterr().out


def test_an_unknown_name(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mien", "--config", config]) == 1
    assert "Did you mean mine" in capsys.readouterr().err


def test_a_pipeline_with_the_origin_of_every_stage(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "pipeline", "chat", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "chat.yaml:" in out
    assert out.splitlines()[-1].split() == ["send", "end", "built", "in"]


def test_all_plans_of_a_configuration(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--stage", "plan", "--config", config, "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)
    assert list(plans) == ["mine"]
    assert [t["verdict"] for t in plans["mine"]["targets"]] == ["out", "in", "in"]
    assert main(["config", "show", "--stage", "plan", "--config", config]) == 0
    assert "resolved: mine" in capsys.readouterr().out


def test_a_file_that_is_no_request(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "request.json"
    file.write_text("[1")
    assert main(["explain", str(file), "--config", config]) == 2
    assert "not valid JSON" in capsys.readouterr().err


ROUTED = (
    CONFIG.replace("models: [", "expires: 2020-01-01, models: [")
    + """\
models: {short: mine}
default: short
pipelines:
  quiet: {stages: [auth, route, translate, retry]}
routes:
  - {match: {path: /v1/messages, header: {x-team: a*}, key: ci}, pipeline: quiet}
"""
)


@pytest.mark.parametrize(
    ("request_doc", "args", "pipeline", "route"),
    [
        ({"model": "short", "messages": []}, [], "chat", ""),
        ({"path": "/v1/messages", "headers": {"X-Team": "ab"}, "body": {"model": "short"}}, ["--key", "ci"], "quiet", "routes[0]"),
        ({"path": "/v1/messages", "headers": {"X-Team": "ab"}, "key": "ci", "body": {"model": "short"}}, [], "quiet", "routes[0]"),
        ({"path": "/v1/messages", "headers": {"X-Team": "b"}, "key": "ci", "body": {"model": "short"}}, [], "chat", ""),
        ({"path": "/v1beta/models/short:generateContent", "body": {"contents": []}}, [], "chat", ""),
    ],
)  # fmt: skip
def test_a_request_takes_a_route(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request_doc: dict[str, object],
    args: list[str],
    pipeline: str,
    route: str,
) -> None:
    config, request = tmp_path / "omniroute.yaml", tmp_path / "request.json"
    config.write_text(ROUTED)
    request.write_text(json.dumps(request_doc))
    assert main(["explain", str(request), "--config", str(config), "--json", *args]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["pipeline"]["name"]) == ("short", pipeline)
    assert told["route"].startswith(route) and bool(told["route"]) == bool(route)
    assert told["place"] == f"{config}:8:10"
    assert told["refused"] == ("This key has expired." if "--key" in args or "key" in request_doc else None)
    assert all(stage["from"] for stage in told["pipeline"]["stages"])


def test_every_line_has_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "omniroute.yaml"
    config.write_text(ROUTED)
    assert main(["explain", "nobody-knows-this", "--key", "ci", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.replace(f"{config}:", "at ").splitlines()
    assert lines[0] == "nobody-knows-this is unknown, so the default: mine, fill-first  (at 9:10)"
    assert all("(at 7:" in line for line in lines[1:4])
    assert lines[4] == "  refused all the same: This key has expired."


def test_a_path_that_nothing_serves(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"path": "/nowhere", "body": {"model": "mine"}}))
    assert main(["explain", str(request), "--config", config]) == 1
    assert "nothing answers at /nowhere" in capsys.readouterr().err
