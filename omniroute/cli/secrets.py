"""`omniroute secrets`: seal values so that they can live in git, open them, and change the key that seals them."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from omniroute.config.edit import replaced, text_of, write
from omniroute.config.load import Draft, draft, find_config
from omniroute.config.marks import find, lookup
from omniroute.config.sealed import MASTER_KEY, master_key, new_master_key, open_sealed, resealed, seal
from omniroute.config.secrets import Secret
from omniroute.config.substitution import reason
from omniroute.errors import ConfigUnreadable
from omniroute.registry import load as load_registry

NEW_KEY = "OMNIROUTE_NEW_MASTER_KEY"


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "secrets",
        help="seal values, so that they can live in git",
        description=f"Seal values with AES-256-GCM under the master key in {MASTER_KEY}, or in the file that "
        f"{MASTER_KEY}_FILE names.",
        epilog="example: omniroute secrets seal < key.txt",
    )
    verbs = parser.add_subparsers(metavar="key|seal|open|rotate", required=True)
    _register_key(verbs)
    _register_seal(verbs)
    _register_open(verbs)
    _register_rotate(verbs)


def _register_key(verbs: Any) -> None:
    parser = verbs.add_parser(
        "key",
        help="make a master key",
        description=f"Print a new master key, for {MASTER_KEY} or a file. Whoever has it can open what it seals.",
        epilog="example: (umask 077; omniroute secrets key > master.key)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_key)


def _register_seal(verbs: Any) -> None:
    parser = verbs.add_parser(
        "seal",
        help="seal a value from standard input, or one that stands in the configuration",
        description="Seal a value. It is read from standard input, or asked for on a terminal. With a PATH, the value "
        "that the configuration has there in clear is sealed in its place.",
        epilog="examples: omniroute secrets seal < key.txt    "
        "omniroute secrets seal providers.glm.accounts.main.key",
    )
    parser.add_argument("path", nargs="?", help="a dotted path, such as providers.glm.accounts.main.key")
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_seal)


def _register_open(verbs: Any) -> None:
    parser = verbs.add_parser(
        "open",
        help="print a sealed value in clear",
        description="Print a sealed value in clear. It is given, or read from standard input.",
        epilog="example: omniroute secrets open '${sealed:v1:…}'",
    )
    parser.add_argument("value", nargs="?", help="the value, with or without ${sealed: and }")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_open)


def _register_rotate(verbs: Any) -> None:
    parser = verbs.add_parser(
        "rotate",
        help="seal all values of some files with another master key",
        description=f"Seal every sealed value again, from {MASTER_KEY} to the key in {NEW_KEY} (or its _FILE). "
        "Nothing else in the files changes; when one value cannot be opened, no file does.",
        epilog=f"example: {NEW_KEY}_FILE=new.key omniroute secrets rotate omniroute.yaml providers/*.yaml",
    )
    parser.add_argument("files", nargs="*", help="the files (those of the configuration)")
    parser.add_argument("--config", "-c", help="the configuration file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_rotate)


def _key(args: argparse.Namespace) -> int:
    key = new_master_key()
    print(json.dumps({"key": key}) if args.json else key)
    return 0


def _seal(args: argparse.Namespace) -> int:
    key = _master(MASTER_KEY)
    if key is None:
        return 1
    try:
        return _seal_in_place(args, key) if args.path else _seal_input(args, key)
    except (ConfigUnreadable, OSError) as error:
        return _failed(str(error), 2)
    except ValueError as error:
        return _failed(str(error))


def _seal_input(args: argparse.Namespace, key: str) -> int:
    typed = getpass.getpass("Value: ") if sys.stdin.isatty() else sys.stdin.read()
    text = typed.removesuffix("\n").removesuffix("\r")
    if not text:
        return _failed("There is no value on standard input.")
    sealed = f"${{sealed:{seal(text, key)}}}"
    print(json.dumps({"sealed": sealed}) if args.json else sealed)
    return 0


def _seal_in_place(args: argparse.Namespace, key: str) -> int:
    found = _draft(args)
    way = find(found.stages.normalised, args.path)
    if way is None:
        return _failed(f"there is no {args.path!r} in this configuration")
    value, mark = lookup(found.stages.normalised, way)
    if not isinstance(value, Secret | str):
        return _failed(f"{args.path} is not a text")
    if mark.origin:
        return _failed(f"{args.path} does not stand in the file in clear: it comes from {mark.origin}")
    clear = value.reveal() if isinstance(value, Secret) else str(value)
    path = Path(mark.file)
    try:
        write(path, replaced(text_of(path), mark, f"${{sealed:{seal(clear, key)}}}"))
    except yaml.YAMLError as error:
        return _failed(str(error))
    place = str(mark)
    print(json.dumps({"sealed": args.path, "place": place}) if args.json else f"{place}: sealed {args.path}")
    return 0


def _open(args: argparse.Namespace) -> int:
    key = _master(MASTER_KEY)
    if key is None:
        return 1
    sealed = (args.value if args.value is not None else sys.stdin.read()).strip().strip("\"'")
    sealed = sealed.removeprefix("${").removeprefix("sealed:").removesuffix("}")
    try:
        text = open_sealed(sealed, key)
    except ValueError as error:
        return _failed(str(error))
    print(json.dumps({"value": text}) if args.json else text)
    return 0


def _rotate(args: argparse.Namespace) -> int:
    old, new = _master(MASTER_KEY), _master(NEW_KEY)
    if old is None or new is None:
        return 1
    try:
        files = [Path(f) for f in args.files] or sorted(
            {Path(s.file) for s in _draft(args).stages.source if s.own}
        )
        texts = {path: text_of(path) for path in files}
    except (ConfigUnreadable, OSError, UnicodeDecodeError) as error:
        return _failed(str(error), 2)
    changed: dict[Path, tuple[str, int]] = {}
    for path, text in texts.items():
        try:
            changed[path] = resealed(text, old, new)
        except ValueError as error:
            return _failed(f"{path}: {error}")
    for path, (text, count) in changed.items():
        if count:
            write(path, text)
    return _rotated({str(path): count for path, (_, count) in changed.items() if count}, args.json)


def _rotated(counts: dict[str, int], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"resealed": counts}, indent=2))
        return 0
    for file, count in counts.items():
        print(f"{file}: {count} value{'s' if count > 1 else ''} sealed again")
    if not counts:
        print("there is no sealed value in these files")
    return 0


def _draft(args: argparse.Namespace) -> Draft:
    path = find_config(args.config, os.environ, Path.cwd())
    return draft(path, env=os.environ, registry=load_registry())


def _master(name: str) -> str | None:
    try:
        key = master_key(os.environ, name)
    except OSError as error:
        _failed(f"cannot read the file that {name}_FILE names: {reason(error)}")
        return None
    if not key:
        _failed(f"{name} is not set, and neither is {name}_FILE; `omniroute secrets key` makes a key")
    return key or None


def _failed(message: str, code: int = 1) -> int:
    print(message, file=sys.stderr)
    return code
