"""`omniroute wait` and `omniroute health` against something that answers like a gateway."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from subprocess import run as run_process
from typing import Any

import pytest

from omniroute.cli.main import main
from omniroute.cli.wait import serves


class Health:
    """`/-/health` says each of `tags` in turn, then the last for ever; an int is an error status, text is no JSON."""

    def __init__(self, *tags: str | int) -> None:
        self._tags = list(tags)
        self.asked = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        tag = self._tags[min(self.asked, len(self._tags) - 1)]
        self.asked += 1
        found = handler.path == "/-/health" and isinstance(tag, str)
        document = {"status": "ok", "version": "1.0", "config": tag}
        body = b"hello" if tag == "no json" else json.dumps(document).encode()
        handler.send_response(200 if found else int(tag) if isinstance(tag, int) else 404)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Health:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def closed() -> Iterator[str]:
    """An address at which nothing answers."""
    with Health("x") as health:
        url = health.url
    yield url


@pytest.mark.parametrize("wanted", ["0123456789ab", "01234", "7-0123456789ab", "sha256:0123456789abcdef"])
def test_it_ends_when_the_hash_serves(capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    with Health("6-ffffffffffff", 503, "7-0123456789ab") as health:
        assert main(["wait", "--hash", wanted, "--url", health.url, "--timeout", "10s"]) == 0
    assert health.asked == 3
    assert capsys.readouterr().out == f"{health.url} serves 7-0123456789ab\n"


@pytest.mark.parametrize(
    "tag, why",
    [("6-ffffffffffff", "it serves 6-ffffffffffff"), (503, "HTTP 503"), ("no json", "Expecting value")],
)
def test_it_gives_up_when_the_time_is_over(
    capsys: pytest.CaptureFixture[str], tag: str | int, why: str
) -> None:
    with Health(tag) as health:
        assert main(["wait", "--hash", "0123", "--url", health.url, "--timeout", "400ms"]) == 1
    assert f"does not serve 0123 after 0.4 s: {why}" in capsys.readouterr().err


def test_it_waits_for_a_gateway_that_is_not_there_yet(
    closed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wait", "--hash", "0123", "--url", closed, "--timeout", "50ms"]) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["--hash", ""], ["--hash", "ab", "--timeout", "soon"], []])
def test_nonsense_is_refused(args: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["wait", *args])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "tag, wanted, served",
    [
        ("1-abc", "abc", True),
        ("1-abc", "ab", True),
        ("1-abc", "1-abc", True),
        ("1-abc", "abcdef", True),
        ("1-abc", "bc", False),
        ("1-abc", "2-abc", False),
        ("1-abc", "1", False),
        ("", "abc", False),
        ("1-", "abc", False),
    ],
)
def test_a_tag_is_of_a_configuration(tag: str, wanted: str, served: bool) -> None:
    assert serves(tag, wanted) is served


def test_health_says_how_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Health("7-0123456789ab") as health:
        monkeypatch.setenv("OMNIROUTE_URL", health.url)
        assert main(["health"]) == 0
        assert main(["health", "--json", "--url", f"{health.url}/v1/"]) == 0
    text, document = capsys.readouterr().out.splitlines()
    assert text == f"{health.url}: ok, version 1.0, config 7-0123456789ab"
    assert json.loads(document)["config"] == "7-0123456789ab"


def test_health_fails_where_nothing_answers(closed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--url", closed]) == 1
    assert "is not well" in capsys.readouterr().err


@pytest.mark.parametrize("tag", [500, "no json"])
def test_health_fails_for_what_is_no_healthy_gateway(tag: str | int) -> None:
    with Health(tag) as health:
        assert main(["health", "--url", health.url]) == 1


def test_health_asks_a_local_gateway_without_a_proxy(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    monkeypatch.setenv("http_proxy", closed)
    with Health("7-0123456789ab") as health:
        assert main(["health", "--url", health.url]) == 0


def test_health_starts_light() -> None:
    """A container asks every few seconds: no server, no codec may be imported for it."""
    code = "import sys, omniroute.cli.main as m; m._parser('health'); print(*sys.modules)"
    done = run_process([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"aiohttp", "jinja2", "msgspec", "yaml", "omniroute.server", "omniroute.wire"}
    assert heavy & set(done.stdout.split()) == set()
