"""The pages of what is shipped as data: providers, quirks, pipelines and transforms."""

from __future__ import annotations

from typing import Any

from omniroute.catalog.read import read_catalogue, read_quirks
from omniroute.config.layout import shipped
from omniroute.config.marks import plain
from omniroute.config.reader import read
from omniroute.config.report import Report
from omniroute.reference.markdown import code, codes, page, table

Doc = dict[str, Any]

PROVIDERS = """\
A provider whose id is in this list needs an account and nothing else: its formats, addresses, models, limits and prices
come with the gateway. What a configuration says about it is merged into the entry; `from: none` starts from nothing,
`from: OTHER` from another entry. Anything else that speaks a known wire format is a provider with `format` and
`base_url`.

A model is asked for as `ID/MODEL`, or with a short prefix instead of the id. *Any* means that names which are not
listed are taken, too, and passed on.
"""

QUIRKS = """\
Words for what a provider's or a model's API does differently from most that speak the same format. They stand in
`quirks` of a provider, where they hold for all of its models, or of one model, and a codec acts on them: a server of
your own gets the requests it wants without a line of code.
"""

SHIPPED = """\
A file of the same name in a folder `pipelines/` or `transforms/` beside your `omniroute.yaml`, or an entry of that name
in it, replaces the shipped one as a whole.
"""


def providers_page() -> str:
    """`providers.md`."""
    rows = (_provider(id, entry) for id, entry in read_catalogue().items())
    heads = ("id", "provider", "prefixes", "wire formats", "authentication", "tier", "models")
    return page("Providers of the catalogue", PROVIDERS, table(heads, rows))


def _provider(id: str, entry: Doc) -> tuple[str, ...]:
    return (
        code(id),
        entry.get("description", "—"),
        codes(_listed(entry.get("prefix"))),
        codes(formats_of(entry)),
        _auth(entry.get("auth")),
        code(entry.get("tier", "api_key")),
        _models(entry.get("models") or {}),
    )


def formats_of(entry: Doc) -> list[str]:
    """The wire formats of a catalogue entry, in order of preference."""
    return list(entry.get("formats") or {}) or [entry["format"]]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _auth(auth: Any) -> str:
    return code(auth if isinstance(auth, str) else (auth or {}).get("type", "bearer"))


def _models(models: Doc) -> str:
    listed = sum(name != "*" for name in models)
    if not models or "*" in models:
        return f"{listed} listed, any" if listed else "any"
    return str(listed)


def quirks_page() -> str:
    """`quirks.md`."""
    words = read_quirks()
    return page("Quirks", QUIRKS, table(("word", "meaning"), ((code(w), text) for w, text in words.items())))


def shipped_page() -> str:
    """`shipped.md`."""
    pipelines = (
        (code(name), doc["description"], codes(doc.get("endpoints", ())), " → ".join(doc["stages"]))
        for name, doc in _documents("pipelines")
    )
    transforms = (
        (code(name), doc["description"], f"{doc.get('on', 'request')}, {doc.get('side', 'upstream')} side")
        for name, doc in _documents("transforms")
    )
    return page(
        "Shipped pipelines and transforms",
        SHIPPED,
        "## Pipelines",
        table(("name", "what for", "serves", "stages"), pipelines),
        "## Transforms",
        table(("name", "what it does", "edits"), transforms),
    )


def _documents(section: str) -> list[tuple[str, Doc]]:
    files = sorted((shipped() / section).glob("*.yaml"))
    return [(path.stem, plain(read(path.read_text("utf-8"), path.name, Report()))) for path in files]
