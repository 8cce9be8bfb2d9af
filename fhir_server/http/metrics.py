"""Counters for Prometheus, kept in plain dictionaries and rendered when somebody scrapes.

A request costs one dictionary addition and one bisection; `prometheus_client` would take locks and label look-ups.
Labels hold interactions, resource types and statuses only, so there are no more series than the tables allow.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics(Collector):
    """The counters of one server process.

    Where several processes share a port, each scrape meets one of them; a label `worker` then keeps their series apart.

    Args:
        worker: Value of that label, empty for the only process.

    Attributes:
        in_flight: Requests under way.
        spooled: Rows of the audit trail that wait on disk.
    """

    def __init__(self, worker: str = "") -> None:
        self.in_flight = self.spooled = 0
        self._label = ("worker",) if worker else ()
        self._worker = (worker,) if worker else ()
        self._requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def observe(self, interaction: str, resource_type: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        self._requests[interaction, resource_type, status] += 1
        self._buckets[interaction][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[interaction] += seconds

    def render(self, accept: str) -> tuple[str, bytes]:
        """Return (content type, text) in the exposition format that the Accept header prefers."""
        encoder, content_type = choose_encoder(accept)
        return content_type, encoder(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families (called by the registry)."""
        requests = CounterMetricFamily(
            "fhir_requests", "Requests answered.", labels=("interaction", "resource_type", "status", *self._label)
        )
        for (interaction, resource_type, status), count in self._requests.items():
            requests.add_metric((interaction, resource_type, str(status), *self._worker), count)
        yield requests
        seconds = HistogramMetricFamily(
            "fhir_request_duration_seconds",
            "Time from the first byte to the answer.",
            labels=("interaction", *self._label),
        )
        for interaction, counts in self._buckets.items():
            seconds.add_metric((interaction, *self._worker), _cumulative(counts), self._seconds[interaction])
        yield seconds
        in_flight = GaugeMetricFamily("fhir_requests_in_flight", "Requests under way.", labels=self._label)
        in_flight.add_metric(self._worker, self.in_flight)
        yield in_flight
        spooled = GaugeMetricFamily(
            "fhir_audit_spooled_rows", "Rows of the audit trail that wait on disk.", labels=self._label
        )
        spooled.add_metric(self._worker, self.spooled)
        yield spooled


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    rows, total = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        rows.append((bound, float(total)))
    return rows
