"""The log never holds up a request, never fails one, and shows no line that a client made up."""

from __future__ import annotations

import io
import threading

from omniroute.pipeline.record import Record
from omniroute.server.log import LogSink, console_line
from omniroute.testing import gateway
from tests.support.waiting import until


def record(**fields: object) -> Record:
    given = {"time": 1.0, "id": "x", "method": "POST", "endpoint": "/", "status": 200, "duration": 1.0}
    return Record(**{**given, **fields})  # type: ignore[arg-type]  # fields of a record


async def test_an_output_that_is_closed_fails_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    sink = LogSink(Closed())
    for _ in range(3):
        sink.write(record())
        sink.flush()


async def test_a_slow_output_holds_up_nobody_and_gets_all() -> None:
    writing, free = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            writing.set()
            assert free.wait(20), "the loop was held up: it could not let this go on"
            return super().write(text)

    out = Slow()
    sink = LogSink(out)
    sink.write(record())
    await until(writing.is_set)
    sink.write(record(id="y"))
    assert out.getvalue() == ""
    free.set()
    sink.flush()
    assert out.getvalue().count("\n") == 2


def test_a_terminal_sees_one_line() -> None:
    line = console_line(record(endpoint="/a\x1b[31m\nforged", model="m\nforged\x1b"))
    assert line.count("\n") == 1
    assert "\x1b" not in line


async def test_the_level_follows_the_configuration() -> None:
    async with gateway("providers: {demo: {}}") as gw:
        gw.path.write_text("version: 1\nproviders: {demo: {}}\nlog: {level: error}\n")
        await gw.gateway.runtime.reload()
        assert gw.gateway.sink.level == 40
