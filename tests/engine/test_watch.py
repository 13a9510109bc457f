"""The watcher: no edit is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from omniroute.engine.watch import Watcher
from omniroute.testing import gateway
from tests.support.waiting import until

BASE = "version: 1\nproviders: {demo: {}}\n"


async def test_the_files_of_a_refused_configuration_are_watched(tmp_path: Path) -> None:
    """A new include with a mistake, which is then mended in the include alone."""
    include = tmp_path / "sub" / "more.yaml"
    include.parent.mkdir()
    include.write_text("combos: {a: [nobody/x]}\n")
    async with gateway(BASE, folder=tmp_path) as gw:
        watcher = Watcher(gw.gateway.runtime)
        gw.path.write_text(BASE + "include: [sub/more.yaml]\n")
        await watcher.look()
        await watcher.look()
        assert gw.gateway.runtime.last_result is not None and not gw.gateway.runtime.last_result.ok
        include.write_text("combos: {a: [demo/demo]}\n")
        await watcher.look()
        assert "a" in gw.gateway.runtime.generation.directory.combos


async def test_a_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    async with gateway(BASE, folder=tmp_path) as gw:
        watcher = Watcher(gw.gateway.runtime)
        gw.path.unlink()
        await watcher.look()
        assert gw.gateway.runtime.generation.number == 1
        gw.path.write_text(BASE + "combos: {a: [demo/demo]}\n")
        await watcher.look()
        assert "a" in gw.gateway.runtime.generation.directory.combos


async def test_an_edit_that_no_event_tells_is_soon_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the first moments, while file events are being set up: long before the usual look at the files."""

    async def silent(*_: Any, **__: Any) -> AsyncIterator[set[Any]]:
        await asyncio.Event().wait()
        yield set()

    monkeypatch.setattr(watchfiles, "awatch", silent)
    async with gateway(BASE, folder=tmp_path) as gw, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(Watcher(gw.gateway.runtime, settle=0.01, poll=600).run())
        gw.path.write_text(BASE + "combos: {a: [demo/demo]}\n")
        await until(lambda: "a" in gw.gateway.runtime.generation.directory.combos)
        watching.cancel()
