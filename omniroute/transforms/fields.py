"""Ops whose value is an object of named options: reading it, and its schema."""

from __future__ import annotations

import inspect
from typing import Any, Self

import msgspec

from omniroute.declare import Options
from omniroute.transforms.edit import Doc


class Fields(Options, frozen=True, kw_only=True):
    """Base of these ops: the fields of the struct are the keys of the YAML value."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        try:
            op = msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        op.check()
        return op

    def check(self) -> None:
        """What the types of the fields cannot say. Raises ValueError."""

    @classmethod
    def schema(cls) -> Doc:
        _, components = msgspec.json.schema_components([cls])
        said = {"description": inspect.cleandoc(cls.__doc__ or "")}
        return {key: value for key, value in components[cls.__name__].items() if key != "title"} | said
