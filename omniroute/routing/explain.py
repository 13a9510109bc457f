"""A plan in words and as data: what is in, what is out, what comes later, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omniroute.routing.plan import Plan, Step

VIA = {
    "combo": "a combo",
    "alias": "an alias",
    "wildcard": "a wildcard alias",
    "provider": "a model of a provider",
    "model": "a model that one provider lists",
    "default": "unknown, so the default",
}


Place = Callable[[Step], str]
"""Where the configuration wrote a step: `file:line:column`, or an empty text."""


def nowhere(step: Step) -> str:
    """For a client, who need not know how the gateway's files are called."""
    return ""


def config_path(step: Step) -> str:
    """The dotted path in the configuration that put a target into the plan."""
    if not step.path:
        return f"providers.{step.target.provider.name}"
    combo, member = step.path[-1]
    return f"combos.{combo.name}.targets[{combo.members.index(member)}]"


def explanation(plan: Plan, now: float, place: Place = nowhere) -> dict[str, Any]:
    """The plan as JSON. Times are seconds from `now`."""
    combo = plan.combo
    return {
        "object": "omniroute.plan",
        "model": plan.asked,
        "is": VIA[plan.found.via],
        "resolved": plan.found.of.name,
        "strategy": combo.strategy_name if combo is not None else None,
        "targets": [_step(step, now, place(step)) for step in plan.steps],
    }


def _step(step: Step, now: float, place: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "target": step.target.name,
        "verdict": step.verdict,
        "reason": step.reason,
        "formats": list(step.target.upstreams),
        "via": [combo.name for combo, _ in step.path],
        "tier": step.target.tier,
    }
    if step.why:
        told["why"] = list(step.why)
    if place:
        told["place"] = place
    if step.ready_at is not None:
        told["ready_in"] = round(max(0.0, step.ready_at - now), 1)
    return told


def explanation_text(plan: Plan, now: float, place: Place = nowhere) -> str:
    """The plan for a terminal, one line a target."""
    head = f"{plan.asked} is {VIA[plan.found.via]}"
    head += f": {plan.found.of.name}" if plan.found.of.name != plan.asked else ""
    head += f", {plan.combo.strategy_name}" if plan.combo is not None else ""
    rows = [_row(number, step, now, place(step)) for number, step in enumerate(plan.steps, 1)]
    return "\n".join([head, *rows]) if rows else f"{head}\n  (no targets)"


def _row(number: int, step: Step, now: float, place: str) -> str:
    wait = f", ready in {max(0.0, step.ready_at - now):.0f} s" if step.ready_at is not None else ""
    where = f"  ({place})" if place else ""
    why = f" [{'; '.join(step.why)}]" if step.why else ""
    return f"  {number}. {step.verdict:<5} {step.target.name:<40} {step.reason}{wait}{why}{where}"
