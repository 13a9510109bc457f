"""`omniroute keys`: make the keys that clients present, and the hashes that the configuration keeps of them."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import re
import secrets
import string
import sys
from pathlib import Path
from typing import Any

from omniroute.config.edit import replaced, text_of, write
from omniroute.config.load import draft, find_config
from omniroute.config.marks import Map, lookup
from omniroute.errors import ConfigUnreadable
from omniroute.registry import load as load_registry

PREFIX = "ork_"
BITS = 256
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH = 43
"""Digits of base 62 that 256 bits take."""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "keys",
        help="make keys for clients",
        description="Make keys for clients. The configuration keeps a hash; the key itself is shown once.",
        epilog="examples: omniroute keys new alice    omniroute keys hash < key.txt    omniroute keys rotate alice --write",
    )
    verbs = parser.add_subparsers(metavar="new|hash|rotate", required=True)
    new = verbs.add_parser("new", help="make a key", epilog="example: omniroute keys new alice")
    new.add_argument(
        "name", nargs="?", default="client", type=_name, help="what the configuration calls it (client)"
    )
    new.add_argument("--json", action="store_true", help="print JSON")
    new.set_defaults(run=_new)
    hashed = verbs.add_parser(
        "hash",
        help="the hash of a key from standard input",
        description="Print the hash of a key. It is read from standard input, or asked for on a terminal.",
        epilog="example: omniroute keys hash < key.txt",
    )
    hashed.add_argument("--json", action="store_true", help="print JSON")
    hashed.set_defaults(run=_hash)
    rotate = verbs.add_parser(
        "rotate",
        help="make a new value for a key of the configuration",
        description="Print a new key and its hash for a key that the configuration has. With --write, the file gets "
        "the hash in the place of the old one, and nothing else in it changes.",
        epilog="example: omniroute keys rotate alice --write",
    )
    rotate.add_argument("name", help="what the configuration calls it")
    rotate.add_argument("--config", "-c", help="the configuration file")
    rotate.add_argument("--write", action="store_true", help="put the new hash into the file")
    rotate.add_argument("--json", action="store_true", help="print JSON")
    rotate.set_defaults(run=_rotate)


def new_key() -> str:
    """`ork_` and 256 random bits, in letters and digits: a double click selects all of it."""
    number = secrets.randbits(BITS)
    digits = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return PREFIX + "".join(reversed(digits))


def hash_of(key: str) -> str:
    """As `keys.NAME.hash` wants it."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _new(args: argparse.Namespace) -> int:
    key = new_key()
    if args.json:
        print(json.dumps({"name": args.name, "key": key, "hash": hash_of(key)}))
        return 0
    print(
        f"{key}\n"
        f"{hash_of(key)}\n\n"
        "The first line is the key, for the client; it is shown only here. For omniroute.yaml:\n\n"
        f"keys:\n  {args.name}:\n    hash: {hash_of(key)}"
    )
    return 0


def _hash(args: argparse.Namespace) -> int:
    typed = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.read()
    key = typed.strip()
    if not key:
        print("There is no key on standard input.", file=sys.stderr)
        return 1
    print(json.dumps({"hash": hash_of(key)}) if args.json else hash_of(key))
    return 0


def _rotate(args: argparse.Namespace) -> int:
    path = find_config(args.config, os.environ, Path.cwd())
    try:
        found = draft(path, env=os.environ, registry=load_registry())
    except ConfigUnreadable as error:
        return _failed(str(error), 2)
    entry, _ = lookup(found.stages.normalised, ("keys", args.name))
    if not isinstance(entry, Map):
        return _failed(f"there is no key {args.name!r} in {path}")
    field = "hash" if "hash" in entry else "key"
    mark = entry.value_mark(field)
    key = new_key()
    if args.write:
        if mark.origin or field not in entry:
            told = f"its value comes from {mark.origin}" if mark.origin else "it has no value yet"
            return _failed(f"keys.{args.name}.{field}: {told}, so there is nothing to write at {mark}")
        file = Path(mark.file)
        try:
            write(file, replaced(text_of(file), mark, hash_of(key) if field == "hash" else key))
        except (OSError, ValueError) as error:
            return _failed(str(error), 2)
    return _rotated(args, key, str(mark.by("")))


def _rotated(args: argparse.Namespace, key: str, place: str) -> int:
    if args.json:
        told = {"name": args.name, "key": key, "hash": hash_of(key), "place": place, "written": args.write}
        print(json.dumps(told))
        return 0
    what = "written to" if args.write else "the old one stands at"
    print(
        f"{key}\n{hash_of(key)}\n\nThe first line is the key, for the client; it is shown only here. {what} {place}"
    )
    return 0


def _failed(message: str, code: int = 1) -> int:
    print(message, file=sys.stderr)
    return code


def _name(written: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", written):
        raise argparse.ArgumentTypeError(f"{written!r}: a name is of the form [a-z0-9][a-z0-9._-]*")
    return written
