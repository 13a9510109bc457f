"""A cassette around any transport: what was asked once is answered from the tape, with its bytes and its timing."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from omniroute.config.cassettes import Cassette
from omniroute.errors import Problem, Refused, UpstreamError
from omniroute.upstream.frames import Frames, framing_of
from omniroute.upstream.headers import lowered
from omniroute.upstream.matching import differences, essence
from omniroute.upstream.tape import Asked, Call, Given, append, piece, read_tape
from omniroute.upstream.transport import Inbound, Outbound, Transport

log = logging.getLogger("omniroute")

KEPT = re.compile(r"content-type|retry-after(-ms)?|.*ratelimit.*|x-should-retry|openai-processing-ms")
"""Headers of answers that mean something when they are played back."""

CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "x-amz-security-token", "cookie")
_QUERY_KEYS = frozenset({"key", "api_key", "access_token"})

_SECRETS = re.compile(
    rb"\b(?:sk-(?:ant-|proj-)?|ork_|gsk_|xai-|AIza|ghp_|glpat-|hf_|r8_)[A-Za-z0-9_-]{16,}"
    rb"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    rb"|(?<=Bearer )[A-Za-z0-9._~+/-]{16,}"
)
"""What looks like a key, whoever wrote it into a message."""

SHORTEST = 8
"""Credentials with fewer characters are words that texts need."""


class Tape:
    """A file of calls, shared by all who record to it or play from it. Edited by hand, it is read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[Call] = []
        self._essences: dict[tuple[int, tuple[str, ...]], Any] = {}
        self._used: set[int] = set()
        self._begun = False
        self._read: tuple[int, int] | None = None
        self._reading = asyncio.Lock()

    async def fresh(self) -> None:
        """Read the file if it is not what was read before. Raises `Refused` when it is damaged."""
        async with self._reading:
            stamp = _stamp(self.path)
            if stamp == self._read:
                return
            self.calls = await asyncio.to_thread(read_tape, self.path)
            self._read = stamp
            self._essences, self._used = {}, set()

    def find(self, provider: str, asked: Asked, ignore: tuple[str, ...]) -> Call | None:
        """The call that fits; of several the first that was not used, so that they are played in their order, and at
        the end the last one again."""
        wanted = essence(asked, ignore)
        fitting = [
            number
            for number, call in enumerate(self.calls)
            if call.provider == provider and self._essence(number, ignore) == wanted
        ]
        if not fitting:
            return None
        number = next((n for n in fitting if n not in self._used), fitting[-1])
        self._used.add(number)
        return self.calls[number]

    def _essence(self, number: int, ignore: tuple[str, ...]) -> Any:
        key = (number, ignore)
        if key not in self._essences:
            self._essences[key] = essence(self.calls[number].request, ignore)
        return self._essences[key]

    def nearest(self, provider: str, asked: Asked, ignore: tuple[str, ...]) -> str:
        """The recorded call that differs least, and in what; for a person to read."""
        wanted = essence(asked, ignore)
        told = [
            (list(differences(self._essence(number, ignore), wanted)), number + 1)
            for number, call in enumerate(self.calls)
            if call.provider == provider
        ]
        if not told:
            return f"it has no call of {provider}"
        found, number = min(told, key=lambda one: len(one[0]))
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        return f"the nearest is call {number}: {'; '.join(found[:3])}{more}"

    def add(self, call: Call, *, anew: bool) -> None:
        """Record a call. `anew` replaces what an earlier process recorded. A disk that is full is logged."""
        begins = anew and not self._begun
        if begins:
            self.calls, self._essences, self._used = [], {}, set()
        self._begun = True
        self._used.add(len(self.calls))
        self.calls.append(call)
        try:
            append(self.path, [call], anew=begins)
            self._read = _stamp(self.path)
        except OSError as error:
            log.error("the cassette %s cannot be written: %s", self.path, error)


class Taped:
    """A transport with a cassette. The one below belongs to somebody else, who closes it."""

    def __init__(self, provider: str, below: Transport, cassette: Cassette, tape: Tape) -> None:
        self._provider = provider
        self._below = below
        self._cassette = cassette
        self._tape = tape

    async def send(self, outbound: Outbound) -> Inbound:
        """Raises `Refused` (`cassette_miss`) for what is not recorded and may not be asked."""
        mode = self._cassette.mode
        if mode == "off":
            return await self._below.send(outbound)
        asked = _asked(outbound)
        if mode != "record":
            await self._tape.fresh()
            call = self._tape.find(self._provider, asked, self._cassette.ignore)
            if call is not None:
                return await _played(call.answer, self._cassette.speed)
            if mode == "replay":
                raise Refused(self._miss(asked))
        return await self._recorded(outbound, asked)

    async def close(self) -> None:
        """There is nothing of its own to let go of."""

    def _miss(self, asked: Asked) -> Problem:
        near = self._tape.nearest(self._provider, asked, self._cassette.ignore)
        return Problem(
            kind="invalid_request",
            code="cassette_miss",
            message=f"{self._tape.path} has not recorded this {asked.method} {asked.path} of {self._provider}: {near}.",
        )

    async def _recorded(self, outbound: Outbound, asked: Asked) -> Inbound:
        began = asyncio.get_running_loop().time()
        try:
            inbound = await self._below.send(outbound)
        except UpstreamError as error:
            self._add(asked, Given(at=_since(began), broken=error.problem))
            raise
        headers = {name: value for name, value in lowered(inbound.headers).items() if KEPT.fullmatch(name)}
        given = Given(status=inbound.status, at=_since(began), headers=headers)
        return _Recording(inbound, given, began, _secrets_of(outbound), lambda: self._add(asked, given))

    def _add(self, asked: Asked, given: Given) -> None:
        call = Call(self._provider, asked, given)
        self._tape.add(call, anew=self._cassette.mode == "record")


class _Recording:
    """An answer that is written down while it is read. What nobody read to its end is not on the tape."""

    def __init__(self, inbound: Inbound, given: Given, began: float, secrets: list[bytes], done: Any) -> None:
        self._inbound = inbound
        self._given = given
        self._began = began
        self._secrets = secrets
        self._done = done
        self._frames = Frames(framing_of(inbound.headers.get("content-type", "")))
        self.status = inbound.status
        self.headers: Mapping[str, str] = inbound.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inbound.chunks():
                for frame in self._frames.feed(chunk):
                    self._keep(frame)
                yield chunk
        except UpstreamError as error:
            self._given.broken = error.problem
            self._finish()
            raise
        self._finish()

    async def close(self) -> None:
        await self._inbound.close()

    def _keep(self, data: bytes) -> None:
        self._given.body.append(piece(_since(self._began), scrubbed(data, self._secrets)))

    def _finish(self) -> None:
        rest = self._frames.rest()
        if rest:
            self._keep(rest)
        self._done()


class _Playing:
    """A recorded answer. `speed` 0 does not wait."""

    def __init__(self, given: Given, speed: float) -> None:
        self.status = given.status
        self.headers: Mapping[str, str] = given.headers
        self._given = given
        self._speed = speed

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        now = self._given.at
        for part in self._given.body:
            await _wait(part.at - now, self._speed)
            now = part.at
            yield part.data
        if self._given.broken is not None:
            raise UpstreamError(self._given.broken)

    async def close(self) -> None:
        """There is nothing to let go of."""


async def _played(given: Given, speed: float) -> Inbound:
    await _wait(given.at, speed)
    if not given.status and given.broken is not None:
        raise UpstreamError(given.broken)
    return _Playing(given, speed)


async def _wait(seconds: float, speed: float) -> None:
    if speed > 0 and seconds > 0:
        await asyncio.sleep(seconds / speed)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _since(began: float) -> float:
    return round(asyncio.get_running_loop().time() - began, 4)


def _asked(outbound: Outbound) -> Asked:
    parts = urlsplit(outbound.url)
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in _QUERY_KEYS]
    path = parts.path + (f"?{urlencode(query)}" if query else "")
    raw = scrubbed(outbound.body, _secrets_of(outbound))
    try:
        body = msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = raw.decode("utf-8", "replace")
    return Asked(outbound.method, path, body)


def _secrets_of(outbound: Outbound) -> list[bytes]:
    """The credentials of a request, longest first."""
    headers = lowered(outbound.headers)
    values = [headers[name].rpartition(" ")[2] for name in CREDENTIALS if name in headers]
    values += [value for key, value in parse_qsl(urlsplit(outbound.url).query) if key in _QUERY_KEYS]
    return sorted((v.encode() for v in values if len(v) >= SHORTEST), key=len, reverse=True)


def scrubbed(data: bytes, secrets: list[bytes]) -> bytes:
    """Bytes without these secrets, and without what looks like one."""
    for secret in secrets:
        data = data.replace(secret, b"***")
    return _SECRETS.sub(b"***", data)
