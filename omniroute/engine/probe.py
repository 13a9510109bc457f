"""Try accounts for real, each with one call that costs next to nothing: does the provider answer, and take the key?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import msgspec

from omniroute.config.load import Loaded
from omniroute.engine.build import Workshop, build
from omniroute.errors import ConfigError, Finding, OmniRouteError, UpstreamError
from omniroute.registry import Registry
from omniroute.routing.directory import Account, Directory, Provider, Target, Upstream
from omniroute.state.state import State
from omniroute.upstream.headers import merged
from omniroute.upstream.send import redacted
from omniroute.upstream.signing import signed
from omniroute.upstream.transport import Outbound, Transport
from omniroute.wire.conversation import Conversation, Notes, Text, Turn

Verdict = Literal["ok", "limited", "failed", "skipped"]

LISTS: Mapping[str, str] = {
    "openai-chat": "/models",
    "openai-responses": "/models",
    "anthropic-messages": "/models",
    "gemini": "/models?pageSize=1",
    "ollama": "/api/tags",
}
"""Wire → where a provider of it lists its models, after `base_url`."""

SECONDS = 20.0
"""Longest wait for one call."""
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of one account. `call` is what was asked, `said` the provider's words without any secret."""

    provider: str
    account: str
    verdict: Verdict
    call: str
    status: int = 0
    milliseconds: int = 0
    said: str = ""


async def probe_accounts(loaded: Loaded, registry: Registry) -> list[Probe]:
    """Try them through transports of their own. Raises `ConfigError` for what only building can find."""
    made: dict[str, Transport] = {}

    def transport(kind: str) -> Transport:
        if kind not in made:
            declaration = registry.find("transport", kind)
            if declaration is None:
                raise ConfigError([Finding(code="OR1901", message=f"there is no transport {kind!r}")])
            made[kind] = declaration.cls().build()
        return made[kind]

    state = State()
    workshop = Workshop(registry, state, transport, lambda record: None)
    try:
        return await probe(build(loaded, 1, workshop).directory, transport, state.clock)
    finally:
        for each in made.values():
            await each.close()


async def probe(
    directory: Directory, transport: Callable[[str], Transport], clock: Callable[[], float]
) -> list[Probe]:
    """Every active account of every enabled provider, in the order written. `transport` gives one by its kind."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(provider: Provider, account: Account) -> Probe:
        async with gate:
            return await _Call(provider, account, transport(provider.settings.transport), clock).probe()

    pairs = [(p, a) for p in directory.providers.values() for a in _active(p)]
    return list(await asyncio.gather(*(one(provider, account) for provider, account in pairs)))


def _active(provider: Provider) -> Iterator[Account]:
    if provider.settings.enabled and provider.settings.transport == "http":
        yield from (account for account in provider.accounts if account.inactive is None)


class _Call:
    def __init__(
        self, provider: Provider, account: Account, transport: Transport, clock: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._account = account
        self._transport = transport
        self._clock = clock

    async def probe(self) -> Probe:
        upstream = next(iter(self._provider.upstreams.values()))
        listing = LISTS.get(upstream.wire.name)
        if listing is not None and not await self._public(upstream, listing):
            found = await self._ask(upstream, "GET", listing, b"", "list of models")
            if found.status not in (404, 405):
                return found
        return await self._answer(upstream)

    async def _public(self, upstream: Upstream, listing: str) -> bool:
        """Whether the list is there for everybody: then it says nothing about a key."""
        if not self._account.secrets:
            return False
        try:
            async with asyncio.timeout(SECONDS):
                inbound = await self._transport.send(
                    self._outbound(upstream, "GET", listing, b"", keyed=False)
                )
                await inbound.close()
        except (OmniRouteError, TimeoutError):
            return False
        return inbound.status < 300

    async def _answer(self, upstream: Upstream) -> Probe:
        """One token of an answer by the provider's first model."""
        target = next((t for m in self._provider.listed() if (t := self._provider.target(m))), None)
        path = upstream.wire.path(target.model, False, "chat") if target is not None else None
        if target is None or path is None:
            return self._came("skipped", "", said="no call is known that costs little")
        return await self._ask(
            upstream, "POST", path, _shortest(upstream, target), f"one token of {target.model}"
        )

    async def _ask(self, upstream: Upstream, method: str, path: str, body: bytes, call: str) -> Probe:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SECONDS):
                outbound = self._outbound(upstream, method, path, body, keyed=True)
                sign = self._account.granted[upstream.wire.name].sign
                if sign is not None:
                    outbound = await signed(outbound, sign, self._clock())
                inbound = await self._transport.send(outbound)
                try:
                    answer = await inbound.read()
                finally:
                    await inbound.close()
        except UpstreamError as error:
            return self._came("failed", call, said=redacted(error.problem, self._account.secrets).message)
        except TimeoutError:
            return self._came("failed", call, said=f"no answer within {SECONDS:g} s")
        took = round((time.perf_counter() - began) * 1000)
        if inbound.status < 300:
            return self._came("ok", call, inbound.status, took)
        headers = {name.lower(): value for name, value in inbound.headers.items()}
        problem = redacted(upstream.wire.read_error(inbound.status, headers, answer), self._account.secrets)
        limited = problem.kind in ("rate_limit", "quota")
        return self._came("limited" if limited else "failed", call, inbound.status, took, problem.message)

    def _outbound(self, upstream: Upstream, method: str, path: str, body: bytes, *, keyed: bool) -> Outbound:
        granted = self._account.granted[upstream.wire.name]
        query = urlencode(granted.query) if keyed and granted.query else ""
        kind = {"Content-Type": "application/json"} if body else {}
        return Outbound(
            url=upstream.base_url + path + (("&" if "?" in path else "?") + query if query else ""),
            headers=merged(
                upstream.headers, granted.headers if keyed else {}, {"Accept": "application/json", **kind}
            ),
            body=body,
            proxy=self._account.proxy,
            connect=self._provider.settings.timeouts.connect,
            method=method,
            wire=upstream.wire,
        )

    def _came(self, verdict: Verdict, call: str, status: int = 0, took: int = 0, said: str = "") -> Probe:
        return Probe(self._provider.name, self._account.name, verdict, call, status, took, said)


def _shortest(upstream: Upstream, target: Target) -> bytes:
    talk = Conversation(model=target.model, turns=[Turn(role="user", parts=[Text(text="hi")])], max_tokens=1)
    return msgspec.json.encode(upstream.wire.write_request(talk, target.dialect, Notes()))
