"""The fault matrix: each fault × each client format × plain and streamed × same format and translated × before and
after the commit point, over real sockets on both sides. The answer comes from the next target, or it is a right error
in the client's format; what was open upstream is closed, and nothing is left over."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from omniroute import virtual_time
from omniroute.config.load import load_text
from omniroute.config.settings import Provider
from omniroute.registry import load
from omniroute.simulation.gateway import Asking, SimulatedGateway
from omniroute.testing import Running, gateway
from omniroute.upstream.faults import Faulty
from omniroute.upstream.transport import Transport
from omniroute.wire.sse import EventSplitter
from tests.support.answers import WIRES, call

FAULTY = int(os.environ.get("OMNIROUTE_FAULTY", "2200"))
"""Requests that all go wrong and must leave nothing behind; `OMNIROUTE_FAULTY=10000` is the long run."""

TEXT = "This is what the client said"
SAID = 'You said: "This is what the client said".'


class Cell(NamedTuple):
    """One place of the matrix: the client's format and way, and the upstream's format."""

    wire: str
    stream: bool
    upstream: str

    def __str__(self) -> str:
        return f"{self.wire} {'stream' if self.stream else 'plain'} on {self.upstream}"


def other(wire: str) -> str:
    return "anthropic-messages" if wire == "openai-chat" else "openai-chat"


CELLS = [
    Cell(wire, stream, upstream)
    for wire, stream in product(WIRES, (False, True))
    for upstream in (wire, other(wire))
]

BEFORE: dict[str, tuple[str, int]] = {
    "connect refused": ("{connect: refused}", 502),
    "connect timeout": ("{connect: timeout}", 504),
    "disconnected": ("{disconnect: true}", 502),
    "500": ("{status: 500}", 500),
    "503": ("{status: 503}", 503),
    "529": ("{status: 529}", 529),
    "429": ('{status: 429, headers: {retry-after: "7"}}', 429),
    "401": ("{status: 401}", 502),
    "402": ("{status: 402}", 503),
    "404": ("{status: 404}", 404),
    "html 502": ("{status: 502, html: true}", 502),
    "html 200": ("{html: true}", 502),
    "text 503": ("{status: 503, body: upstream connect error}", 503),
    "empty": ("{empty: true}", 502),
    "error in a 200": ("{error: worn out}", 503),
    "no answer in time": ("{stall: 1h}", 504),
    "silence behind the head": ("{stall: 1h, after: 0 events}", 504),
    "cut behind the head": ("{cut_after: 0 events}", 502),
    "cut in the first event": ("{cut_after: 10 bytes}", 502),
    "malformed": ("{malformed: true}", 502),
}
"""Fault → what a client is told by a gateway that has no other target."""

AFTER = {"openai-chat": 4, "anthropic-messages": 5, "openai-responses": 8, "gemini": 3}
"""Events after which each format has said something."""

LATER: dict[str, str] = {
    "cut": "{{cut_after: {n} events}}",
    "malformed": "{{malformed: true, after: {n} events}}",
    "silence": "{{stall: 1h, after: {n} events}}",
    "error": "{{error: worn out, after: {n} events}}",
}

HARMLESS: dict[str, str] = {
    "byte by byte": "{split: 1 B}",
    "through characters": "{split: 3 B}",
    "slow drip": "{drip: 1ms}",
    "a pause": "{stall: 20ms}",
    "a pause in between": "{stall: 20ms, after: 2 events}",
    "no usage": "{without_usage: true}",
}


def provider(name: str, cell: Cell, base: str, fault: str) -> str:
    # Only who waits for something that never comes may be impatient: the machine may be busy.
    first = "150ms" if "1h" in fault and ("after" not in fault or "after: 0" in fault) else "30s"
    first = "150ms" if "1h" in fault and not cell.stream else first
    url = f"{base}/v1beta" if cell.upstream == "gemini" else f"{base}/v1"
    return f"""
  {name}:
    format: {cell.upstream}
    base_url: {url}
    auth: none
    faults: [{fault}]
    retry: {{attempts: 1}}
    timeouts: {{connect: {"150ms" if "connect: timeout" in fault else "30s"}, {"first_byte" if cell.stream else "total"}: {first}, idle: {"400ms" if "1h" in fault else "30s"}}}
    models: {{demo: {{}}, demo-fast: {{}}}}
"""


@asynccontextmanager
async def house(faults: dict[Cell, str], base: str) -> AsyncIterator[Running]:
    """A gateway in which each cell has a faulty provider of its own, and a combo `c…` that goes on to a good one."""
    config = "providers:\n  demo: {}\n"
    combos = "combos:\n"
    for number, (cell, fault) in enumerate(faults.items()):
        config += provider(f"p{number}", cell, base, fault)
        combos += f"  c{number}: [p{number}/demo-fast, demo/demo-fast]\n"
    async with gateway(config + combos) as running:
        yield running


@asynccontextmanager
async def upstream() -> AsyncIterator[Running]:
    """The demo model behind real sockets."""
    async with gateway("providers: {demo: {}}\nkeys: {}\nmodels: {demo-fast: demo/demo-fast}") as running:
        yield running


async def ask(session: aiohttp.ClientSession, gw: Running, cell: Cell, model: str) -> tuple[int, str, Any]:
    path, body = call(cell.wire, model, stream=cell.stream, text=TEXT)
    async with session.post(gw.url + path, json=body) as answer:
        return answer.status, await answer.text(), answer.headers


def spoken(cell: Cell, body: str) -> str:
    """The text of a good answer."""
    found = load_wire(cell.wire)
    if not cell.stream:
        choices = found.read_answer(json.loads(body)).choices
        return "".join(getattr(part, "text", "") for part in choices[0].parts)
    splitter, reader = EventSplitter(), found.reader()
    events = [*splitter.feed(body.encode()), *splitter.end()]
    return "".join(getattr(delta, "text", "") for event in events for delta in reader.feed(event))


REGISTRY = load(plugins=False)


def load_wire(name: str) -> Any:
    found = REGISTRY.find("wire", name)
    assert found is not None
    return found.cls()


def wrong_error(cell: Cell, status: int, body: str) -> str:
    """What is wrong with an error body for a client of this format; nothing when it is right."""
    document = json.loads(body)
    error = document.get("error")
    if not isinstance(error, dict) or not error.get("message"):
        return f"no error in {body}"
    if cell.wire == "anthropic-messages":
        return "" if document.get("type") == "error" and error.get("type") else f"not of Anthropic: {body}"
    if cell.wire == "gemini":
        return "" if error.get("code") == status and error.get("status") else f"not of Gemini: {body}"
    return "" if error.get("type") else f"not of OpenAI: {body}"


ERROR_EVENTS = {
    "openai-chat": ('"error":',),
    "anthropic-messages": ("event: error",),
    "openai-responses": ("event: response.failed", "event: error"),
    "gemini": ('"error":',),
}


async def settled(running: Running) -> None:
    """Until no request is left on a gateway."""
    async with asyncio.timeout(30):
        while running.gateway.runtime.generation.running:  # noqa: ASYNC110  # a count has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("fault", "told"), BEFORE.values(), ids=BEFORE)
async def test_before_the_commit_point_the_next_target_answers(fault: str, told: int) -> None:
    wrong: list[str] = []
    async with upstream() as up, house(dict.fromkeys(CELLS, fault), up.url) as gw:
        async with aiohttp.ClientSession() as session:
            answers = await asyncio.gather(*(ask(session, gw, c, f"c{n}") for n, c in enumerate(CELLS)))
            gw.gateway.state.cooldowns.reset()
            gw.gateway.state.breakers.reset()
            alone = await asyncio.gather(
                *(ask(session, gw, c, f"p{n}/demo-fast") for n, c in enumerate(CELLS))
            )
        for cell, (status, body, headers) in zip(CELLS, answers, strict=True):
            if status != 200 or headers.get("X-OmniRoute-Target") != "demo/demo-fast":
                wrong.append(f"{cell}: {status} {headers.get('X-OmniRoute-Target')} {body[:200]}")
            elif SAID not in (said := spoken(cell, body)):
                wrong.append(f"{cell}: said {said!r}")
        for cell, (status, body, headers) in zip(CELLS, alone, strict=True):
            # Only Anthropic's clients know 529.
            due = 503 if told == 529 and cell.wire != "anthropic-messages" else told
            if status != due or not headers["Content-Type"].startswith("application/json"):
                wrong.append(f"{cell} alone: {status} {body[:200]}")
            elif found := wrong_error(cell, status, body):
                wrong.append(f"{cell} alone: {found}")
        await settled(up)
        await settled(gw)
    assert wrong == []


@pytest.mark.parametrize("fault", LATER.values(), ids=LATER)
async def test_after_the_commit_point_the_stream_ends_with_an_error(fault: str) -> None:
    wrong: list[str] = []
    cells = [c for c in CELLS if c.stream and (c.wire != c.upstream or "malformed" not in fault)]
    faults = {cell: fault.format(n=AFTER[cell.upstream]) for cell in cells}
    async with upstream() as up, house(faults, up.url) as gw:
        async with aiohttp.ClientSession() as session:
            answers = await asyncio.gather(*(ask(session, gw, c, f"c{n}") for n, c in enumerate(faults)))
        for number, (cell, (status, body, headers)) in enumerate(zip(faults, answers, strict=True)):
            if status != 200 or headers["X-OmniRoute-Target"] != f"p{number}/demo-fast":
                wrong.append(f"{cell}: {status} {headers.get('X-OmniRoute-Target')} {body[:300]}")
            elif (
                not any(mark in body for mark in ERROR_EVENTS[cell.wire])
                or not body.endswith("\n\n")
                or SAID in body
            ):
                wrong.append(f"{cell}: {body[-400:]}")
        await gw.recorded(len(faults))
        wrong += [f"{r.endpoint}: logged without an error" for r in gw.records if r.error is None]
        await settled(up)
        await settled(gw)
    assert wrong == []


async def test_what_passes_as_bytes_passes_as_it_is() -> None:
    """In the client's own format its SDK is the judge of a broken event; everything else arrives."""
    cells = [cell for cell in CELLS if cell.stream and cell.wire == cell.upstream]
    faults = {cell: LATER["malformed"].format(n=AFTER[cell.wire]) for cell in cells}
    async with upstream() as up, house(faults, up.url) as gw:
        async with aiohttp.ClientSession() as session:
            broken = await asyncio.gather(*(ask(session, gw, c, f"c{n}") for n, c in enumerate(faults)))
            whole = await asyncio.gather(*(ask(session, up, c, "demo-fast") for c in faults))
    for cell, (_, got, _), (_, sent, _) in zip(cells, broken, whole, strict=True):
        assert got.count("\n\n") == sent.count("\n\n"), cell
        data = [line[6:] for line in got.splitlines() if line.startswith("data: {")]
        assert sum(not readable(text) for text in data) == 1, cell


def readable(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize("fault", ["{cut_after: 1 event}", "{malformed: true}", "{cut_after: 200 bytes}"])
async def test_a_plain_answer_that_breaks_in_its_middle_is_replaced(fault: str) -> None:
    wrong: list[str] = []
    cells = [cell for cell in CELLS if not cell.stream]
    async with upstream() as up, house(dict.fromkeys(cells, fault), up.url) as gw:
        async with aiohttp.ClientSession() as session:
            answers = await asyncio.gather(*(ask(session, gw, c, f"c{n}") for n, c in enumerate(cells)))
        for cell, (status, body, headers) in zip(cells, answers, strict=True):
            if (status, headers.get("X-OmniRoute-Target")) != (200, "demo/demo-fast"):
                wrong.append(f"{cell}: {status} {body[:200]}")
            elif SAID not in spoken(cell, body):
                wrong.append(f"{cell}: {body}")
        await settled(up)
    assert wrong == []


@pytest.mark.parametrize("fault", HARMLESS.values(), ids=HARMLESS)
async def test_what_is_only_odd_changes_nothing(fault: str) -> None:
    wrong: list[str] = []
    async with upstream() as up, house(dict.fromkeys(CELLS, fault), up.url) as gw:
        async with aiohttp.ClientSession() as session:
            answers = await asyncio.gather(*(ask(session, gw, c, f"c{n}") for n, c in enumerate(CELLS)))
        for number, (cell, (status, body, headers)) in enumerate(zip(CELLS, answers, strict=True)):
            if (status, headers.get("X-OmniRoute-Target")) != (200, f"p{number}/demo-fast"):
                wrong.append(f"{cell}: {status} {headers.get('X-OmniRoute-Target')} {body[:200]}")
            elif SAID not in spoken(cell, body):
                wrong.append(f"{cell}: said {spoken(cell, body)!r}")
        await settled(up)
    assert wrong == []


async def test_the_clients_own_mistake_is_told_at_once() -> None:
    wrong: list[str] = []
    fault = "{status: 400}"
    async with upstream() as up, house(dict.fromkeys(CELLS, fault), up.url) as gw:
        async with aiohttp.ClientSession() as session:
            answers = await asyncio.gather(*(ask(session, gw, c, f"c{n}") for n, c in enumerate(CELLS)))
        for cell, (status, body, _) in zip(CELLS, answers, strict=True):
            if status != 400 or wrong_error(cell, 400, body):
                wrong.append(f"{cell}: {status} {body[:200]}")
    assert wrong == []


# ── nothing leaks ────────────────────────────────────────────────────────────────────────────────


def sockets() -> int:
    """Open files of this process that are sockets."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:
            continue  # the one through which the folder is read
    return found


async def test_sockets_are_given_back() -> None:
    """Faults at random on a hundred connections at once: those of clients and those to the upstream are closed, or
    kept for the next request, and no more of them than before."""
    script = ", ".join([*(f for f, _ in BEFORE.values()), *HARMLESS.values(), "{cut_after: 6 events}"])
    script = script.replace("1h", "10ms").replace("{connect: timeout}, ", "")
    cells = [Cell(wire, stream, "openai-chat") for wire in WIRES for stream in (False, True)]
    config = f"""
providers:
  demo: {{}}
  lab:
    format: openai-chat
    base_url: BASE/v1
    auth: none
    faults: {{rate: 0.9, seed: 5, script: [{script}]}}
    retry: {{attempts: 1}}
    breaker: {{failures: 1000000, least: 1000000}}
    models: {{demo-fast: {{}}}}
combos: {{c: [lab/demo-fast, demo/demo-fast]}}
"""
    async with upstream() as up, gateway(config.replace("BASE", up.url)) as gw:

        async def round() -> set[int]:
            async with aiohttp.ClientSession() as session:
                answers = await asyncio.gather(
                    *(ask(session, gw, cells[n % len(cells)], "c") for n in range(100))
                )
            gw.gateway.state.cooldowns.reset()
            await settled(up)
            await settled(gw)
            return {status for status, _, _ in answers}

        assert await round() <= {200, 400}
        await asyncio.sleep(0.05)
        before = (sockets(), len(asyncio.all_tasks()))
        for _ in range(8):
            assert await round() <= {200, 400}
        await asyncio.sleep(0.05)
        after = (sockets(), len(asyncio.all_tasks()))
    # How many connections are kept depends on how many were needed at once; eight rounds that lost them would show.
    assert after[0] <= before[0] + 100, "sockets"
    assert after[1] <= before[1] + 100, "tasks"


def in_process(seed: int) -> tuple[SimulatedGateway, list[Asking]]:
    """A gateway without sockets whose providers all fail, and a request of each kind."""
    script = ", ".join([*(f for f, _ in BEFORE.values()), *HARMLESS.values(), "{cut_after: 6 events}"])
    script = script.replace("1 B", "500 B").replace("3 B", "700 B")  # time, not leaks, lies in small pieces
    wires = ", ".join(f"{w}: {{base_url: 'demo:'}}" for w in WIRES)
    config = f"""
version: 1
providers:
  bad: {{transport: demo, formats: {{{wires}}}, auth: none, faults: {{rate: 1, seed: {seed}, script: [{script}]}}}}
  worse: {{transport: demo, formats: {{openai-chat: {{base_url: 'demo:'}}}}, auth: none, faults: {{rate: 1, seed: 9, script: [{script}]}}}}
combos: {{c: [bad/demo-fast, worse/demo-fast]}}
"""
    loaded = load_text(config, env={}, registry=REGISTRY)
    found = REGISTRY.find("transport", "demo")
    assert found is not None
    demo = found.cls().build()

    def transport(name: str, settings: Provider) -> Transport:
        return Faulty(demo, settings.faults) if settings.faults is not None else demo

    calls = [call(wire, "c", stream=stream, text=TEXT) for wire in WIRES for stream in (False, True)]
    asking = [Asking(path=path, body=json.dumps(body).encode()) for path, body in calls]
    return SimulatedGateway(loaded, REGISTRY, transport, virtual_time.clock, seed), asking


@pytest.mark.timeout(240)
def test_thousands_of_faulty_requests_leave_nothing_behind() -> None:
    statuses: Counter[int] = Counter()
    attempts: Counter[str] = Counter()

    async def rounds(gw: SimulatedGateway, asking: list[Asking], count: int) -> None:
        for number in range(count):
            answered = await gw.ask(asking[number % len(asking)])
            statuses[answered.status] += 1
            attempts["all"] += sum(record.attempts for record in gw.records)
            gw.records.clear()
            gw.state.cooldowns.reset()  # also who was refused for good is back
            gw.state.breakers.reset()
            await asyncio.sleep(60)

    async def main() -> tuple[int, int, int]:
        gw, asking = in_process(seed=7)
        await rounds(gw, asking, 600)
        gc.collect()
        objects = len(gc.get_objects())
        tracemalloc.start()
        memory = tracemalloc.get_traced_memory()[0]
        await rounds(gw, asking, 200)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - memory
        tracemalloc.stop()
        await rounds(gw, asking, FAULTY)
        gc.collect()
        assert gw.generation.running == 0
        return len(gc.get_objects()) - objects, grown, len(asyncio.all_tasks())

    objects, grown, tasks = virtual_time.run(main())
    assert sum(statuses.values()) == FAULTY + 800
    assert attempts["all"] > FAULTY
    assert len(statuses) > 5
    assert tasks == 1
    assert objects < 1_000, "less than half an object a request"
    assert grown < 400_000
