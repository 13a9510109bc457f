"""The log: one line a request and what the gateway has to say, as JSON or for a terminal, off the hot path."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

import msgspec

from omniroute.pipeline.record import Record
from omniroute.state.transitions import Transition

FLUSH_AFTER = 0.2
"""Seconds that a line may wait to be written together with others."""
MOST_WAITING = 10_000
"""Lines that may wait; when the output is that far behind, the oldest are dropped and counted."""

GOOD_NEWS = frozenset(("closed", "half-open", "available", "healed", "connected"))
"""States that nobody has to look after."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_json = msgspec.json.Encoder()


def tell_transition(told: Transition) -> None:
    """A line for a breaker, cooldown, quota or budget that came to a new state."""
    level = logging.INFO if told.to in GOOD_NEWS else logging.WARNING
    ends = told.until or 0.0
    wait = f", for {ends - told.time:.0f} s" if ends > told.time else ""
    reason = f": {told.reason}" if told.reason else ""
    logging.getLogger("omniroute").log(level, "%s %s %s%s%s", told.kind, told.name, told.to, wait, reason)


class LogSink:
    """Takes records without blocking and writes them soon, in a thread: a pipe that nobody empties holds up no
    request. One a process."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._lock = threading.Lock()
        self._writing: asyncio.Future[None] | None = None
        self._broken = False
        self._waiting: list[Record] = []
        self._timer: asyncio.TimerHandle | None = None
        self._write: Callable[[Record], str] = json_line
        self.level = LEVELS["info"]
        self.dropped = 0

    def configure(self, level: str, format: str) -> None:
        """`format` auto means console on a terminal."""
        self.level = LEVELS[level]
        console = format == "console" or (format == "auto" and self._out.isatty())
        self._write = console_line if console else json_line
        logging.getLogger("omniroute").setLevel(self.level)
        for handler in logging.getLogger("omniroute").handlers:
            handler.setFormatter(ConsoleFormatter() if console else JsonFormatter())

    def write(self, record: Record) -> None:
        if severity(record) < self.level:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            del self._waiting[0]
        self._waiting.append(record)
        self._write_soon()

    def flush(self) -> None:
        """Write what waits, now, and wait until it is written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._emit(self._lines())

    def _write_soon(self) -> None:
        if self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self._write_aside)

    def _write_aside(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._emit, self._lines())
        self._writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing = None
        if self._waiting:
            self._write_soon()

    def _lines(self) -> str:
        """What waits, as text."""
        waiting, self._waiting = self._waiting, []
        if self.dropped:
            logging.getLogger("omniroute").warning(
                "%d log lines were dropped: the output is too slow", self.dropped
            )
            self.dropped = 0
        return "".join([self._write(record) for record in waiting])

    def _emit(self, lines: str) -> None:
        if not lines:
            return
        with self._lock:
            try:
                self._out.write(lines)
                self._out.flush()
            except (OSError, ValueError) as error:
                # The output is closed or full. A request does not fail for that; once is enough to say so.
                if not self._broken:
                    logging.getLogger("omniroute").error("the log cannot be written: %s", error)
                self._broken = True


def severity(record: Record) -> int:
    """The level of a request's line: our and the provider's failures are errors, refusals are information."""
    return LEVELS["error"] if record.status >= 500 else LEVELS["info"]


def printable(text: str) -> str:
    """Text for a terminal: clients choose paths and model names, and must not write lines or colours of their own."""
    return text if text.isprintable() else "".join([c if c.isprintable() else "\ufffd" for c in text])


def json_line(record: Record) -> str:
    return _json.encode(record).decode() + "\n"


def console_line(record: Record) -> str:
    """One line for human eyes."""
    when = time.strftime("%H:%M:%S", time.localtime(record.time))
    where = record.model or "-"
    if record.target and record.target != record.model:
        where += f" → {record.target}"
    tokens = ""
    if record.input_tokens is not None or record.output_tokens is not None:
        tokens = f" {record.input_tokens or 0}+{record.output_tokens or 0} tok"
    cost = f" ${record.cost:.5f}" if record.cost else ""
    extra = "".join(f"\n           {printable(line)}" for line in record.tried)
    error = f" {record.error}: {printable(record.message or '')}" if record.error else ""
    path = f" {record.path}" if record.path else ""
    return (
        f"{when}  {record.status} {record.method} {printable(record.endpoint)}  {printable(where)}"
        f"{path}{tokens}{cost}"
        f"  {record.duration:.0f} ms{error}{extra}\n"
    )


class ConsoleFormatter(logging.Formatter):
    """Messages of the gateway itself, on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        mark = "" if record.levelno < 30 else f"{record.levelname.lower()}: "
        text = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}  {mark}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """Messages of the gateway itself, one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _json.encode(line).decode()


def set_up_logging(out: TextIO | None = None) -> None:
    """Give the logger `omniroute` one handler; safe to call twice."""
    logger = logging.getLogger("omniroute")
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(out if out is not None else sys.stderr)
    handler.setFormatter(ConsoleFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
