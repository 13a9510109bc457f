"""A real redis-server on a free port of loopback, in a folder of its own, that a test may kill and start again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.ports import free_port


def binary() -> str:
    """The path of `redis-server`, or a skip (a failure in CI)."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    message = "redis-server is not installed: tests on a real Redis do not run"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


class RedisServer:
    """`durable`: every write is on disk before it is answered; else what was saved last survives the process."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._binary = binary()
        self._folder = folder
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        folder.mkdir(exist_ok=True)

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Until it answers. Raises `RuntimeError` when it does not."""
        durable = ["--appendonly", "yes", "--appendfsync", "always"] if self._durable else []
        self._process = subprocess.Popen(
            [
                self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--dir", str(self._folder), "--logfile", "redis.log", *durable,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"redis-server does not start: see {self._folder}/redis.log")
            time.sleep(0.02)

    def kill(self) -> None:
        """At once, as by kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self, signal: int) -> None:
        """Send a signal: SIGSTOP makes it hang, SIGCONT goes on."""
        if self._process is not None:
            self._process.send_signal(signal)

    def save(self) -> None:
        """Write all data to the disk, as it is now."""
        if not self._says(b"SAVE", b"+OK"):
            raise RuntimeError("redis-server does not save")

    def _answers(self) -> bool:
        return self._says(b"PING", b"+PONG")

    def _says(self, command: bytes, answer: bytes) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(command + b"\r\n")
                return connection.recv(64).startswith(answer)
        except OSError:
            return False
