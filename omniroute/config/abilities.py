"""Combos: that at least one target can do what the stages before it ask for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

from omniroute.config.codes import Code
from omniroute.config.combos import leaves_of
from omniroute.config.marks import Map, Seq
from omniroute.config.view import Provider, View, texts
from omniroute.declare import Declaration

Leaf = tuple[Provider, str]
"""A provider and the name of one of its models."""


def check_capabilities(view: View) -> None:
    """Warn of combos none of whose targets has a capability that a stage asks for."""
    asked = list(_asked(view))
    for name, combo in view.entries("combos") if asked else ():
        if combo.get("enabled") is False:
            continue
        known = [_capabilities(leaf) for leaf in leaves_of(name, view)]
        if not known or None in known:
            continue
        for capability, stage, pipeline, models in asked:
            if fnmatch.fnmatchcase(name, models) and not any(capability in (c or ()) for c in known):
                view.tell(
                    Code.LACKS_CAPABILITY,
                    f"no target has {capability!r}, which the stage {stage!r} of pipeline {pipeline!r} asks for",
                    ("combos", name),
                    severity="warning",
                    mark=view.key_mark(("combos", name)),
                )


def _asked(view: View) -> Iterator[tuple[str, str, str, str]]:
    """Capability, stage, pipeline, and the glob of the models that go through it."""
    for name, pipeline in view.entries("pipelines"):
        models = ["*"] if pipeline.get("endpoints") else list(_routed(name, view))
        listed = pipeline.get("stages") if models else None
        for item in listed if isinstance(listed, Seq) else ():
            for capability, stage in _asks(item, view):
                yield from ((capability, stage, name, glob) for glob in models)


def _routed(pipeline: str, view: View) -> Iterator[str]:
    routes = view.tree.get("routes")
    for route in routes if isinstance(routes, Seq) else ():
        if isinstance(route, Map) and route.get("pipeline") == pipeline:
            match = route.get("match")
            model = match.get("model") if isinstance(match, Map) else None
            yield str(model) if isinstance(model, str) else "*"


def _asks(item: object, view: View) -> Iterator[tuple[str, str]]:
    name = item.get("stage") if isinstance(item, Map) else None
    if not isinstance(item, Map) or not isinstance(name, str):
        return
    kind = view.names.declared.get("stage", {}).get(name, str(name))
    found: Declaration | None = view.names.registry.find("stage", kind)
    declared = view.section("middleware").get(name)
    for ask in found.asks if found is not None else ():
        chosen = item.get(ask.option)
        if chosen is None and isinstance(declared, Map):
            chosen = declared.get(ask.option)
        if not ask.option or chosen in ask.values:
            yield ask.capability, str(name)


def _capabilities(leaf: Leaf) -> frozenset[str] | None:
    """What a model can do, or None where nobody says."""
    provider, model = leaf
    listed = provider.tree.get("models")
    about = (listed.get(model) or listed.get("*")) if isinstance(listed, Map) else None
    known = about.get("capabilities") if isinstance(about, Map) else None
    return frozenset(texts(known)) if isinstance(known, Seq) else None
