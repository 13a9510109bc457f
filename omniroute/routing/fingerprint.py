"""What a plan stands for, whatever the state of the world: who may answer a request, and how they are set up.

Two requests that say the same get the same answer only if this is the same, too. Cooldowns, turns and chance are no
part of it; a changed alias, a model's transforms, or what the caller may use is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from omniroute.config.settings import Settings
from omniroute.routing.directory import Target
from omniroute.routing.facts import Facts
from omniroute.routing.plan import Plan, Step

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

MEANT = frozenset({"anthropic-beta", "anthropic-version", "openai-beta"})
"""Headers of a client that change what an answer says."""

_HEADERS = re.compile(rb"\bheaders\b")
_KEY = re.compile(rb"\bkey\b")
_NOISE = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "idempotency-key",
        "pragma",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-api-key",
        "x-forwarded-for",
        "x-goog-api-key",
        "x-omniroute-no-cache",
        "x-request-id",
    }
)
"""Headers that a client sends anew each time, or that no condition is about."""


def decided(step: Step) -> bool:
    """Whether a target is out whatever happens: by decision of the operator, or because of its `when`."""
    return step.cause in ("disabled", "forbidden") or (step.verdict == "out" and step.cause is None)


_encode = msgspec.json.Encoder(enc_hook=str, order="deterministic").encode


class Fingerprints:
    """The fingerprints of plans under one configuration."""

    def __init__(self, settings: Settings) -> None:
        stages = {
            name: [(stage.kind, stage.options) for stage in pipeline.stages]
            for name, pipeline in settings.pipelines.items()
        }
        house = _encode([stages, settings.transforms])
        conditions = _encode([t.when for combo in settings.combos.values() for t in combo.targets])
        self._house = hashlib.sha256(house).digest()
        self._targets: dict[str, str] = {}
        self._headers = _HEADERS.search(house + conditions) is not None
        self._key = _KEY.search(house + conditions) is not None

    def asking(self, facts: Facts) -> list[str]:
        """What of a request beside its body may change the answer: what conditions and templates look at."""
        found = [f"{name}: {value}" for name, value in facts.headers.items() if name.lower() in MEANT]
        if self._headers:
            found += [
                f"{name}: {value}"
                for name, value in facts.headers.items()
                if name.lower() not in _NOISE and not name.lower().startswith("x-stainless-")
            ]
        if self._key and facts.caller is not None:
            found.append(f"key {facts.caller.name}")
        return sorted(found)

    def of(self, plan: Plan) -> bytes:
        """Equal for plans of which each target may give the other's answer."""
        steps = sorted(
            [
                step.target.name,
                self._target(step.target),
                "out" if decided(step) else "",
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
        name: getattr(settings, name)
        for name in settings.__struct_fields__
        if name not in _NOT_FOR_THE_ANSWER
    }
    return hashlib.sha256(_encode([said, target.facts])).hexdigest()
