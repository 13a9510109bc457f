"""What a provider puts around its transport."""

from __future__ import annotations

from omniroute.config.faults import Faults
from omniroute.config.settings import Provider
from omniroute.upstream.faults import Faulty
from omniroute.upstream.transport import Transport


class Layers:
    """Transports with what is around them, by provider. They outlive a generation, so that a reload which leaves a
    provider's faults alone does not start their script again."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Faults, Transport, Faulty]] = {}

    def around(self, provider: str, settings: Provider, transport: Transport) -> Transport:
        faults = settings.faults
        if faults is None:
            return transport
        made = self._made.get(provider)
        if made is None or made[0] != faults or made[1] is not transport:
            made = self._made[provider] = (faults, transport, Faulty(transport, faults))
        return made[2]
