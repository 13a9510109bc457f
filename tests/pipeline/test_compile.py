"""Stages become one callable, in the order written, and a wrong order is told with its remedy."""

from __future__ import annotations

from omniroute.errors import Problem
from omniroute.pipeline.compile import Step, compile_pipeline
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Around, Gate, Handler, Observer, Part


class Fake(Exchange):
    """Only what the compiler touches."""

    def __init__(self) -> None:
        self.stages = []
        self.stage_begins = []


def build(parts: dict[str, Part], heard: list[str]) -> Handler:
    async def send(exchange: Exchange) -> Reply:
        heard.append("send")
        return Reply(200)

    steps = [Step(name, name, part) for name, part in parts.items()]
    return compile_pipeline("test", steps, send).run


def gate(name: str, heard: list[str], answer: Reply | None = None) -> Gate:
    def check(exchange: Exchange) -> Reply | None:
        heard.append(name)
        return answer

    return Gate(check)


def around(name: str, heard: list[str], times: int = 1) -> Around:
    async def run(exchange: Exchange, proceed: Handler) -> Reply:
        reply = Reply(500)
        for _ in range(times):
            heard.append(f"{name} in")
            reply = await proceed(exchange)
            heard.append(f"{name} out")
        return reply

    return Around(run)


async def test_the_order_is_the_order_written() -> None:
    heard: list[str] = []
    run = build(
        {
            "a": gate("a", heard),
            "b": gate("b", heard),
            "c": around("c", heard),
            "d": gate("d", heard),
            "e": around("e", heard),
        },
        heard,
    )
    await run(Fake())
    assert heard == ["a", "b", "c in", "d", "e in", "send", "e out", "c out"]


async def test_a_gate_that_answers_ends_the_way_in() -> None:
    heard: list[str] = []
    no = refusal(Problem(kind="permission", message="no"))
    run = build({"a": gate("a", heard), "b": gate("b", heard, no), "c": around("c", heard)}, heard)
    assert await run(Fake()) is no
    assert heard == ["a", "b"]


async def test_an_around_may_call_what_follows_again() -> None:
    heard: list[str] = []
    run = build({"retry": around("retry", heard, times=2), "gate": gate("gate", heard)}, heard)
    await run(Fake())
    assert heard.count("gate") == heard.count("send") == 2


def test_observers_are_told_wherever_they_stand() -> None:
    def done(exchange: Exchange, reply: Reply) -> None:
        return None

    async def send(exchange: Exchange) -> Reply:
        return Reply(200)

    steps = [Step("log", "log", Observer(done)), Step("x", "x", Gate(lambda e: None))]
    assert compile_pipeline("test", steps, send).observers == (done,)
