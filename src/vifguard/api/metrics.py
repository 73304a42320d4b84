"""The server's metrics, for Prometheus. No label holds a text that a tenant wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vifguard.store.errors import UnavailableError
from vifguard.store.nouns import hosts
from vifguard.store.nouns.hosts import StoredHost
from vifguard.store.reports import port_counts
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
        """All metrics, in Prometheus's text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """Metrics of the store, which is read at each scrape."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Nothing: metrics are read from the store, and not while this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics of one reading of the store; where that fails, only the failure."""
        usable = GaugeMetricFamily(
            "vifguard_database_usable",
            "Whether the database answers, and is the one opened: 1 or 0.",
        )
        try:
            found = list(self._read())
        except UnavailableError:
            usable.add_metric((), 0)
        else:
            usable.add_metric((), 1)
            yield from found
        yield usable

    def _read(self) -> Iterator[Metric]:
        store = self._store()
        with store.read() as snapshot:
            known = hosts.read_stored(snapshot)
            silent = {host.name for host in known if not host.is_alive}
            by_status = port_counts.ports_by_status(snapshot, silent)
        yield _gauge("vifguard_ports", "Ports, by status.", "status", by_status)
        agents = {"alive": len(known) - len(silent), "silent": len(silent)}
        yield _gauge("vifguard_agents", "Hosts' agents, by whether they report.", "state", agents)
        yield from _of_hosts(known)
        dropped = GaugeMetricFamily(
            "vifguard_dropped_frames",
            "Frames dropped at the ports that dropped last, by direction and guard.",
            labels=("direction", "guard"),
        )
        for (direction, guard), frames in sorted(store.drops.totals().items()):
            dropped.add_metric((direction, guard), frames)
        yield dropped
        yield from _wiring(known)


def _wiring(known: Iterable[StoredHost]) -> Iterator[Metric]:
    """The parts of the hosts' wiring that are no port's, by host."""
    bridges = [(each.name, bridge) for each in known for bridge in each.wiring.get("bridges", ())]
    unguarded = GaugeMetricFamily(
        "vifguard_unguarded_members",
        "Members of a bridge of the operator's that are neither uplinks nor trusted, and have no "
        "guard that was read back, by host, bridge and whether they forward.",
        labels=("host", "bridge", "forwarding"),
    )
    for host, bridge in bridges:
        forwarding = len(bridge.get("forwarding", ()))
        dropped = len(bridge["unguarded"]) - forwarding
        unguarded.add_metric((host, bridge["name"], "yes"), forwarding)
        unguarded.add_metric((host, bridge["name"], "no"), dropped)
    yield unguarded
    held = GaugeMetricFamily(
        "vifguard_held_frames",
        "Frames dropped where there is no guarded port, by host and what dropped them.",
        labels=("host", "by"),
    )
    for each in known:
        quarantine = sum(device["dropped"] for device in each.wiring.get("held", ()))
        # The filter counts for all bridges of a host.
        members = max((b["dropped"] or 0 for h, b in bridges if h == each.name), default=0)
        held.add_metric((each.name, "quarantine"), quarantine)
        held.add_metric((each.name, "members"), members)
    yield held
    yield from _connections(known)


def _connections(known: Iterable[StoredHost]) -> Iterator[Metric]:
    """The size of the hosts' tables of connections, and the part in use."""
    room = GaugeMetricFamily(
        "vifguard_connections_room",
        "Connections that a host's table has room for.",
        labels=("host",),
    )
    used = GaugeMetricFamily(
        "vifguard_connections_used_ratio",
        "About what part of a host's table of connections is in use, 0 to 1.",
        labels=("host",),
    )
    for host in known:
        if table := host.wiring.get("connections"):
            room.add_metric((host.name,), table["room"])
            used.add_metric((host.name,), table["used_percent"] / 100)
    yield room
    yield used


def _of_hosts(known: Sequence[StoredHost]) -> Iterator[Metric]:
    """The state of each host, from its reports."""
    heard = GaugeMetricFamily(
        "vifguard_host_heartbeat_timestamp_seconds",
        "When the host's agent last said that it has read back its guards.",
        labels=("host",),
    )
    degraded = GaugeMetricFamily(
        "vifguard_host_degraded",
        "Parts of the host's agent that cannot do their work.",
        labels=("host", "part"),
    )
    lost = CounterMetricFamily(
        "vifguard_guards_lost",
        "Guards and wiring found lost and put back since the host's agent began, by what it was.",
        labels=("host", "cause"),
    )
    for host in known:
        heard.add_metric((host.name,), host.seen_at)
        for each in host.about.degraded:
            degraded.add_metric((host.name, each.partition(":")[0]), 1)
        for cause, many in sorted(host.about.lost.items()):
            lost.add_metric((host.name, cause), many)
    yield from (heard, degraded, lost)


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in values.items():
        family.add_metric((value,), count)
    return family
