"""Prometheus metrics, summed over all processes of the service."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from geoseg.web.jobs.records import State

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder where the processes of a service store their metrics."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_WINDOWS = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Metrics of the service.

    Args:
        job_states: Returns the number of jobs by state.
    """

    def __init__(self, job_states: Callable[[], Mapping[State, int]]) -> None:
        registry = CollectorRegistry()
        self._registry, self._jobs = registry, _JobCounts(job_states)
        self.requests = Counter(
            "geoseg_requests", "Requests answered", ("route", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "geoseg_request_seconds",
            "Seconds a request took",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stages = Histogram(
            "geoseg_stage_seconds",
            "Seconds that a stage of a prediction took: check (upload included), predict (waiting included), encode",
            ("route", "stage"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "geoseg_batch_windows", "Windows that shared a pass", buckets=_WINDOWS, registry=registry
        )
        self.network = Counter("geoseg_network_seconds", "Seconds that networks computed", registry=registry)
        self.pixels = Counter("geoseg_pixels", "Pixels mapped by prediction requests", registry=registry)
        self.pending = Gauge(
            "geoseg_pending_predictions",
            "Predictions that wait or compute",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.memory = Gauge(
            "geoseg_memory_bytes",
            "Resident memory of the processes",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def observe_batch(self, windows: int, seconds: float) -> None:
        """Record one pass of a network.

        Args:
            windows: Windows in the batch.
            seconds: Duration of the pass.
        """
        self.batches.observe(windows)
        self.network.inc(seconds)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        registry = self._registry
        if MULTIPROCESS in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(self._jobs)


class _JobCounts(CollectorRegistry):
    """Jobs by state, counted at each scrape because all processes share them."""

    def __init__(self, states: Callable[[], Mapping[State, int]]) -> None:
        super().__init__()
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric ``geoseg_jobs``."""
        family = GaugeMetricFamily("geoseg_jobs", "Jobs by state", labels=("state",))
        for state, count in self._states().items():
            family.add_metric((state,), count)
        yield family


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 without /proc."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return 0
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
