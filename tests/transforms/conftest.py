"""The ops of this package in a registry of their own, and a short way to run a transform."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import omniroute.transforms
from omniroute.config.settings import Transform
from omniroute.declare import declared
from omniroute.registry import Registry
from omniroute.transforms.compile import Compiled, compile_transform

Compile = Callable[..., Compiled]


@pytest.fixture(scope="session")
def registry() -> Registry:
    package = omniroute.transforms
    modules = [
        importlib.import_module(f"{package.__name__}.{m.name}")
        for m in pkgutil.iter_modules(package.__path__)
    ]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return Registry([declaration for cls in classes if (declaration := declared(cls)) is not None])


@pytest.fixture
def compiled(registry: Registry) -> Compile:
    """`compiled(op, op, …, on=…, when=…)`: a transform called `tidy`."""

    def build(*ops: dict[str, Any], **keys: Any) -> Compiled:
        return compile_transform("tidy", Transform(ops=ops, **keys), registry)

    return build
