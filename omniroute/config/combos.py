"""Combos and aliases: that every name means something, that nothing goes in a circle, that targets can be reached."""

from __future__ import annotations

from collections.abc import Iterator

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Path, Seq, lookup
from omniroute.config.model_names import Meant, Unknown, resolve
from omniroute.config.view import Provider, View

MAX_DEPTH = 5
"""Combos in combos."""


def check_model_names(view: View) -> None:
    """Targets of combos, aliases, and the default mean something."""
    for name, target in view.section("models").items():
        if isinstance(target, str):
            _check_alias(name, str(target), view)
    default = view.tree.get("default")
    if isinstance(default, str):
        _check_name(str(default), view, ("default",))
    for combo, index, target in targets(view):
        _check_name(target, view, ("combos", combo, "targets", index, "model"))


def check_combos(view: View) -> None:
    """Combos have targets, lead nowhere in a circle, and do not hang on one account."""
    for name, combo in view.entries("combos"):
        listed = combo.get("targets", Seq())
        if isinstance(listed, Seq) and not listed:
            hint = "list models, combos, or globs such as `*/glm-4.7`, which stand for the models that providers list"
            view.tell(Code.EMPTY_COMBO, "the combo has no targets", ("combos", name), hint)
        if name in view.section("models"):
            mark = view.key_mark(("models", name))
            message = f"the combo of the same name is found first: the alias {name!r} is never used"
            view.tell(Code.SHADOWED, message, ("models", name), severity="warning", mark=mark)
    _check_circles(view)
    _check_reach(view)
    _check_accounts(view)


def targets(view: View) -> Iterator[tuple[str, int, str]]:
    """Every target of every combo: the combo's name, the index, and what the target names."""
    for name, _ in view.entries("combos"):
        yield from targets_of(name, view)


def targets_of(name: str, view: View) -> Iterator[tuple[str, int, str]]:
    """The same of one combo."""
    combo = view.section("combos").get(name)
    listed = combo.get("targets") if isinstance(combo, Map) else None
    for index, target in enumerate(listed if isinstance(listed, Seq) else ()):
        model = target.get("model") if isinstance(target, Map) else None
        if isinstance(model, str):
            yield name, index, str(model)


def _check_name(name: str, view: View, path: Path) -> None:
    meant = resolve(name, view)
    if isinstance(meant, Unknown):
        shown = path[:-1] if path[-1] == "model" else path
        view.tell(meant.code, meant.message, shown, meant.hint, mark=view.mark(path))


def _check_alias(name: str, target: str, view: View) -> None:
    path: Path = ("models", name)
    if name.count("*") > 1 or target.count("*") > name.count("*"):
        view.tell(
            Code.BAD_TEXT,
            f"the alias {name!r} has {name.count('*')} `*` and its target {target.count('*')}",
            path,
            "one `*` in the name, and at most one in the target, which stands for the same text",
        )
    elif "*" in target:
        _check_pattern(target, view, path)
    else:
        _check_name(target, view, path)


def _check_pattern(target: str, view: View, path: Path) -> None:
    """`provider/claude-*` needs the provider; what is before the slash may itself be a pattern."""
    prefix, slash, _ = target.partition("/")
    if slash and "*" not in prefix:
        meant = resolve(target, view)
        if isinstance(meant, Unknown) and prefix not in view.prefixes:
            view.tell(meant.code, meant.message, path, meant.hint)


# ── circles and depth ────────────────────────────────────────────────────────────────────────────


Steps = dict[tuple[str, str], list[tuple[tuple[str, str], Path]]]
"""From every combo and alias to those that it names, each with the path of the naming."""


def _steps(view: View) -> Steps:
    """From every combo and alias to the combos and aliases that it names, with the path of the naming."""
    steps: Steps = {}
    for combo, index, target in targets(view):
        _step(("combo", combo), target, ("combos", combo, "targets", index), view, steps)
    for alias, target in view.section("models").items():
        if isinstance(target, str) and "*" not in target:
            _step(("alias", alias), str(target), ("models", alias), view, steps)
    return steps


def _step(
    start: tuple[str, str],
    target: str,
    path: Path,
    view: View,
    steps: Steps,
) -> None:
    meant = resolve(target, view)
    if isinstance(meant, Meant) and meant.kind != "model":
        steps.setdefault(start, []).append(((meant.kind, meant.name), path))


LONGEST_TRAIL = 100
"""Names in a row that are followed."""


def _check_circles(view: View) -> None:
    steps = _steps(view)
    depths: dict[tuple[str, str], int] = {}
    for start in steps:
        if start not in depths:
            _walk(start, [], steps, depths, view)
            _check_depth(start, steps, depths, view)


def _check_depth(
    start: tuple[str, str], steps: Steps, depths: dict[tuple[str, str], int], view: View
) -> None:
    for target, path in steps[start]:
        if depths.get(target, 0) >= MAX_DEPTH:
            return view.tell(
                Code.NESTED_TOO_DEEP, f"combos are nested more than {MAX_DEPTH} deep from here", path
            )


def _walk(
    at: tuple[str, str],
    trail: list[tuple[str, str]],
    steps: Steps,
    depths: dict[tuple[str, str], int],
    view: View,
) -> int:
    """How many combos deep it goes from here. Every name is looked through once, and circles are told on the way."""
    if at in depths or len(trail) > LONGEST_TRAIL:
        return depths.get(at, 0)
    deepest = 0
    trail = [*trail, at]
    for target, path in steps.get(at, ()):
        if target in trail:
            circle = [name for _, name in trail[trail.index(target) :]]
            way = " → ".join([*circle, circle[0]])
            view.tell(Code.CYCLE, f"{at[0]} {at[1]!r} leads back to itself: {way}", path)
        else:
            deepest = max(deepest, _walk(target, trail, steps, depths, view))
    depths[at] = deepest + (at[0] == "combo")
    return depths[at]


# ── what is unwise ───────────────────────────────────────────────────────────────────────────────


def _check_reach(view: View) -> None:
    first: dict[tuple[str, str], int] = {}
    for combo, index, target in targets(view):
        path: Path = ("combos", combo, "targets", index)
        meant = resolve(target, view)
        why = _unreachable(meant, view) if isinstance(meant, Meant) else None
        written, _ = lookup(view.tree, path)
        if why is None and written.get("enabled") is not False:
            same = first.get((combo, target))
            why = f"it is targets[{same}] already" if same is not None else None
            if written.get("when") is None:
                first.setdefault((combo, target), index)
        if why:
            view.tell(
                Code.UNREACHABLE_TARGET, f"{target!r} is never reached: {why}", path, severity="warning"
            )
    for path, name in _entrances(view):
        meant = resolve(name, view)
        why = _unreachable(meant, view) if isinstance(meant, Meant) else None
        if why:
            view.tell(Code.UNREACHABLE_TARGET, f"{name!r} leads nowhere: {why}", path, severity="warning")


def _entrances(view: View) -> Iterator[tuple[Path, str]]:
    """The names behind aliases and the default."""
    for alias, target in view.section("models").items():
        if isinstance(target, str) and "*" not in target:
            yield ("models", alias), str(target)
    default = view.tree.get("default")
    if isinstance(default, str):
        yield ("default",), str(default)


def _unreachable(meant: Meant, view: View) -> str | None:
    if meant.kind == "combo":
        combo = view.section("combos").get(meant.name)
        disabled = isinstance(combo, Map) and combo.get("enabled") is False
        return f"combo {meant.name!r} is disabled" if disabled else None
    provider = view.providers.get(meant.provider)
    if provider is None:
        return None
    if not provider.enabled:
        return f"provider {provider.name!r} is disabled"
    if not provider.accounts and not provider.active:
        return f"provider {provider.name!r} has no account"
    return None


def _check_accounts(view: View) -> None:
    for combo, _ in view.entries("combos"):
        leaves = list(dict.fromkeys((p.name, model) for p, model in leaves_of(combo, view)))
        owners = {_only_account(view.providers[name]) for name, _ in leaves}
        shared = owners.pop() if len(owners) == 1 else None
        if len(leaves) > 1 and shared is not None:
            message = f"all targets share the account {shared}: when it is spent, so is the combo"
            path: Path = ("combos", combo)
            view.tell(Code.ONE_ACCOUNT, message, path, severity="warning", mark=view.key_mark(path))


def _only_account(provider: Provider) -> str | None:
    """`provider/account` when the provider has just one, or None."""
    if len(provider.active) != 1 or not provider.accounts:
        return None
    return f"{provider.name}/{provider.active[0]}"


def leaves_of(name: str, view: View, seen: set[str] | None = None) -> Iterator[tuple[Provider, str]]:
    """The models that a name leads to, through aliases and combos: their providers, and their names there.

    Each name on the way is followed once, `seen` being those before, so that circles end and a plan's order is kept.
    """
    seen = set() if seen is None else seen
    meant = resolve(name, view)
    if not isinstance(meant, Meant) or name in seen:
        return
    seen.add(name)
    if meant.kind == "model":
        yield view.providers[meant.provider], meant.name
    elif meant.kind == "alias":
        target = view.section("models").get(meant.name)
        if isinstance(target, str) and "*" not in target:
            yield from leaves_of(str(target), view, seen)
    else:
        for _, _, target in targets_of(meant.name, view):
            yield from leaves_of(target, view, seen)
