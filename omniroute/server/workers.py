"""Several processes on one port: a parent that starts workers, passes signals on, and replaces those that die."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from types import FrameType

log = logging.getLogger("omniroute")

WORKER = "OMNIROUTE_WORKER"
"""Set in a worker's environment to its number."""
FASTEST_DEATH = 2.0
"""A worker that dies within so many seconds is not replaced at once: something is wrong."""
MOST_QUICK_DEATHS = 5
"""After so many in a row, with no worker that lives, there is no hope."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before the next start of a worker that died so; doubling."""


class Workers:
    """`run` until SIGTERM or SIGINT; each worker listens on the same port with SO_REUSEPORT."""

    def __init__(self, count: int, arguments: list[str]) -> None:
        self._count = count
        self._arguments = arguments
        self._processes: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._due: dict[int, float] = {}
        self._stopping = False
        self._quick_deaths = 0
        self._gave_up = False

    def run(self) -> int:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        for number in range(self._count):
            self._start(number)
        while self._processes or (self._due and not self._stopping):
            time.sleep(0.2)
            self._reap()
            self._replace()
            if not self._stopping and self._hopeless():
                log.error("workers die as soon as they start: giving up")
                self._gave_up = True
                self._stop(signal.SIGTERM, None)
        return 1 if self._gave_up else 0

    def _hopeless(self) -> bool:
        """Whether it is of no use to go on: a worker that serves is never given up for others that cannot start."""
        if self._quick_deaths < MOST_QUICK_DEATHS:
            return False
        now = time.monotonic()
        return all(now - started < FASTEST_DEATH for _, started in self._processes.values())

    def _start(self, number: int) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "omniroute", *self._arguments],
            env={**os.environ, WORKER: str(number)},
        )
        self._processes[number] = (process, time.monotonic())

    def _reap(self) -> None:
        for number, (process, started) in list(self._processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self._processes[number]
            if self._stopping:
                continue
            now = time.monotonic()
            quick = now - started < FASTEST_DEATH
            self._quick_deaths = self._quick_deaths + 1 if quick else 0
            doubled: float = FIRST_PAUSE * 2.0 ** min(self._quick_deaths - 1, 30)
            self._due[number] = now + (min(doubled, LONGEST_PAUSE) if quick else 0.0)
            log.error("worker %d ended with code %s and is replaced", number, code)

    def _replace(self) -> None:
        now = time.monotonic()
        for number in [n for n, due in self._due.items() if due <= now and not self._stopping]:
            del self._due[number]
            self._start(number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._send(signal.SIGTERM)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._send(number)

    def _send(self, number: int) -> None:
        for process, _ in self._processes.values():
            if process.poll() is None:
                process.send_signal(number)
