"""The page of the metrics, from the collectors themselves."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from omniroute.reference.markdown import code, codes, page, table
from omniroute.server.metrics import Metrics

ABOUT = """\
`GET /-/metrics` answers in Prometheus' text format. Values of labels are names from the configuration, never what a
client made up. Counters of several workers are those of each process.
"""

SUFFIX = {"counter": "_total"}
"""What a name ends with on the wire, by kind."""


def metrics_page() -> str:
    """`metrics.md`."""
    collectors = [c for c in vars(Metrics()).values() if isinstance(c, Counter | Gauge | Histogram)]
    rows = sorted(_row(collector) for collector in collectors)
    return page("Metrics", ABOUT, table(("metric", "kind", "labels", "meaning"), rows))


def _row(collector: Any) -> tuple[str, str, str, str]:
    family = collector.describe()[0]
    # prometheus_client has no public way to ask for the labels of a metric that has not been counted yet.
    labels = collector._labelnames
    return code(family.name + SUFFIX.get(family.type, "")), family.type, codes(labels), family.documentation
