"""Names that lead to proxies, transforms, pipelines and catalogue entries."""

from __future__ import annotations

from collections.abc import Iterator

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Path, Seq
from omniroute.config.report import did_you_mean
from omniroute.config.view import View, maps, texts


def check_references(view: View) -> None:
    """Every name of a proxy, a transform or a pipeline is that of one."""
    for name, path in _proxies(view):
        _expect(name, ["direct", *view.section("proxies")], "proxy", Code.UNKNOWN_PROXY, path, view)
    for name, path in _transforms(view):
        _expect(name, view.section("transforms"), "transform", Code.UNKNOWN_TRANSFORM, path, view)
    for name, path in _pipelines(view):
        _expect(name, view.section("pipelines"), "pipeline", Code.UNKNOWN_PIPELINE, path, view)


def _expect(
    name: str, known: Iterator[str] | Map | list[str], noun: str, code: Code, path: Path, view: View
) -> None:
    known = list(known)
    if name not in known:
        view.tell(code, f"there is no {noun} {name!r}", path, did_you_mean(name, known))


def _proxies(view: View) -> Iterator[tuple[str, Path]]:
    places: list[tuple[Map, Path]] = [(view.tree, ())]
    for name, tree in view.entries("providers"):
        places.append((tree, ("providers", name)))
        places += [(a, ("providers", name, "accounts", n)) for n, a in maps(tree.get("accounts"))]
    for tree, path in places:
        proxy = tree.get("proxy")
        if isinstance(proxy, str):
            yield str(proxy), (*path, "proxy")


def _transforms(view: View) -> Iterator[tuple[str, Path]]:
    """Those of providers, and those that the stage `transform` uses."""
    for name, tree in view.entries("providers"):
        yield from _items(tree.get("transforms"), ("providers", name, "transforms"))
    for tree, path in stages(view):
        if view.names.declared.get("stage", {}).get(str(tree.get("stage")), tree.get("stage")) == "transform":
            yield from _items(tree.get("use"), (*path, "use"))


def stages(view: View) -> Iterator[tuple[Map, Path]]:
    """Every stage that is written: in middleware and in pipelines."""
    for name, tree in view.entries("middleware"):
        yield tree, ("middleware", name)
    for name, pipeline in view.entries("pipelines"):
        listed = pipeline.get("stages")
        for index, tree in enumerate(listed if isinstance(listed, Seq) else ()):
            if isinstance(tree, Map):
                yield tree, ("pipelines", name, "stages", index)


def _items(listed: object, path: Path) -> Iterator[tuple[str, Path]]:
    for index, name in enumerate(texts(listed)):
        yield name, (*path, index)


def _pipelines(view: View) -> Iterator[tuple[str, Path]]:
    routes = view.tree.get("routes")
    for index, route in enumerate(routes if isinstance(routes, Seq) else ()):
        name = route.get("pipeline") if isinstance(route, Map) else None
        if isinstance(name, str):
            yield str(name), ("routes", index, "pipeline")
