"""The page of the command line, from the parsers of the verbs."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Iterator

from omniroute import cli
from omniroute.reference.markdown import code, fenced, page, table

ABOUT = """\
`omniroute` alone is `omniroute serve`. The configuration is found by `--config`, else `OMNIROUTE_CONFIG`, else
`./omniroute.yaml`, else `omniroute/omniroute.yaml` in the user's configuration folder, else the shipped one.
"""


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every verb, those below another one included (`config show`), with its parser."""
    root = argparse.ArgumentParser(prog="omniroute")
    subparsers = root.add_subparsers()
    for module in pkgutil.iter_modules(cli.__path__):
        found = importlib.import_module(f"{cli.__name__}.{module.name}")
        if hasattr(found, "register"):
            found.register(subparsers)
    return dict(_below(root, ""))


def _below(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for verb, one in action.choices.items():
                whole = f"{name} {verb}".strip()
                one.description = one.description or said[verb].capitalize()
                yield whole, one
                yield from _below(one, whole)


def commands_page() -> str:
    """`cli.md`."""
    return page("Command line", ABOUT, *(_block(name, parser) for name, parser in sorted(verbs().items())))


def _block(name: str, parser: argparse.ArgumentParser) -> str:
    rows = [row for action in parser._actions if (row := _argument(action)) is not None]
    parts = [
        f"## omniroute {name}",
        parser.description or "",
        table(("argument", "meaning"), rows),
        fenced(_example(parser.epilog), "sh") if parser.epilog else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _argument(action: argparse.Action) -> tuple[str, str] | None:
    if (
        isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
        or action.help == argparse.SUPPRESS
    ):
        return None
    return _written(action), action.help or "—"


def _written(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return code(f"[{value}]" if action.nargs in ("?", "*") else value)
    return ", ".join(code(f"{option} {value}".strip()) for option in action.option_strings)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "|".join(str(choice) for choice in action.choices)
    name = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    text = name if isinstance(name, str) else " ".join(name)
    return f"[{text}]" if action.option_strings and action.nargs == "?" else text


def _example(epilog: str) -> str:
    """The commands of an epilog, one a line."""
    text = epilog.removeprefix("examples:").removeprefix("example:").strip()
    return "\n".join(part.strip() for part in text.split("    "))
