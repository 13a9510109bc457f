"""What of a configuration the tests never reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from omniroute.config.load import Loaded
from omniroute.config.marks import SHIPPED, Map
from omniroute.config.settings import Settings
from omniroute.routing.directory import Combo
from omniroute.simulation.gateway import Answered

LONGEST_CHAIN = 5
"""Aliases that lead to aliases."""


@dataclass(slots=True)
class Seen:
    """What the tests of one configuration have been through."""

    loaded: Loaded
    targets: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    combos: set[str] = field(default_factory=set)
    pipelines: set[str] = field(default_factory=set)
    routes: set[int] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def learn(self, answered: Answered) -> None:
        """Take over where a request went."""
        exchange = answered.exchange
        if exchange is None:
            return
        self.pipelines.add(answered.pipeline)
        self.aliases |= set(_aliases(exchange.model, self.loaded.settings.models))
        if answered.route is not None:
            self.routes.add(answered.route)
        if exchange.caller is not None:
            self.keys.add(exchange.caller.name)
        self.targets |= {t.target for t in exchange.tried}
        if exchange.target is not None:
            self.targets.add(exchange.target.name)
        if exchange.plan is not None:
            self.combos |= {combo.name for step in exchange.plan.steps for combo, _ in step.path}
            if isinstance(exchange.plan.found.of, Combo):
                self.combos.add(exchange.plan.found.of.name)

    def missed(self) -> list[tuple[str, str]]:
        """`(place, what)` of everything that is written and that no test went through, in the order of the file."""
        settings = self.loaded.settings
        return [
            *((self._place(f"combos.{n}"), f"combo {n}") for n in settings.combos if n not in self.combos),
            *(m for n in settings.combos for m in self._members(n)),
            *((self._place(f"models.{n}"), f"alias {n}") for n in settings.models if n not in self.aliases),
            *((self._place(f"keys.{n}"), f"key {n}") for n in settings.keys if n not in self.keys),
            *(
                (self._place(f"routes[{n}]"), f"route to {route.pipeline}")
                for n, route in enumerate(settings.routes)
                if n not in self.routes
            ),
            *(
                (self._place(f"pipelines.{n}"), f"pipeline {n}")
                for n in settings.pipelines
                if n not in self.pipelines and self._own(n)
            ),
        ]

    def total(self) -> int:
        """How much there is to go through."""
        settings = self.loaded.settings
        own = sum(self._own(n) for n in settings.pipelines)
        members = sum(len(_targets(settings, n)) for n in settings.combos)
        sections = (settings.combos, settings.models, settings.keys, settings.routes)
        return own + members + sum(len(section) for section in sections)

    def _members(self, combo: str) -> Iterator[tuple[str, str]]:
        for index, model in _targets(self.loaded.settings, combo):
            if model not in self.targets:
                yield self._place(f"combos.{combo}.targets[{index}]"), f"target {model} of combo {combo}"

    def _place(self, path: str) -> str:
        return self.loaded.place(path)

    def _own(self, pipeline: str) -> bool:
        """Whether it is the user's, not one that comes with the program."""
        written = self.loaded.stages.normalised.get("pipelines")
        return not isinstance(written, Map) or written.key_mark(pipeline).origin != SHIPPED


def _targets(settings: Settings, combo: str) -> list[tuple[int, str]]:
    """The members of a combo that are models of providers, with their places."""
    members = enumerate(settings.combos[combo].targets)
    return [(n, t.model) for n, t in members if t.model.partition("/")[0] in settings.providers]


def _aliases(name: str, aliases: Mapping[str, str]) -> Iterator[str]:
    """The aliases that a name goes through."""
    for _ in range(LONGEST_CHAIN):
        if name in aliases and "*" not in name:
            alias = name
        else:
            fitting = [a for a in aliases if "*" in a and fnmatchcase(name, a)]
            if not fitting:
                return
            alias = max(fitting, key=len)
        yield alias
        name = aliases[alias]
