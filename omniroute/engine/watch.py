"""Watches the configuration: file events for speed, a poll for certainty."""

from __future__ import annotations

import asyncio
import glob
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import watchfiles

from omniroute.engine.runtime import Runtime

log = logging.getLogger("omniroute")

SETTLE = 0.25
"""Seconds of quiet before a reload: editors write in several steps."""
POLL = 5.0
"""Most seconds between two looks at the files, whatever the file system says. Looks come sooner at first, as what happens
while file events are being set up is not told."""

Signature = tuple[tuple[str, int, int, int], ...]


class Watcher:
    """Reloads the runtime when its files change. `run` until cancelled."""

    def __init__(self, runtime: Runtime, *, settle: float = SETTLE, poll: float = POLL) -> None:
        self._runtime = runtime
        self._settle = settle
        self._poll = poll
        self._pause = min(settle, poll)
        self._seen: Signature = self.signature()
        self._stir = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="config-events")
            while True:
                await self._next()
                await self.look()

    async def look(self) -> None:
        """Reload if the files are not as they were at the last look."""
        signature = self.signature()
        if signature == self._seen:
            return
        self._seen = signature
        if _is_empty(self._runtime.path):
            log.warning("%s is empty: not loaded", self._runtime.path.name)
            return
        await self._runtime.reload()
        # What was read may name other files than before.
        after = self.signature()
        self._seen = after if after[: len(signature)] == signature else signature

    def signature(self) -> Signature:
        """What can be seen of all watched files without reading them; symlinks are followed."""
        paths = {str(self._runtime.path), *map(str, self._runtime.files)}
        for pattern in self._runtime.globs:
            paths.update(glob.glob(pattern, recursive=True))
        return tuple(_stat(path) for path in sorted(paths))

    async def _next(self) -> None:
        """Until something stirs and settles, or the poll is due."""
        pause, self._pause = self._pause, min(2 * self._pause, self._poll)
        try:
            async with asyncio.timeout(pause):
                await self._stir.wait()
        except TimeoutError:
            return
        while self._stir.is_set():
            self._stir.clear()
            await asyncio.sleep(self._settle)

    async def _listen(self) -> None:
        """File events of the parent directories; when they change (a new include), listen anew."""
        while True:
            folders = self._folders()
            self._pause = min(self._settle, self._poll)
            try:
                async for changes in watchfiles.awatch(
                    *folders,
                    recursive=False,
                    step=50,
                    debounce=200,
                    stop_event=self._stop,
                    rust_timeout=int(self._poll * 1000),
                    yield_on_timeout=True,
                ):
                    if changes:
                        self._stir.set()
                    if self._folders() != folders:
                        break
            except (OSError, RuntimeError) as error:
                log.warning("file events are not available (%s): polling every %g s", error, self._poll)
                await asyncio.sleep(60)

    def _folders(self) -> list[str]:
        return _parents([self._runtime.path, *self._runtime.files], self._runtime.globs)


def _parents(files: Iterable[Path], globs: Iterable[str]) -> list[str]:
    folders = {str(path.parent) for path in files}
    # A symlinked file (Kubernetes `..data`) changes where it points to: watch there, too.
    folders |= {str(path.resolve().parent) for path in files if path.exists()}
    folders |= {os.path.dirname(pattern) for pattern in globs}
    return sorted(folder for folder in folders if "*" not in folder and os.path.isdir(folder))


def _stat(path: str) -> tuple[str, int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (path, 0, 0, 0)
    return (path, found.st_mtime_ns, found.st_size, found.st_ino)


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False
