"""What a declaration asks of the YAML: one tree of shapes, made from the structs by `msgspec.inspect`.

The normaliser, the check, the converter and the JSON Schema all walk these shapes, so that there is one truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from omniroute.config.secrets import Secret
from omniroute.config.settings import Spec
from omniroute.config.units import QUANTITIES, Count, Duration, Money, Size
from omniroute.declare import Kind

ComponentKind = Literal["stage", "strategy", "transform_op"]


@dataclass(frozen=True, slots=True)
class Shape:
    """`optional`: null is a value of its own."""

    optional: bool = False


@dataclass(frozen=True, slots=True)
class Anything(Shape):
    """Any value."""


@dataclass(frozen=True, slots=True)
class Text(Shape):
    """Text; `syntax` says which language is in it, `known` which kind of component it names.

    `header`: the value of a header, secret where the header's name says so.
    """

    secret: bool = False
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    syntax: str | None = None
    known: Kind | None = None
    header: bool = False


@dataclass(frozen=True, slots=True)
class Words(Shape):
    """One of a closed list of values."""

    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag(Shape):
    """True or false."""


@dataclass(frozen=True, slots=True)
class Number(Shape):
    """A number with bounds."""

    whole: bool = False
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


@dataclass(frozen=True, slots=True)
class Written(Shape):
    """A quantity with its unit."""

    quantity: type[Duration] | type[Size] | type[Count] | type[Money] = Count


@dataclass(frozen=True, slots=True)
class Listed(Shape):
    """A list; one item may be written without brackets."""

    items: Shape = Anything()
    min_length: int | None = None
    max_length: int | None = None
    kind: type = tuple


@dataclass(frozen=True, slots=True)
class Table(Shape):
    """A map from names to things of one shape. `names` is the pattern of the names, `known` the kind of
    component that they name, if they have one."""

    values: Shape = Anything()
    names: str | None = None
    known: Kind | None = None


@dataclass(frozen=True, slots=True)
class OneOf(Shape):
    """The first of several shapes that fits."""

    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True)
class Component(Shape):
    """A component by name, with its options: `{stage: NAME, …}`, `{type: NAME, …}`, `{op: …}`."""

    kind: ComponentKind = "stage"


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a record."""

    key: str
    attribute: str
    shape: Shape
    required: bool
    default: Any
    description: str = ""
    restart: bool = False
    examples: tuple[Any, ...] = ()
    deprecated: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Record(Shape):
    """A map with known keys: a struct. Compared by identity, for it may contain itself."""

    cls: type = object
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """The docstring of the struct, if it has its own."""
        return (self.cls.__dict__.get("__doc__") or "").strip()


COMPONENT_KEY = {"stage": "stage", "strategy": "type"}
"""The key that names the component, by its kind."""

NO_DEFAULT = msgspec.NODEFAULT


class Shapes:
    """Shapes by struct, each made once. Threads may share them."""

    def __init__(self) -> None:
        self._making = RLock()
        self._records: dict[type, Record] = {}
        self._orders: dict[frozenset[Any], tuple[Any, ...]] = {}

    def of(self, cls: type) -> Record:
        """The shape of a struct."""
        with self._making:
            known = self._records.get(cls)
            if known is not None:
                return known
            info = inspect.type_info(cls)
            if not isinstance(info, inspect.StructType):
                raise TypeError(f"{cls.__name__} is not a struct")
            try:
                return self._record(info)
            except BaseException:
                self._records.clear()  # what is half made is not to be found
                raise

    def _record(self, info: inspect.StructType, optional: bool = False) -> Record:
        record = self._records.get(info.cls)
        if record is None:
            record = self._records[info.cls] = Record(cls=info.cls)
            self._learn_orders(info.cls)
            for item in info.fields:
                record.entries[item.encode_name] = self._entry(item)
        return Record(True, record.cls, record.entries) if optional else record

    def _learn_orders(self, cls: type) -> None:
        """Words in the order in which they are declared: `msgspec.inspect` sorts them."""
        todo = [*get_type_hints(cls, include_extras=True).values()]
        while todo:
            hint = todo.pop()
            if get_origin(hint) is Literal:
                self._orders[frozenset(get_args(hint))] = get_args(hint)
            else:
                todo += get_args(hint)

    def words(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Words in their declared order."""
        return self._orders.get(frozenset(values), values)

    def _entry(self, item: inspect.Field) -> Entry:
        extra, _ = _metadata(item.type)
        return Entry(
            key=item.encode_name,
            attribute=item.name,
            shape=self._shape(item.type),
            required=item.required,
            default=_default(item),
            description=extra.get("description", ""),
            restart=extra.get("x-reload") == "restart",
            examples=tuple(extra.get("examples", ())),
            deprecated=extra.get("deprecationMessage", ""),
        )

    def _shape(
        self, info: inspect.Type, optional: bool = False, extra: dict[str, Any] | None = None
    ) -> Shape:
        own, info = _metadata(info)
        extra = {**(extra or {}), **own}
        if "x-component" in extra and isinstance(info, inspect.DictType):
            return Component(optional, extra["x-component"])
        if isinstance(info, inspect.UnionType):
            return self._union(info, optional, extra)
        build = _BUILDERS.get(type(info))
        if build is not None:
            return build(self, info, optional, extra)
        return Anything(optional)

    def _union(self, info: inspect.UnionType, optional: bool, extra: dict[str, Any]) -> Shape:
        optional = optional or any(isinstance(t, inspect.NoneType) for t in info.types)
        rest = [t for t in info.types if not isinstance(t, inspect.NoneType)]
        if len(rest) == 1:
            return self._shape(rest[0], optional, extra)
        return OneOf(optional, tuple(self._shape(t, False, extra) for t in rest))


def _metadata(info: inspect.Type) -> tuple[dict[str, Any], inspect.Type]:
    """What annotations say of a type, and the type without them."""
    extra: dict[str, Any] = {}
    while isinstance(info, inspect.Metadata):
        extra = {**extra, **(info.extra_json_schema or {}), **(info.extra or {})}
        info = info.type
    return extra, info


def _default(item: inspect.Field) -> Any:
    if item.default_factory is not NO_DEFAULT:
        return item.default_factory()
    return item.default


def _struct(shapes: Shapes, info: Any, optional: bool, extra: dict[str, Any]) -> Shape:
    if info.cls is Spec:
        return Component(optional, extra.get("x-component", "stage"))
    return shapes._record(info, optional)


def _text(shapes: Shapes, info: Any, optional: bool, extra: dict[str, Any]) -> Shape:
    return Text(
        optional,
        bool(extra.get("x-secret")),
        info.pattern,
        info.min_length,
        info.max_length,
        extra.get("x-syntax"),
        extra.get("x-known"),
        bool(extra.get("x-header")),
    )


def _number(shapes: Shapes, info: Any, optional: bool, extra: dict[str, Any]) -> Shape:
    return Number(optional, isinstance(info, inspect.IntType), info.ge, info.gt, info.le, info.lt)


def _custom(shapes: Shapes, info: Any, optional: bool, extra: dict[str, Any]) -> Shape:
    if info.cls is Secret:
        return Text(optional, secret=True)
    return Written(optional, info.cls) if info.cls in QUANTITIES else Anything(optional)


def _list(shapes: Shapes, info: Any, optional: bool, extra: dict[str, Any]) -> Shape:
    kinds = {inspect.ListType: list, inspect.SetType: set, inspect.FrozenSetType: frozenset}
    items = shapes._shape(info.item_type)
    return Listed(optional, items, info.min_length, info.max_length, kinds.get(type(info), tuple))


def _table(shapes: Shapes, info: Any, optional: bool, extra: dict[str, Any]) -> Shape:
    about, key = _metadata(info.key_type)
    pattern = getattr(key, "pattern", None)
    return Table(optional, shapes._shape(info.value_type), pattern, about.get("x-known"))


_BUILDERS: dict[type, Callable[[Shapes, Any, bool, dict[str, Any]], Shape]] = {
    inspect.StructType: _struct,
    inspect.StrType: _text,
    inspect.IntType: _number,
    inspect.FloatType: _number,
    inspect.BoolType: lambda shapes, info, optional, extra: Flag(optional),
    inspect.LiteralType: lambda shapes, info, optional, extra: Words(optional, shapes.words(info.values)),
    inspect.EnumType: lambda shapes, info, optional, extra: Words(optional, tuple(m.value for m in info.cls)),
    inspect.CustomType: _custom,
    inspect.VarTupleType: _list,
    inspect.ListType: _list,
    inspect.SetType: _list,
    inspect.FrozenSetType: _list,
    inspect.DictType: _table,
}


@cache
def shared_shapes() -> Shapes:
    """The shapes of this process. They follow from classes alone, so every configuration may use the same."""
    return Shapes()


def options_shape(shapes: Shapes, cls: type) -> Record:
    """The shape of a component's options; a class that is no struct has none."""
    return shapes.of(cls) if issubclass(cls, msgspec.Struct) else Record(cls=cls)
