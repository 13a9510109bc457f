"""Who may call: keys that are keys, and a gateway that is not open by accident."""

from __future__ import annotations

import fnmatch
import hashlib
import ipaddress
from collections.abc import Iterator

from omniroute.config.codes import Code
from omniroute.config.combos import leaves_of
from omniroute.config.marks import Map, Path, Unresolved
from omniroute.config.model_names import Meant, resolve
from omniroute.config.report import one_of
from omniroute.config.values import admin
from omniroute.config.view import View, text, texts

LIMITS = ("limits", "quota", "budget")


def check_access(view: View) -> None:
    """The gateway asks for a key where others can reach it, and somebody has one."""
    required = view.section("auth").get("required")
    keys = view.section("keys")
    if required is True and not keys:
        view.tell(Code.NO_KEYS, "a key is required, and `keys` has none", ("auth", "required"))
    if required is None and not keys:
        for address, path in _listening(view):
            if admin(address) is None and not is_loopback(address):
                view.tell(
                    Code.OPEN_TO_ALL,
                    f"{address!r} can be reached from other machines, and no key is declared",
                    path,
                    "declare one in `keys`, or write `auth: {required: false}`",
                )
    _check_workers(view)


def _listening(view: View) -> Iterator[tuple[str, Path]]:
    server = view.section("server")
    for index, address in enumerate(texts(server.get("listen"))):
        yield address, ("server", "listen", index)
    admin = server.get("admin")
    if isinstance(admin, str) and admin != "same":
        yield str(admin), ("server", "admin")


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_workers(view: View) -> None:
    workers = view.section("server").get("workers", 1)
    if not isinstance(workers, int) or workers < 2 or (text(view.tree.get("store")) or "memory") != "memory":
        return
    limited = [
        section for section in ("keys", "providers") for _, tree in view.entries(section) if _limits(tree)
    ]
    if limited:
        view.tell(
            Code.PER_PROCESS,
            f"limits count in each of the {workers} workers by itself",
            ("server", "workers"),
            "`store: sqlite:state.db` shares them between workers, `store: redis://…` between machines, too",
            severity="warning",
        )


def _limits(tree: Map) -> bool:
    accounts = tree.get("accounts")
    below = accounts.values() if isinstance(accounts, Map) else ()
    return any(t.get(key) for t in (tree, *below) if isinstance(t, Map) for key in LIMITS)


def check_keys(view: View) -> None:
    """Every key has a value of its own, and what it names exists."""
    seen: dict[bytes, str] = {}
    for name, key in view.entries("keys"):
        _check_value(name, key, seen, view)
        _check_globs(name, key, view)


def _check_value(name: str, key: Map, seen: dict[bytes, str], view: View) -> None:
    path: Path = ("keys", name)
    if any(isinstance(value, Unresolved) for value in key.values()):
        return
    written, hashed = text(key.get("key")), text(key.get("hash"))
    if not written and not hashed:
        message = "the key is empty" if "key" in key else "needs `key` or `hash`"
        mark = key.value_mark("key") if "key" in key else view.key_mark(path)
        return view.tell(Code.KEY_WITHOUT_SECRET, message, path, mark=mark)
    if written and hashed:
        return view.tell(Code.KEY_WITHOUT_SECRET, "has both `key` and `hash`: one of them is enough", path)
    digest = hashlib.sha256(written.encode()).digest() if written else _digest(hashed or "")
    other = seen.setdefault(digest, name) if digest else name
    if other != name:
        view.tell(Code.SAME_KEY, f"has the same value as key {other!r}", path, mark=view.key_mark(path))


def _digest(hashed: str) -> bytes:
    try:
        return bytes.fromhex(hashed.removeprefix("sha256:"))
    except ValueError:
        return b""


def _check_globs(name: str, key: Map, view: View) -> None:
    for index, pattern in enumerate(texts(key.get("models"))):
        if not _some_model(pattern, view):
            _nothing(f"{pattern!r} is no model, combo or alias", ("keys", name, "models", index), view)
    for index, pattern in enumerate(texts(key.get("providers"))):
        if not fnmatch.filter(view.providers, pattern):
            _nothing(f"{pattern!r} is no provider", ("keys", name, "providers", index), view)
    allowed = texts(key.get("providers"))
    for index, model in enumerate(texts(key.get("models")) if allowed else ()):
        leads_to = list(dict.fromkeys(provider.name for provider, _ in leaves_of(model, view)))
        if leads_to and not any(fnmatch.filter(leads_to, pattern) for pattern in allowed):
            message = f"{model!r} leads to {one_of(leads_to)}, and `providers` has none of them"
            _nothing(message, ("keys", name, "models", index), view)


def _nothing(message: str, path: Path, view: View) -> None:
    view.tell(Code.MATCHES_NOTHING, message, path, severity="warning")


def _some_model(pattern: str, view: View) -> bool:
    if isinstance(resolve(pattern, view), Meant):
        return True
    if not any(c in pattern for c in "*?["):
        return False
    known = [*view.section("combos"), *view.section("models")]
    for provider in view.providers.values():
        known += [f"{provider.name}/{model}" for model in provider.models]
        if provider.open and fnmatch.fnmatch(f"{provider.name}/", pattern.split("*")[0] + "*"):
            return True
    return bool(fnmatch.filter(known, pattern))
