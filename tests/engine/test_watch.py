"""The watcher: no edit is missed."""

from __future__ import annotations

from pathlib import Path

from omniroute.engine.watch import Watcher
from omniroute.testing import gateway

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
