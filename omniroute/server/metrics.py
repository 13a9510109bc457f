"""Counters and histograms for Prometheus. One set a gateway, so that several live in one process.

Counting is a sum in a dictionary; what Prometheus wants to read is made of it when it asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from omniroute.engine.runtime import Runtime
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.state.transitions import Transition

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


MOST_SETTINGS = 100
LONGEST_SETTING = 60
"""How many names of dropped settings are told apart, and how long they may be."""


class Count:
    """A counter with labels: `count[labels] += …`, by values in the order of their names."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self.name, self.help, self.labels = name, help, labels
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], amount: float = 1.0) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + amount


class Spread:
    """A histogram with one label."""

    def __init__(self, name: str, help: str, label: str) -> None:
        self.name, self.help, self.label = name, help, label
        self.values: dict[str, list[float]] = {}
        """The counts of the buckets, the last one without an end, and then the sum."""

    def observe(self, label: str, seconds: float) -> None:
        row = self.values.get(label)
        if row is None:
            row = self.values[label] = [0.0] * (len(BUCKETS) + 2)
        row[bisect_left(BUCKETS, seconds)] += 1
        row[-1] += seconds


class Metrics:
    """What /-/metrics shows. Label values are names from the config, never what a client made up."""

    def __init__(self) -> None:
        self._requests = Count(
            "omniroute_requests", "Requests answered.", "endpoint", "status", "provider", "path"
        )
        self._seconds = Spread(
            "omniroute_request_seconds", "Time from the request to the end of its answer.", "endpoint"
        )
        self._first = Spread(
            "omniroute_first_byte_seconds", "Time to the first byte of an answer.", "provider"
        )
        self._tokens = Count("omniroute_tokens", "Tokens used.", "provider", "kind")
        self._cost = Count("omniroute_cost_usd", "Cost of answers with known prices, in USD.", "provider")
        self._attempts = Count("omniroute_attempts_failed", "Attempts that failed.", "provider")
        self._lost = Count(
            "omniroute_races_lost", "Attempts that another one was faster than (strategy `race`).", "provider"
        )
        self._cut = Count("omniroute_streams_cut", "Streams that broke after they had begun.", "provider")
        self._dropped = Count("omniroute_dropped", "Settings that a target could not express.", "setting")
        self._cache = Count("omniroute_cache", "What caches did: hit, miss, bypass, idempotent.", "result")
        self._transitions = Count(
            "omniroute_transitions",
            "Breakers, cooldowns, lockouts, quotas and budgets that came to a new state.",
            "kind",
            "to",
        )
        self._settings: set[str] = set()

    def over(self, exchange: Exchange, reply: Reply) -> None:
        """Count an exchange that is over."""
        provider = exchange.target.provider.name if exchange.target is not None else ""
        endpoint, started = exchange.endpoint.path, exchange.request.started
        self._requests.add((endpoint, str(reply.status), provider, exchange.path if provider else ""))
        self._seconds.observe(endpoint, perf_counter() - started)
        if exchange.first_byte and provider:
            self._first.observe(provider, exchange.first_byte - started)
        if exchange.usage is not None:
            self._use(provider, exchange)
        for tried in exchange.tried:
            self._attempts.add((tried.target.partition("/")[0],))
        for target in exchange.lost:
            self._lost.add((target.partition("/")[0],))
        problem = exchange.problem
        if problem is not None and problem.kind != "cancelled" and reply.stream is not None:
            self._cut.add((provider,))
        if exchange.cache is not None:
            self._cache.add((exchange.cache,))
        for setting in exchange.notes.dropped:
            self._dropped.add((self._known(setting),))

    def moved(self, transition: Transition) -> None:
        """Count a change of the state."""
        self._transitions.add((transition.kind, transition.to))

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
                self._tokens.add((provider, kind), tokens)
        if exchange.cost:
            self._cost.add((provider,), exchange.cost)

    # ── exposition ───────────────────────────────────────────────────────────────────────────────

    def text(self, runtime: Runtime) -> bytes:
        """The exposition, with what is known of the config and the state right now."""
        # Imported when somebody asks: nobody may, and a start should not wait for it.
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collector(self, runtime))
        return bytes(generate_latest(registry))

    @property
    def counts(self) -> Sequence[Count]:
        return [value for value in vars(self).values() if isinstance(value, Count)]

    @property
    def spreads(self) -> Sequence[Spread]:
        return [value for value in vars(self).values() if isinstance(value, Spread)]


class _Collector:
    """What Prometheus's client asks for all metrics."""

    def __init__(self, metrics: Metrics, runtime: Runtime) -> None:
        self._metrics = metrics
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for count in self._metrics.counts:
            counter = CounterMetricFamily(count.name, count.help, labels=count.labels)
            for labels, value in count.values.items():
                counter.add_metric(labels, value)
            yield counter
        for spread in self._metrics.spreads:
            histogram = HistogramMetricFamily(spread.name, spread.help, labels=[spread.label])
            for label, row in spread.values.items():
                histogram.add_metric([label], _buckets(row), row[-1])
            yield histogram
        for name, help, value in _gauges(self._runtime):
            yield GaugeMetricFamily(name, help, value=value)


def _buckets(row: list[float]) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket what is in the smaller ones, too."""
    total, buckets = 0.0, []
    for end, count in zip((*map(float, BUCKETS), "+Inf"), row[:-1], strict=True):
        total += count
        buckets.append((str(end), total))
    return buckets


def _gauges(runtime: Runtime) -> Iterator[tuple[str, str, float]]:
    """What is so right now."""
    generation, result, state = runtime.generation, runtime.last_result, runtime.state
    running = generation.running + sum(g.running for g in runtime.draining)
    queued = sum(gauge.queued for gauge in state.limits.all().values())
    good = result is not None and result.ok
    yield "omniroute_requests_running", "Requests being answered.", running
    yield "omniroute_config_last_reload_successful", "1 when the last load of the config was good.", good
    yield (
        "omniroute_config_last_reload_success_timestamp_seconds",
        "When a config was last loaded.",
        runtime.last_success,
    )
    yield "omniroute_config_generation", "Number of the generation that serves.", generation.number
    resting = len(state.cooldowns.all())
    yield "omniroute_accounts_resting", "Accounts and models that are cooling down.", resting
    yield "omniroute_breakers_open", "Breakers that are open or half-open.", len(state.breakers.all())
    yield "omniroute_requests_queued", "Requests that wait for a limit.", queued
    connected = state.store.state == "connected"
    yield "omniroute_store_connected", "1 when the store answers and has it all.", connected
    yield "omniroute_store_behind", "Changes that the store has yet to get.", state.store.behind
