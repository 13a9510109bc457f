"""Several files become one tree: map by map, every name from one place; providers start from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omniroute.config.codes import Code
from omniroute.config.includes import Source
from omniroute.config.marks import SHIPPED, Map, Mark, Path, Seq, marked
from omniroute.config.report import Report, did_you_mean
from omniroute.config.shape import Component, Listed, Record, Shape, Table

Doc = dict[str, Any]


def merge(sources: list[Source], root: Record, report: Report) -> Map:
    """The tree of all files; the documents of `pipelines/` and `transforms/` stand in their sections."""
    merged = Map()
    for source in sources:
        if not source.section:
            merged = _merge(merged, source.filled.without("include"), root, (), report)
    for section, value in merged.items():  # what was read stays as it was: the next load may start from it
        merged[section] = value.without() if isinstance(value, Map) else value
    for source in sources:
        if source.section:
            _add_document(merged, source, report)
    return _settled(merged, root)


def _merge(old: Any, new: Any, shape: Shape | None, path: Path, report: Report) -> Any:
    result = Map(old.mark if old else new.mark)
    for key in old:
        result.take(key, old)
    for key, value in new.items():
        if key not in old or old[key] is None:
            result.take(key, new)
        elif value is not None:
            _join(result, key, new, _below(shape, key), (*path, key), report)
    return result


def _below(shape: Shape | None, key: str) -> Shape | None:
    if isinstance(shape, Record):
        entry = shape.entries.get(key)
        return entry.shape if entry else None
    return None


def _join(result: Map, key: str, new: Map, shape: Shape | None, path: Path, report: Report) -> None:
    old_value, value = result[key], new[key]
    if isinstance(shape, Table) and isinstance(old_value, Map) and isinstance(value, Map):
        result[key] = _names(old_value, value, path, report)
    elif isinstance(shape, Record) and isinstance(old_value, Map) and isinstance(value, Map):
        result[key] = _merge(old_value, value, shape, path, report)
    elif isinstance(shape, Listed) and isinstance(old_value, Seq) and isinstance(value, Seq):
        result[key] = _chained(old_value, value)
    elif old_value != value or path != ("version",):
        _defined_twice(path, result.key_mark(key), new.key_mark(key), report, None)


def _names(old: Map, new: Map, path: Path, report: Report) -> Map:
    result = Map(old.mark)
    for key in old:
        result.take(key, old)
    for key in new:
        if key not in old or _overrides(new[key]):
            result.take(key, new)
        elif not _overrides(old[key]):
            hint = "write `override: true` in the one that is to win" if isinstance(new[key], Map) else None
            _defined_twice((*path, key), old.key_mark(key), new.key_mark(key), report, hint)
    return result


def _overrides(entry: Any) -> bool:
    return isinstance(entry, Map) and entry.get("override") is True


def _chained(first: Seq, second: Seq) -> Seq:
    result = Seq(first.mark)
    for part in (first, second):
        for index, item in enumerate(part):
            result.add(item, part.item_mark(index))
    return result


def _defined_twice(path: Path, first: Mark, second: Mark, report: Report, hint: str | None) -> None:
    message = f"defined already at {first.by('')}"
    report.tell(Code.DEFINED_TWICE, message, second, path, hint=hint)


def _add_document(merged: Map, source: Source, report: Report) -> None:
    """A document joins its section unless the name is there already; among documents the user's own win."""
    mark = getattr(source.filled, "mark", Mark(source.file, 1, 1))
    if merged.get(source.section) is None:
        merged.put(source.section, Map(mark), mark, mark)
    section = merged[source.section]
    if not isinstance(section, Map):
        return
    if source.name not in section or (source.own and section.key_mark(source.name).origin == SHIPPED):
        key_mark = mark if source.own else mark.by(SHIPPED)
        section.put(source.name, source.filled, key_mark, mark)


def _settled(merged: Map, root: Record) -> Map:
    """The tree without the `override` marks, which have done their work."""
    for section, value in merged.items():
        entry = root.entries.get(section)
        if entry is None or not isinstance(entry.shape, Table) or not isinstance(value, Map):
            continue
        if isinstance(entry.shape.values, Record | Component):
            for name, item in value.items():
                if isinstance(item, Map) and isinstance(item.get("override"), bool):
                    value[name] = item.without("override")
    return merged


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────


def with_catalogue(merged: Map, catalogue: Mapping[str, Doc], report: Report) -> Map:
    """The tree in which every provider that the catalogue knows starts from its entry there.

    An entry with `x-always` is there without being named: `demo`, which answers when nothing else is set up.
    """
    providers = merged.get("providers")
    if providers is not None and not isinstance(providers, Map):
        return merged
    providers = Map(merged.mark) if providers is None else providers
    started = Map(providers.mark)
    for name in providers:
        started.take(name, providers)
        started[name] = _started(name, providers, catalogue, report)
    for name, entry in catalogue.items():
        if entry.get("x-always") and name not in providers:
            origin = f"catalogue:{name}"
            started[name] = marked(entry, Mark(origin, origin=origin))
    result = merged.without()
    result["providers"] = started
    return result


def _started(name: str, providers: Map, catalogue: Mapping[str, Doc], report: Report) -> Any:
    provider = providers[name]
    if provider is None:
        provider = Map(providers.value_mark(name))
    if not isinstance(provider, Map) or name.startswith("x-"):
        return provider
    start = provider.get("from", name)
    if start == "none" or (start == name and name not in catalogue):
        return provider
    entry = catalogue.get(start) if isinstance(start, str) else None
    if entry is None:
        if isinstance(start, str):
            mark = provider.value_mark("from")
            hint = did_you_mean(start, catalogue)
            report.tell(
                Code.UNKNOWN_FROM,
                f"the catalogue has no {start!r}",
                mark,
                ("providers", name, "from"),
                hint=hint,
            )
        return provider
    origin = f"catalogue:{start}"
    return overlay(marked(entry, Mark(origin, origin=origin)), provider, report, ("providers", name))


def overlay(base: Map, own: Map, report: Report, path: Path) -> Map:
    """`own` over `base`: maps merge key by key, an empty map, a list or a scalar of `own` wins."""
    base = _with_formats(base, own, report, path)
    chosen = own.get("models")
    if isinstance(chosen, Seq):
        base = base.without()
        base["models"], own = _chosen(base.get("models"), chosen), own.without("models")
    return _over(base, own)


def _over(base: Map, own: Map) -> Map:
    result = Map(own.mark)
    for key in base:
        result.take(key, base)
    for key, value in own.items():
        below = base.get(key)
        result.take(key, own)
        if isinstance(value, Map) and value and isinstance(below, Map):
            result[key] = _over(below, value)
    return result


def _chosen(listed: Any, names: Seq) -> Map:
    """`models` written as a list: those names, with what the catalogue knows of them."""
    result = Map(names.mark)
    for index, name in enumerate(names):
        mark = names.item_mark(index)
        known = listed.get(str(name)) if isinstance(listed, Map) else None
        result.put(str(name), known if known is not None else Map(mark), mark, mark)
    return result


def _with_formats(base: Map, own: Map, report: Report, path: Path) -> Map:
    """`base` such that the `format`, `base_url` and `formats` of `own` mean what they say there.

    Format and URL of `own` replace those of `base`; a format alone picks one of them; a URL alone is that of
    the only one.
    """
    formats = _formats(base)
    rest = base.without("format", "base_url", "formats")
    name, url = own.get("format"), own.get("base_url")
    if "formats" in own or not formats:
        kept = formats
    elif name is not None and url is not None:
        return rest
    elif name is not None:
        kept = _only(formats, str(name))
    else:
        kept = formats
        if url is not None:
            return _with_url(rest, formats, own, report, path)
    if kept:
        rest.put("formats", kept, base.mark, base.mark)
    return rest


def _formats(base: Map) -> Map:
    written = base.get("formats")
    formats = written.without() if isinstance(written, Map) else Map(base.mark)
    name, url = base.get("format"), base.get("base_url")
    if isinstance(name, str) and name not in formats and url is not None:
        formats.put(name, marked({"base_url": url}, base.mark), base.mark, base.mark)
    return formats


def _only(formats: Map, name: str) -> Map:
    return formats.without(*(other for other in formats if other != name))


def _with_url(rest: Map, formats: Map, own: Map, report: Report, path: Path) -> Map:
    if len(formats) > 1:
        rest.put("formats", formats, rest.mark, rest.mark)
        report.tell(
            Code.NO_FORMAT,
            f"speaks {', '.join(formats)}: say which of them this URL is for, with `format` or `formats`",
            own.key_mark("base_url"),
            (*path, "base_url"),
        )
        return rest
    (name,) = formats
    endpoint = formats[name].without("base_url")
    endpoint.take("base_url", own)
    kept = Map(formats.mark)
    kept.put(name, endpoint, own.key_mark("base_url"), own.value_mark("base_url"))
    rest.put("formats", kept, rest.mark, rest.mark)
    return rest
