"""The page of the configuration language: every section and key, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from omniroute.config.not_yet import NOT_YET
from omniroute.config.settings import Settings
from omniroute.config.shape import Entry, Listed, OneOf, Record, Shape, Shapes, Table
from omniroute.reference.markdown import anchor, code, codes, link, page, prose
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
    """A map with known keys, and every place where it can stand."""

    record: Record
    places: list[str] = field(default_factory=list)
    key: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.places[0] or "Top level"


def language_page() -> str:
    """`config.md`."""
    sections = _sections(Shapes().of(Settings))
    speaker = Speaker(lambda record: _reference(sections[record.cls]))
    blocks = [_block(section, speaker) for section in sections.values()]
    return page("The configuration language", RULES, *blocks)


def _block(section: Section, speaker: Speaker) -> str:
    about = prose(section.record.description)
    also = f"Also at {codes(section.places[1:])}." if section.places[1:] else ""
    keys = keys_table(section.record.entries.values(), speaker, lambda entry: _enforced(section, entry))
    head = f"## {section.title}"
    return "\n\n".join(part for part in (head, about, short_form(section.record), also, keys) if part)


def _reference(section: Section) -> str:
    return link("map", f"#{anchor(section.title)}")


NOT_ENFORCED = {tuple(part for part in path if part != "*"): words for path, words in NOT_YET}


def _enforced(section: Section, entry: Entry) -> str:
    return "**Accepted, not enforced in this version.**" if (*section.key, entry.key) in NOT_ENFORCED else ""


def _sections(root: Record) -> dict[type, Section]:
    """Every record by its class, in the order in which a reader of the file meets them."""
    found: dict[type, Section] = {root.cls: Section(root, [""])}
    _walk(root, "", (), found)
    return found


def _walk(record: Record, path: str, key: tuple[str, ...], found: dict[type, Section]) -> None:
    for entry in record.entries.values():
        here = f"{path}.{entry.key}" if path else entry.key
        for below, place in _records(entry.shape, here, entry.key):
            known = found.get(below.cls)
            if known is not None:
                known.places.append(place)
                continue
            found[below.cls] = Section(below, [place], (*key, entry.key))
            _walk(below, place, (*key, entry.key), found)


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
