"""What a change of the configuration means: models, keys, routes and limits that behave differently.

Both sides are compiled, and asked the same questions with the planner that serves: nothing is cooling, nothing is
spent, and chance is the same for both.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from omniroute.config.diff import differences, needs_restart, same
from omniroute.config.schema import written_quantity
from omniroute.config.secrets import Secret
from omniroute.config.settings import Key, Match, Settings, Spec
from omniroute.config.units import Count, Duration, Money, Size
from omniroute.engine.generation import Generation
from omniroute.engine.plans import dry_plan
from omniroute.pipeline.keys import Caller
from omniroute.routing.plan import Plan, Step
from omniroute.state.state import State

Sign = Literal["+", "-", "~"]

LIMITS = ("limits", "quota", "budget", "timeouts", "retry", "breaker")
"""What of a key, a provider or an account bounds what it may use."""

OTHER = "(any other name)"
"""What stands for names that nothing knows: they mean the default."""

MANY = 6
"""More models of one provider than this that come or go are told in one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """A thing that comes (`+`), goes (`-`) or behaves differently (`~`), and how."""

    sign: Sign
    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Consequences:
    """`changes` are names, as `config diff` tells them; the others are what they mean."""

    changes: list[str]
    restart: list[str]
    models: list[Change] = field(default_factory=list)
    keys: list[Change] = field(default_factory=list)
    routes: list[Change] = field(default_factory=list)
    limits: list[Change] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.changes or self.models or self.keys or self.routes or self.limits)


def consequences(old: Generation, new: Generation) -> Consequences:
    """What is different in `new`."""
    before, after = old.loaded.settings, new.loaded.settings
    plans = (_plans(old), _plans(new))
    return Consequences(
        changes=differences(before, after),
        restart=needs_restart(before, after),
        models=list(_models(*plans)),
        keys=list(_keys(old, new, plans)),
        routes=list(_routes(before, after)),
        limits=list(_limits(before, after)),
    )


def still() -> State:
    """A state in which nothing happened yet, and chance is always the same."""
    return State(clock=lambda: 0.0, dice=random.Random(0))


# ── models ───────────────────────────────────────────────────────────────────────────────────────


def names_of(generation: Generation) -> list[str]:
    """Every name that a client may ask for and that is written out."""
    directory = generation.directory
    names = [name for name, combo in directory.combos.items() if combo.enabled]
    names += [name for name in directory.aliases if "*" not in name]
    for provider in directory.providers.values():
        if provider.settings.enabled:
            names += [f"{provider.name}/{model}" for model in provider.listed()]
    return list(dict.fromkeys(names))


def _plans(generation: Generation) -> dict[str, Plan]:
    found = {name: dry_plan(generation, still(), name) for name in names_of(generation)}
    anything = dry_plan(generation, still(), "any-other-name")
    return {**{n: p for n, p in found.items() if p is not None}, **({OTHER: anything} if anything else {})}


def way(plan: Plan) -> str:
    """The targets of a plan in order; those that are out, with the reason."""
    return " → ".join(_named(step) for step in plan.steps) or "nothing"


def _named(step: Step) -> str:
    return step.target.name if step.verdict == "in" else f"{step.target.name} ({step.verdict}: {step.reason})"


def _models(old: Mapping[str, Plan], new: Mapping[str, Plan]) -> Iterator[Change]:
    yield from _come_or_go("-", old, new)
    for name, plan in new.items():
        if name in old:
            text = _differs(old[name], plan)
            if text:
                yield Change("~", name, text)
    yield from _come_or_go("+", new, old)


def _come_or_go(sign: Sign, here: Mapping[str, Plan], there: Mapping[str, Plan]) -> Iterator[Change]:
    """Names that only one side has; a whole provider's worth of them is one line."""
    alone = {name: plan for name, plan in here.items() if name not in there}
    groups: dict[str, list[str]] = {}
    for name in alone:
        groups.setdefault(name.partition("/")[0] if "/" in name else "", []).append(name)
    for provider, names in groups.items():
        if provider and len(names) > MANY:
            yield Change(sign, f"{provider}/*", f"{len(names)} models of provider {provider}")
        else:
            yield from (Change(sign, name, _alone(name, alone[name])) for name in names)


def _alone(name: str, plan: Plan) -> str:
    text = way(plan)
    return "" if text == name else text


def _differs(old: Plan, new: Plan) -> str:
    before, after = way(old), way(new)
    parts = [f"{before} ⇒ {after}"] if before != after else []
    if len(old.steps) == len(new.steps) == 1 and old.steps[0].target.name == new.steps[0].target.name:
        facts = (old.steps[0].target.facts, new.steps[0].target.facts)
        parts += [f"{path} {a} ⇒ {b}" for path, a, b in _different(_flat(facts[0]), _flat(facts[1]))]
    return "; ".join(parts)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def _keys(
    old: Generation, new: Generation, plans: tuple[Mapping[str, Plan], Mapping[str, Plan]]
) -> Iterator[Change]:
    before, after = old.loaded.settings.keys, new.loaded.settings.keys
    if old.keyring.required != new.keyring.required:
        told = "needed" if new.keyring.required else "not needed any more"
        yield Change("~", "(no key)", f"a key is {told}")
    for name in before:
        if name not in after:
            yield Change("-", name)
    for name, key in after.items():
        if name not in before:
            yield Change("+", name, _granted(new.keyring.named(name), plans[1], new.directory.default))
        else:
            text = "; ".join(_changed_key(name, before[name], key, old, new, plans))
            if text:
                yield Change("~", name, text)


def _granted(caller: Caller | None, plans: Mapping[str, Plan], default: str | None) -> str:
    usable = _usable(caller, plans, default)
    return f"may use {len(usable)} of {len(plans)} names"


def _changed_key(
    name: str,
    old_key: Key,
    new_key: Key,
    old: Generation,
    new: Generation,
    plans: tuple[Mapping[str, Plan], Mapping[str, Plan]],
) -> Iterator[str]:
    if not same((old_key.key, old_key.hash), (new_key.key, new_key.hash)):
        yield "another value"
    for field_name in ("enabled", "expires", "scopes", "ips", "endpoints"):
        a, b = getattr(old_key, field_name), getattr(new_key, field_name)
        if a != b:
            yield f"{field_name} {_text(a)} ⇒ {_text(b)}"
    before = _usable(old.keyring.named(name), plans[0], old.directory.default)
    after = _usable(new.keyring.named(name), plans[1], new.directory.default)
    both = plans[0].keys() & plans[1].keys()
    for word, names in (("loses", before - after), ("gains", after - before)):
        told = _few(sorted(names & both))
        if told:
            yield f"{word} {told}"


def _usable(caller: Caller | None, plans: Mapping[str, Plan], default: str | None) -> set[str]:
    """The names under which a caller reaches at least one target. Any other name counts as the default."""
    if caller is None:
        return set()
    return {n for n, plan in plans.items() if _reaches(caller, (default or "") if n == OTHER else n, plan)}


def _reaches(caller: Caller, asked: str, plan: Plan) -> bool:
    targets = (step.target for step in plan.steps if step.verdict != "out")
    return any(caller.may_use(asked, target.name, target.provider.name) for target in targets)


def _few(names: list[str]) -> str:
    return ", ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")


# ── routes and pipelines ─────────────────────────────────────────────────────────────────────────


def _routes(old: Settings, new: Settings) -> Iterator[Change]:
    before = [f"{_match(r.match)} → {r.pipeline}" for r in old.routes]
    after = [f"{_match(r.match)} → {r.pipeline}" for r in new.routes]
    yield from (Change("-", route) for route in before if route not in after)
    yield from (Change("+", route) for route in after if route not in before)
    if before != after and sorted(before) == sorted(after):
        yield Change("~", "routes", "another order")
    for name, pipeline in new.pipelines.items():
        earlier = old.pipelines.get(name)
        if earlier is None:
            yield Change("+", f"pipeline {name}", _stages(pipeline.stages))
        elif not same(earlier, pipeline):
            a, b = _stages(earlier.stages), _stages(pipeline.stages)
            yield Change(
                "~", f"pipeline {name}", f"{a} ⇒ {b}" if a != b else "options of its stages, or endpoints"
            )
    yield from (Change("-", f"pipeline {name}") for name in old.pipelines if name not in new.pipelines)


def _match(match: Match) -> str:
    given = {f: getattr(match, f) for f in ("method", "path", "model", "key")}
    parts = [f"{name} {value}" for name, value in given.items() if value is not None]
    parts += [f"{name}: {value}" for name, value in match.header.items()]
    return ", ".join(parts) or "everything"


def _stages(stages: Iterable[Spec]) -> str:
    return ", ".join(stage.name for stage in stages)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


def _limits(old: Settings, new: Settings) -> Iterator[Change]:
    both = _owners(old) & _owners(new)
    for path, a, b in _different(_bounds(old), _bounds(new)):
        if any(path.startswith(f"{owner}.") for owner in both):
            yield Change("~", path, f"{a} ⇒ {b}")


def _owners(settings: Settings) -> set[str]:
    """The paths of all that has bounds: what comes or goes as a whole is told elsewhere."""
    found = (
        {"server"}
        | {f"keys.{name}" for name in settings.keys}
        | {f"combos.{name}" for name in settings.combos}
    )
    for name, provider in settings.providers.items():
        found |= {
            f"providers.{name}",
            *(f"providers.{name}.accounts.{account}" for account in provider.accounts),
        }
    return found


def _bounds(settings: Settings) -> dict[str, str]:
    """Every bound of the server, keys, providers, accounts and combos by its path."""
    found = _flat(settings.server.limits, "server.limits")
    for name, key in settings.keys.items():
        found |= _parts(key, f"keys.{name}")
    for name, provider in settings.providers.items():
        found |= _parts(provider, f"providers.{name}")
        for account, about in provider.accounts.items():
            found |= _parts(about, f"providers.{name}.accounts.{account}")
    for name, combo in settings.combos.items():
        found[f"combos.{name}.max_wait"] = _text(combo.max_wait)
    return found


def _parts(thing: Any, path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in LIMITS:
        if hasattr(thing, part):
            found |= _flat(getattr(thing, part), f"{path}.{part}")
    return found


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Leaves by dotted path, as people write them; what is not set is not there."""
    if value is None:
        return {}
    if isinstance(value, msgspec.Struct):
        fields = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        parts = ((key, getattr(value, name)) for name, key in fields)
        return {k: v for name, part in parts for k, v in _flat(part, f"{path}.{name}".lstrip(".")).items()}
    if isinstance(value, tuple | list) and any(isinstance(item, msgspec.Struct) for item in value):
        return {k: v for i, item in enumerate(value) for k, v in _flat(item, f"{path}[{i}]").items()}
    return {path: _text(value)}


def _different(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Paths whose values differ."""
    for path in dict.fromkeys([*old, *new]):
        a, b = old.get(path, "none"), new.get(path, "none")
        if a != b:
            yield path, a, b


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, Duration | Size | Count | Money):
        return str(written_quantity(value))
    if isinstance(value, tuple | list | frozenset):
        return ", ".join(_text(item) for item in value) or "all"
    return str(value).lower() if isinstance(value, bool) else str(value)
