"""A real yaml-language-server over LSP, as an editor runs it. Installed from npm once, into a cache of the machine."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

VERSION = "1.25.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omniroute-tests"
SECONDS = 30.0
SETTINGS = {
    "yaml": {
        "validate": True,
        "hover": True,
        "completion": True,
        "schemaStore": {"enable": False, "url": ""},
        "schemas": {},
    }
}

Doc = dict[str, Any]


def installed() -> Path:
    """The server's script. Without npm: a failure in CI, else a skip that says so."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        message = "npm is not here: the editor help is not tried in yaml-language-server"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = CACHE / f"yaml-language-server-{VERSION}"
    script = folder / "node_modules/yaml-language-server/bin/yaml-language-server"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:  # one of several test processes installs it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", "--fetch-retries=4"]
            package = f"yaml-language-server@{VERSION}"
            subprocess.run(
                ["npm", "install", *quiet, "--prefix", str(folder), package], check=True, timeout=200
            )
            (folder / "ready").touch()
    return script


class LanguageServer:
    """The client's side: requests, and the diagnostics that come unasked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._told: dict[str, asyncio.Queue[list[Doc]]] = {}
        self._next = 0

    async def request(self, method: str, params: Doc) -> Any:
        self._next += 1
        answer = self._answers[self._next] = asyncio.get_running_loop().create_future()
        self._send({"id": self._next, "method": method, "params": params})
        async with asyncio.timeout(SECONDS):
            return await answer

    def notify(self, method: str, params: Doc) -> None:
        self._send({"method": method, "params": params})

    async def diagnostics(self, uri: str) -> list[Doc]:
        """What the server tells about a document, once it does."""
        async with asyncio.timeout(SECONDS):
            return await self._told.setdefault(uri, asyncio.Queue()).get()

    def open(self, path: Path, text: str) -> str:
        """Open a document; returns its URI."""
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def _send(self, message: Doc) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def read(self) -> None:
        """Until the server ends its output."""
        assert self._process.stdout is not None
        while head := await self._process.stdout.readline():
            length = 0
            while head.strip():
                if head.lower().startswith(b"content-length:"):
                    length = int(head.split(b":")[1])
                head = await self._process.stdout.readline()
            self._received(json.loads(await self._process.stdout.readexactly(length)))

    def _received(self, message: Doc) -> None:
        method = message.get("method")
        if method is None:
            self._answers.pop(message["id"]).set_result(message.get("result"))
        elif method == "textDocument/publishDiagnostics":
            told = self._told.setdefault(message["params"]["uri"], asyncio.Queue())
            told.put_nowait(message["params"]["diagnostics"])
        elif "id" in message:
            self._send({"id": message["id"], "result": self._answer(method, message.get("params") or {})})

    def _answer(self, method: str, params: Doc) -> Any:
        """What an editor answers when the server asks: its settings."""
        if method != "workspace/configuration":
            return None
        return [SETTINGS.get(item.get("section", ""), {}) for item in params["items"]]


@asynccontextmanager
async def language_server(folder: Path) -> AsyncIterator[LanguageServer]:
    """A server whose workspace is `folder`."""
    process = await asyncio.create_subprocess_exec(
        "node", str(installed()), "--stdio", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    server = LanguageServer(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.read())
        try:
            capabilities = {
                "workspace": {"configuration": True, "workspaceFolders": True},
                "textDocument": {"completion": {"completionItem": {"snippetSupport": False}}},
            }
            workspace = [{"uri": folder.as_uri(), "name": "folder"}]
            await server.request(
                "initialize",
                {
                    "processId": os.getpid(),
                    "rootUri": folder.as_uri(),
                    "capabilities": capabilities,
                    "workspaceFolders": workspace,
                },
            )
            server.notify("initialized", {})
            server.notify("workspace/didChangeConfiguration", {"settings": SETTINGS})
            yield server
        finally:
            process.kill()
            await process.wait()
