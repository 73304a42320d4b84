"""What the server counts, for Prometheus. No label holds what a tenant wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vifguard.store import hosts, tally
from vifguard.store.store import Store

_BUCKETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)


class Metrics:
    """The counters of one application; safe for threads."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_State(store))
        self._requests = Counter(
            "vifguard_requests",
            "Requests answered, by action and status.",
            ("action", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "vifguard_request_seconds",
            "Seconds until an answer was complete, by action; some wait for an event.",
            ("action",),
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def answered(self, action: str, status: int, seconds: float) -> None:
        """Count one answer; a status of 0 is none, its client having gone."""
        self._requests.labels(action, str(status)).inc()
        self._seconds.labels(action).observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """What the store knows, asked when somebody wants to know."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Nothing: what is there is asked of the store, and not while this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """One reading of the store."""
        store = self._store()
        with store.read() as snapshot:
            by_status = tally.ports_by_status(snapshot)
            known = hosts.read(snapshot)
        alive = sum(store.is_alive(host) for host in known)
        yield _gauge("vifguard_ports", "Ports, by status.", "status", by_status)
        agents = {"alive": alive, "silent": len(known) - alive}
        yield _gauge("vifguard_agents", "Hosts' agents, by whether they report.", "state", agents)
        dropped = GaugeMetricFamily(
            "vifguard_dropped_frames",
            "Frames dropped at the ports that dropped last, by direction and guard.",
            labels=("direction", "guard"),
        )
        for (direction, guard), frames in sorted(store.drops.totals().items()):
            dropped.add_metric((direction, guard), frames)
        yield dropped


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in values.items():
        family.add_metric((value,), count)
    return family
