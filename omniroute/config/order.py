"""Pipelines: that no stage stands before the one that gives what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from omniroute.config.codes import Code
from omniroute.config.marks import SHIPPED, Map, Mark, Path, Seq
from omniroute.config.view import View, texts

SENDING = ("target", "upstream_request")
"""What the built-in end of a pipeline needs."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A stage in a pipeline, by the name that the user wrote."""

    name: str
    needs: frozenset[str]
    gives: frozenset[str]
    path: Path
    mark: Mark


def check_order(view: View) -> None:
    """Every stage finds what it needs, and sending does too."""
    for name, pipeline in view.entries("pipelines"):
        stages = _placed(name, pipeline, view)
        if stages is None:
            continue
        given: set[str] = set()
        told: set[str] = set()
        for index, stage in enumerate(stages):
            for fact in sorted(stage.needs - given - told):
                _misplaced(stage, fact, stages[index + 1 :], view)
                told.add(fact)
            given |= stage.gives
        _check_end(name, given | told, view)


def _placed(name: str, pipeline: Map, view: View) -> list[Placed] | None:
    """The stages of a pipeline, or None when one of them is unknown: the check has told it."""
    written = pipeline.get("stages")
    placed: list[Placed] = []
    for index, item in enumerate(written if isinstance(written, Seq) else ()):
        stage = item.get("stage") if isinstance(item, Map) else None
        if not isinstance(stage, str) or not isinstance(written, Seq):
            return None
        kind = view.names.declared.get("stage", {}).get(stage, str(stage))
        found = view.names.registry.find("stage", kind)
        if found is None:
            return None
        path: Path = ("pipelines", name, "stages", index)
        placed.append(Placed(str(stage), found.needs, found.gives, path, written.item_mark(index)))
    return placed


def _misplaced(stage: Placed, fact: str, below: list[Placed], view: View) -> None:
    giver = next((s for s in below if fact in s.gives), None)
    hint = None
    if giver is not None:
        hint = f"`{giver.name}` gives `{fact}`: put it before line {stage.mark.line}"
    else:
        hint = _giver(fact, view)
    message = f"`{stage.name}` needs `{fact}`, and no stage above gives it"
    view.tell(Code.STAGE_ORDER, message, stage.path, hint, mark=stage.mark)


def _giver(fact: str, view: View) -> str | None:
    givers = [d.name for d in view.names.registry.all("stage") if fact in d.gives]
    return f"{' or '.join(f'`{g}`' for g in givers)} gives `{fact}`" if givers else None


def _check_end(name: str, given: set[str], view: View) -> None:
    for fact in SENDING:
        hint = _giver(fact, view)
        if fact not in given and hint:
            path: Path = ("pipelines", name)
            message = f"no stage gives `{fact}`, and sending needs it"
            view.tell(Code.STAGE_MISSING, message, path, hint, mark=view.key_mark(path))


def give_way(tree: Map) -> Map:
    """The tree in which a shipped pipeline has left the endpoint families that a pipeline of the user lists."""
    pipelines = tree.get("pipelines")
    if not isinstance(pipelines, Map):
        return tree
    shipped = [name for name in pipelines if pipelines.key_mark(name).origin == SHIPPED]
    own = (pipelines[name] for name in pipelines if name not in shipped)
    taken = {family for p in own if isinstance(p, Map) for family in texts(p.get("endpoints"))}
    for name in shipped:
        listed = pipelines[name].get("endpoints") if isinstance(pipelines[name], Map) else None
        if isinstance(listed, Seq) and taken.intersection(texts(listed)):
            left = Seq(listed.mark)
            for index, family in enumerate(listed):
                if family not in taken:
                    left.add(family, listed.item_mark(index))
            pipelines[name]["endpoints"] = left
    return tree


def check_endpoints(view: View) -> None:
    """An endpoint family belongs to one pipeline; a shipped one gives way to the user's."""
    owner: dict[str, str] = {}
    for name, pipeline in view.entries("pipelines"):
        for index, family in enumerate(texts(pipeline.get("endpoints"))):
            if view.key_mark(("pipelines", name)).origin == SHIPPED:
                continue
            other = owner.setdefault(family, name)
            if other != name:
                path: Path = ("pipelines", name, "endpoints", index)
                view.tell(Code.SAME_ENDPOINT, f"pipeline {other!r} serves {family!r} already", path)
