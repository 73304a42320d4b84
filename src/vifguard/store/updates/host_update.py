"""Updates: the part of an Intent that one host must enforce. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vifguard.feed.messages import HostPort, Update
from vifguard.feed.segment import Flat, Local, Segment
from vifguard.model.intent import Intent
from vifguard.model.network import Network
from vifguard.model.port import Port
from vifguard.model.security_group import Rule, SetChange
from vifguard.resolve.policy import resolve


def update_for_host(
    intent: Intent,
    host: str,
    revisions: Mapping[str, int],
    *,
    gone: Iterable[str] | None = None,
    groups: Mapping[str, frozenset[Rule]] | None = None,
    sets: Mapping[str, SetChange] | None = None,
) -> Update:
    """The host's ports in `intent`; complete when `gone` is None, else a change.

    `revisions` gives for each port the revision that last changed it; `groups` and `sets` are
    the rules and address sets that the host gets beside its ports.
    """
    ports = tuple(
        host_port(intent, port, revisions[port.id])
        for port in intent.ports.values()
        if port.host == host
    )
    return Update(
        intent.revision, gone is None, ports, frozenset(gone or ()), groups or {}, sets or {}
    )


def host_port(intent: Intent, port: Port, revision: int) -> HostPort:
    """One port as its host must enforce it."""
    network = intent.networks.get(port.network_id)
    return HostPort(
        resolve(intent, port), _segment(port, network), port.mac, port.interface, revision
    )


def _segment(port: Port, network: Network | None) -> Segment:
    if network is None:
        return Segment(port.network_id, shared=False, mtu=1500)
    kind = Flat(network.physical) if network.physical else Local()
    return Segment(network.id, network.shared, network.mtu, kind)
