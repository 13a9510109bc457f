"""The steps of a load as YAML, for people: secrets are `***`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from omniroute.config.check import secrets_in
from omniroute.config.load import Draft
from omniroute.config.marks import Map, Mark, Seq, find, leaves, lookup, plain, written
from omniroute.config.secrets import Secret
from omniroute.config.shape import Record, Table

Place = tuple[str, int, int]
STAGES = ("source", "merged", "normalised")


def show(draft: Draft, stage: str, *, as_json: bool = False) -> str:
    """One step of a load as text. `stage` is one of `STAGES`; `source` has a document for each file."""
    hidden = secret_places(draft)
    if stage == "source":
        parts = {s.file: concealed(s.tree, hidden) for s in draft.stages.source if not s.section}
        if as_json:
            return json.dumps(parts, indent=2, ensure_ascii=False) + "\n"
        return "---\n".join(f"# {file}\n{as_yaml(tree)}" for file, tree in parts.items())
    tree = concealed(draft.stages.merged if stage == "merged" else draft.stages.normalised, hidden)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n" if as_json else as_yaml(tree)


def as_yaml(tree: Any) -> str:
    """Plain data as YAML, in the order in which it is."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def secret_places(draft: Draft) -> frozenset[Place]:
    """Where secrets are written: a secret is known as one only once its field is known."""
    return frozenset(
        _place(mark) for _, value, mark in leaves(draft.stages.normalised) if isinstance(value, Secret)
    )


def _place(mark: Mark) -> Place:
    return mark.file, mark.line, mark.column


def secret_texts(draft: Draft) -> list[str]:
    """The secrets themselves, longest first: to take them out of what is about to be printed."""
    found = {s.reveal() for s in secrets_in(draft.stages.normalised)}
    found |= {s.reveal() for s in secrets_in(draft.stages.merged)}
    return sorted((s for s in found if len(s) > 3), key=len, reverse=True)


def concealed(tree: Any, hidden: frozenset[Place], mark: Mark | None = None) -> Any:
    """The tree as plain data, with what stands at `hidden` places as `***`, unless it is a `${…}` as written."""
    if isinstance(tree, Map):
        return {key: concealed(value, hidden, tree.value_mark(key)) for key, value in tree.items()}
    if isinstance(tree, Seq):
        return [concealed(item, hidden, tree.item_mark(index)) for index, item in enumerate(tree)]
    if mark is not None and _place(mark) in hidden and not _reference(tree):
        return "***"
    return plain(tree)


def _reference(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.startswith("${") and value.endswith("}"))


def blame(draft: Draft, path: str) -> Iterator[tuple[str, str]]:
    """Who set what at a path and below: pairs of a dotted path and a place. `default` where nobody did.

    Raises `KeyError` when the configuration has no such key.
    """
    tree = draft.stages.normalised
    start = find(tree, path)
    if start is not None:
        value, mark = lookup(tree, start)
        for below, _, place in leaves(value, start, mark):
            yield written(below) or path, str(place)
        return
    if not _possible(draft, path):
        raise KeyError(path)
    yield path, "default"


def _possible(draft: Draft, path: str) -> bool:
    """Whether a path that is not written could be: its last step is a known key of what is there."""
    shape: Any = draft.root
    for step in path.replace('"', "").split("."):
        name = step.partition("[")[0]
        if isinstance(shape, Record) and name in shape.entries:
            shape = shape.entries[name].shape
        elif isinstance(shape, Table):
            shape = shape.values
        else:
            return False
    return True


class _Dumper(yaml.SafeDumper):
    """Repeats shared blocks instead of writing anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
