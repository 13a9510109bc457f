"""What a provider puts around its transport: faults around a cassette around the transport itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omniroute.config.cassettes import Cassette
from omniroute.config.settings import Provider
from omniroute.upstream.cassette import Tape, Taped
from omniroute.upstream.faults import Faulty
from omniroute.upstream.transport import Transport


class Layers:
    """Transports with what is around them, by provider. They outlive a generation, so that a reload which leaves a
    provider's faults alone does not start their script again.

    `cassette` is one for all providers, in place of their own; those that answer inside of the gateway need none.
    """

    def __init__(self, cassette: Cassette | None = None) -> None:
        self._cassette = cassette
        self._made: dict[str, tuple[Any, Transport]] = {}
        self._tapes: dict[Path, Tape] = {}

    def around(self, provider: str, settings: Provider, transport: Transport, folder: Path) -> Transport:
        """`folder` is what files are relative to."""
        cassette = self._cassette if self._cassette and settings.transport == "http" else settings.cassette
        if settings.faults is None and cassette is None:
            return transport
        key = (settings.faults, cassette, folder, id(transport))
        made = self._made.get(provider)
        if made is None or made[0] != key:
            made = self._made[provider] = (
                key,
                self._wrapped(provider, settings, transport, cassette, folder),
            )
        return made[1]

    def _wrapped(
        self, provider: str, settings: Provider, transport: Transport, cassette: Cassette | None, folder: Path
    ) -> Transport:
        if cassette is not None:
            path = (folder / Path(cassette.file).expanduser()).absolute()
            tape = self._tapes.setdefault(path, Tape(path))
            transport = Taped(provider, transport, cassette, tape)
        return Faulty(transport, settings.faults) if settings.faults is not None else transport
