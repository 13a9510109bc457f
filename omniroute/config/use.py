"""What is declared and named nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omniroute.config.codes import Code
from omniroute.config.diff import NOUNS
from omniroute.config.layout import shipped
from omniroute.config.marks import SHIPPED, Map
from omniroute.config.view import View, maps

USES: Mapping[str, tuple[str, ...]] = {
    "proxies": ("proxy", "providers"),
    "strategies": ("strategies", "combos", "providers"),
    "middleware": ("pipelines",),
    "transforms": ("providers", "middleware", "pipelines"),
    "pipelines": ("routes",),
}
"""Sections of named things, and the sections that may name them."""

PARTS = ("proxy", "strategy", "transforms")
"""What of a provider may name them; of its accounts it is the first."""


def check_use(view: View) -> None:
    """Note what the user declares and nothing uses."""
    for section, users in USES.items():
        declared = {n: e for n, e in view.entries(section) if view.key_mark((section, n)).origin != SHIPPED}
        if not declared:
            continue
        named = {word for user in users for word in _words(user, section, view)}
        families = (
            {path.stem for path in (shipped() / section).glob("*.yaml")} if section == "pipelines" else ()
        )
        for name, entry in declared.items():
            if name not in named and name not in families and not entry.get("endpoints"):
                view.tell(
                    Code.UNUSED,
                    f"nothing uses this {NOUNS[section]}",
                    (section, name),
                    severity="note",
                    mark=view.key_mark((section, name)),
                )


def _words(user: str, section: str, view: View) -> Iterator[str]:
    """The texts of a section, apart from those that only name an entry's own component."""
    if user == "providers":
        for _, provider in view.entries("providers"):
            for part in PARTS:
                yield from _texts(provider.get(part))
            for _, account in maps(provider.get("accounts")):
                yield from _texts(account.get("proxy"))
    elif user == section:
        for _, entry in view.entries(user):
            yield from _texts(entry.without("type") if isinstance(entry, Map) else entry)
    else:
        yield from _texts(view.tree.get(user))


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield str(tree)
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _texts(item)
