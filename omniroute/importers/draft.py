"""A configuration of ours in the making: providers, accounts, combos and aliases, and what there is to say about them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any, NamedTuple

import yaml

Doc = dict[str, Any]

HEAD = "# yaml-language-server: $schema=./schemas/omniroute.schema.json\n"
ENDPOINTS = ("/chat/completions", "/messages", "/responses", "/models")
"""What some gateways want at the end of a base URL, and ours does not."""
ORDER = ("version", "server", "store", "keys", "proxies", "proxy", "providers", "combos", "models", "default")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Note(NamedTuple):
    """What could not be taken over, or became something else: where it stood, and why."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Address:
    """How a provider is reached that the catalogue does not know."""

    base_url: str
    format: str
    auth: Doc = field(default_factory=lambda: {"type": "bearer"})
    headers: Doc = field(default_factory=dict)
    quirks: tuple[str, ...] = ()


class Draft:
    """`catalogue` is what there is to start from: providers by id."""

    def __init__(self, catalogue: Mapping[str, Doc]) -> None:
        self.catalogue = catalogue
        self.notes: list[Note] = []
        self.secrets: dict[str, str] = {}
        """Values that stood in the file itself, by the variable that now stands for them."""
        self.top: Doc = {}
        """Everything that is one value or one section: `server`, `log`, `default` …"""
        self.keys: Doc = {}
        self.proxies: Doc = {}
        self.providers: dict[str, Doc] = {}
        self.combos: Doc = {}
        self.aliases: dict[str, str] = {}
        self._homes = _homes(catalogue)

    def note(self, path: str, text: str) -> None:
        self.notes.append(Note(path, text))

    # ── secrets ──────────────────────────────────────────────────────────────────────────────────

    def secret(self, value: str, owner: str) -> str:
        """A reference to a variable, for a key that stood in the file: it goes on beside it, not in it."""
        what = re.sub(r"[^A-Z0-9]+", "_", owner.upper()).strip("_")
        name = base = f"IMPORTED_{what}"
        number = 1
        while self.secrets.get(name, value) != value:
            number += 1
            name = f"{base}_{number}"
        self.secrets[name] = value
        return reference(name)

    def key(self, name: str, value: str, **more: Any) -> None:
        """A key of a client. Of one that stood in the file only the hash goes on."""
        if value.startswith("${"):
            self.keys[name] = {"key": value, **more}
        else:
            self.keys[name] = {"hash": f"sha256:{hashlib.sha256(value.encode()).hexdigest()}", **more}

    def proxy(self, url: str) -> str:
        """The name of an outbound proxy, once for each URL; one with a password is a secret."""
        if "@" in url:
            # Without its variable nothing may go out: a direct way is not what was wanted.
            url = self.secret(url, "proxy_url").replace(":-}", "}")
        for name, entry in self.proxies.items():
            if entry["url"] == url:
                return str(name)
        name = f"proxy-{len(self.proxies) + 1}"
        self.proxies[name] = {"url": url}
        return name

    # ── providers ────────────────────────────────────────────────────────────────────────────────

    def known(self, base_url: str) -> str | None:
        """The provider of the catalogue that lives there."""
        return self._homes.get(home(base_url))

    def provider(self, name: str, address: Address | None) -> str:
        """The id of a provider: of the catalogue when it lives there or has no address, else one of its own."""
        if address is None:
            self.providers.setdefault(name, {})
            return name
        known = self.known(address.base_url)
        if known is not None:
            self.providers.setdefault(known, {})
            return known
        written = _written(address)
        for id, entry in self.providers.items():
            if all(entry.get(key) == value for key, value in written.items()):
                return id
        id = self._free(slug(name))
        self.providers[id] = written
        return id

    def account(self, provider: str, key: str, name: str = "main", **more: Any) -> None:
        """An account, once for each key."""
        known = self.catalogue.get(provider, {})
        if known.get("auth", {}).get("type") == "none" and "accounts" in known:
            # It has no use for a key, and an account already.
            return
        accounts = self.providers[provider].setdefault("accounts", {})
        entry = ({"key": key} if key else {}) | {k: v for k, v in more.items() if v}
        for other in accounts.values():
            if other.get("key") == entry.get("key"):
                other.update(entry)
                return
        name, number = slug(name), 1
        while name in accounts:
            number += 1
            name = f"{slug(name).rstrip('0123456789').rstrip('-')}-{number}"
        accounts[name] = entry

    def model(self, provider: str, model: str, facts: Doc | None = None) -> str:
        """`provider/model`, declared where the catalogue does not list it or there is more to say about it."""
        entry = self.providers[provider]
        listed = self.catalogue.get(provider, {}).get("models", {})
        aliases = {
            alias: name for name, about in listed.items() for alias in (about or {}).get("aliases", ())
        }
        model = aliases.get(model, model)
        is_open = "*" in listed or (provider in self.catalogue and not listed)
        if facts or not (model in listed or is_open):
            models: Doc = entry.setdefault("models", {})
            models.setdefault(model, {}).update(facts or {})
        return f"{provider}/{model}"

    def _free(self, name: str) -> str:
        """A name that neither the catalogue nor the draft has."""
        found, number = name, 1
        while found in self.catalogue or found in self.providers:
            number += 1
            found = f"{name}-{number}"
        return found

    # ── names ────────────────────────────────────────────────────────────────────────────────────

    def expose(self, name: str, targets: list[Any], strategy: Any = None) -> str:
        """What clients call `name`: an alias of one target, a combo of several. Gives the name to refer to it by."""
        if len(targets) == 1 and isinstance(targets[0], str):
            if targets[0] != name:
                self.aliases[name] = targets[0]
            return targets[0]
        combo = slug(name)
        self.combos[combo] = {"strategy": strategy, "targets": targets} if strategy else targets
        if combo != name:
            self.aliases[name] = combo
        return combo

    # ── the file ─────────────────────────────────────────────────────────────────────────────────

    def document(self) -> Doc:
        """All sections that hold something, in the order in which people write them."""
        own: Doc = {
            "keys": self.keys,
            "proxies": self.proxies,
            "providers": self.providers,
            "combos": self.combos,
            "models": self.aliases,
        }
        sections = {"version": 1, **own, **self.top}
        ordered = [*ORDER, *(key for key in sections if key not in ORDER)]
        return {key: sections[key] for key in ordered if sections.get(key)}

    def text(self) -> str:
        """The file, section by section."""
        return HEAD + "\n".join([_section(key, value) for key, value in self.document().items()])


def reference(variable: str) -> str:
    """A variable that may be empty: then what it is for is switched off, and the file is good all the same."""
    return f"${{{variable}:-}}"


def slug(name: str) -> str:
    """A name as ours are: lower case, digits, dots, dashes."""
    found = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return found if NAME.fullmatch(found) else "imported"


def home(base_url: str) -> str:
    """A base URL as it is compared: without what differs in spelling only."""
    url = base_url.strip().rstrip("/")
    for ending in ENDPOINTS:
        url = url.removesuffix(ending)
    return url.rstrip("/").replace("://127.0.0.1", "://localhost")


def _homes(catalogue: Mapping[str, Doc]) -> dict[str, str]:
    found: dict[str, str] = {}
    for id, entry in catalogue.items():
        for format in entry.get("formats", {}).values():
            if "base_url" in format:
                found.setdefault(home(format["base_url"]), id)
    return found


def _written(address: Address) -> Doc:
    entry: Doc = {"format": address.format, "base_url": home(address.base_url), "auth": address.auth}
    if address.headers:
        entry["headers"] = address.headers
    if address.quirks:
        entry["quirks"] = list(address.quirks)
    return entry


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice twice: anchors are for those who write by hand."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _section(key: str, value: Any) -> str:
    """A section of the file: its entries below each other, and what is in them on one line where it is short."""
    if not isinstance(value, dict):
        return _dump({key: value})
    return f"{key}:\n" + "".join([indent(_dump({name: entry}), "  ") for name, entry in value.items()])


def _dump(document: Doc) -> str:
    (value,) = document.values()
    flow = None if value and isinstance(value, dict | list) else False
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=flow
    )
