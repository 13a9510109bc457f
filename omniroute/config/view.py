"""The normalised tree as the checks of meaning see it: whatever has the wrong form is simply not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Mark, Path, Seq, lookup
from omniroute.config.normalise import Names
from omniroute.config.report import Report, Severity
from omniroute.config.secrets import Secret


@dataclass(frozen=True, slots=True)
class Provider:
    """What references need to know of a provider. `models` leads from a name or alias to the model's name."""

    name: str
    tree: Map
    models: dict[str, str]
    open: bool
    enabled: bool
    accounts: tuple[str, ...]
    active: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return self.enabled and bool(self.active)


@dataclass(slots=True)
class View:
    """Everything by name, and a way to tell what is wrong at a path."""

    tree: Map
    names: Names
    catalogue: dict[str, Any]
    report: Report
    providers: dict[str, Provider] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.providers = {name: provider(name, tree) for name, tree in self.entries("providers")}
        for name, found in self.providers.items():
            for prefix in texts(found.tree.get("prefix")):
                self.prefixes.setdefault(prefix, name)
        self.prefixes.update({name: name for name in self.providers})

    def section(self, name: str) -> Map:
        found = self.tree.get(name)
        return found if isinstance(found, Map) else Map()

    def entries(self, section: str) -> Iterator[tuple[str, Map]]:
        """The maps of a section by name."""
        for name, entry in self.section(section).items():
            if isinstance(entry, Map):
                yield name, entry

    def mark(self, path: Path) -> Mark:
        return lookup(self.tree, path)[1]

    def key_mark(self, path: Path) -> Mark:
        """The place of the name at the end of a path."""
        above, _ = lookup(self.tree, path[:-1])
        return above.key_mark(str(path[-1])) if isinstance(above, Map) else self.mark(path)

    def tell(
        self,
        code: Code,
        message: str,
        path: Path,
        hint: str | None = None,
        severity: Severity = "error",
        mark: Mark | None = None,
    ) -> None:
        self.report.tell(code, message, mark or self.mark(path), path, hint=hint, severity=severity)


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [str(v) for v in value if isinstance(v, str)] if isinstance(value, Seq) else []


def text(value: Any) -> str | None:
    """A text, in clear: for what is checked, never for what is shown."""
    if isinstance(value, Secret):
        return value.reveal()
    return str(value) if isinstance(value, str) else None


def maps(value: Any) -> Iterator[tuple[str, Map]]:
    """The maps of a map."""
    if isinstance(value, Map):
        yield from ((name, item) for name, item in value.items() if isinstance(item, Map))


def auth_type(tree: Map) -> str:
    """How a provider authenticates."""
    auth = tree.get("auth")
    kind = auth.get("type") if isinstance(auth, Map) else None
    return kind if isinstance(kind, str) else "bearer"


NEEDS: Mapping[str, tuple[str, ...]] = {"none": (), "sigv4": ("access_key_id", "key")}
"""How a provider authenticates → the keys of an account without which that cannot be done. Elsewhere: the key."""


def keyless(tree: Map) -> bool:
    """Whether accounts of a provider need no key."""
    return not needs(tree)


def needs(tree: Map) -> tuple[str, ...]:
    """What accounts of a provider must have."""
    return NEEDS.get(auth_type(tree), ("key",))


def provider(name: str, tree: Map) -> Provider:
    """A provider's tree, read leniently."""
    listed = tree.get("models")
    models: dict[str, str] = {}
    for model, about in listed.items() if isinstance(listed, Map) else ():
        if model != "*":
            models.setdefault(model, model)
            for alias in texts(about.get("aliases")) if isinstance(about, Map) else ():
                models.setdefault(alias, model)
    accounts = dict(maps(tree.get("accounts")))
    needed = needs(tree)
    active = [a for a, t in accounts.items() if t.get("enabled") is not False and all(map(t.get, needed))]
    if not accounts and keyless(tree):
        active = ["default"]
    return Provider(
        name=name,
        tree=tree,
        models=models,
        open=not isinstance(listed, Map) or not listed or "*" in listed,
        enabled=tree.get("enabled") is not False,
        accounts=tuple(accounts),
        active=tuple(active),
    )
