"""Cut what one host must hold out of an Intent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vifguard.feed.messages import HostPort, Segment, Update
from vifguard.model.intent import Intent
from vifguard.model.network import Network
from vifguard.model.port import Port
from vifguard.resolve.policy import resolve


def cut(
    intent: Intent,
    host: str,
    revisions: Mapping[str, int],
    *,
    gone: Iterable[str] | None = None,
) -> Update:
    """The host's ports in `intent`; complete when `gone` is None, else a change.

    `revisions` gives for each port the revision that last changed it.
    """
    ports = tuple(
        host_port(intent, port, revisions[port.id])
        for port in intent.ports.values()
        if port.host == host
    )
    return Update(intent.revision, gone is None, ports, frozenset(gone or ()))


def host_port(intent: Intent, port: Port, revision: int) -> HostPort:
    """One port as its host must hold it."""
    network = intent.networks.get(port.network_id)
    return HostPort(
        resolve(intent, port), _segment(port, network), port.mac, port.interface, revision
    )


def _segment(port: Port, network: Network | None) -> Segment:
    if network is None:
        return Segment(port.network_id, shared=False, physical="", mtu=1500)
    return Segment(network.id, network.shared, network.physical, network.mtu)
