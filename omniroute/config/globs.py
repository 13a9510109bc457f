"""Targets of combos that are globs: `glm/*`, `*/gpt-oss-120b`. Each becomes the listed models that it fits, in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Mark, Path, Seq
from omniroute.config.report import Report
from omniroute.config.view import maps, texts


def spread_targets(tree: Map, report: Report) -> Map:
    """The normalised tree in which no target of a combo is a glob, and no model stands twice for one. Tells of globs
    that fit nothing."""
    listed = list(_listed(tree))
    for name, combo in maps(tree.get("combos")):
        targets = combo.get("targets")
        if isinstance(targets, Seq) and any(_glob(target) for target in targets):
            combo["targets"] = _spread(targets, listed, report, ("combos", name, "targets"))
    return tree


def _spread(targets: Seq, listed: list[tuple[str, str]], report: Report, path: Path) -> Seq:
    spread = Seq(targets.mark)
    named = {str(target["model"]) for target in targets if _model(target) and not _glob(target)}
    for index, target in enumerate(targets):
        mark = targets.item_mark(index)
        if not _glob(target):
            spread.add(target, mark)
            continue
        pattern = re.compile(re.escape(str(target["model"])).replace(r"\*", ".*"))
        found = dict.fromkeys(
            full for full, short in listed if pattern.fullmatch(full) or pattern.fullmatch(short)
        )
        if not found:
            message = f"no model that a provider lists fits {str(target['model'])!r}"
            report.tell(Code.UNKNOWN_MODEL, message, target.value_mark("model"), (*path, index))
        for model in found:
            if model not in named:
                named.add(model)
                spread.add(_as(target, model, mark), mark)
    return spread


def _as(target: Map, model: str, mark: Mark) -> Map:
    """The same target for one of the models that it stands for."""
    one = target.without("model")
    one.put("model", model, target.key_mark("model"), target.value_mark("model"))
    return one


def _glob(target: object) -> bool:
    return "*" in _model(target)


def _model(target: object) -> str:
    model = target.get("model") if isinstance(target, Map) else None
    return str(model) if isinstance(model, str) else ""


def _listed(tree: Map) -> Iterator[tuple[str, str]]:
    """Every model that a provider of the user lists, in the order of the file: with its full name, and with each short
    prefix. What is there without being named (`demo`) fits no glob."""
    for name, provider in maps(tree.get("providers")):
        if provider.get("enabled") is False or provider.mark.origin.startswith("catalogue"):
            continue
        for model, about in maps(provider.get("models")):
            if model != "*" and about.get("enabled") is not False:
                for prefix in (name, *texts(provider.get("prefix"))):
                    yield f"{name}/{model}", f"{prefix}/{model}"
