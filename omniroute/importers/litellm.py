"""LiteLLM's proxy: `config.yaml` with `model_list`, `router_settings`, `litellm_settings`, `general_settings`.

A model group (several entries of one `model_name`) becomes a combo, a single entry an alias; `fallbacks` are the
targets after its own. https://docs.litellm.ai/docs/proxy/configs
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from omniroute.importers.draft import Address, Draft, home, reference, slug
from omniroute.importers.source import Section

Doc = dict[str, Any]

FROM_ENVIRONMENT = "os.environ/"
MILLION = 1_000_000


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a word before the slash stands for; explained in `litellm.yaml`."""

    id: str | None = None
    format: str | None = None
    path: str = ""
    auth: Doc | None = None
    strip: tuple[str, ...] = ()
    note: str = ""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`litellm.yaml`."""

    providers: dict[str, Known]
    bare: str
    strategies: dict[str, str]
    facts: dict[str, str]
    prices: dict[str, str]
    capabilities: dict[str, str]
    params: tuple[str, ...]
    reasons: dict[str, str]


def words() -> Words:
    return msgspec.convert(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")), Words)


@dataclass
class Group:
    """All entries of one `model_name`."""

    targets: list[Doc] = field(default_factory=list)


def convert(document: Any, draft: Draft) -> None:
    """Fill the draft from a parsed file."""
    _Import(draft, Section(document)).run()


class _Import:
    def __init__(self, draft: Draft, file: Section) -> None:
        self._draft = draft
        self._file = file
        self._words = words()
        self._groups: dict[str, Group] = {}

    def run(self) -> None:
        for entry in self._file.each("model_list"):
            self._entry(entry)
        router, settings = self._file.below("router_settings"), self._file.below("litellm_settings")
        strategy = self._strategy(router)
        chains = self._chains(router, settings)
        for name, group in self._groups.items():
            self._expose(name, group, strategy, chains.get(name, []))
        self._aliases(router)
        self._retries(router, settings)
        self._store(router)
        self._cache(settings)
        self._general(self._file.below("general_settings"))
        for section in (router, settings, self._file):
            section.leave(self._draft.note, self._words.reasons)

    # ── model_list ───────────────────────────────────────────────────────────────────────────────

    def _entry(self, entry: Section) -> None:
        name = entry.text("model_name")
        params, info = entry.below("litellm_params"), entry.below("model_info")
        written = params.text("model")
        if not name or not written:
            self._draft.note(entry.path, "it has no model_name or no litellm_params.model")
            return
        provider, model = self._provider(written, params)
        if provider is None:
            return
        self._account(provider, params)
        target = self._draft.model(provider, model, self._facts(params, info))
        set_to = {key: value for key in self._words.params if (value := params.take(key)) is not None}
        more = {
            "weight": params.number("weight"),
            "params": set_to,
            "timeout": _seconds(params.number("timeout")),
        }
        self._groups.setdefault(name, Group()).targets.append(
            {"model": target, **{key: value for key, value in more.items() if value}}
        )
        for section in (params, info, entry):
            section.leave(self._draft.note, self._words.reasons)

    def _provider(self, written: str, params: Section) -> tuple[str | None, str]:
        """Provider and model of an entry; None where it has no counterpart."""
        word, slash, model = written.partition("/")
        known = self._words.providers.get(word) if slash else None
        base = self._value(params.text("api_base") or params.text("base_url"))
        if known is None and not slash:
            word, model = self._owner(written), written
            known = Known(id=word)
        if known is None and base:
            known, model = Known(format="openai-chat"), written
        if known is None:
            self._draft.note(params.at("model"), f"there is no provider {word!r}: add one with its base URL")
            return None, ""
        for prefix in known.strip:
            model = model.removeprefix(prefix)
        if known.note:
            self._draft.note(params.at("api_base"), known.note)
        region = params.text("aws_region_name")
        if region:
            self._draft.note(params.at("aws_region_name"), "the region stands in the provider's base URL")
        address = self._address(known, base)
        if address is None and known.id is None:
            self._draft.note(params.at("model"), f"{word!r} needs an api_base")
            return None, ""
        name = word if known.id is None or word not in ("", known.id) else known.id
        return self._draft.provider(known.id if address is None and known.id else name, address), model

    def _owner(self, model: str) -> str:
        owners = [id for id, entry in self._draft.catalogue.items() if model in entry.get("models", {})]
        return self._words.bare if not owners or self._words.bare in owners else owners[0]

    def _address(self, known: Known, base: str) -> Address | None:
        """None: where the catalogue says."""
        if not base:
            return None
        url = home(base)
        if known.path and not url.endswith(known.path):
            url += known.path
        entry = self._draft.catalogue.get(known.id or "", {})
        format = known.format or next(iter(entry.get("formats", {})), "openai-chat")
        auth = known.auth or entry.get("auth") or {"type": "bearer"}
        return Address(url, format, auth, entry.get("headers", {}), tuple(entry.get("quirks", ())))

    def _account(self, provider: str, params: Section) -> None:
        draft = self._draft
        limits: dict[str, float | None] = {key: params.number(key) for key in ("rpm", "tpm")}
        limits["concurrency"] = params.number("max_parallel_requests")
        secret = params.text("aws_secret_access_key")
        key = secret or params.text("api_key")
        variable = key.removeprefix(FROM_ENVIRONMENT)
        draft.account(
            provider,
            self._secret(key, provider),
            _account_name(variable) if key.startswith(FROM_ENVIRONMENT) else "main",
            access_key_id=self._value(params.text("aws_access_key_id")),
            session_token=self._value(params.text("aws_session_token")),
            limits={name: value for name, value in limits.items() if value},
        )
        self._headers(provider, params.take("extra_headers"))

    def _headers(self, provider: str, given: Any) -> None:
        for name, value in given.items() if isinstance(given, Mapping) else ():
            self._draft.providers[provider].setdefault("headers", {})[str(name)] = self._value(str(value))

    def _facts(self, params: Section, info: Section) -> Doc:
        facts: Doc = {}
        for key, ours in self._words.facts.items():
            count = info.number(key)
            if count:
                facts[ours] = count
        price = {}
        for key, ours in self._words.prices.items():
            given, told = params.number(key), info.number(key)
            cost = given if given is not None else told
            if cost is not None:
                price[ours] = round(cost * MILLION, 6)
        if price:
            facts["price"] = price
        has = {ours: info.take(key) for key, ours in self._words.capabilities.items()}
        if has["tools"] is not None:
            # Without a word about tools the list is not a whole one, and what it lacks would count as missing.
            facts["capabilities"] = [ours for ours, yes in has.items() if yes is True]
        return facts

    def _secret(self, value: str, provider: str) -> str:
        if not value:
            return ""
        if value.startswith(FROM_ENVIRONMENT):
            return reference(value.removeprefix(FROM_ENVIRONMENT))
        return self._draft.secret(value, f"{provider}_key")

    def _value(self, value: str) -> str:
        return (
            reference(value.removeprefix(FROM_ENVIRONMENT)) if value.startswith(FROM_ENVIRONMENT) else value
        )

    # ── groups ───────────────────────────────────────────────────────────────────────────────────

    def _expose(self, name: str, group: Group, strategy: str, chain: list[str]) -> None:
        own = [t["model"] if set(t) == {"model"} else t for t in group.targets]
        draft = self._draft
        if "*" in name:
            self._wildcard(name, group)
            return
        if not chain:
            draft.expose(name, own, strategy if len(own) > 1 else None)
            return
        if len(own) > 1:
            own = [draft.expose(f"{slug(name)}-pool", own, strategy)]
        draft.combos[slug(name)] = [*own, *[self._name(other) for other in chain]]
        if slug(name) != name:
            draft.aliases[name] = slug(name)

    def _wildcard(self, name: str, group: Group) -> None:
        """`anthropic/*`: all that a provider has."""
        draft, target = self._draft, group.targets[0]["model"]
        provider = target.partition("/")[0]
        models = draft.providers[provider].setdefault("models", {})
        models.setdefault("*", {})
        if len(group.targets) > 1:
            draft.note(f"model_list ({name})", "only the first of several entries with a * is taken over")
        if name != target and name.count("*") == 1:
            draft.aliases[name] = target
        elif name != target:
            draft.note(f"model_list ({name})", "an alias may have one * at the most")

    def _name(self, other: str) -> str:
        """How a fallback is called here: a group of the file, or a model as it is written."""
        if other in self._groups and len(self._groups[other].targets) == 1:
            target = self._groups[other].targets[0]
            if set(target) == {"model"}:
                return str(target["model"])
        return slug(other) if other in self._groups else other

    def _strategy(self, router: Section) -> str:
        written = router.text("routing_strategy") or "simple-shuffle"
        found = self._words.strategies.get(written)
        if found is None:
            self._draft.note(
                router.at("routing_strategy"), f"there is no counterpart of {written!r}: weighted is used"
            )
        return found or "weighted"

    def _chains(self, router: Section, settings: Section) -> dict[str, list[str]]:
        """Group → what comes after it."""
        chains: dict[str, list[str]] = {}
        for section in (router, settings):
            for key in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
                for row in section.each(key):
                    for name in self._groups:
                        chain = chains.setdefault(name, [])
                        chain += [other for other in row.texts(name) if other not in chain]
                    row.leave(self._draft.note, {})
            always = section.texts("default_fallbacks")
            for name in self._groups if always else ():
                chain = chains.setdefault(name, [])
                chain += [other for other in always if other not in chain and other != name]
        return self._possible(chains)

    def _possible(self, chains: dict[str, list[str]]) -> dict[str, list[str]]:
        """Without models that nobody has, and without rounds: combos that name each other are refused."""
        kept: dict[str, list[str]] = {}
        for name, chain in chains.items():
            for other in chain:
                if other not in self._groups:
                    self._draft.note(f"fallbacks ({name})", f"there is no model_name {other!r}")
                elif _reaches(other, name, kept):
                    self._draft.note(f"fallbacks ({name})", f"{other!r} leads back to it, and is left out")
                else:
                    kept.setdefault(name, []).append(other)
        return kept

    def _aliases(self, router: Section) -> None:
        names = router.below("model_group_alias")
        for alias in names.keys:
            target = names.take(alias)
            group = str(target.get("model") if isinstance(target, Mapping) else target)
            if group in self._groups:
                self._draft.aliases[alias] = self._name(group)
            else:
                self._draft.note(names.at(alias), f"there is no model_name {group!r}")

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────

    def _retries(self, router: Section, settings: Section) -> None:
        retries = [section.number("num_retries") for section in (settings, router)]
        total = [router.number("timeout"), settings.number("request_timeout")]
        first = router.number("stream_timeout")
        attempts = next((int(r) for r in reversed(retries) if r is not None), None)
        seconds = next((t for t in total if t), None)
        for entry in self._draft.providers.values():
            if attempts is not None:
                entry["retry"] = {"attempts": min(attempts + 1, 10)}
            timeouts = {"total": _seconds(seconds), "first_byte": _seconds(first)}
            if any(timeouts.values()):
                entry["timeouts"] = {key: value for key, value in timeouts.items() if value}

    def _store(self, router: Section) -> None:
        host, url = self._value(router.text("redis_host")), self._value(router.text("redis_url"))
        port, password = (
            self._value(router.text("redis_port")),
            self._secret(router.text("redis_password"), "REDIS"),
        )
        if url or host:
            at = f":{password}@" if password else ""
            self._draft.top["store"] = url or f"redis://{at}{host}:{port or 6379}/0"

    def _cache(self, settings: Section) -> None:
        params = settings.below("cache_params")
        if settings.take("cache") is not True:
            return
        ttl = params.number("ttl")
        stage = {"stage": "cache", "exact": {"ttl": _seconds(ttl) or "1h", "deterministic_only": False}}
        self._draft.top["middleware"] = {"answers": stage}
        self._draft.top["pipelines"] = {
            "chat": {
                "endpoints": ["chat"],
                "stages": ["auth", "filter", "answers", "route", "translate", "retry", "log"],
            }
        }
        if params.text("type") not in ("", "local", "redis"):
            self._draft.note(params.at("type"), "answers are kept in `store`")

    def _general(self, general: Section) -> None:
        master = general.text("master_key")
        if master:
            key = self._value(master)
            self._draft.key("master", key if key != master else master, scopes=["use", "admin"])
        general.leave(self._draft.note, self._words.reasons)


def _reaches(start: str, end: str, chains: Mapping[str, list[str]]) -> bool:
    return start == end or any(_reaches(other, end, chains) for other in chains.get(start, ()))


def _seconds(number: float | None) -> str | None:
    return f"{number:g}s" if number else None


def _account_name(variable: str) -> str:
    name = variable.lower().replace("_api_key", "").replace("_", "-")
    return slug(name) if name else "main"


def parse(text: str) -> Any:
    """Raises `yaml.YAMLError`."""
    return yaml.safe_load(text)
