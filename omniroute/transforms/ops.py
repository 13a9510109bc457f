"""The ops that put, take and carry: each names places by JMESPath and edits what is there.

Where a path is plain (`a.b.c`), `set`, `default`, `append`, `prepend` and the destination of `move` and `copy` make
the objects that are missing on the way. A path that selects several places edits each; one that selects
none edits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

from omniroute.declare import Options, option, transform_op
from omniroute.transforms.documents import copied, kind_of
from omniroute.transforms.edit import Doc, Edit, EditFailed, Work
from omniroute.transforms.paths import MISSING, Path, Place, delete, value_at
from omniroute.transforms.values import VALUE, Maker, maker

PATH: Doc = {
    "type": "string",
    "minLength": 1,
    "description": "A place in the document, as a JMESPath expression.",
}
"""The JSON Schema of a path."""


class _Pairs(Options, frozen=True, kw_only=True):
    """Base of the ops whose value is an object of paths: `{path: …, path: …}`, worked on in that order."""

    pairs: Annotated[dict[str, Any], option("A path, and what the op does there.")]

    right: ClassVar[Doc] = VALUE
    sample: ClassVar[str]

    @classmethod
    def parse(cls, value: Any) -> Self:
        if not isinstance(value, dict) or not value:
            raise ValueError(f"an object is expected here, such as {cls.sample}, not {kind_of(value)}")
        for path, right in value.items():
            if not isinstance(path, str) or (
                cls.right is not VALUE and not (isinstance(right, str) and right)
            ):
                raise ValueError(
                    f"a text is expected on both sides, such as {cls.sample}, not {path!r}: {right!r}"
                )
        return cls(pairs=value)

    @classmethod
    def schema(cls) -> Doc:
        return {
            "type": "object",
            "description": cls.__doc__ or "",
            "minProperties": 1,
            "additionalProperties": cls.right,
        }


def _in_turn(edits: list[Edit]) -> Edit:
    def edit(work: Work) -> bool:
        changed = False
        for one in edits:
            changed = one(work) or changed
        return changed

    return edit if len(edits) != 1 else edits[0]


def _write(path: Path, work: Work, value: Callable[[], Any]) -> bool:
    places = path.reach(work.document)
    if not places and path.plain:
        raise EditFailed(f"there is no place {path.text!r}: something on the way to it is not an object")
    for container, key in places:
        container[key] = value()
    return bool(places)


# ── values ───────────────────────────────────────────────────────────────────────────────────────


@transform_op("set", example='{set: {temperature: 0, "metadata.user_id": "{{ key }}"}}')
class Set(_Pairs, frozen=True, kw_only=True):
    """Write a value, whether there was one or not."""

    sample: ClassVar[str] = "{temperature: 0}"

    def compile(self) -> Edit:
        return _in_turn([self._one(Path(path), maker(value)) for path, value in self.pairs.items()])

    def _one(self, path: Path, make: Maker) -> Edit:
        return lambda work: _write(path, work, lambda: make(work.names))


@transform_op("default", example="{default: {max_tokens: 4096}}")
class Default(_Pairs, frozen=True, kw_only=True):
    """Write a value where there is none, or null."""

    sample: ClassVar[str] = "{max_tokens: 4096}"

    def compile(self) -> Edit:
        return _in_turn([self._one(Path(path), maker(value)) for path, value in self.pairs.items()])

    def _one(self, path: Path, make: Maker) -> Edit:
        def edit(work: Work) -> bool:
            empty = [place for place in path.reach(work.document) if _is_empty(place)]
            for container, key in empty:
                container[key] = make(work.names)
            return bool(empty)

        return edit


def _is_empty(place: Place) -> bool:
    value = value_at(place)
    return value is MISSING or value is None


# ── taking away ──────────────────────────────────────────────────────────────────────────────────


class _Paths(Options, frozen=True, kw_only=True):
    """Base of the ops whose value is a path or a list of paths."""

    paths: Annotated[tuple[str, ...], option("The places.")]

    @classmethod
    def parse(cls, value: Any) -> Self:
        paths = (value,) if isinstance(value, str) else value
        if (
            not isinstance(paths, list | tuple)
            or not paths
            or not all(isinstance(path, str) for path in paths)
        ):
            raise ValueError(f"a path or a list of paths is expected here, not {value!r}")
        return cls(paths=tuple(paths))

    @classmethod
    def schema(cls) -> Doc:
        several = {"type": "array", "items": PATH, "minItems": 1}
        return {"description": cls.__doc__ or "", "anyOf": [PATH, several]}


@transform_op("remove", example="{remove: [logit_bias, \"messages[?role=='developer']\"]}")
class Remove(_Paths, frozen=True, kw_only=True):
    """Take away what is at a path, or at each of several."""

    def compile(self) -> Edit:
        return _in_turn([self._one(Path(path)) for path in self.paths])

    def _one(self, path: Path) -> Edit:
        def edit(work: Work) -> bool:
            places = path.find(work.document)
            delete(places)
            return bool(places)

        return edit


@transform_op("keep", example='{keep: [model, messages, stream, "tools[*].function"]}')
class Keep(_Paths, frozen=True, kw_only=True):
    """Take away everything but what is at these paths, and what leads there."""

    def compile(self) -> Edit:
        paths = [Path(path) for path in self.paths]

        def edit(work: Work) -> bool:
            kept = {(id(container), key) for path in paths for container, key in path.find(work.document)}
            return _prune(work.document, kept)[1]

        return edit


def _prune(value: Any, kept: set[tuple[int, Any]]) -> tuple[bool, bool]:
    """Whether something in `value` is kept, and whether something was taken away."""
    lost: list[Place] = []
    any_kept = any_lost = False
    for key, member in _members(value):
        if (id(value), key) in kept:
            any_kept = True
            continue
        some_kept, some_lost = _prune(member, kept)
        if some_kept:
            any_kept, any_lost = True, any_lost or some_lost
        else:
            lost.append((value, key))
    delete(lost)
    return any_kept, any_lost or bool(lost)


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


# ── carrying ─────────────────────────────────────────────────────────────────────────────────────


@transform_op("rename", example="{rename: {max_completion_tokens: max_tokens}}")
class Rename(_Pairs, frozen=True, kw_only=True):
    """Give what is at a path another name in its object. What had that name is replaced."""

    right: ClassVar[Doc] = {"type": "string", "minLength": 1, "description": "The new name, not a path."}
    sample: ClassVar[str] = "{max_completion_tokens: max_tokens}"

    def compile(self) -> Edit:
        return _in_turn([self._one(Path(path), name) for path, name in self.pairs.items()])

    def _one(self, path: Path, name: str) -> Edit:
        if path.leaf is None:
            raise ValueError(f"{path.text!r} does not end in a name, so there is nothing to rename")
        if "." in name or "[" in name:
            raise ValueError(f"the new name {name!r} looks like a path: use the op `move` for another place")

        def edit(work: Work) -> bool:
            places = path.find(work.document)
            for container, key in places:
                container[name] = container.pop(key)
            return bool(places)

        return edit


class _Carry(_Pairs, frozen=True, kw_only=True):
    """Base of `move` and `copy`: what is at one path goes to another. Several go as a list."""

    right: ClassVar[Doc] = PATH

    def compile(self) -> Edit:
        return _in_turn([self._one(Path(source), Path(to)) for source, to in self.pairs.items()])

    def _one(self, source: Path, to: Path) -> Edit:
        if to.many:
            raise ValueError(f"{to.text!r} selects several places: a destination is one")

        def edit(work: Work) -> bool:
            places = source.find(work.document)
            if not places:
                return False
            values = [value_at(place) for place in places]
            carried = self.carry(places, values if source.many else values[0])
            if not _write(to, work, lambda: carried):
                raise EditFailed(f"there is no place {to.text!r}")
            return True

        return edit

    def carry(self, places: list[Place], value: Any) -> Any:
        """What arrives of `value`, and what becomes of the `places` that it came from: each of the two ops says."""
        raise NotImplementedError


@transform_op("move", example="{move: {\"messages[?role=='system'] | [0].content\": system}}")
class Move(_Carry, frozen=True, kw_only=True):
    """Take what is at a path to another path. Several are moved as a list."""

    sample: ClassVar[str] = "{instructions: system}"

    def carry(self, places: list[Place], value: Any) -> Any:
        delete(places)
        return value


@transform_op("copy", example="{copy: {user: metadata.user_id}}")
class Copy(_Carry, frozen=True, kw_only=True):
    """Write what is at a path to another path too. Several are copied as a list."""

    sample: ClassVar[str] = "{user: metadata.user_id}"

    def carry(self, places: list[Place], value: Any) -> Any:
        return copied(value)


# ── adding ───────────────────────────────────────────────────────────────────────────────────────


class _Add(_Pairs, frozen=True, kw_only=True):
    """Base of `append` and `prepend`: a list gets an element (or all of a list), a text gets a text."""

    sample: ClassVar[str] = '{stop: "END"}'
    at_end: ClassVar[bool]

    def compile(self) -> Edit:
        return _in_turn([self._one(Path(path), maker(value)) for path, value in self.pairs.items()])

    def _one(self, path: Path, make: Maker) -> Edit:
        def edit(work: Work) -> bool:
            places = path.reach(work.document)
            changed = False
            for place in places:
                changed = self._add(path, place, make, work.names) or changed
            return changed

        return edit

    def _add(self, path: Path, place: Place, make: Maker, names: Mapping[str, Any]) -> bool:
        container, key = place
        there = value_at(place)
        if there is MISSING or there is None:
            if path.plain:
                container[key] = _listed(make(names))
            return path.plain
        more = make(names)
        if isinstance(there, list):
            at = len(there) if self.at_end else 0
            there[at:at] = _listed(more)
        elif isinstance(there, str) and isinstance(more, str):
            container[key] = there + more if self.at_end else more + there
        else:
            raise EditFailed(f"{kind_of(more)} cannot be added at {path.text!r}, which is {kind_of(there)}")
        return True


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@transform_op(
    "append", example='{append: {stop: "END", "messages[?role==\'system\'] | [0].content": " Be brief."}}'
)
class Append(_Add, frozen=True, kw_only=True):
    """Add at the end of a list, or of a text. A list adds each of its elements."""

    at_end: ClassVar[bool] = True


@transform_op("prepend", example="{prepend: {messages: {role: system, content: Be brief.}}}")
class Prepend(_Add, frozen=True, kw_only=True):
    """Add at the begin of a list, or of a text. A list adds each of its elements."""

    at_end: ClassVar[bool] = False
