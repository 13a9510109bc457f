"""What a plan stands for, whatever the state of the world: who may answer a request, and how they are set up.

Two requests that say the same get the same answer only if this is the same, too. Cooldowns, turns and chance are no
part of it; a changed alias, a model's transforms, or what the caller may use is.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from omniroute.config.settings import Settings
from omniroute.routing.directory import Target
from omniroute.routing.plan import Plan

_NOT_FOR_THE_ANSWER = frozenset(
    {
        "accounts",
        "breaker",
        "budget",
        "limits",
        "models",
        "outcomes",
        "prefix",
        "proxy",
        "quota",
        "retry",
        "strategy",
        "tier",
        "timeouts",
    }
)
"""Settings of a provider that decide when, by whom and how long it is called, not what it says."""

DECIDED = frozenset({"disabled", "forbidden"})
"""Causes for which a target is out by decision of the operator, not by what happened."""

_encode = msgspec.json.Encoder(enc_hook=str, order="deterministic").encode


class Fingerprints:
    """The fingerprints of plans under one configuration."""

    def __init__(self, settings: Settings) -> None:
        stages = {
            name: [(stage.kind, stage.options) for stage in pipeline.stages]
            for name, pipeline in settings.pipelines.items()
        }
        house = _encode([stages, settings.transforms])
        self._house = hashlib.sha256(house).digest()
        self._targets: dict[str, str] = {}

    def of(self, plan: Plan) -> bytes:
        """Equal for plans of which each target may give the other's answer."""
        steps = sorted(
            [
                step.target.name,
                self._target(step.target),
                step.cause if step.cause in DECIDED else "",
                [[member.when_text, member.enabled, member.params] for _, member in step.path],
            ]
            for step in plan.steps
        )
        return hashlib.sha256(self._house + _encode(steps)).digest()

    def _target(self, target: Target) -> str:
        known = self._targets.get(target.name)
        if known is None:
            known = self._targets[target.name] = _set_up(target)
        return known


def _set_up(target: Target) -> str:
    settings = target.provider.settings
    said: dict[str, Any] = {
        field.name: getattr(settings, field.name)
        for field in msgspec.structs.fields(settings)
        if field.name not in _NOT_FOR_THE_ANSWER
    }
    return hashlib.sha256(_encode([said, target.facts])).hexdigest()
