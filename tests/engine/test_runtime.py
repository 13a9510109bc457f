"""One generation after the other: what fails changes nothing, what is over is let go of."""

from __future__ import annotations

import gc
import sys

import aiohttp
import pytest

from omniroute.config.load import Loaded
from omniroute.config.settings import Settings
from omniroute.engine import runtime
from omniroute.routing.directory import Provider
from omniroute.testing import Running, gateway
from tests.support.waiting import until

BASE = "version: 1\nproviders: {demo: {}}\n"


async def edited(gw: Running, text: str) -> runtime.ReloadResult:
    gw.path.write_text(BASE + text)
    return await gw.gateway.runtime.reload()


async def test_generations_that_nobody_is_on_are_let_go() -> None:
    async with gateway(BASE) as gw:
        for number in range(5):
            assert (await edited(gw, f"combos: {{c{number}: [demo/demo]}}\n")).ok
        assert gw.gateway.runtime._older == []


async def test_a_component_that_fails_to_build_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a plugin")

    async with gateway(BASE) as gw:
        before = gw.gateway.runtime.generation
        with monkeypatch.context() as patch:
            patch.setattr(runtime, "build", fails)
            result = await edited(gw, "combos: {a: [demo/demo]}\n")
        assert (result.ok, "RuntimeError" in (result.error or "")) == (False, True)
        assert gw.gateway.runtime.generation is before
        assert (await edited(gw, "combos: {b: [demo/demo]}\n")).ok


async def test_a_reload_stops_nobody() -> None:
    """The loop runs on while another thread compiles: short turns, and no collection of all that lives."""
    usual = sys.getswitchinterval(), gc.isenabled()
    async with gateway(BASE) as gw:
        during: list[tuple[float, bool]] = []
        real = gw.gateway.runtime._load

        def load() -> Loaded:
            during.append((sys.getswitchinterval(), gc.isenabled()))
            return real()

        gw.gateway.runtime._load = load  # type: ignore[method-assign]
        assert (await edited(gw, "combos: {a: [demo/demo]}\n")).ok
        assert not (await edited(gw, "combos: 1\n")).ok
    assert during == [(runtime.TURN, False)] * 2
    assert (sys.getswitchinterval(), gc.isenabled()) == usual


async def test_what_is_over_is_freed_without_the_collector() -> None:
    """Ten reloads leave one generation: nothing of it holds itself alive."""

    def alive() -> int:
        return sum(isinstance(thing, Provider | Settings) for thing in gc.get_objects())

    async with gateway(BASE) as gw, aiohttp.ClientSession() as client:
        gc.collect()
        gc.freeze()  # what is there already need not be looked through each time
        gc.disable()
        try:
            counts = []
            for number in range(10):
                assert (await edited(gw, f"combos: {{c{number}: [demo/demo]}}\n")).ok
                body = {"model": f"c{number}", "messages": [{"role": "user", "content": "hi"}]}
                async with client.post(f"{gw.url}/v1/chat/completions", json=body) as answer:
                    assert answer.status == 200
                counts.append(alive())
            # The thread that made the last one lets go of it in its own time.
            await until(lambda: alive() <= min(counts))
        finally:
            gc.enable()
