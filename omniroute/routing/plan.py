"""The pure planner: from a name and the facts of a request to an ordered plan with a reason per target. No I/O.

Serving, `omniroute explain` and config tests call this same function.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal, cast

import msgspec

from omniroute.routing.directory import Account, Combo, Directory, Found, Member, Provider, Target
from omniroute.routing.facts import Facts
from omniroute.routing.needs import CANNOT, WISHES
from omniroute.routing.standing import Cause, account_hindrance, hindrance
from omniroute.routing.strategy import Candidate, Turn, Usable
from omniroute.state.state import State

Verdict = Literal["in", "out", "later"]
OutBecause = Literal["disabled", "forbidden", "incapable", "too_small", "unsupported"] | Cause

DEEPEST = 5
"""Combos in combos in combos: this many levels are followed."""

ROOM = 1.2
"""An estimate of a prompt may be too high by so much before a target counts as too small for it: the target itself
knows better."""

_NOTHING: frozenset[str] = frozenset()


class Step(msgspec.Struct, eq=False):
    """One target of a plan. `ready_at` (epoch seconds) is when a `later` target becomes usable.

    `path` are the combos and members that led here, for strategies to count what was taken. `cause` says in a word
    what keeps it out: the operator (switched off, not for this caller), the request, or the state of things. `lacking`
    are capabilities that the request needs or wishes for. `why` holds the figures of the strategies that placed it,
    where somebody asked for an explanation.
    """

    target: Target
    verdict: Verdict
    reason: str
    ready_at: float | None = None
    member: Member | None = None
    path: tuple[tuple[Combo, Member], ...] = ()
    cause: OutBecause | None = None
    lacking: frozenset[str] = frozenset()
    why: tuple[str, ...] = ()


class Plan(msgspec.Struct, eq=False):
    """What to try for a request, in order. `steps` holds those that are out, too, with the reason."""

    asked: str
    found: Found
    steps: list[Step] = []

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


def plan(
    directory: Directory,
    facts: Facts,
    state: State,
    *,
    now: float,
    dice: random.Random,
    explain: bool = False,
) -> Plan | None:
    """The plan for the model that `facts` name, or None when nothing has that name. With `explain` each step tells
    what gave it its place."""
    found = directory.find(facts.model)
    if found is None:
        return None
    # A name that nothing knows counts as the default that it stands for: else a glob of a key's list would open it.
    asked = directory.default or "" if found.via == "default" else facts.model
    planner = _Planner(facts, asked, state, now, dice, explain)
    if not isinstance(found.of, Combo):
        return Plan(facts.model, found, [planner.judge(found.of)])
    return Plan(facts.model, found, _wishes_last(_unique(planner.combo(found.of, ()))))


def account_turn(
    provider: Provider, facts: Facts, state: State, now: float, dice: random.Random, model: str
) -> Turn:
    """The turn in which the accounts of a provider are ordered, for a request of that model."""

    def usable(candidate: Candidate) -> Sequence[Account]:
        account = cast("Account", candidate)  # those of this turn are
        if account.inactive is not None or account_hindrance(account, model, state, now, facts) is not None:
            return ()
        return (account,)

    return Turn(
        f"accounts/{provider.name}", facts, state.rotation, state.health, state.ledger, dice, now, usable
    )


def combo_turn(
    combo: Combo,
    facts: Facts,
    state: State,
    now: float,
    dice: random.Random,
    usable: Usable | None = None,
) -> Turn:
    """The turn in which the members of a combo are ordered."""
    return Turn(f"combo/{combo.name}", facts, state.rotation, state.health, state.ledger, dice, now, usable)


class _Planner(msgspec.Struct, eq=False):
    facts: Facts
    asked: str
    state: State
    now: float
    dice: random.Random
    explain: bool

    def combo(self, combo: Combo, path: tuple[tuple[Combo, Member], ...]) -> list[Step]:
        """What each member leads to, then in the order of the strategy, which may look at who is usable."""
        if len(path) >= DEEPEST:
            return []
        members = combo.members
        found = {id(member): self._of(member, (*path, (combo, member))) for member in members}

        def usable(candidate: Candidate) -> Sequence[Target]:
            return [step.target for step in found[id(candidate)] if step.verdict == "in"]

        turn = combo_turn(combo, self.facts, self.state, self.now, self.dice, usable)
        ordered = combo.strategy.order(members, turn)
        if self.explain:
            for member in ordered:
                _add_why(found[id(member)], combo, combo.strategy.why(member, turn))
        return [step for member in ordered for step in found[id(member)]]

    def _of(self, member: Member, path: tuple[tuple[Combo, Member], ...]) -> list[Step]:
        why = self._left_out(member)
        if isinstance(member.of, Combo):
            steps = self.combo(member.of, path)
        else:
            step = self.judge(member.of, choice=True)
            step.member = member
            step.path = path
            steps = [step]
        if why is not None:
            for step in steps:
                step.verdict, step.reason, step.ready_at = "out", why, None
                step.cause = step.cause if step.cause == "forbidden" else _cause(member)
        return steps

    def _left_out(self, member: Member) -> str | None:
        if not member.enabled:
            return "disabled in the combo"
        if isinstance(member.of, Combo) and not member.of.enabled:
            return f"combo {member.of.name} is disabled"
        if member.when is None:
            return None
        try:
            return None if member.when(self.facts.names()) else f"its `when` is false: {member.when_text}"
        except ValueError as error:
            # What the client sent is not what the condition is about.
            return f"its `when` cannot be decided: {member.when_text}: {error}"

    def judge(self, target: Target, *, choice: bool = False) -> Step:
        """Whether a target can be used now, and for this request; `choice`: there may be others to choose from."""
        provider = target.provider
        if not provider.settings.enabled:
            return Step(target, "out", f"provider {provider.name} is disabled", cause="disabled")
        if not target.facts.enabled:
            return Step(target, "out", "the model is disabled", cause="disabled")
        caller = self.facts.caller
        if (
            caller is not None
            and not caller.unbound
            and not caller.may_use(self.asked, target.name, provider.name)
        ):
            return Step(target, "out", f"key {caller.name} may not use it", cause="forbidden")
        barred = self.facts.barred
        if barred and any(bar(provider.name, target.name) for bar in barred):
            return Step(target, "out", "a filter keeps it out", cause="forbidden")
        if self.facts.operation == "embed":
            if choice and target.embedder(self.facts.wire) is None:
                return Step(target, "out", "it has no embeddings", cause="unsupported")
            choice = False
        lacking = self.facts.needs(target.lacking) if choice and target.lacking else _NOTHING
        if lacking or target.facts.context is not None:
            unfit = self._unfit(target, lacking)
            if unfit is not None:
                return unfit
        if not provider.active:
            return Step(target, "out", _why_inactive(provider))
        if caller is not None and caller.budget is not None and caller.thrifty(self.now) and not target.free:
            return Step(target, "out", f"the soft budget of key {caller.name} is spent", cause="budget")
        hindered = hindrance(target, self.state, self.now, self.facts)
        if hindered is not None:
            later = hindered.ready_at is not None
            return Step(
                target, "later" if later else "out", hindered.reason, hindered.ready_at, cause=hindered.cause
            )
        return Step(target, "in", "usable", lacking=lacking)

    def _unfit(self, target: Target, lacking: frozenset[str]) -> Step | None:
        """Why a target cannot serve what is asked. What is lacking is only looked at where there is a choice: the
        provider of a model that somebody names says it in its own words."""
        facts, context = self.facts, target.facts.context
        if facts.operation != "chat":
            return None
        needed = lacking - WISHES if lacking else lacking
        if needed:
            reason = f"it cannot {_words(needed)}"
            return Step(target, "out", reason, cause="incapable", lacking=needed)
        if context is not None and facts.tokens > context and facts.prompt() > context * ROOM:
            reason = f"its context of {context:,} tokens is too small for about {facts.prompt():,}"
            return Step(target, "out", reason, cause="too_small")
        return None


def _words(lacking: frozenset[str]) -> str:
    return " or ".join(CANNOT[capability] for capability in sorted(lacking))


def _cause(member: Member) -> OutBecause | None:
    off = not member.enabled or (isinstance(member.of, Combo) and not member.of.enabled)
    return "disabled" if off else None


def _add_why(steps: Iterable[Step], combo: Combo, why: str) -> None:
    if why:
        for step in steps:
            step.why = (f"{combo.name}: {why}", *step.why)


def _why_inactive(provider: Provider) -> str:
    if not provider.accounts:
        return f"provider {provider.name} has no account"
    reasons = sorted({a.inactive for a in provider.accounts if a.inactive})
    return f"no account of {provider.name} is active: {', '.join(reasons)}"


def _unique(steps: list[Step]) -> list[Step]:
    """Each target once, at the first place where it is not out."""
    seen: dict[str, Step] = {}
    for step in steps:
        known = seen.get(step.target.name)
        if known is None or (known.verdict == "out" and step.verdict != "out"):
            seen.pop(step.target.name, None)
            seen[step.target.name] = step
    return list(seen.values())


def _wishes_last(steps: list[Step]) -> list[Step]:
    """Who lacks what is only wished for goes after those who have it."""
    lacking = [step for step in steps if step.lacking and step.verdict == "in"]
    if not lacking or not any(step.verdict == "in" and not step.lacking for step in steps):
        return steps
    for step in lacking:
        step.reason = f"usable, after the others: it cannot {_words(step.lacking)}"
    return [step for step in steps if step not in lacking] + lacking
