"""The keys of the clients: who is calling, and what may they use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from omniroute.config.settings import Key
from omniroute.errors import Problem, Refused
from omniroute.pipeline.patterns import Test, any_of, networks
from omniroute.state.limits import Limit
from omniroute.state.quota import Allowance, Ledger

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])

NO_KEY = Problem(
    kind="authentication",
    code="missing_api_key",
    message="This gateway needs a key: send it as `Authorization: Bearer KEY`, `x-api-key` or `x-goog-api-key`.",
)
UNKNOWN_KEY = Problem(kind="authentication", code="invalid_api_key", message="That key is not known here.")
OUT_OF_SCOPE = Problem(
    kind="permission", code="scope_missing", message="This key may not call models: it lacks the scope `use`."
)


class Caller:
    """A known client. `None` in a test's place means "all"."""

    __slots__ = (
        "_endpoints",
        "_ips",
        "_models",
        "_providers",
        "budget",
        "enabled",
        "expires",
        "ledger",
        "limit",
        "name",
        "scopes",
        "unbound",
    )

    def __init__(
        self,
        name: str,
        key: Key,
        limit: Limit | None = None,
        budget: Allowance | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.name = name
        self.limit = limit
        self.budget = budget
        self.ledger = ledger
        self.enabled = key.enabled
        self.scopes = frozenset(key.scopes)
        self.expires = expiry(key.expires)
        self._models: Test | None = any_of(key.models) if key.models else None
        self._providers: Test | None = any_of(key.providers) if key.providers else None
        self.unbound = not key.models and not key.providers
        """Whether it may use whatever there is."""
        self._endpoints: Test | None = any_of(key.endpoints) if key.endpoints else None
        self._ips: Test | None = networks(key.ips) if key.ips else None

    def may_use(self, name: str, target: str, provider: str) -> bool:
        """Whether it may reach `target` (`provider/model`) under the name it asked for.

        A model list allows by the name asked (a combo that is listed opens what is in it) or by the target;
        a provider list always counts, so that no alias or combo widens it.
        """
        if self._providers is not None and not self._providers(provider):
            return False
        return self._models is None or self._models(name) or self._models(target)

    @property
    def metered(self) -> bool:
        """Whether somebody counts the tokens or the money that it uses."""
        return self.budget is not None or (self.limit is not None and self.limit.tpm is not None)

    def broke(self, now: float) -> float | None:
        """When its budget is there again, if it is spent (`inf`: never by itself)."""
        if self.budget is None or self.ledger is None:
            return None
        return self.ledger.spent(self.budget, now)

    def thrifty(self, now: float) -> bool:
        """Whether only what costs nothing is open to it: a soft budget is spent."""
        return self.budget is not None and not self.budget.hard and self.broke(now) is not None

    def may_ask(self, name: str) -> bool:
        """Whether the name itself is in its model list."""
        return self._models is None or self._models(name)

    def problem(self, path: str, address: str, now: float) -> Problem | None:
        """Why it may not call here and now, or None."""
        if not self.enabled:
            return _denied("authentication", "key_disabled", "This key is disabled.")
        if self.expires is not None and now >= self.expires:
            return _denied("authentication", "key_expired", "This key has expired.")
        if self._ips is not None and not self._ips(address):
            return _denied("permission", "address_not_allowed", "This key may not be used from this address.")
        if self._endpoints is not None and not self._endpoints(path):
            return _denied("permission", "endpoint_not_allowed", f"This key may not call {path}.")
        return None


class Keyring:
    """All keys of a configuration, found by digest: the time that a look-up takes says nothing about a key.

    One that was found is found again by the key itself. That tells nothing, either: a dictionary compares two keys only
    when their hashes are equal, and those are made with a secret of the process (SipHash).
    """

    __slots__ = ("_callers", "_known", "_open", "required")

    def __init__(
        self,
        keys: Mapping[str, Key],
        required: bool | None,
        caller: Callable[[str, Key], Caller] = Caller,
    ) -> None:
        self._callers = {_digest_of(key): caller(name, key) for name, key in keys.items()}
        self._known: dict[str, Caller] = {}
        self.required = bool(keys) if required is None else required
        self._open = required is False

    def admit(
        self, headers: Mapping[str, str], query: Mapping[str, str], path: str, address: str, now: float
    ) -> Caller | None:
        """Who calls `path` from `address`; None is somebody without a key who is welcome. Raises `Refused`.

        Where no key is declared only this machine is welcome, whatever the listeners were told, unless the config
        says in as many words that no key is needed. A unix socket has no address.
        """
        presented = presented_key(headers, query)
        caller = self.find(presented) if presented is not None else None
        if caller is None:
            if not self.required and (self._open or not address or LOOPBACK(address)):
                return None
            raise Refused(NO_KEY if presented is None else UNKNOWN_KEY)
        problem = caller.problem(path, address, now)
        if problem is None and "use" not in caller.scopes:
            problem = OUT_OF_SCOPE
        if problem is not None:
            raise Refused(problem)
        return caller

    def find(self, presented: str) -> Caller | None:
        caller = self._known.get(presented)
        if caller is None:
            digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()
            caller = self._callers.get(digest)
            if caller is not None:
                self._known[presented] = caller
        return caller

    @property
    def callers(self) -> list[Caller]:
        return sorted(self._callers.values(), key=lambda caller: caller.name)

    def named(self, name: str) -> Caller | None:
        """The caller that the config calls so."""
        return next((c for c in self._callers.values() if c.name == name), None)


def presented_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key that a client sent, in whichever of the four places its SDK puts it."""
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or query.get("key") or None


def expiry(written: str | None) -> float | None:
    """ISO 8601 date or time → epoch seconds; without a zone it is UTC. Raises `ValueError`."""
    if written is None:
        return None
    moment = datetime.fromisoformat(written)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _digest_of(key: Key) -> bytes:
    if key.hash is not None:
        return bytes.fromhex(key.hash.removeprefix("sha256:"))
    text = key.key.reveal() if key.key is not None else ""
    return hashlib.sha256(text.encode()).digest()


def _denied(kind: str, code: str, message: str) -> Problem:
    return Problem(
        kind="authentication" if kind == "authentication" else "permission", code=code, message=message
    )
