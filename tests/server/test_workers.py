"""The parent of several workers."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from omniroute.server import workers
from omniroute.server.workers import MOST_QUICK_DEATHS, Workers


def child(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", code])


def test_a_worker_that_serves_is_not_given_up_for_one_that_cannot_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bad file is fatal to a new worker only: those that run go on with the last good one."""
    monkeypatch.setattr(workers, "FASTEST_DEATH", 0.3)
    monkeypatch.setattr(workers, "FIRST_PAUSE", 0.01)
    parent = Workers(2, [])

    def start(number: int) -> None:
        process = child("raise SystemExit(1)")
        parent._processes[number] = (process, time.monotonic())

    monkeypatch.setattr(parent, "_start", start)
    healthy = child("import time; time.sleep(60)")
    parent._processes[0] = (healthy, time.monotonic() - 10)
    start(1)
    try:
        end = time.monotonic() + 10
        while parent._quick_deaths < MOST_QUICK_DEATHS and time.monotonic() < end:
            parent._reap()
            parent._replace()
            time.sleep(0.01)
        assert parent._quick_deaths >= MOST_QUICK_DEATHS
        assert not parent._hopeless()
        del parent._processes[0]
        assert parent._hopeless()
    finally:
        healthy.kill()
        for process in (healthy, *[p for p, _ in parent._processes.values()]):
            process.wait()
