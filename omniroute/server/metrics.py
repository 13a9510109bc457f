"""Counters and histograms for Prometheus. One registry a gateway, so that several live in one process."""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from omniroute.engine.runtime import Runtime
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.state.transitions import Transition

BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


MOST_SETTINGS = 100
LONGEST_SETTING = 60
"""How many names of dropped settings are told apart, and how long they may be."""


class Metrics:
    """What /-/metrics shows. Label values are names from the config, never what a client made up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._requests = Counter(
            "omniroute_requests", "Requests answered.", ["endpoint", "status", "provider", "path"], registry=r
        )
        self._seconds = Histogram(
            "omniroute_request_seconds",
            "Time from the request to the end of its answer.",
            ["endpoint"],
            buckets=BUCKETS,
            registry=r,
        )
        self._first = Histogram(
            "omniroute_first_byte_seconds",
            "Time to the first byte of an answer.",
            ["provider"],
            buckets=BUCKETS,
            registry=r,
        )
        self._tokens = Counter("omniroute_tokens", "Tokens used.", ["provider", "kind"], registry=r)
        self._cost = Counter(
            "omniroute_cost_usd", "Cost of answers with known prices, in USD.", ["provider"], registry=r
        )
        self._attempts = Counter(
            "omniroute_attempts_failed", "Attempts that failed.", ["provider"], registry=r
        )
        self._lost = Counter(
            "omniroute_races_lost",
            "Attempts that another one was faster than (strategy `race`).",
            ["provider"],
            registry=r,
        )
        self._cut = Counter(
            "omniroute_streams_cut", "Streams that broke after they had begun.", ["provider"], registry=r
        )
        self._dropped = Counter(
            "omniroute_dropped", "Settings that a target could not express.", ["setting"], registry=r
        )
        self._cache = Counter(
            "omniroute_cache", "What caches did: hit, miss, bypass, idempotent.", ["result"], registry=r
        )
        self._running = Gauge("omniroute_requests_running", "Requests being answered.", registry=r)
        self._good = Gauge(
            "omniroute_config_last_reload_successful",
            "1 when the last load of the config was good.",
            registry=r,
        )
        self._when = Gauge(
            "omniroute_config_last_reload_success_timestamp_seconds",
            "When a config was last loaded.",
            registry=r,
        )
        self._number = Gauge(
            "omniroute_config_generation", "Number of the generation that serves.", registry=r
        )
        self._resting = Gauge(
            "omniroute_accounts_resting", "Accounts and models that are cooling down.", registry=r
        )
        self._transitions = Counter(
            "omniroute_transitions",
            "Breakers, cooldowns, lockouts, quotas and budgets that came to a new state.",
            ["kind", "to"],
            registry=r,
        )
        self._open = Gauge("omniroute_breakers_open", "Breakers that are open or half-open.", registry=r)
        self._queued = Gauge("omniroute_requests_queued", "Requests that wait for a limit.", registry=r)
        self._store = Gauge(
            "omniroute_store_connected", "1 when the store answers and has it all.", registry=r
        )
        self._behind = Gauge("omniroute_store_behind", "Changes that the store has yet to get.", registry=r)
        self._settings: set[str] = set()
        # Children are looked up once for each combination of labels: a look-up costs more than the counting.
        self._request = lru_cache(maxsize=4096)(self._requests.labels)
        self._duration = lru_cache(maxsize=256)(self._seconds.labels)

    def over(self, exchange: Exchange, reply: Reply) -> None:
        """Count an exchange that is over."""
        provider = exchange.target.provider.name if exchange.target is not None else ""
        endpoint = exchange.endpoint.path
        self._request(endpoint, str(reply.status), provider, exchange.path if provider else "").inc()
        self._duration(endpoint).observe(perf_counter() - exchange.request.started)
        if exchange.first_byte and provider:
            self._first.labels(provider).observe(exchange.first_byte - exchange.request.started)
        if exchange.usage is not None:
            self._use(provider, exchange)
        for tried in exchange.tried:
            self._attempts.labels(tried.target.partition("/")[0]).inc()
        for target in exchange.lost:
            self._lost.labels(target.partition("/")[0]).inc()
        problem = exchange.problem
        if problem is not None and problem.kind != "cancelled" and reply.stream is not None:
            self._cut.labels(provider).inc()
        if exchange.cache is not None:
            self._cache.labels(exchange.cache).inc()
        for setting in exchange.notes.dropped:
            self._dropped.labels(self._known(setting)).inc()

    def moved(self, transition: Transition) -> None:
        """Count a change of the state."""
        self._transitions.labels(transition.kind, transition.to).inc()

    def _known(self, setting: str) -> str:
        """The setting, or `other` when there are too many: names of tools are made up by clients."""
        if setting in self._settings:
            return setting
        if len(self._settings) >= MOST_SETTINGS or len(setting) > LONGEST_SETTING:
            return "other"
        self._settings.add(setting)
        return setting

    def _use(self, provider: str, exchange: Exchange) -> None:
        usage = exchange.usage
        if usage is None:
            return
        for kind, tokens in (
            ("input", usage.input),
            ("output", usage.output),
            ("cached", usage.cached),
            ("reasoning", usage.reasoning),
        ):
            if tokens:
                self._tokens.labels(provider, kind).inc(tokens)
        if exchange.cost:
            self._cost.labels(provider).inc(exchange.cost)

    def text(self, runtime: Runtime) -> bytes:
        """The exposition, with what is known of the config and the state right now."""
        generation = runtime.generation
        result = runtime.last_result
        self._good.set(1 if result is not None and result.ok else 0)
        self._when.set(runtime.last_success)
        self._number.set(generation.number)
        self._running.set(generation.running + sum(g.running for g in runtime.draining))
        self._resting.set(len(runtime.state.cooldowns.all()))
        self._open.set(len(runtime.state.breakers.all()))
        self._queued.set(sum(gauge.queued for gauge in runtime.state.limits.all().values()))
        store = runtime.state.store
        self._store.set(store.state == "connected")
        self._behind.set(store.behind)
        return bytes(generate_latest(self.registry))
