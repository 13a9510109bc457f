"""`omniroute keys`: make the keys that clients present, and the hashes that the configuration keeps of them."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import re
import secrets
import string
import sys
from typing import Any

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
        epilog="examples: omniroute keys new alice    omniroute keys hash < key.txt",
    )
    verbs = parser.add_subparsers(metavar="new|hash", required=True)
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


def _name(written: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", written):
        raise argparse.ArgumentTypeError(f"{written!r}: a name is of the form [a-z0-9][a-z0-9._-]*")
    return written
