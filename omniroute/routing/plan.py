"""The pure planner: from a name and the facts of a request to an ordered plan with a reason per target. No I/O.

Serving, `omniroute explain` and config tests call this same function.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from omniroute.routing.directory import Combo, Directory, Found, Member, Provider, Target
from omniroute.routing.facts import Facts
from omniroute.routing.standing import Cause, hindrance
from omniroute.routing.strategy import Turn
from omniroute.state.state import State

Verdict = Literal["in", "out", "later"]

DEEPEST = 5
"""Combos in combos in combos: this many levels are followed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One target of a plan. `ready_at` (epoch seconds) is when a `later` target becomes usable.

    `path` are the combos and members that led here, for strategies to count what was taken. `cause` is why it is
    not in: by decision of the operator (switched off, not for this caller), or by what happened.
    """

    target: Target
    verdict: Verdict
    reason: str
    ready_at: float | None = None
    member: Member | None = None
    path: tuple[tuple[Combo, Member], ...] = ()
    cause: Literal["disabled", "forbidden"] | Cause | None = None


@dataclass(slots=True)
class Plan:
    """What to try for a request, in order. `steps` holds those that are out, too, with the reason."""

    asked: str
    found: Found
    steps: list[Step] = field(default_factory=list)

    @property
    def usable(self) -> list[Step]:
        return [step for step in self.steps if step.verdict == "in"]

    @property
    def ready_at(self) -> float | None:
        """When the first of the resting targets is back (epoch seconds)."""
        times = [s.ready_at for s in self.steps if s.ready_at is not None]
        return min(times) if times else None

    @property
    def combo(self) -> Combo | None:
        return self.found.of if isinstance(self.found.of, Combo) else None


def plan(directory: Directory, facts: Facts, state: State, *, now: float, dice: random.Random) -> Plan | None:
    """The plan for the model that `facts` name, or None when nothing has that name."""
    found = directory.find(facts.model)
    if found is None:
        return None
    # A name that nothing knows counts as the default that it stands for: else a glob of a key's list would open it.
    asked = directory.default or "" if found.via == "default" else facts.model
    planner = _Planner(facts, asked, state, now, dice)
    steps = planner.combo(found.of, ()) if isinstance(found.of, Combo) else iter((planner.judge(found.of),))
    return Plan(facts.model, found, _unique(steps))


def account_turn(provider: Provider, facts: Facts, state: State, now: float, dice: random.Random) -> Turn:
    """The turn in which the accounts of a provider are ordered."""
    return Turn(f"accounts/{provider.name}", facts, state.rotation, dice, now)


def combo_turn(combo: Combo, facts: Facts, state: State, now: float, dice: random.Random) -> Turn:
    """The turn in which the members of a combo are ordered."""
    return Turn(f"combo/{combo.name}", facts, state.rotation, dice, now)


@dataclass(slots=True)
class _Planner:
    facts: Facts
    asked: str
    state: State
    now: float
    dice: random.Random

    def combo(self, combo: Combo, path: tuple[tuple[Combo, Member], ...]) -> Iterator[Step]:
        if len(path) >= DEEPEST:
            return
        turn = combo_turn(combo, self.facts, self.state, self.now, self.dice)
        for member in combo.strategy.order(combo.members, turn):
            here = (*path, (combo, member))
            why = self._left_out(member)
            for step in self._of(member, here):
                step = replace(step, member=step.member or member, path=step.path or here)
                yield replace(step, verdict="out", reason=why, ready_at=None) if why else step

    def _of(self, member: Member, path: tuple[tuple[Combo, Member], ...]) -> Iterator[Step]:
        if isinstance(member.of, Combo):
            if not member.of.enabled:
                return iter(())
            return self.combo(member.of, path)
        return iter((self.judge(member.of),))

    def _left_out(self, member: Member) -> str | None:
        if not member.enabled:
            return "disabled in the combo"
        if member.when is None:
            return None
        try:
            return None if member.when(self.facts.names()) else f"its `when` is false: {member.when_text}"
        except ValueError as error:
            # What the client sent is not what the condition is about.
            return f"its `when` cannot be decided: {member.when_text}: {error}"

    def judge(self, target: Target) -> Step:
        """Whether a target can be used now."""
        provider = target.provider
        if not provider.settings.enabled:
            return Step(target, "out", f"provider {provider.name} is disabled", cause="disabled")
        if not target.facts.enabled:
            return Step(target, "out", "the model is disabled", cause="disabled")
        caller = self.facts.caller
        if caller is not None and not caller.may_use(self.asked, target.name, provider.name):
            return Step(target, "out", f"key {caller.name} may not use it", cause="forbidden")
        if any(barred(provider.name, target.name) for barred in self.facts.barred):
            return Step(target, "out", "a filter keeps it out", cause="forbidden")
        if not any(a.inactive is None for a in provider.accounts):
            return Step(target, "out", _why_inactive(provider))
        if caller is not None and caller.thrifty(self.now) and not target.free:
            return Step(target, "out", f"the soft budget of key {caller.name} is spent", cause="budget")
        hindered = hindrance(target, self.state, self.now, self.facts.tokens)
        if hindered is not None:
            later = hindered.ready_at is not None
            return Step(
                target, "later" if later else "out", hindered.reason, hindered.ready_at, cause=hindered.cause
            )
        return Step(target, "in", "usable")


def _why_inactive(provider: Provider) -> str:
    if not provider.accounts:
        return f"provider {provider.name} has no account"
    reasons = sorted({a.inactive for a in provider.accounts if a.inactive})
    return f"no account of {provider.name} is active: {', '.join(reasons)}"


def _unique(steps: Iterator[Step]) -> list[Step]:
    seen: dict[str, Step] = {}
    for step in steps:
        known = seen.get(step.target.name)
        if known is None or (known.verdict == "out" and step.verdict != "out"):
            seen.pop(step.target.name, None)
            seen[step.target.name] = step
    return list(seen.values())
