"""Names become objects, wired together. Nothing half-built escapes: a generation is whole, or there is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from omniroute.config.convert import options_of
from omniroute.config.load import Loaded
from omniroute.config.settings import Account as AccountSettings
from omniroute.config.settings import Combo as ComboSettings
from omniroute.config.settings import ComboTarget, ProviderAuth, Route, Settings, Spec
from omniroute.config.settings import Provider as ProviderSettings
from omniroute.declare import Kind
from omniroute.engine.allowances import Allowances, rules_of
from omniroute.engine.generation import Generation, PipelineRule
from omniroute.errors import ConfigError, Finding
from omniroute.pipeline.compile import Pipeline, Step, compile_pipeline
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.keys import Keyring
from omniroute.pipeline.parts import Edit, Gate, Handler, Part
from omniroute.pipeline.patterns import any_of
from omniroute.pipeline.record import Record
from omniroute.pipeline.site import Site
from omniroute.registry import Registry
from omniroute.routing.directory import (
    Account,
    Combo,
    Directory,
    Member,
    OutboundProxy,
    Provider,
    Target,
    Upstream,
)
from omniroute.routing.strategy import Ordering, Strategy
from omniroute.state.state import State
from omniroute.transforms.compile import compile_transform
from omniroute.transforms.expressions import condition
from omniroute.upstream.authorization import Credential
from omniroute.upstream.headers import merged
from omniroute.upstream.layers import Layers
from omniroute.upstream.send import Sender
from omniroute.upstream.transport import Transport
from omniroute.wire.codec import Wire

DIRECT = OutboundProxy("direct", None)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a build needs beside the settings: all of it outlives the generation."""

    registry: Registry
    state: State
    transport: Callable[[str], Transport]
    write_record: Callable[[Record], None]
    layers: Layers = field(default_factory=Layers)


def build(loaded: Loaded, number: int, workshop: Workshop) -> Generation:
    """The generation of these settings. Raises `ConfigError` for what only building can find."""
    settings = loaded.settings
    parts = _Builder(settings, workshop, loaded.folder)
    directory = parts.directory()
    keyring = Keyring(settings.keys, settings.auth.required, parts.allowances.caller)
    site = Site(
        settings=settings,
        directory=directory,
        keyring=keyring,
        state=workshop.state,
        edit=parts.edit,
        wire=parts.wire,
        write_record=workshop.write_record,
    )
    sender = Sender(parts.transports(), workshop.state.clock)
    pipelines = {name: parts.pipeline(name, site, sender.send) for name in settings.pipelines}
    return Generation(
        number=number,
        digest=loaded.digest,
        loaded=loaded,
        directory=directory,
        keyring=keyring,
        pipelines=pipelines,
        families=_families(settings, pipelines),
        rules=tuple(_rule(route, pipelines) for route in settings.routes),
    )


class _Builder:
    def __init__(self, settings: Settings, workshop: Workshop, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._workshop = workshop
        self._registry = workshop.registry
        self.allowances = Allowances(settings, workshop.state)
        self.edit: Callable[[str], Edit] = cache(partial(_edit, settings, workshop.registry))
        self._wires: dict[str, Wire] = {}
        self._proxies = {
            name: OutboundProxy(name, None if p.url.reveal() == "direct" else p.url, p.no_proxy)
            for name, p in settings.proxies.items()
        }

    def _component(self, kind: Kind, spec: Spec) -> Any:
        declaration = self._registry.find(kind, spec.kind)
        if declaration is None:
            raise _unknown(kind, spec.kind, spec.place)
        return options_of(declaration, spec)

    def wire(self, name: str) -> Wire:
        """One instance a wire and generation, so that "the same wire" is "the same object"."""
        found = self._wires.get(name)
        if found is None:
            declaration = self._registry.find("wire", name)
            if declaration is None:
                raise _unknown("wire", name, "")
            found = self._wires[name] = wire_of(declaration.cls)
        return found

    def transports(self) -> Mapping[str, Transport]:
        """By provider: the one of its kind, which many share, under what the provider puts around it."""
        layers, transport = self._workshop.layers, self._workshop.transport
        return {
            name: layers.around(name, p, transport(p.transport), self._folder)
            for name, p in self._settings.providers.items()
        }

    # ── providers ────────────────────────────────────────────────────────────────────────────────

    def directory(self) -> Directory:
        settings = self._settings
        providers = {name: self._provider(name, p) for name, p in settings.providers.items()}
        combos = {name: self._combo(name, c) for name, c in settings.combos.items()}
        names = Directory(providers, combos, settings.models, settings.default)
        for name, combo in combos.items():
            combo.members = tuple(
                member
                for t in settings.combos[name].targets
                if (member := self._member(t, names)) is not None
            )
        return names

    def _provider(self, name: str, settings: ProviderSettings) -> Provider:
        return Provider(
            name=name,
            settings=settings,
            upstreams={
                wire: Upstream(self.wire(wire), e.base_url.rstrip("/"), merged(settings.headers, e.headers))
                for wire, e in settings.formats.items()
            },
            accounts=tuple(self._accounts(name, settings)),
            strategy=self._strategy(settings.strategy),
            edits=tuple(self.edit(t) for t in settings.transforms),
            breaker=rules_of(settings.breaker),
            limit=self.allowances.limit(f"provider/{name}", settings.limits),
            model_limit=self.allowances.model_limit(name),
            allowances=self.allowances.of_provider(name, settings),
        )

    def _accounts(self, provider: str, settings: ProviderSettings) -> list[Account]:
        accounts = dict(settings.accounts)
        if not accounts and settings.auth.type == "none":
            accounts = {"default": AccountSettings()}
        credentials = {
            wire: self._credential(endpoint.auth or settings.auth)
            for wire, endpoint in settings.formats.items()
        }
        return [self._account(n, a, provider, settings, credentials) for n, a in accounts.items()]

    def _account(
        self,
        name: str,
        account: AccountSettings,
        provider: str,
        settings: ProviderSettings,
        credentials: Mapping[str, Credential],
    ) -> Account:
        proxy = self._proxy(account.proxy or settings.proxy or self._settings.proxy)
        try:
            granted = {wire: c.authorize(account) for wire, c in credentials.items()}
        except ValueError as error:
            raise _wrong("OR1900", f"account {provider}/{name}: {error}") from error
        missing = [a.missing for a in granted.values()]
        return Account(
            name=name,
            provider=provider,
            granted=granted,
            secrets=tuple(s for s in (account.key, account.session_token) if s),
            proxy=proxy,
            identity=_identity(settings, account, proxy),
            weight=account.weight,
            priority=account.priority,
            tier=settings.tier,
            inactive="it is disabled" if not account.enabled else _lacking(missing),
            limit=self.allowances.limit(f"account/{provider}/{name}", account.limits),
            allowances=self.allowances.of_account(f"{provider}/{name}", account, settings),
        )

    def _proxy(self, name: str | None) -> OutboundProxy | None:
        if name is None:
            return None
        return DIRECT if name == "direct" else self._proxies[name]

    def _credential(self, auth: ProviderAuth) -> Credential:
        declaration = self._registry.find("credential", auth.type)
        if declaration is None:
            raise _unknown("credential", auth.type, "")
        known = _keys_of(declaration.cls)
        given = {k: v for k, v in msgspec.structs.asdict(auth).items() if k in known and v not in (None, "")}
        credential: Credential = declaration.cls(**given)
        return credential

    def _strategy(self, spec: Spec) -> Strategy:
        ordering: Ordering = self._component("strategy", spec)
        return ordering.build(self._strategy)

    # ── combos ───────────────────────────────────────────────────────────────────────────────────

    def _combo(self, name: str, settings: ComboSettings) -> Combo:
        return Combo(
            name=name,
            strategy=self._strategy(settings.strategy),
            strategy_name=settings.strategy.name,
            fallback_on=frozenset(settings.fallback_on),
            max_wait=settings.max_wait,
            enabled=settings.enabled,
            description=settings.description,
        )

    def _member(self, target: ComboTarget, names: Directory) -> Member | None:
        of: Target | Combo | None = names.combos.get(target.model)
        if of is None:
            found = names.find(target.model)
            of = found.of if found is not None and found.via != "default" else None
        if of is None:
            # Known to the check as a warning (a disabled provider's model): it is out of every plan.
            return None
        return Member(
            name=of.name,
            of=of,
            weight=target.weight,
            when=condition(target.when) if target.when is not None else None,
            when_text=target.when or "",
            params=target.params,
            timeout=target.timeout,
            enabled=target.enabled,
        )

    # ── pipelines ────────────────────────────────────────────────────────────────────────────────

    def pipeline(self, name: str, site: Site, send: Handler) -> Pipeline:
        steps: list[Step] = []
        checked = False
        for spec in self._settings.pipelines[name].stages:
            part = self._part(spec, site)
            declaration = self._registry.find("stage", spec.kind)
            steps.append(Step(spec.name, spec.kind, part, spec.place))
            if not checked and declaration is not None and "caller" in declaration.gives:
                checked = True
                steps.append(_BODY)
        if not checked:
            steps.insert(0, _BODY)
        return compile_pipeline(name, steps, send)

    def _part(self, spec: Spec, site: Site) -> Part:
        try:
            part: Part = self._component("stage", spec).build(site)
        except ValueError as error:
            raise _wrong("OR1900", f"stage {spec.name}: {error}", spec.place) from error
        except KeyError as error:
            raise _wrong("OR1900", f"stage {spec.name}: there is no {error}", spec.place) from error
        return part


def _edit(settings: Settings, registry: Registry, name: str) -> Edit:
    """A transform, compiled. A function of no object, so that nothing of a generation holds itself alive."""
    spec = settings.transforms.get(name)
    if spec is None:
        raise _unknown("transform_op", name, "")
    try:
        return compile_transform(name, spec, registry)
    except ValueError as error:
        raise ConfigError([Finding(code="OR1900", message=f"transform {name}: {error}")]) from error


def _keys_of(cls: type[msgspec.Struct]) -> frozenset[str]:
    """The keys of a component's options."""
    return frozenset(cls.__struct_encode_fields__)


@cache
def wire_of(cls: type[Wire]) -> Wire:
    """The one instance of a wire: it has no state, so that all generations and gateways share it."""
    return cls()


def _well_formed(exchange: Exchange) -> Reply | None:
    return refusal(exchange.malformed) if exchange.malformed is not None else None


_BODY = Step("body", "body", Gate(_well_formed))
"""Built in, right after `auth`: who is not known is not told what is wrong with the body."""


def _identity(settings: ProviderSettings, account: AccountSettings, proxy: OutboundProxy | None) -> str:
    """What makes an account the same thing: where it calls, with what, through what."""
    text = [f"{wire}={e.base_url}" for wire, e in sorted(settings.formats.items())]
    text.append(account.key.fingerprint() if account.key else "")
    text.append(proxy.url.fingerprint() if proxy is not None and proxy.url else "")
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def _families(settings: Settings, pipelines: Mapping[str, Pipeline]) -> dict[str, Pipeline]:
    """Endpoint family → the pipeline that serves it: the one of that name, else the first that lists it."""
    families: dict[str, Pipeline] = {}
    for name, spec in settings.pipelines.items():
        for family in spec.endpoints:
            if family not in families or name == family:
                families[family] = pipelines[name]
    for name, pipeline in pipelines.items():
        families.setdefault(name, pipeline)
    return families


def _rule(route: Route, pipelines: Mapping[str, Pipeline]) -> PipelineRule:
    match = route.match
    return PipelineRule(
        pipeline=pipelines[route.pipeline],
        path=any_of([match.path]) if match.path is not None else None,
        method=match.method.upper() if match.method is not None else None,
        model=any_of([match.model]) if match.model is not None else None,
        key=any_of([match.key]) if match.key is not None else None,
        headers=tuple((name.lower(), any_of([value])) for name, value in match.header.items()),
    )


def _lacking(missing: Sequence[str | None]) -> str | None:
    """What an account lacks that can be used in none of the provider's formats."""
    return missing[0] if missing and all(missing) else None


def _unknown(kind: str, name: str, place: str) -> ConfigError:
    return _wrong("OR1901", f"there is no {kind.replace('_', ' ')} {name!r}", place)


def _wrong(code: str, message: str, place: str = "") -> ConfigError:
    """What only building can find."""
    file, _, line = place.rpartition(":")
    return ConfigError(
        [Finding(code=code, message=message, file=file, line=int(line) if line.isdigit() else 0)]
    )
