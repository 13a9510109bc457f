"""`omniroute connect`: what to set so that a coding tool talks to the gateway."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import yaml

from omniroute.cli.health import add_url, base_url

TOOLS = Path(__file__).with_name("tools.yaml")
KEY = "omniroute"
"""What is shown for a gateway without keys: the tools insist on some key."""
MODEL = "auto"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a tool: its content as a JSON value, or as text."""

    path: str
    json: Any = None
    text: str | None = None

    @property
    def content(self) -> str:
        return self.text if self.text is not None else json.dumps(self.json, indent=2) + "\n"


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one tool is connected; explained at the top of `tools.yaml`."""

    title: str
    env: dict[str, str] = {}
    files: tuple[File, ...] = ()
    steps: tuple[str, ...] = ()
    run: str | None = None
    note: str | None = None


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "connect",
        help="point a coding tool at the gateway",
        description="Show what to set so that a coding tool talks to the gateway. Without a tool: list them.",
        epilog="example: omniroute connect claude-code --print --model auto",
    )
    parser.add_argument("tool", nargs="?", choices=sorted(_table()), metavar="TOOL", help=", ".join(_table()))
    parser.add_argument("--print", action="store_true", help="show it (this version writes no file)")
    add_url(parser)
    parser.add_argument(
        "--key", default=KEY, help="the key that the tool presents (any, if the gateway has no keys)"
    )
    parser.add_argument(
        "--model", default=MODEL, help=f"the model, alias or combo that the tool asks for ({MODEL})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.tool is None:
        return _list(args)
    tool = connection(args.tool, url=base_url(args.url), key=args.key, model=args.model)
    if args.json:
        print(json.dumps({"tool": args.tool, **_document(tool)}, indent=2))
        return 0
    if not args.print:
        print(
            "This version shows what to set and writes no file; --print leaves this line out.\n",
            file=sys.stderr,
        )
    print(_text(tool))
    return 0


def connection(name: str, *, url: str, key: str, model: str) -> Tool:
    """How to connect the tool of that name, filled in. Raises `KeyError` for a name that is not in the table."""
    words = {"url": url, "key": key, "model": model}
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    environment.filters["quoted"] = shlex.quote
    # Jinja2's own filter escapes for HTML, which none of these files is.
    environment.filters["tojson"] = json.dumps
    filled = _filled(_table()[name], lambda text: environment.from_string(text).render(words))
    return msgspec.convert(filled, Tool)


def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(TOOLS.read_text(encoding="utf-8"))
    return table


def _filled(value: Any, fill: Callable[[str], str]) -> Any:
    """The value with every text in it, keys too, filled in."""
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, dict):
        return {_filled(key, fill): _filled(item, fill) for key, item in value.items()}
    return [_filled(item, fill) for item in value] if isinstance(value, list) else value


def _list(args: argparse.Namespace) -> int:
    titles = {name: tool["title"] for name, tool in _table().items()}
    if args.json:
        print(json.dumps(titles))
        return 0
    print("Tools that `omniroute connect TOOL` knows:")
    for name, title in titles.items():
        print(f"  {name:<12} {title}")
    return 0


def _document(tool: Tool) -> dict[str, Any]:
    files = [{"path": file.path, "content": file.content} for file in tool.files]
    document = {
        "title": tool.title,
        "env": tool.env,
        "files": files,
        "steps": list(tool.steps),
        "run": tool.run,
        "note": tool.note,
    }
    return {key: value for key, value in document.items() if value}


def _text(tool: Tool) -> str:
    sections: list[str] = []
    if tool.env:
        lines = [f"export {name}={shlex.quote(value)}" for name, value in tool.env.items()]
        sections.append("# In the shell that starts it:\n" + "\n".join(lines))
    sections += [f"# In {file.path}:\n{file.content.rstrip()}" for file in tool.files]
    if tool.steps:
        sections.append("\n".join(f"{number}. {step}" for number, step in enumerate(tool.steps, 1)))
    if tool.run:
        sections.append(f"# Then:\n{tool.run}")
    if tool.note:
        sections.append(f"# {tool.note}")
    return f"# {tool.title}\n\n" + "\n\n".join(sections)
