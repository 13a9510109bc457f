"""What a model name means (CONFIG 7), and why it means nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from omniroute.config.codes import Code
from omniroute.config.report import did_you_mean, one_of
from omniroute.config.view import Provider, View


@dataclass(frozen=True, slots=True)
class Meant:
    """A combo, an alias, or a model of a provider. `via` is the alias's own name or pattern."""

    kind: Literal["combo", "alias", "model"]
    name: str
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that means nothing, and why."""

    message: str
    hint: str | None = None
    code: Code = Code.UNKNOWN_MODEL


def resolve(name: str, view: View) -> Meant | Unknown:
    """The first meaning of a name: a combo, an alias, `provider/model`, or a model that one provider lists."""
    if name in view.section("combos"):
        return Meant("combo", name)
    alias = alias_of(name, view)
    if alias is not None:
        return Meant("alias", alias)
    return _model(name, view)


def alias_of(name: str, view: View) -> str | None:
    """The alias that a name is, or the longest pattern that it fits."""
    aliases = view.section("models")
    if name in aliases and "*" not in name:
        return name
    fitting = [a for a in aliases if "*" in a and re.fullmatch(re.escape(a).replace(r"\*", ".*"), name)]
    return max(fitting, key=len, default=None)


def _model(name: str, view: View) -> Meant | Unknown:
    prefix, slash, model = name.partition("/")
    id = view.prefixes.get(prefix) if slash else None
    provider = view.providers.get(id) if id is not None else None
    if provider is not None and model and (provider.open or model in provider.models):
        return Meant("model", provider.models.get(model, model), provider.name)
    owners = [p for p in view.providers.values() if name in p.models and p.enabled]
    if len(owners) > 1:
        owners = [p for p in owners if p.usable] or owners
    if len(owners) == 1:
        return Meant("model", owners[0].models[name], owners[0].name)
    if owners:
        return _ambiguous(name, owners)
    if provider is not None:
        return _not_listed(name, model, provider)
    return _no_provider(name, prefix, view) if slash else _nothing(name, view)


def _ambiguous(name: str, owners: list[Provider]) -> Unknown:
    listed = " and ".join(p.name for p in owners)
    return Unknown(
        f"{name!r} is listed by {listed}", f"write '{owners[0].name}/{name}'", Code.AMBIGUOUS_MODEL
    )


def _not_listed(name: str, model: str, provider: Provider) -> Unknown:
    has = one_of(sorted(set(provider.models.values())))
    near = did_you_mean(model, provider.models)
    return Unknown(f"unknown model {name!r}: provider {provider.name!r} has {has}", near)


def _no_provider(name: str, prefix: str, view: View) -> Unknown:
    message = f"unknown model {name!r}: there is no provider {prefix!r}"
    if prefix in view.catalogue:
        return Unknown(message, f"the catalogue knows it: add {prefix!r} to `providers`")
    return Unknown(message, did_you_mean(prefix, view.prefixes))


def _nothing(name: str, view: View) -> Unknown:
    known = [*view.section("combos"), *view.section("models")]
    known += [m for p in view.providers.values() for m in p.models]
    return Unknown(f"unknown model {name!r}: no combo, alias or provider has it", did_you_mean(name, known))
