"""CLIProxyAPI: `config.yaml` with lists of API keys for each provider, and `openai-compatibility`.

Keys of one provider become its accounts, an alias of one model an alias, one of several a combo in turn. Accounts that
were signed in to are files of their own and stay where they are. https://github.com/router-for-me/CLIProxyAPI
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from omniroute.importers.draft import Address, Draft, home, slug
from omniroute.importers.source import Section

Doc = dict[str, Any]


class KeyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list of keys in the file; explained in `cliproxy.yaml`."""

    provider: str
    format: str
    path: str
    auth: Doc


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cliproxy.yaml`."""

    sections: dict[str, KeyList]
    strategies: dict[str, str]
    session: str
    reasons: dict[str, str]


def words() -> Words:
    return msgspec.convert(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")), Words)


def parse(text: str) -> Any:
    """Raises `yaml.YAMLError`."""
    return yaml.safe_load(text)


def convert(document: Any, draft: Draft) -> None:
    """Fill the draft from a parsed file."""
    _Import(draft, Section(document)).run()


class _Import:
    def __init__(self, draft: Draft, file: Section) -> None:
        self._draft = draft
        self._file = file
        self._words = words()
        self._aliases: dict[str, list[str]] = {}
        """Alias → the models that it stands for."""

    def run(self) -> None:
        for key, about in self._words.sections.items():
            for entry in self._file.each(key):
                self._keyed(entry, about)
        for entry in self._file.each("openai-compatibility"):
            self._compatible(entry)
        for alias, targets in self._aliases.items():
            self._draft.expose(alias, list(targets), "round-robin" if len(targets) > 1 else None)
        self._server()
        self._routing(self._file.below("routing"))
        self._file.leave(self._draft.note, self._words.reasons)

    # ── providers ────────────────────────────────────────────────────────────────────────────────

    def _keyed(self, entry: Section, about: KeyList) -> None:
        url = entry.text("base-url")
        id = self._draft.provider(
            about.provider if not url else f"{about.provider}-gateway", _address(url, about)
        )
        self._account(id, entry)
        self._about(id, entry)

    def _compatible(self, entry: Section) -> None:
        draft, name, url = self._draft, entry.text("name"), entry.text("base-url")
        if not name or not url:
            draft.note(entry.path, "it has no name or no base-url")
            return
        id = draft.provider(name, Address(home(url), "openai-chat"))
        if entry.take("disabled") is True:
            draft.providers[id]["enabled"] = False
        for row in entry.each("api-key-entries"):
            self._account(id, row)
            row.leave(draft.note, self._words.reasons)
        self._about(id, entry)

    def _account(self, id: str, entry: Section) -> None:
        draft, key = self._draft, entry.text("api-key")
        proxy = self._proxy(entry.text("proxy-url"))
        weight = entry.number("weight")
        if key:
            draft.account(id, draft.secret(key, f"{id}_key"), weight=weight, proxy=proxy)

    def _about(self, id: str, entry: Section) -> None:
        """What is said of the provider, in whichever of its entries."""
        draft, provider = self._draft, self._draft.providers[id]
        prefix = entry.text("prefix")
        if prefix:
            provider["prefix"] = [*provider.get("prefix", []), slug(prefix)]
        headers = entry.take("headers")
        for name, value in headers.items() if isinstance(headers, dict) else ():
            if str(value).startswith("$"):
                draft.note(f"{entry.at('headers')}.{name}", "headers of clients are not passed on")
            else:
                provider.setdefault("headers", {})[str(name)] = str(value)
        retries = entry.number("request-retry")
        if retries is not None:
            provider["retry"] = {"attempts": min(int(retries) + 1, 10)}
        for row in entry.each("models"):
            self._model(id, row)
        for model in entry.texts("excluded-models"):
            if "*" in model:
                draft.note(
                    entry.at("excluded-models"), f"{model!r}: name the models, or write `models` at the keys"
                )
            else:
                draft.model(id, model, {"enabled": False})
        entry.leave(draft.note, self._words.reasons)

    def _model(self, id: str, row: Section) -> None:
        name, alias = row.text("name"), row.text("alias")
        if not name:
            self._draft.note(row.path, "it has no name")
            return
        context, levels = row.number("max-context-length"), row.below("thinking").texts("levels")
        facts: Doc = {"context": context} if context else {}
        levels = [level for level in levels if level != "auto"]
        if levels:
            facts["thinking"] = {"levels": levels}
        target = self._draft.model(id, name, facts)
        if alias and alias != name:
            known = self._aliases.setdefault(alias, [])
            known += [target] if target not in known else []
        row.leave(self._draft.note, self._words.reasons)

    def _proxy(self, url: str) -> str | None:
        if not url:
            return None
        if url in ("direct", "none"):
            return "direct"
        return self._draft.proxy(url)

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────

    def _server(self) -> None:
        draft, file = self._draft, self._file
        keys = file.texts("api-keys")
        for number, key in enumerate(keys, start=1):
            draft.key(f"key-{number}", key)
        host, port = file.text("host"), file.text("port") or "8317"
        if not keys and host not in ("127.0.0.1", "localhost"):
            draft.note(file.at("host"), "without a key the gateway listens on this machine only")
            host = "127.0.0.1"
        draft.top["server"] = {"listen": f"{host.replace('localhost', '127.0.0.1')}:{port}"}
        proxy = self._proxy(file.text("proxy-url"))
        if proxy is not None:
            draft.top["proxy"] = proxy
        if file.take("debug") is True:
            draft.top["log"] = {"level": "debug"}
        retries = file.number("request-retry")
        for entry in draft.providers.values() if retries is not None else ():
            entry.setdefault("retry", {"attempts": min(int(retries or 0) + 1, 10)})

    def _routing(self, routing: Section) -> None:
        written = routing.text("strategy")
        strategy: Any = self._words.strategies.get(written)
        if written and strategy is None:
            self._draft.note(routing.at("strategy"), f"there is no counterpart of {written!r}")
        ttl = routing.text("session-affinity-ttl") or "1h"
        if routing.take("session-affinity") is True:
            strategy = {"type": "round-robin", "sticky": {"by": self._words.session, "ttl": ttl}}
            self._draft.note(
                routing.at("session-affinity"), f"sessions are told apart by {self._words.session}"
            )
        routing.leave(self._draft.note, {"session-affinity-subagents": ""})
        for entry in self._draft.providers.values() if strategy else ():
            if len(entry.get("accounts", {})) > 1:
                entry["strategy"] = strategy


def _address(url: str, about: KeyList) -> Address | None:
    if not url:
        return None
    base = home(url)
    if about.path and not base.endswith(about.path):
        base += about.path
    return Address(base, about.format, about.auth)
