"""Everything that can be asked for, compiled from the settings: providers, accounts, targets, combos, names."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from omniroute.config.secrets import Secret
from omniroute.config.settings import Model, Price, Tier, Timeouts
from omniroute.config.settings import Provider as ProviderSettings
from omniroute.pipeline.parts import Edit
from omniroute.routing.needs import CAPABILITIES
from omniroute.routing.strategy import Strategy
from omniroute.state.breaker import BreakerRules
from omniroute.state.limits import Limit
from omniroute.state.quota import Allowance
from omniroute.upstream.authorization import Authorization
from omniroute.wire.codec import Dialect, ModelCard, Wire

When = Callable[[Mapping[str, Any]], bool]


def _unlimited(name: str, model: Model) -> Limit | None:
    return None


LONG_CONTEXT = "[1m]"
"""What Claude Code adds to the name of a model whose context of a million tokens it wants to use."""

OPEN_MODELS_KEPT = 2000
"""Targets of open model lists that a provider remembers."""


@dataclass(frozen=True, slots=True, eq=False)
class OutboundProxy:
    """`url` None goes direct."""

    name: str
    url: Secret | None
    no_proxy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """A credential, ready to use: `granted` is what it adds to a request, by wire name. `inactive` says why it is
    not to be used."""

    name: str
    provider: str
    granted: Mapping[str, Authorization]
    secrets: tuple[Secret, ...]
    proxy: OutboundProxy | None
    identity: str
    weight: float = 1
    priority: int = 0
    tier: Tier = "api_key"
    inactive: str | None = None
    limit: Limit | None = None
    allowances: tuple[Allowance, ...] = ()
    id: str = field(init=False)
    health_id: str = field(init=False)
    """By what name its health is kept."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.provider}/{self.name}")
        object.__setattr__(self, "health_id", f"account/{self.id}#{self.identity}")

    @property
    def leaves(self) -> tuple[Account, ...]:
        return (self,)

    @property
    def price(self) -> Price | None:
        """Accounts of a provider cost the same."""
        return None

    @property
    def purses(self) -> tuple[tuple[Allowance, ...], ...]:
        return (self.allowances,)


@dataclass(frozen=True, slots=True, eq=False)
class Upstream:
    """One wire format of a provider, and where it is spoken."""

    wire: Wire
    base_url: str
    headers: Mapping[str, str]
    dressed: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = field(default_factory=dict)
    """The headers of requests to it, by what their clients sent."""


@dataclass(slots=True, eq=False)
class Provider:
    """`upstreams` in order of preference, by wire name; `models` by the provider's own names."""

    name: str
    settings: ProviderSettings
    upstreams: dict[str, Upstream]
    accounts: tuple[Account, ...]
    strategy: Strategy
    edits: tuple[Edit, ...] = ()
    breaker: BreakerRules = field(default_factory=BreakerRules)
    limit: Limit | None = None
    model_limit: Callable[[str, Model], Limit | None] = _unlimited
    allowances: tuple[Allowance, ...] = ()
    """Budgets of the provider and of its tier."""
    identity: str = field(init=False)
    """What makes it the same provider: where it is spoken to."""
    active: bool = field(init=False)
    """Whether any of its accounts is."""
    _targets: dict[str, Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        urls = [f"{wire}={upstream.base_url}" for wire, upstream in sorted(self.upstreams.items())]
        self.identity = hashlib.sha256("\n".join(urls).encode()).hexdigest()[:16]
        self.active = any(account.inactive is None for account in self.accounts)

    @property
    def open(self) -> bool:
        """Whether names that are not listed are taken."""
        return not self.settings.models or "*" in self.settings.models

    @property
    def usable(self) -> bool:
        return self.settings.enabled and self.active

    def target(self, model: str) -> Target | None:
        """The target of that model name or alias, or None when the provider has no such model."""
        found = self._targets.get(model)
        if found is None:
            found = self._make(model)
            if found is not None and len(self._targets) < OPEN_MODELS_KEPT:
                self._targets[model] = found
        return found

    def listed(self) -> Iterator[str]:
        return (name for name, model in self.settings.models.items() if name != "*" and model.enabled)

    def _make(self, asked: str) -> Target | None:
        models = self.settings.models
        for name, model in models.items():
            if name != "*" and (name == asked or asked in model.aliases):
                return self._target(name, model)
        if not self.open:
            return None
        return self._target(asked, models.get("*", Model()))

    def _target(self, name: str, model: Model) -> Target:
        thinking = model.thinking
        upstreams = self.upstreams
        if model.format is not None and model.format in upstreams:
            upstreams = {model.format: upstreams[model.format]}
        dialect = Dialect(
            model=name,
            max_output=_int(model.max_output),
            capabilities=frozenset(model.capabilities) if model.capabilities is not None else None,
            quirks=frozenset(self.settings.quirks) | frozenset(model.quirks),
            thinking_levels=thinking.levels if thinking else (),
            thinking_min=_int(thinking.min) if thinking else None,
            thinking_max=_int(thinking.max) if thinking else None,
        )
        health_id = f"target/{self.name}/{name}#{self.identity}"
        full = f"{self.name}/{name}"
        own = self.model_limit(full, model)
        return Target(
            full,
            self,
            name,
            model,
            upstreams,
            dialect,
            health_id,
            frozenset() if model.capabilities is None else CAPABILITIES.difference(model.capabilities),
            breaker=full if self.settings.breaker.scope == "target" else self.name,
            limits=tuple(limit for limit in (own, self.limit) if limit is not None),
            metered=self._metered(own),
            timeouts=self.settings.timeouts,
        )

    def _metered(self, own: Limit | None) -> bool:
        limits = (own, self.limit, *(account.limit for account in self.accounts))
        return (
            bool(self.allowances)
            or any(account.allowances for account in self.accounts)
            or any(limit.tpm is not None for limit in limits if limit is not None)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A model of a provider."""

    name: str
    provider: Provider
    model: str
    facts: Model
    upstreams: Mapping[str, Upstream]
    dialect: Dialect
    health_id: str
    """By what name its health is kept."""
    lacking: frozenset[str] = frozenset()
    """The capabilities that it is known not to have."""
    breaker: str = ""
    """The name of the breaker that guards it: its own, or that of its provider."""
    limits: tuple[Limit, ...] = ()
    """Those of the model, then those of the provider."""
    metered: bool = False
    """Whether somebody counts the tokens or the money that it uses."""
    timeouts: Timeouts = field(default_factory=Timeouts)

    def upstream(self, client_wire: str) -> Upstream:
        """The client's own format where the target speaks it, else the provider's first."""
        found = self.upstreams.get(client_wire)
        return found if found is not None else next(iter(self.upstreams.values()))

    def embedder(self, client_wire: str) -> Upstream | None:
        """Likewise of the formats that have embeddings; None: there is none."""
        found = self.upstreams.get(client_wire)
        if found is not None and found.wire.embeddings is not None:
            return found
        return next((one for one in self.upstreams.values() if one.wire.embeddings is not None), None)

    @property
    def leaves(self) -> tuple[Target, ...]:
        return (self,)

    @property
    def tier(self) -> Tier:
        return self.provider.settings.tier

    @property
    def price(self) -> Price | None:
        return self.facts.price

    @property
    def purses(self) -> tuple[tuple[Allowance, ...], ...]:
        return tuple(account.allowances for account in self.provider.accounts if account.inactive is None)

    @property
    def free(self) -> bool:
        """Whether it is known to cost nothing."""
        price = self.facts.price
        if price is None:
            return self.provider.settings.tier == "free"
        return not (price.input or price.output)


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A target or a combo as a member of a combo."""

    name: str
    of: Target | Combo
    weight: float = 1
    when: When | None = None
    when_text: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    enabled: bool = True
    priority: int = 0

    @property
    def leaves(self) -> tuple[Target, ...]:
        return self.of.leaves


@dataclass(slots=True, eq=False)
class Combo:
    """A fallback chain. `members` is filled once all combos are known, for combos may name each other."""

    name: str
    strategy: Strategy
    members: tuple[Member, ...] = ()
    fallback_on: frozenset[str] = frozenset()
    max_wait: float = 0
    enabled: bool = True
    description: str | None = None
    strategy_name: str = "fill-first"
    """As the configuration calls it."""

    @property
    def leaves(self) -> tuple[Target, ...]:
        """All targets that it leads to, through other combos, too: circles are found at load."""
        return tuple(dict.fromkeys(leaf for member in self.members for leaf in member.leaves))


Via = Literal["combo", "alias", "wildcard", "provider", "model", "default"]


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means. `via` tells by which rule of CONFIG 7."""

    of: Target | Combo
    via: Via


class Directory:
    """All names of one generation."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        combos: Mapping[str, Combo],
        aliases: Mapping[str, str],
        default: str | None,
    ) -> None:
        self.providers = dict(providers)
        self.combos = dict(combos)
        self.aliases = dict(aliases)
        self.default = default
        self._by_prefix = _prefixes(providers)
        self._wildcards = sorted(
            ((a, re.compile(_wildcard(a)), t) for a, t in aliases.items() if "*" in a),
            key=lambda row: -len(row[0]),
        )
        self._owners = _owners(providers)
        self._known: dict[str, Found] = {}
        """Names that were asked for, and what they mean."""

    def find(self, name: str) -> Found | None:
        """What `name` means, by the order of CONFIG 7, or None."""
        known = self._known.get(name)
        if known is not None:
            return known
        found = self._meant(name)
        if found is not None and len(self._known) < OPEN_MODELS_KEPT:
            self._known[name] = found
        return found

    def _meant(self, name: str) -> Found | None:
        found = self._find(name, depth=0)
        if found is None and name.endswith(LONG_CONTEXT):
            found = self._find(name.removesuffix(LONG_CONTEXT), depth=0)
        if found is None and self.default is not None and name != self.default:
            behind = self._find(self.default, depth=1)
            return Found(behind.of, "default") if behind is not None else None
        return found

    def _find(self, name: str, depth: int) -> Found | None:
        combo = self.combos.get(name)
        if combo is not None and combo.enabled:
            return Found(combo, "combo")
        behind, via = self._alias(name)
        if behind is not None and depth < 5:
            found = self._find(behind, depth + 1)
            return Found(found.of, via) if found is not None else None
        return self._target(name)

    def _alias(self, name: str) -> tuple[str | None, Via]:
        exact = self.aliases.get(name)
        if exact is not None and "*" not in name:
            return exact, "alias"
        for _, pattern, target in self._wildcards:
            match = pattern.fullmatch(name)
            if match is not None:
                return target.replace("*", match[1], 1), "wildcard"
        return None, "alias"

    def _target(self, name: str) -> Found | None:
        prefix, slash, model = name.partition("/")
        provider = self._by_prefix.get(prefix) if slash else None
        if provider is not None and model:
            target = provider.target(model)
            if target is not None:
                return Found(target, "provider")
        owners = [p for p in self._owners.get(name, ()) if p.settings.enabled]
        if len(owners) > 1:
            # Several list it: it is unambiguous as long as only one of them can serve it.
            owners = [p for p in owners if p.usable] or owners
        if len(owners) == 1:
            target = owners[0].target(name)
            return Found(target, "model") if target is not None else None
        return None

    def release(self) -> None:
        """Forget the targets that were made: each knows its provider, and together they would hold each other alive.

        What still asks makes them again.
        """
        self._known.clear()
        for provider in self.providers.values():
            provider._targets.clear()

    def near(self, name: str) -> list[str]:
        """Names that the client may have meant."""
        known = [card.id for card in self.cards()]
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        tail = name.rpartition("/")[2]
        close += [k for k in known if k.rpartition("/")[2] == tail and k not in close]
        return close[:3]

    def cards(self) -> list[ModelCard]:
        """What can be asked for: combos, aliases without wildcards, and the listed models of usable providers."""
        cards = [
            ModelCard(id=c.name, owner="omniroute", name=c.description or c.name)
            for c in self.combos.values()
            if c.enabled
        ]
        cards += [
            ModelCard(id=a, owner="omniroute") for a in self.aliases if "*" not in a and a not in self.combos
        ]
        for provider in self.providers.values():
            if provider.usable:
                cards += [_card(provider, name) for name in provider.listed()]
        return cards


def _int(count: int | None) -> int | None:
    """A plain number: it goes into JSON, which knows no `Count`."""
    return None if count is None else int(count)


def _card(provider: Provider, name: str) -> ModelCard:
    model = provider.settings.models[name]
    return ModelCard(
        id=f"{provider.name}/{name}",
        owner=provider.name,
        name=name,
        context=_int(model.context),
        max_output=_int(model.max_output),
        capabilities=None if model.capabilities is None else frozenset(model.capabilities),
    )


def _prefixes(providers: Mapping[str, Provider]) -> dict[str, Provider]:
    by_prefix: dict[str, Provider] = {}
    for provider in providers.values():
        for prefix in provider.settings.prefix:
            by_prefix.setdefault(prefix, provider)
    by_prefix.update(providers)
    return by_prefix


def _owners(providers: Mapping[str, Provider]) -> dict[str, list[Provider]]:
    owners: dict[str, list[Provider]] = {}
    for provider in providers.values():
        for name, model in provider.settings.models.items():
            for known in (name, *model.aliases):
                if known != "*" and provider not in owners.setdefault(known, []):
                    owners[known].append(provider)
    return owners


def _wildcard(alias: str) -> str:
    before, _, after = alias.partition("*")
    return f"{re.escape(before)}(.*){re.escape(after)}"
