"""`omniroute plan`: what a change means, and what it does to recorded traffic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omniroute.cli.main import main
from omniroute.pipeline.record import Record
from omniroute.server.log import json_line
from tests.support.git import commit

BASE = """\
version: 1
auth: {required: true}
server: {limits: {body: 1MiB}}
keys:
  ci: {key: ci-secret, limits: {rpm: 60}, models: [fast, "lab/*"], ips: [10.0.0.0/8], expires: 2030-01-01}
  dev: {key: dev-secret}
providers:
  lab:
    from: none
    format: openai-chat
    base_url: http://lab.example/v1
    accounts: {a: {key: lab-secret}}
    models: {m: {price: {input: 1, output: 2}, context: 8k}, n: {}}
  alt:
    from: none
    format: anthropic-messages
    base_url: http://alt.example/v1
    accounts: {a: {key: alt-secret}}
    models: {m2: {price: {input: 0.5, output: 1}}}
combos:
  fast: [lab/m, alt/m2]
  big: [{model: lab/n, when: "request.tokens > `100`"}, alt/m2]
models: {short: fast}
default: fast
pipelines:
  quiet: {stages: [auth, route, translate, retry]}
routes:
  - {match: {path: "/v1/messages"}, pipeline: quiet}
  - {match: {model: "x*", header: {x-team: a}}, pipeline: quiet}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIROUTE_CONFIG", raising=False)
    (tmp_path / "old.yaml").write_text(BASE, "utf-8")
    return tmp_path


def planned(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    edits: list[tuple[str, str]],
    traffic: list[Any] | None = None,
) -> tuple[int, dict[str, Any]]:
    text = BASE
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    (folder / "new.yaml").write_text(text, "utf-8")
    args = ["plan", "old.yaml", "new.yaml", "--json"]
    if traffic is not None:
        lines = (item if isinstance(item, str) else json.dumps(item) for item in traffic)
        (folder / "traffic.jsonl").write_text("\n".join(lines), "utf-8")
        args += ["--traffic", "traffic.jsonl"]
    capsys.readouterr()
    code = main(args)
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else {"error": told.err}


def rows(found: dict[str, Any], section: str) -> list[str]:
    return [f"{c['sign']} {c['name']} {c['text']}".rstrip() for c in found[section]]


@pytest.mark.parametrize(
    ("edits", "section", "expected"),
    [
        ([("[lab/m, alt/m2]", "[alt/m2, lab/m]")], "models", [
            "~ fast lab/m → alt/m2 ⇒ alt/m2 → lab/m",
            "~ short lab/m → alt/m2 ⇒ alt/m2 → lab/m",
            "~ (any other name) lab/m → alt/m2 ⇒ alt/m2 → lab/m",
        ]),
        ([("models: {short: fast}", "models: {brief: fast}")], "models", ["- short lab/m → alt/m2", "+ brief lab/m → alt/m2"]),
        ([("default: fast\n", "")], "models", ["- (any other name) lab/m → alt/m2"]),
        ([("input: 1,", "input: 1.5,"), ("context: 8k", "context: 16k")], "models", [
            "~ lab/m context 8k ⇒ 16k; price.input 1 ⇒ 1.5",
        ]),
        ([("{a: {key: alt-secret}}", "{a: {key: ''}}")], "models", [
            "~ fast lab/m → alt/m2 ⇒ lab/m → alt/m2 (out: no account of alt is active: its key is empty)",
        ]),
        ([("n: {}}", "n: {}, a: {}, b: {}, c: {}, d: {}, e: {}, f: {}, g: {}}")], "models", ["+ lab/* 7 models of provider lab"]),
        ([("  dev: {key: dev-secret}\n", "")], "keys", ["- dev"]),
        ([("dev-secret", "new-secret")], "keys", ["~ dev another value"]),
        ([('[fast, "lab/*"]', "[fast]")], "keys", ["~ ci loses lab/m, lab/n, short"]),
        ([("[10.0.0.0/8]", "[]"), ("2030-01-01", "2031-01-01")], "keys", ["~ ci expires 2030-01-01 ⇒ 2031-01-01; ips 10.0.0.0/8 ⇒ all"]),
        ([("required: true", "required: false")], "keys", ["~ (no key) a key is not needed any more"]),
        ([("  dev:", "  new: {key: n, providers: [alt]}\n  dev:")], "keys", ["+ new may use "]),
        ([("rpm: 60", "rpm: 30"), ("body: 1MiB", "body: 2MiB")], "limits", [
            "~ server.limits.body 1MiB ⇒ 2MiB",
            "~ keys.ci.limits.rpm 60 ⇒ 30",
        ]),
        ([(", limits: {rpm: 60}", "")], "limits", ["~ keys.ci.limits.rpm 60 ⇒ none"]),
        ([("    base_url: http://lab.example/v1\n", "    base_url: http://lab.example/v1\n    timeouts: {total: 1m}\n")], "limits", [
            "~ providers.lab.timeouts.total none ⇒ 1m",
        ]),
        ([("/v1/messages", "/v1/responses")], "routes", [
            "- path /v1/messages → quiet",
            "+ path /v1/responses → quiet",
        ]),
        ([("[auth, route, translate, retry]", "[auth, filter, route, translate, retry]")], "routes", [
            "~ pipeline quiet auth, route, translate, retry ⇒ auth, filter, route, translate, retry",
        ]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_what_behaves_differently(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    edits: list[tuple[str, str]],
    section: str,
    expected: list[str],
) -> None:
    code, found = planned(capsys, folder, edits)
    assert code == 2
    told = rows(found, section)
    assert len(told) >= len(expected)
    assert all(any(row.startswith(line) for row in told) for line in expected), told
    assert "secret" not in json.dumps(found)


def test_the_same_behaviour(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(capsys, folder, [("version: 1", "# a comment\nversion: 1")])[0] == 0
    assert main(["plan", "old.yaml", "new.yaml"]) == 0
    assert capsys.readouterr().out == "nothing behaves differently\n"


CHAT = {
    "path": "/v1/chat/completions",
    "key": "dev",
    "body": {"model": "fast", "messages": [{"role": "user", "content": "hi"}]},
}
LOGGED = json_line(
    Record(time=1.0, id="r", method="POST", endpoint="/v1/messages", status=200, duration=1, key="dev", model="big",
           input_tokens=1_000_000, output_tokens=1_000_000, path="same")
)  # fmt: skip


@pytest.mark.parametrize(
    ("item", "edits", "before", "after"),
    [
        (CHAT, [("[lab/m, alt/m2]", "[alt/m2]")], "lab/m → alt/m2", "alt/m2"),
        (CHAT, [("  fast:", "  quick:"), ("models: {short: fast}", ""), ("default: fast", "")],
         "lab/m → alt/m2", "refused: there is no model fast"),
        ({**CHAT, "key": "ci", "ip": "10.1.1.1"}, [("[10.0.0.0/8]", "[11.0.0.0/8]")],
         "lab/m → alt/m2", "refused: This key may not be used from this address."),
        ({**CHAT, "key": "ci", "ip": "10.1.1.1", "time": 1.9e9}, [("2030-01-01", "2040-01-01")],
         "refused: This key has expired.", "lab/m → alt/m2"),
        ({**CHAT, "key": "ghost"}, [("  dev:", "  ghost: {key: g}\n  dev:")], "refused: there is no key ghost", "lab/m → alt/m2"),
        ({"model": "fast", "tokens": 10}, [("required: true", "required: false")], "refused: a key is needed", "lab/m → alt/m2"),
        ({"model": "big", "tokens": 500, "key": "dev"}, [("> `100`", "> `1000`")], "lab/n → alt/m2", "alt/m2"),
        (LOGGED, [('"/v1/messages"', '"/v1/responses"')],
         "lab/n → alt/m2 (pipeline quiet)", "lab/n → alt/m2 (pipeline chat)"),
        ({**CHAT, "headers": {"X-Team": "a"}, "body": {"model": "xyz", "messages": []}},
         [("x-team: a", "x-team: b")], "lab/m → alt/m2 (pipeline quiet)", "lab/m → alt/m2 (pipeline chat)"),
    ],
)  # fmt: skip
def test_traffic(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    item: Any,
    edits: list[tuple[str, str]],
    before: str,
    after: str,
) -> None:
    code, found = planned(
        capsys, folder, edits, [item, "", {"level": "info", "message": "a line of the log"}]
    )
    assert code == 2
    assert found["traffic"]["requests"] == 1
    (difference,) = found["traffic"]["differences"]
    assert (difference["before"], difference["after"], difference["count"]) == (before, after, 1)


def test_cost_is_that_of_the_first_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    million = {"model": "fast", "key": "dev", "tokens": 1_000_000, "output_tokens": 1_000_000}
    edits = [("[lab/m, alt/m2]", "[alt/m2, lab/m]"), ("context: 8k", "context: 2M")]
    (folder / "old.yaml").write_text(BASE.replace("context: 8k", "context: 2M"), "utf-8")
    _, found = planned(
        capsys, folder, edits, [million, {**million, "model": "lab/n"}, {**million, "key": "nobody"}]
    )
    traffic = found["traffic"]
    assert (traffic["cost_before"], traffic["cost_after"], traffic["without_price"]) == (3.0, 1.5, 1)
    assert (traffic["same"], traffic["other_target"], traffic["newly_refused"]) == (2, 1, 0)


def test_for_people_and_for_pull_requests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        BASE.replace("[lab/m, alt/m2]", "[alt/m2]")
        .replace("rpm: 60", "rpm: 30")
        .replace("auth: {", "# |\nauth: {")
    )
    (folder / "new.yaml").write_text(text + "server2: 1\n".replace("server2: 1\n", ""), "utf-8")
    evil = {**CHAT, "body": {"model": "a|b`@team`\n# x", "messages": []}}
    (folder / "t.jsonl").write_text(json.dumps(CHAT) + "\n" + json.dumps(evil), "utf-8")
    assert main(["plan", "old.yaml", "new.yaml", "--traffic", "t.jsonl"]) == 2
    out = capsys.readouterr().out
    assert "~ keys.ci.limits.rpm  60 ⇒ 30" in out
    assert "traffic: 2 requests, 0 as before" in out
    assert main(["plan", "old.yaml", "new.yaml", "--traffic", "t.jsonl", "--markdown"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "## What this change of the configuration means"
    assert "| ~ | `fast` | `lab/m → alt/m2 ⇒ alt/m2` |" in lines
    assert "| 1 | `a\\|b'@team' # x` | `dev` | `lab/m → alt/m2` | `alt/m2` |" in lines
    assert not any(line.startswith("# x") for line in lines)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["gone.yaml", "old.yaml"], "cannot read 'gone.yaml'"),
        (["old.yaml", "bad.yaml"], "bad.yaml:2:1: unknown key 'oops'"),
        (["old.yaml", "old.yaml", "--traffic", "gone.jsonl"], "cannot read 'gone.jsonl'"),
        (["old.yaml", "old.yaml", "--traffic", "bad.yaml"], "bad.yaml: line 1: not JSON"),
        (
            ["old.yaml", "old.yaml", "--traffic", "bad.jsonl"],
            "bad.jsonl: line 2: neither a `body` nor a `model`",
        ),
        (["git:nowhere", "old.yaml"], "git rev-parse"),
    ],
)
def test_what_does_not_work(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    told: str,
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    (folder / "bad.yaml").write_text("version: 1\noops: 1\n", "utf-8")
    (folder / "bad.jsonl").write_text('{"model": "fast"}\n{"x": 1}\n', "utf-8")
    assert main(["plan", *args]) == 1
    assert told in capsys.readouterr().err


def test_against_git(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(folder, {"omniroute.yaml": BASE})
    (folder / "omniroute.yaml").write_text(BASE.replace("rpm: 60", "rpm: 30"), "utf-8")
    assert main(["plan", "git:HEAD"]) == 2
    assert "~ keys.ci.limits.rpm  60 ⇒ 30" in capsys.readouterr().out
    assert main(["plan", "git:HEAD", "git:HEAD"]) == 0
