"""`omniroute doctor`: what it looks at, and what it calls wrong."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path

import pytest

from omniroute.cli.main import main
from omniroute.testing import FakeUpstream, Scripted, gateway
from tests.support.ports import free_port

CONFIG = """\
version: 1
server: {listen: "127.0.0.1:PORT"}
providers:
  lab: {format: openai-chat, base_url: URL, accounts: {a: {key: lab-secret}, b: {key: "${NOT_SET:-}"}}}
  empty: {format: openai-chat, base_url: URL, accounts: {a: {key: "${NOT_SET:-}"}}}
  off: {format: openai-chat, base_url: URL, enabled: false}
"""


@pytest.fixture
def port() -> int:
    return free_port()


def checked(capsys: pytest.CaptureFixture[str], path: Path, *args: str) -> tuple[int, dict[str, list[str]]]:
    code = main(["doctor", "-c", str(path), "--json", *args])
    found: dict[str, list[str]] = {}
    for check in json.loads(capsys.readouterr().out):
        found.setdefault(check["about"], []).append(f"{check['verdict']} {check['text']}")
    return code, found


def test_a_healthy_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int) -> None:
    path = tmp_path / "omniroute.yaml"
    path.write_text(CONFIG.replace("PORT", str(port)).replace("URL", "http://lab.example"), "utf-8")
    code, found = checked(capsys, path)
    assert code == 0
    assert found["version"][0].startswith("ok omniroute ")
    assert found["provider lab"] == ["ok accounts a"]
    assert found["provider empty"] == [f"note no active account: {path}:5:82 (default of ${{NOT_SET}})"]
    assert found["provider off"] == ["note disabled"]
    assert found[f"listen 127.0.0.1:{port}"] == ["ok free"]
    assert main(["doctor", "-c", str(path)]) == 0
    assert "lab-secret" not in capsys.readouterr().out


def _hang_up(listener: socket.socket) -> None:
    """Take one connection and close it without a word."""
    listener.accept()[0].close()


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "omniroute.yaml"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]
        other.listen()
        threading.Thread(target=_hang_up, args=(other,), daemon=True).start()
        path.write_text(CONFIG.replace("PORT", str(number)).replace("URL", "http://lab.example"), "utf-8")
        code, found = checked(capsys, path)
    assert code == 1
    assert found[f"listen 127.0.0.1:{number}"][0].startswith(
        "wrong address already in use, and it is no gateway"
    )


async def test_a_gateway_that_runs_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway("version: 1\nproviders: {demo: {}}\n") as gw:
        number = gw.url.rpartition(":")[2]
        path = tmp_path / "omniroute.yaml"
        path.write_text(CONFIG.replace("PORT", number).replace("URL", "http://lab.example"), "utf-8")
        code, found = await asyncio.to_thread(checked, capsys, path)
        assert code == 0
        assert found[f"listen 127.0.0.1:{number}"][0].startswith("note a gateway of version ")


async def test_online(tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int) -> None:
    refusal = Scripted(status=401, json={"error": {"message": "no such key: lab-secret"}})
    async with FakeUpstream([refusal]) as upstream:
        path = tmp_path / "omniroute.yaml"
        path.write_text(CONFIG.replace("PORT", str(port)).replace("URL", upstream.url), "utf-8")
        code, found = await asyncio.to_thread(checked, capsys, path, "--online")
    assert code == 1
    assert found["online lab/a"] == ["wrong HTTP 401, list of models, no such key: ***"]


@pytest.mark.parametrize(
    ("text", "told"), [("version: 1\noops: 1\n", "unknown key 'oops' [OR1201]"), (None, "cannot read")]
)
def test_a_wrong_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, told: str
) -> None:
    path = tmp_path / "omniroute.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    code, found = checked(capsys, path)
    assert code == 1
    assert found["configuration"][0].startswith("wrong ")
    assert told in found["configuration"][0]
