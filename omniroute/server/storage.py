"""The store that the configuration names, opened for a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omniroute.config.codes import Code
from omniroute.config.settings import Settings
from omniroute.errors import ConfigError, Finding
from omniroute.registry import Registry
from omniroute.state.state import State
from omniroute.state.store import Address, StoreUnusable, open_store


def data_folder(settings: Settings, env: Mapping[str, str]) -> Path:
    """Where the gateway keeps what it keeps: `server.data_dir`, else OMNIROUTE_DATA_DIR, else ~/.omniroute."""
    written = settings.server.data_dir or env.get("OMNIROUTE_DATA_DIR") or "~/.omniroute"
    return Path(written).expanduser().absolute()


async def open_state(state: State, settings: Settings, registry: Registry, env: Mapping[str, str]) -> None:
    """Take over what the store holds. One that is away now is tried again later; raises `ConfigError` for one that can
    never be used."""
    address = Address(settings.store.reveal(), data_folder(settings, env), state.clock)
    try:
        await state.open(open_store(address, registry))
    except StoreUnusable as error:
        raise ConfigError([Finding(code=Code.BAD_STORE.value, message=str(error), path="store")]) from None
