"""Policies: rules of the user's own about a configuration, in a file beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from omniroute.config.settings import Condition, Name
from omniroute.declare import Options, option


class Policy(Options, frozen=True, kw_only=True):
    """One rule. It holds where its expression is true."""

    name: Annotated[Name, option("What findings call it.")]
    expression: Annotated[
        Condition,
        option(
            "JMESPath that is true where the rule is kept. Without `each` it is about the whole configuration.",
            examples=["leads_to[-1].tier == 'free'"],
        ),
    ]
    each: Annotated[
        str | None,
        option(
            "Whom it is about, one by one: a path with `*`, or `secrets`.",
            examples=["combos.*", "providers.*.accounts.*", "keys.*", "secrets"],
        ),
    ] = None
    when: Annotated[
        Condition | None, option("JMESPath; the rule is about those only for which it is true.")
    ] = None
    message: Annotated[str | None, option("What a finding says; the rule's expression if not set.")] = None
    severity: Annotated[Literal["error", "warning", "note"], option("How bad it is.")] = "error"


class PolicyFile(Options, frozen=True, kw_only=True):
    """Rules of your own for `omniroute validate --policy`."""

    version: Annotated[Literal[1], option("Version of this language.")]
    description: Annotated[str | None, option("A line for humans.")] = None
    policies: Annotated[tuple[Policy, ...], option("The rules.")]
