"""What a stage may ask for while it is being built. Everything it gets later comes with the exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from omniroute.config.settings import Settings
from omniroute.pipeline.keys import Keyring
from omniroute.pipeline.parts import Edit
from omniroute.pipeline.record import Record
from omniroute.routing.directory import Directory
from omniroute.state.state import State
from omniroute.wire.codec import Wire


@dataclass(frozen=True, slots=True)
class Site:
    """`edit(name)` gives a compiled transform by name (raises `KeyError`), `wire(name)` a wire format; `write_record` takes the line of a finished request
    and never blocks."""

    settings: Settings
    directory: Directory
    keyring: Keyring
    state: State
    edit: Callable[[str], Edit]
    wire: Callable[[str], Wire]
    write_record: Callable[[Record], None]
