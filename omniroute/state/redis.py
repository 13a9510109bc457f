"""`store: redis://…`: state is shared by all gateways that use one Redis (or what speaks its protocol)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from omniroute.declare import Options, store
from omniroute.state.store import Address, Change, News, StoreAway, StoreUnusable

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

LOG = 10_000
"""Changes remembered for those who come to ask, or a few more."""
BATCH = 1_000
"""Changes told at once."""
CONNECTIONS = 32
"""For large values; changes have one of their own."""
CONNECT = 1.0
ANSWER = 2.0
"""Seconds before a server that says nothing counts as away."""
PREFIX = "omniroute"
LAYOUT = 1
"""What keys hold. A version that reads them in another way counts on, and leaves these alone."""
SCRIPT = Path(__file__).with_name("exchange.lua")


@store("redis", aliases=["rediss"], example="redis://:${REDIS_PASSWORD}@redis.internal:6379/0")
class Redis(Options, frozen=True, kw_only=True):
    """State is shared by all gateways that use the same Redis.

    `redis://[user:password@]host[:port][/database]`, `rediss://` with TLS; `?prefix=NAME` keeps apart what would
    share one database (its keys begin with `{omniroute}:` otherwise). Needs the extra: `pip install omniroute[redis]`.
    Redis 6.2 or newer, or Valkey. While it is away, gateways go on with what they know, and put it right afterwards.
    """

    def lacks(self) -> str | None:
        if find_spec("redis") is None:
            return "`store: redis://…` needs the package redis: pip install 'omniroute[redis]'"
        return None

    def open(self, address: Address) -> RedisStore:
        parts = urlsplit(address.url)
        query = parse_qs(parts.query)
        prefix = query.pop("prefix", [PREFIX])[0]
        url = urlunsplit(parts._replace(query=urlencode(query, doseq=True)))
        try:
            return RedisStore(_client(url, 1, 0), _client(url, CONNECTIONS, 1), prefix)
        except (ValueError, TypeError):
            # Its words may hold parts of the URL, the password among them.
            raise StoreUnusable("the URL of the store cannot be read") from None


def _client(url: str, connections: int, retries: int) -> Client:
    """A client whose connections are made when they are needed. `retries` are for connections that were closed while
    they were idle."""
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio import Redis as Client
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=ANSWER,
        socket_connect_timeout=CONNECT,
        socket_timeout=ANSWER,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), retries),
    )
    return Client.from_pool(pool)


class RedisStore:
    """Records, counters and the log change in one script, so that all of them tell the same story."""

    kind = "redis"
    alone = False
    pace = 0.05

    def __init__(self, client: Client, blobs: Client, prefix: str) -> None:
        self._client = client
        self._blobs = blobs
        base = f"{{{prefix}}}:{LAYOUT}:"  # the braces keep all keys on one node of a cluster
        self._keys = [base + name for name in ("meta", "log", "records", "counters", "ends")]
        self._counter, self._blob = f"{base}counter:", f"{base}blob:"
        self._exchange = client.register_script(SCRIPT.read_text("utf-8"))

    async def load(self) -> News:
        with _mapped():
            news, now = await self._ask("", (), -1)
            changes = [record async for record in self._records(now)]
            changes += [count async for count in self._counts(now)]
        return News(news.life, news.cursor, changes, run=news.run)

    async def exchange(self, origin: str, writes: Sequence[Change], since: int) -> News:
        with _mapped():
            return (await self._ask(origin, writes, since))[0]

    async def get(self, key: str) -> bytes | None:
        with _mapped():
            found: Any = await self._blobs.get(self._blob + key)
        return bytes(found) if found is not None else None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        if ttl > 0:
            with _mapped():
                await self._blobs.set(self._blob + key, value, px=_ms(ttl))

    async def drop(self, key: str) -> bool:
        with _mapped():
            return bool(await self._blobs.delete(self._blob + key))

    async def close(self) -> None:
        for client in (self._client, self._blobs):
            await client.aclose()
            await client.connection_pool.disconnect()

    async def _ask(self, origin: str, writes: Sequence[Change], since: int) -> tuple[News, int]:
        """What is new, and the time of the server in ms."""
        flat: list[Any] = [origin, since, BATCH, LOG, uuid4().hex, self._counter]
        for write in writes:
            flat += _flat(write)
        life, run, cursor, gap, more, now, rows = await self._exchange(self._keys, flat)
        at = int(now)
        changes = [_change(row, at) for row in rows]
        news = News(life.decode(), int(cursor), changes, gap=bool(gap), more=bool(more), run=run.decode())
        return news, at

    async def _records(self, now: int) -> AsyncIterator[Change]:
        async for key, stored in self._client.hscan_iter(self._keys[2], count=1_000):
            ends, _, value = stored.partition(b" ")
            if _lives(ends, now):
                yield Change("put", key.decode(), value=value, ttl=_left(ends, now))

    async def _counts(self, now: int) -> AsyncIterator[Change]:
        names = [name async for name in self._client.sscan_iter(self._keys[3], count=1_000)]
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            pipeline = self._client.pipeline(transaction=False)
            for name in some:
                pipeline.hgetall(self._counter.encode() + name)
            for name, parts in zip(some, await pipeline.execute(), strict=True):
                for count in _parts(name, parts, now):
                    yield count


def _parts(name: bytes, parts: dict[bytes, bytes], now: int) -> Iterator[Change]:
    for origin, stored in parts.items():
        ends, version, amount = stored.split(b" ")
        if _lives(ends, now):
            yield Change(
                "count",
                name.decode(),
                amount=float(amount),
                origin=origin.decode(),
                version=int(version),
                ttl=_left(ends, now),
            )


def _flat(write: Change) -> tuple[Any, ...]:
    ttl = -1 if write.ttl is None else _ms(write.ttl)
    return (
        write.verb,
        write.key,
        write.value,
        repr(write.amount),
        write.origin,
        write.version,
        ttl,
        int(write.absent),
    )


def _change(row: list[Any], now: int) -> Change:
    verb, key, value, amount, origin, version, ends = row
    return Change(
        verb.decode(),
        key.decode(),
        value,
        float(amount),
        origin.decode(),
        int(version),
        _left(ends, now),
    )


def _ms(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


def _lives(ends: bytes, now: int) -> bool:
    return int(ends) < 0 or int(ends) > now


def _left(ends: bytes, now: int) -> float | None:
    return None if int(ends) < 0 else max(int(ends) - now, 0) / 1000


@contextmanager
def _mapped() -> Iterator[None]:
    """The errors of the library in our words. They name hosts and reasons, never a password."""
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreAway(str(error) or type(error).__name__) from error
