"""Configurations with secrets, without the secrets: what is missing is made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import msgspec

from omniroute.config.load import Catalogue, Loaded, draft, finish
from omniroute.config.secrets import Secret
from omniroute.config.settings import Key, Settings
from omniroute.config.substitution import Sources
from omniroute.registry import Registry
from omniroute.transforms.expressions import condition


class MadeUp(Sources):
    """Values of `env` where given, defaults where the file has one that is not empty, else made up from the name.

    A key that may be missing (`${NAME:-}`) is there: what is tested is the file, not the machine.
    """

    def variable(self, name: str, default: str | None) -> str | None:
        value = self.env.get(name)
        if value is None and not default:
            value = f"test-{name.lower().replace('_', '-')}"
        self.used[name] = value or ""
        return value

    def file(self, path: Path) -> str:
        self.watched.add(path)
        return f"test-{path.name}"

    def sealed(self, text: str) -> str:
        return "test-sealed"


def load_made_up(path: Path, env: Mapping[str, str], registry: Registry, catalogue: Catalogue) -> Loaded:
    """The settings of a file with made-up secrets; its keys are called by name (`key_of`).

    Raises `ConfigError`, `ConfigUnreadable`.
    """
    made = draft(
        path,
        env=env,
        registry=registry,
        catalogue=catalogue,
        condition=condition,
        sources=MadeUp(env),
    )
    loaded = finish(made)
    return dataclasses.replace(loaded, settings=_with_known_keys(loaded.settings))


def key_of(name: str) -> str:
    """What a client presents to be the key of that name."""
    return f"test-key-{name}"


def _with_known_keys(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings, keys={name: _known(name, k) for name, k in settings.keys.items()}
    )


def _known(name: str, key: Key) -> Key:
    return msgspec.structs.replace(key, key=Secret(key_of(name)), hash=None)
