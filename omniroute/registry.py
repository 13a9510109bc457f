"""Kind and name → declaration. Built-ins are found in their folders, plugins by entry points."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points

from omniroute.declare import KINDS, Declaration, Kind, declared

ENTRY_POINTS = "omniroute"
"""The entry-point group in which other packages name modules that hold components."""


class Registry:
    """The components that this process knows. Immutable once loaded, safe to share between gateways."""

    def __init__(self, declarations: list[Declaration]) -> None:
        self._by_name: dict[Kind, dict[str, Declaration]] = {kind: {} for kind in KINDS}
        self._canonical: dict[Kind, dict[str, Declaration]] = {kind: {} for kind in KINDS}
        for declaration in declarations:
            self._add(declaration)

    def _add(self, declaration: Declaration) -> None:
        names = self._by_name[declaration.kind]
        for name in (declaration.name, *declaration.aliases):
            other = names.get(name)
            if other is not None and other.cls is not declaration.cls:
                raise ValueError(
                    f"two components are called {declaration.kind} {name!r}: "
                    f"{other.cls.__module__} and {declaration.cls.__module__}"
                )
            names[name] = declaration
        self._canonical[declaration.kind][declaration.name] = declaration

    def find(self, kind: Kind, name: str) -> Declaration | None:
        """The declaration of that name or alias."""
        return self._by_name[kind].get(name)

    def names(self, kind: Kind) -> list[str]:
        """All names of a kind, aliases included, sorted."""
        return sorted(self._by_name[kind])

    def all(self, kind: Kind) -> list[Declaration]:
        """All components of a kind, sorted by name; each once."""
        return [d for _, d in sorted(self._canonical[kind].items())]

    def near(self, kind: Kind, name: str) -> list[str]:
        """Names that the user may have meant, best first."""
        return difflib.get_close_matches(name, self.names(kind), n=3, cutoff=0.6)


def load(*, plugins: bool = True) -> Registry:
    """Import every built-in module of every kind, then what installed packages offer."""
    found: dict[tuple[str, str], Declaration] = {}
    modules = [*KINDS.values()]
    if plugins:
        modules += [entry.value for entry in entry_points(group=ENTRY_POINTS)]
    for name in modules:
        for declaration in _declarations(name):
            found[declaration.kind, declaration.name] = declaration
    return Registry(list(found.values()))


def _declarations(package_name: str) -> Iterator[Declaration]:
    module = importlib.import_module(package_name)
    names = [package_name]
    if hasattr(module, "__path__"):
        names += [f"{package_name}.{m.name}" for m in pkgutil.iter_modules(module.__path__) if not m.ispkg]
    for name in names:
        module = importlib.import_module(name)
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == name:
                declaration = declared(value)
                if declaration is not None:
                    yield declaration
