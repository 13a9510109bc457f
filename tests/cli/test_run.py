"""`omniroute run`, `record` and `replay`: a command against a gateway of its own, and the bill."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from omniroute.cli.main import main
from omniroute.upstream.tape import read_tape
from tests.support.answers import chat

ASK = """
import json, os, sys, urllib.request
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps({"model": sys.argv[1], "messages": [{"role": "user", "content": sys.argv[2]}]}).encode(),
    {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"},
)
try:
    print(json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"])
except urllib.error.HTTPError as error:
    print(error.code)
"""
DEMO = "version: 1\nproviders: {demo: {}}\n"


class Provider(BaseHTTPRequestHandler):
    """Answers every chat."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(chat("ciao")).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def provider() -> Iterator[str]:
    Provider.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OMNIROUTE_CONFIG", "CI", "GITHUB_STEP_SUMMARY", "LAB_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "omniroute.yaml").write_text(DEMO, "utf-8")
    (tmp_path / "ask.py").write_text(ASK, "utf-8")
    return tmp_path


def command(model: str = "demo", text: str = "hi") -> list[str]:
    return ["--", sys.executable, "ask.py", model, text]


def lab(url: str) -> str:
    return f"""
version: 1
keys: {{ci: {{key: ork_of-ci-0123456789}}}}
providers:
  lab:
    format: openai-chat
    base_url: {url}/v1
    accounts: {{a: {{key: "${{LAB_KEY}}"}}}}
    models: {{m: {{price: {{input: 1000000, output: 0}}}}}}
"""


def test_a_command_finds_the_gateway_and_the_bill_follows(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--report", "report.json", *command()]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("Hello from OmniRoute")
    head, row = err.splitlines()
    assert head.split() == ["target", "calls", "failed", "input", "output", "cost"]
    assert row.split()[:3] == ["demo/demo", "1", "0"]
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["ok"] and report["total"]["calls"] == 1


def test_what_sdks_look_for_is_set(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = "OPENAI_BASE_URL ANTHROPIC_BASE_URL GOOGLE_GEMINI_BASE_URL OPENAI_API_KEY ANTHROPIC_API_KEY GEMINI_API_KEY"
    program = f"import os; print(*(os.environ[n] for n in {names.split()!r}))"
    assert main(["run", "--", sys.executable, "-c", program]) == 0
    openai, anthropic, gemini, *keys = capfd.readouterr().out.split()
    assert openai == f"{anthropic}/v1" and anthropic == gemini
    assert anthropic.startswith("http://127.0.0.1:")
    assert keys == ["omniroute"] * 3


@pytest.mark.parametrize(
    ("program", "code"), [("import sys; sys.exit(7)", 7), ("pass", 0), ("import os; os.abort()", 134)]
)
def test_the_exit_code_of_the_command_is_kept(folder: Path, program: str, code: int) -> None:
    assert main(["run", "--", sys.executable, "-c", program]) == code


@pytest.mark.parametrize(
    ("limits", "code", "told"),
    [
        (["--max-requests", "1"], 0, ""),
        (["--max-requests", "0"], 1, "it asked 1 times, more than 0"),
        (["--max-cost", "10"], 0, ""),
        (["--max-cost", "2.5"], 1, "it cost $3.0000, more than $2.5"),
    ],
)
def test_limits(
    folder: Path,
    provider: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    limits: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-of-the-lab-0123")
    (folder / "omniroute.yaml").write_text(lab(provider), "utf-8")
    assert main(["run", *limits, *command("lab/m")]) == code
    assert told in capfd.readouterr().err


def test_a_summary_for_github(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    assert main(["run", "--max-requests", "0", *command()]) == 1
    text = (folder / "summary.md").read_text("utf-8")
    assert text.startswith("### `") and "failed" in text.splitlines()[0]
    assert "| demo/demo | 1 | 0 |" in text
    assert "- it asked 1 times, more than 0" in text


def test_recorded_once_it_runs_without_provider_and_without_secrets(
    folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-of-the-lab-0123")
    (folder / "omniroute.yaml").write_text(lab(provider), "utf-8")
    assert main(["run", "--cassette", "tapes", "--name", "hello", *command("lab/m")]) == 0
    (only,) = read_tape(folder / "tapes" / "hello.yaml")
    assert only.provider == "lab"
    assert "sk-of-the-lab" not in (folder / "tapes" / "hello.yaml").read_text("utf-8")

    monkeypatch.delenv("LAB_KEY")
    monkeypatch.setenv("CI", "true")
    capfd.readouterr()
    assert main(["run", "--cassette", "tapes", "--name", "hello", *command("lab/m")]) == 0
    assert capfd.readouterr().out == "ciao\n"
    assert Provider.asked == 1

    assert main(["run", "--cassette", "tapes/hello.yaml", *command("lab/m", "something else")]) == 1
    out, err = capfd.readouterr()
    assert out == "400\n"
    assert "not on the cassette" in err and "'something else', not 'hi'" in err
    assert Provider.asked == 1


def test_record_and_replay(
    folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-of-the-lab-0123")
    (folder / "omniroute.yaml").write_text(lab(provider), "utf-8")
    assert main(["replay", "t.yaml", *command("lab/m")]) == 2
    for _ in range(2):
        assert main(["record", "t.yaml", *command("lab/m")]) == 0
    assert len(read_tape(folder / "t.yaml")) == 1
    assert main(["replay", "t.yaml", *command("lab/m")]) == 0
    assert Provider.asked == 2
    assert capfd.readouterr().out == "ciao\n" * 3


@pytest.mark.parametrize(
    ("config", "args", "code", "told"),
    [
        (DEMO, [], 2, "there is no command"),
        (DEMO, ["--", "no-such-command-here"], 127, "there is no command 'no-such-command-here'"),
        ("version: 1\nprovider: {}", command(), 1, "unknown key 'provider'"),
        (DEMO, ["--config", "nowhere.yaml", *command()], 2, "nowhere.yaml"),
        (DEMO, ["--key", "ci", *command()], 1, "there is no key 'ci'"),
        (
            f"{DEMO}keys: {{a: {{hash: 'sha256:{'0' * 64}'}}}}",
            command(),
            1,
            "no key of the configuration has a value here",
        ),
    ],
)
def test_what_cannot_be_run(
    folder: Path, capfd: pytest.CaptureFixture[str], config: str, args: list[str], code: int, told: str
) -> None:
    (folder / "omniroute.yaml").write_text(config, "utf-8")
    assert main(["run", *args]) == code
    assert told in capfd.readouterr().err


def test_the_environment_of_this_process_is_left_alone(folder: Path) -> None:
    before = dict(os.environ)
    assert main(["run", *command()]) == 0
    assert dict(os.environ) == before
