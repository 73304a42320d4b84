"""Whether a port's host really holds what is wanted, and what to say when it does not."""

from __future__ import annotations

from datetime import UTC, datetime

from vifguard.model.port import PortState
from vifguard.store.rows import Progress


def wanted_revision(port: Progress) -> int:
    """The last revision that changed what the port may send and receive."""
    return max(port.policy_revision, port.rules_revision)


def enforced_revision(port: Progress) -> int:
    """The revision that the kernel of the port's host holds; 0 where it holds none.

    Rules of security groups stand once a host: of them the host says how far it has come.
    """
    own = _own_revision(port)
    if own < port.policy_revision:
        return own
    return max(own, min(port.reached, wanted_revision(port)))


def is_in_force(port: Progress) -> bool:
    """Whether the kernel holds all that is wanted, the rules of its security groups included.

    Of a host that is silent nobody knows.
    """
    return not port.silent_since and enforced_revision(port) >= wanted_revision(port)


def _own_revision(port: Progress) -> int:
    """What the host said of the port itself.

    A port that is held closed against its owner's wish has nothing enforced; one that is
    meant to be closed has.
    """
    reported = port.enforcement
    meant_closed = not (port.port_up and port.network_up)
    if reported.state is PortState.ENFORCED:
        return reported.revision
    if reported.state is PortState.HELD_CLOSED and meant_closed:
        return reported.revision
    return 0


def is_settled(port: Progress) -> bool:
    """Whether the kernel holds the port's own revision."""
    return _own_revision(port) >= port.policy_revision


def status(port: Progress) -> str:
    """ACTIVE only when the wanted revision was read back a moment ago, and frames may pass."""
    enforced = (
        not port.silent_since and port.enforcement.state is PortState.ENFORCED and is_settled(port)
    )
    meant_open = port.port_up and port.network_up
    return "ACTIVE" if enforced and meant_open else "DOWN"


def status_reason(port: Progress) -> str:
    """Why the port is not ACTIVE; where it is, what its host remarks, mostly nothing."""
    if status(port) == "ACTIVE":
        return port.enforcement.reason
    if not port.port_up:
        return "the port's admin_state_up is false"
    if not port.network_up:
        return "the network's admin_state_up is false"
    if not port.host:
        return "the port is on no host: set binding:host_id"
    if port.silent_since:
        return _silent(port)
    return port.enforcement.reason or _behind(port)


def _silent(port: Progress) -> str:
    since = datetime.fromtimestamp(int(port.silent_since), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"host {port.host} silent since {since}: its guards stay as they were, and nobody reads "
        "them back"
    )


def _behind(port: Progress) -> str:
    if port.enforcement.revision == 0:
        return f"host {port.host} has not reported the port yet"
    return (
        f"host {port.host} holds revision {port.enforcement.revision} of the port; "
        f"{port.policy_revision} is wanted"
    )
