"""The page of the configuration language: every section and key, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from omniroute.config.cases import TestFile
from omniroute.config.not_yet import NOT_YET
from omniroute.config.settings import Settings
from omniroute.config.shape import Entry, Listed, OneOf, Record, Shape, Shapes, Table
from omniroute.reference.markdown import anchor, codes, link, page, prose
from omniroute.reference.options import keys_table
from omniroute.reference.words import Speaker, short_form

PLACEHOLDERS = {"providers": "ID", "models": "MODEL", "formats": "FORMAT"}
"""What stands for the names of a map's entries; NAME where nothing is said here."""

RULES = """\
One YAML document, `omniroute.yaml`, is the whole configuration: what is not in it, or in a file that it includes, does
not happen. `version: 1` is required. A section that is absent leaves its defaults; one that is there and empty
means none. Unknown keys are errors; keys that begin with `x-` are yours and are ignored.

## Substitution

In any value, after YAML has been parsed, so that a value can never change the structure:

| written | means |
| --- | --- |
| `${NAME}`, `${env:NAME}` | the environment variable; an error when it is not set |
| `${NAME:-default}` | the default when the variable is unset or empty |
| `${NAME:?message}` | an error with that message when it is unset or empty |
| `${file:PATH}` | the contents of a file without one trailing newline; a secret; the file is watched |
| `${sealed:…}` | a sealed value, opened with `OMNIROUTE_MASTER_KEY`; a secret |
| `$${` | a literal `${` |

An unquoted value that is one substitution is typed by what it becomes: `workers: ${WORKERS}` is a number.

## Quantities

Durations `250ms 5s 10m 5h 7d`, sizes `64KiB 10MB`, counts `5M 200k`, money in US dollars, prices in US dollars per
1M tokens. A bare number is seconds, bytes, or itself.

## Files

`include` takes globs relative to the including file. Files are merged map by map; a name that is defined twice is an
error that names both places, unless the later entry says `override: true`. Beside the main file, `pipelines/*.yaml` and
`transforms/*.yaml` hold one document each, named after the file; a file of yours replaces the shipped one of the same
name as a whole. A provider whose id is in the [catalogue](providers.md) starts from the catalogue's entry.

## Short forms

A list may be left out where it has one item. A bare name stands for a stage, strategy or other component with its
defaults; `{retry: {…}}` is the same as `{stage: retry, …}`. Maps that have a short form of their own say so below.
`omniroute config show` prints the long form of any file.

## Reload

`live` keys take effect as soon as the file is saved. A change of a `restart` key is accepted, reported as pending, and
takes effect at the next start.
"""


@dataclass(slots=True)
class Section:
    """A map with known keys, and every place where it can stand: the least nested first."""

    record: Record
    places: list[Place] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.places[0].path or "Top level"

    @property
    def about(self) -> str:
        return prose(self.record.description).split("\n\n")[0]

    def describe(self, entry: Entry) -> str:
        """What a key means, without what its own section says."""
        return entry.description


class Place(NamedTuple):
    """A path as people read it (`keys.NAME.limits`), and its keys alone."""

    path: str
    keys: tuple[str, ...]


def language_page() -> str:
    """`config.md`."""
    sections = sections_of(Shapes().of(Settings))
    speaker = Speaker(lambda record: link("map", f"#{anchor(sections[record.cls].title)}"))
    blocks = [_block(section, sections, speaker) for section in sections.values()]
    return page("The configuration language", RULES, *blocks)


TESTS = """\
Files that end in `.test.yaml` beside a configuration hold tests of it; `omniroute test` runs them. The
[guide](../guide/testing.md) shows how. There is no substitution in them.
"""


def tests_page() -> str:
    """`tests.md`."""
    sections = sections_of(Shapes().of(TestFile))
    speaker = Speaker(lambda record: link("map", f"#{anchor(sections[record.cls].title)}"))
    blocks = [_block(section, sections, speaker) for section in sections.values()]
    return page("Tests of a configuration", TESTS, *blocks)


def _block(section: Section, sections: Mapping[type, Section], speaker: Speaker) -> str:
    also = [place.path for place in section.places[1:]]
    parts = (
        f"## {section.title}",
        section.about,
        short_form(section.record),
        f"Also at {codes(also)}." if also else "",
        keys_table(section.record.entries.values(), speaker, lambda entry: meaning(entry, section, sections)),
    )
    return "\n\n".join(part for part in parts if part)


def meaning(entry: Entry, section: Section, sections: Mapping[type, Section]) -> str:
    """What a key means: its own description, else that of the map that it holds."""
    text = section.describe(entry)
    if not text and isinstance(entry.shape, Record):
        text = sections[entry.shape.cls].about
    keys = (*section.places[0].keys, entry.key)
    return f"{text} **Accepted, not enforced in this version.**" if keys in NOT_ENFORCED else text


NOT_ENFORCED = {tuple(part for part in path if part != "*") for path, _ in NOT_YET}


def sections_of(root: Record) -> dict[type, Section]:
    """Every record by its class, in the order in which a reader of the file meets them."""
    met = [(root, Place("", ())), *_below(root, Place("", ()))]
    found: dict[type, Section] = {}
    for record, place in met:
        found.setdefault(record.cls, Section(record)).places.append(place)
    for section in found.values():
        section.places.sort(key=lambda place: place.path.count("."))
    order = {place: number for number, (_, place) in enumerate(met)}
    return dict(sorted(found.items(), key=lambda item: order[item[1].places[0]]))


def _below(record: Record, above: Place) -> Iterator[tuple[Record, Place]]:
    for entry in record.entries.values():
        path = f"{above.path}.{entry.key}" if above.path else entry.key
        for below, here in _records(entry.shape, path, entry.key):
            place = Place(here, (*above.keys, entry.key))
            yield below, place
            yield from _below(below, place)


def _records(shape: Shape, path: str, key: str) -> Iterator[tuple[Record, str]]:
    """The records directly below a value, and how the path goes on to each."""
    if isinstance(shape, Record):
        yield shape, path
    elif isinstance(shape, Table):
        yield from _records(shape.values, f"{path}.{PLACEHOLDERS.get(key, 'NAME')}", "")
    elif isinstance(shape, Listed):
        yield from _records(shape.items, f"{path}[]", "")
    elif isinstance(shape, OneOf):
        for one in shape.shapes:
            yield from _records(one, path, key)
