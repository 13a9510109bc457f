"""Judge a configuration by the rules of a policy file: JMESPath over the normalised tree, and what follows from it.

Beside its own keys an entry has its `name`; a combo has `leads_to`, its models in order, each with provider, model,
tier, whether it is free and whether an account is active; a provider has `active`. `secrets` is a list of every secret: its path, and where it
is from (`inline`, `env`, `file`, `sealed`, `default`, `catalogue`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any, cast

import jmespath
from jmespath.exceptions import JMESPathError

from omniroute.config.check import Checking, check_form, jmespath_syntax
from omniroute.config.codes import Code
from omniroute.config.combos import leaves_of
from omniroute.config.convert import to_settings
from omniroute.config.load import Draft
from omniroute.config.marks import Map, Mark, Path, leaves, lookup, plain, written
from omniroute.config.normalise import Names, normalise
from omniroute.config.policy_file import Policy, PolicyFile
from omniroute.config.reader import read
from omniroute.config.report import Report
from omniroute.config.secrets import Secret
from omniroute.config.substitution import reason
from omniroute.config.values import matching
from omniroute.config.view import Provider, View
from omniroute.errors import ConfigUnreadable

Doc = dict[str, Any]
Entry = tuple[Any, Path, Mark]
"""What a rule sees, where that stands, and its mark."""

ORIGINS = {"a": "stand-in"}
"""First words of an origin that are not what rules call it."""


def judge(draft: Draft, file: FilePath) -> None:
    """Tell what of `draft` breaks a rule of `file`, and what is wrong with the file itself, in the draft's report.

    Raises `ConfigUnreadable`.
    """
    report = draft.report
    policies = _read(file, draft.names, report)
    if report.failed:  # a tree of the wrong form is not judged
        return
    subjects = _Subjects(draft)
    for index, (policy, place) in enumerate(policies):
        _judge(policy, place, ("policies", index, "expression"), subjects, report)


def _read(file: FilePath, names: Names, report: Report) -> list[tuple[Policy, Mark]]:
    """The rules of a file, each with the place of its expression; none, and findings, where the file is wrong.

    Raises `ConfigUnreadable`.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigUnreadable(f"cannot read {str(file)!r}: {reason(error)}") from None
    own = Report(str(file))
    tree = read(text, str(file), own)
    shape = names.shapes.of(PolicyFile)
    if tree is not None:
        tree = normalise(tree, shape, names, Mark(str(file), 1, 1))
        check_form(tree, shape, Checking(names, own, False, jmespath_syntax), Mark(str(file), 1, 1))
    report.add(*own.sorted())
    if own.failed or not isinstance(tree, Map):
        return []
    policies = cast("PolicyFile", to_settings(tree, shape, names)).policies
    return [(p, lookup(tree, ("policies", i, "expression"))[1]) for i, p in enumerate(policies)]


def _judge(policy: Policy, place: Mark, path: Path, subjects: _Subjects, report: Report) -> None:
    holds = jmespath.compile(policy.expression)
    concerns = jmespath.compile(policy.when) if policy.when is not None else None
    for subject, at, mark in subjects.of(policy.each):
        try:
            if concerns is not None and not _true(concerns.search(subject)):
                continue
            kept = _true(holds.search(subject))
        except (JMESPathError, TypeError, ValueError) as error:
            message = f"{policy.name}: cannot be decided for {written(at) or 'the configuration'}: {error}"
            report.tell(Code.POLICY_UNDECIDED, message, place, path)
            return
        if not kept:
            message = policy.message or f"not kept: {policy.expression}"
            report.tell(Code.POLICY, f"{policy.name}: {message}", mark, at, severity=policy.severity)


def _true(value: Any) -> bool:
    """As JMESPath has it: false, null and what is empty are false; 0 is true."""
    return (
        value is not None and value is not False and not (isinstance(value, str | list | dict) and not value)
    )


class _Subjects:
    """What rules are about, made when the first one asks."""

    def __init__(self, draft: Draft) -> None:
        self._tree = draft.stages.normalised
        self._view = View(self._tree, draft.names, {}, Report())
        self._main = Mark(draft.report.main, 1, 1)

    def of(self, each: str | None) -> Iterator[Entry]:
        if each is None:
            yield self._whole(), (), self._main
        elif each == "secrets":
            yield from self._secrets()
        else:
            for path, value in matching(self._tree, tuple(each.split("."))):
                yield self._entry(path, value), path, self._mark(path)

    def _mark(self, path: Path) -> Mark:
        """Where people wrote the entry, without who set it."""
        at = self._view.key_mark(path) if isinstance(path[-1], str) else self._view.mark(path)
        return at.by("")

    def _whole(self) -> Doc:
        document = cast("Doc", plain(self._tree))
        for section in ("combos", "providers"):
            entries = self._view.section(section)
            document[section] = {name: self._entry((section, name), e) for name, e in entries.items()}
        document["secrets"] = [entry for entry, _, _ in self._secrets()]
        return document

    def _entry(self, path: Path, value: Any) -> Any:
        document = plain(value)
        if not isinstance(document, dict):
            return {"name": path[-1], "value": document}
        more: Doc = {"name": path[-1]}
        if len(path) == 2 and path[0] in _MORE:
            more |= _MORE[str(path[0])](str(path[1]), self._view)
        return {**more, **document}

    def _secrets(self) -> Iterator[Entry]:
        for path, value, mark in leaves(self._tree):
            if isinstance(value, Secret) and value:
                word = mark.origin.partition(" ")[0].partition(":")[0]
                origin = ORIGINS.get(word, word or "inline")
                yield {"path": written(path), "name": written(path), "from": origin}, path, mark.by("")


def _of_combo(name: str, view: View) -> Doc:
    found = [
        {
            "provider": provider.name,
            "model": model,
            "tier": str(provider.tree.get("tier", "api_key")),
            "free": _free(provider, model),
            "active": provider.usable,
        }
        for provider, model in leaves_of(name, view)
    ]
    return {"leads_to": found}


def _free(provider: Provider, model: str) -> bool:
    """Whether it is known to cost nothing: by its price, or by the tier where no price is known."""
    listed = provider.tree.get("models")
    about = (listed.get(model) or listed.get("*")) if isinstance(listed, Map) else None
    price = about.get("price") if isinstance(about, Map) else None
    if not isinstance(price, Map):
        return provider.tree.get("tier") == "free"
    return not (price.get("input") or price.get("output"))


def _of_provider(name: str, view: View) -> Doc:
    return {"active": view.providers[name].usable} if name in view.providers else {}


_MORE: dict[str, Callable[[str, View], Doc]] = {"combos": _of_combo, "providers": _of_provider}
