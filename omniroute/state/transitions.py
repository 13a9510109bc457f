"""What changes in the state and why: told once, to the log, the metrics and `/-/state`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

Kind = Literal["breaker", "cooldown", "lockout", "quota", "budget", "store"]


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """`name` (an account, a provider, a key, …) has come `to` a new state. `time` is in epoch seconds, `until` too."""

    time: float
    kind: Kind
    name: str
    to: str
    reason: str = ""
    until: float | None = None


class Transitions:
    """The latest are kept; listeners are told of each."""

    KEPT = 200

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._listeners: list[Callable[[Transition], None]] = []
        self.latest: deque[Transition] = deque(maxlen=self.KEPT)

    def listen(self, listener: Callable[[Transition], None]) -> None:
        self._listeners.append(listener)

    def tell(self, kind: Kind, name: str, to: str, reason: str = "", until: float | None = None) -> None:
        told = Transition(
            time=round(self._clock(), 3), kind=kind, name=name, to=to, reason=reason, until=until
        )
        self.latest.append(told)
        for listener in self._listeners:
            listener(told)
