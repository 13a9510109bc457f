"""A page for each component, and one for each kind that lists them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omniroute.catalog.read import read_catalogue
from omniroute.config.shape import Record, Shapes, options_shape
from omniroute.declare import Declaration, Kind
from omniroute.reference.catalogue import formats_of
from omniroute.reference.endpoints import CALLS
from omniroute.reference.markdown import code, codes, fenced, link, page, prose, table
from omniroute.reference.op_values import value_block
from omniroute.reference.options import keys_table
from omniroute.reference.words import Speaker
from omniroute.registry import Registry

STABILITY = {
    "steady": "steady: changes only with a deprecation",
    "young": "young: works, and may still change",
    "trial": "trial: may go again",
}


@dataclass(frozen=True, slots=True)
class Chapter:
    """How a kind is shown: its folder, its title, what to know about it, where an example stands, and what a page
    adds."""

    folder: str
    title: str
    about: str
    example: str = "{}"
    facts: Callable[[Declaration], list[tuple[str, str]]] = lambda declaration: []


def component_pages(registry: Registry) -> Iterator[tuple[str, str]]:
    """Every page with its path below the reference."""
    for kind, chapter in CHAPTERS.items():
        declarations = registry.all(kind)
        if not declarations:
            continue
        yield f"{chapter.folder}/index.md", _list_page(chapter, declarations)
        for declaration in declarations:
            yield f"{chapter.folder}/{declaration.name}.md", _page(chapter, declaration)


def _list_page(chapter: Chapter, declarations: list[Declaration]) -> str:
    rows = ((link(code(d.name), f"{d.name}.md"), d.summary, d.stability) for d in declarations)
    return page(chapter.title, chapter.about, table(("name", "what it does", "stability"), rows))


def _page(chapter: Chapter, declaration: Declaration) -> str:
    facts = [*chapter.facts(declaration), ("stability", STABILITY[declaration.stability])]
    if declaration.aliases:
        facts.insert(0, ("also called", codes(declaration.aliases)))
    return page(
        code(declaration.name),
        prose(declaration.cls.__doc__),
        table(("fact", "of this component"), facts),
        _options(declaration),
        _example(chapter, declaration),
    )


def _example(chapter: Chapter, declaration: Declaration) -> str:
    if not declaration.example:
        return ""
    return f"## Example\n\n{fenced(chapter.example.format(declaration.example), 'yaml')}"


def _options(declaration: Declaration) -> str:
    if declaration.kind in ("wire", "store"):
        return ""
    if declaration.kind == "transform_op":
        return f"## Value\n\n{value_block(declaration.cls)}"
    record = options_shape(Shapes(), declaration.cls)
    if not record.entries:
        return "## Options\n\nNone."
    speaker = Speaker(_nested, base="../")
    blocks = ["## Options", keys_table(record.entries.values(), speaker)]
    for below in _below(record):
        blocks += [f"### {below.cls.__name__}", prose(below.description)]
        blocks.append(keys_table(below.entries.values(), speaker))
    return "\n\n".join(block for block in blocks if block)


def _nested(record: Record) -> str:
    return link("map", f"#{record.cls.__name__.lower()}")


def _below(record: Record) -> list[Record]:
    """The maps that are values of options."""
    return [e.shape for e in record.entries.values() if isinstance(e.shape, Record)]


# ── what each kind adds ──────────────────────────────────────────────────────────────────────────


def _stage_facts(declaration: Declaration) -> list[tuple[str, str]]:
    cls: Any = declaration.cls
    shape = str(inspect.signature(cls.build).return_annotation).lower()
    return [
        ("shape", SHAPES.get(shape, shape)),
        ("needs", codes(sorted(declaration.needs), "nothing")),
        ("gives", codes(sorted(declaration.gives), "nothing")),
    ]


SHAPES = {
    "gate": "gate: looks at the request, may answer early",
    "around": "around: owns what comes after it",
    "observer": "observer: is told once, at the true end",
}


def _wire_facts(declaration: Declaration) -> list[tuple[str, str]]:
    paths = [path for path, wire in CALLS if wire == declaration.name]
    speakers = [id for id, entry in read_catalogue().items() if declaration.name in formats_of(entry)]
    return [
        ("endpoints for clients", codes(f"POST {path}" for path in paths)),
        ("spoken in the catalogue by", codes(speakers)),
    ]


CHAPTERS: Mapping[Kind, Chapter] = {
    "stage": Chapter(
        "stages",
        "Stages",
        "What a request goes through. A pipeline lists stages in the order in which people say them; the order is "
        "checked by what each needs and gives, and every pipeline ends with `send`, which is built in. Written as a "
        "bare name, as `{stage: NAME, …}`, or as the name of an entry of `middleware`.",
        "stages:\n  - {}",
        _stage_facts,
    ),
    "strategy": Chapter(
        "strategies",
        "Strategies",
        "How the targets of a combo, or the accounts of a provider, are ordered. Written as a bare name, as "
        "`{type: NAME, …}`, or as the name of an entry of `strategies`.",
        "strategy: {}",
    ),
    "transform_op": Chapter(
        "transform-ops",
        "Transform ops",
        "The edits of a transform. Each item of `ops` has one op, and may have a `when` beside it: "
        '`{when: "request.tools", set: {temperature: 0}}`. Paths are JMESPath; values may be Jinja2 templates. Both see '
        "`request`, `response`, `event`, `model`, `provider`, `account`, `key` and `headers`, where they exist at the time.",
        "ops:\n  - {}",
    ),
    "credential": Chapter(
        "credentials",
        "Kinds of authentication",
        "How an account's key is sent to its provider (`auth.type`).",
        "auth: {}",
    ),
    "transport": Chapter(
        "transports",
        "Transports",
        "How a provider is reached (`transport`).",
        "transport: {}",
    ),
    "store": Chapter("stores", "Stores", "Where state lives (`store`).", "store: {}"),
    "wire": Chapter(
        "wires",
        "Wire formats",
        "The formats in which clients call and providers answer. Each is a codec to and from one canonical conversation; "
        "where client and target speak the same format, bytes pass untouched.",
        facts=_wire_facts,
    ),
}
