"""One declaration per component: from it come the schema, the docs, the did-you-mean and the running thing.

A component is a frozen `msgspec.Struct` whose fields are its options, decorated with its kind and name:

    @stage("retry", needs=["target"], example="{stage: retry, attempts: 3}")
    class Retry(Options):
        attempts: Annotated[int, option("How often to try one target.", ge=1, le=10)] = 2

The decorator only attaches a `Declaration`; nothing is registered anywhere until a `registry.Registry` looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

Kind = Literal["stage", "strategy", "transform_op", "credential", "transport", "store", "wire"]
Stability = Literal["steady", "young", "trial"]

KINDS: dict[Kind, str] = {
    "stage": "omniroute.stages",
    "strategy": "omniroute.strategies",
    "transform_op": "omniroute.transforms",
    "credential": "omniroute.upstream.credentials",
    "transport": "omniroute.upstream.transports",
    "store": "omniroute.state",
    "wire": "omniroute.wire",
}
"""The package in which the built-in components of each kind live."""

T = TypeVar("T", bound=type)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every component with options: the fields are the YAML keys."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A capability that a stage asks of the models behind it; with `option`, only where that is one of `values`."""

    capability: str
    option: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a component says of itself. `needs` and `gives` are facts of a request (`caller`, `target`, …).

    `asks` are capabilities of models without which a stage is in vain.
    """

    kind: Kind
    name: str
    cls: type
    aliases: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()
    example: str = ""
    stability: Stability = "steady"
    asks: tuple[Ask, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (self.cls.__doc__ or "").strip().split("\n", 1)[0]


def option(
    help: str,
    *,
    secret: bool = False,
    reload: Literal["live", "restart"] = "live",
    deprecated: str = "",
    **bounds: Any,
) -> msgspec.Meta:
    """The help and bounds of one option. `help` is written for the person editing YAML; `deprecated` says what to write
    instead, and until which release the option still works.

    `bounds` are those of `msgspec.Meta`: `ge gt le lt pattern min_length max_length examples`.
    """
    extra: dict[str, Any] = {}
    if secret:
        extra["x-secret"] = True
    if reload == "restart":
        extra["x-reload"] = "restart"
    if deprecated:
        extra |= {"deprecated": True, "deprecationMessage": deprecated}
    return msgspec.Meta(description=help, extra_json_schema=extra or None, **bounds)


def declared(cls: type) -> Declaration | None:
    """The declaration of a class itself (not of a base class), or None."""
    found = cls.__dict__.get("__declaration__")
    return found if isinstance(found, Declaration) else None


def _declare(
    kind: Kind,
    name: str,
    *,
    aliases: Iterable[str] = (),
    needs: Iterable[str] = (),
    gives: Iterable[str] = (),
    example: str = "",
    stability: Stability = "steady",
    asks: Iterable[Ask] = (),
) -> Callable[[T], T]:
    def attach(cls: T) -> T:
        declaration = Declaration(
            kind,
            name,
            cls,
            tuple(aliases),
            frozenset(needs),
            frozenset(gives),
            example,
            stability,
            tuple(asks),
        )
        type.__setattr__(cls, "__declaration__", declaration)
        return cls

    return attach


def stage(
    name: str,
    *,
    needs: Iterable[str] = (),
    gives: Iterable[str] = (),
    example: str,
    stability: Stability = "steady",
    asks: Iterable[Ask] = (),
) -> Callable[[T], T]:
    """A step of a pipeline: `build(site) -> Gate | Around | Observer`."""
    return _declare("stage", name, needs=needs, gives=gives, example=example, stability=stability, asks=asks)


def strategy(
    name: str, *, example: str, aliases: Iterable[str] = (), stability: Stability = "steady"
) -> Callable[[T], T]:
    """A way to order targets or accounts, an `Ordering`: `order(candidates, turn) -> candidates`."""
    return _declare("strategy", name, aliases=aliases, example=example, stability=stability)


def transform_op(name: str, *, example: str, stability: Stability = "steady") -> Callable[[T], T]:
    """An edit of a document: `parse(value)`, `schema()`, then `compile() -> edit(work)`."""
    return _declare("transform_op", name, example=example, stability=stability)


def credential(name: str, *, example: str, stability: Stability = "steady") -> Callable[[T], T]:
    """A way to authenticate at a provider (`auth.type`)."""
    return _declare("credential", name, example=example, stability=stability)


def transport(name: str, *, example: str, stability: Stability = "steady") -> Callable[[T], T]:
    """A way to reach a provider (`transport`): over HTTP, or inside this process."""
    return _declare("transport", name, example=example, stability=stability)


def store(
    name: str, *, example: str, aliases: Iterable[str] = (), stability: Stability = "steady"
) -> Callable[[T], T]:
    """A place for what outlives a request (the scheme of `store:`)."""
    return _declare("store", name, aliases=aliases, example=example, stability=stability)


def wire(name: str, *, stability: Stability = "steady") -> Callable[[T], T]:
    """A wire format (`format`)."""
    return _declare("wire", name, stability=stability)
