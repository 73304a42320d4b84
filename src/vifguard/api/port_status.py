"""The status of a port and its reason, from the progress of its host."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from vifguard.model.port import PortState
from vifguard.resolve.wide_pair_pieces import MOST_PIECES
from vifguard.store.stored_nouns import EnforcementProgress


def desired_revision(port: EnforcementProgress) -> int:
    """The last revision that changed the port's policy or a rule of its security groups."""
    return max(port.policy_revision, port.rules_revision)


def enforced_revision(port: EnforcementProgress) -> int:
    """The revision that the kernel of the port's host holds; 0 where it holds none.

    Rules of security groups are there once a host, and the host reports its progress with them.
    """
    own = _own_revision(port)
    if own < port.policy_revision:
        return own
    return max(own, min(port.reached, desired_revision(port)))


def is_enforced(port: EnforcementProgress) -> bool:
    """Whether the kernel holds the desired revision, rules of its security groups included.

    False for a silent host, whose state is not known.
    """
    return not port.silent_since and enforced_revision(port) >= desired_revision(port)


def _own_revision(port: EnforcementProgress) -> int:
    """The enforced revision by the host's report of the port itself.

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


def is_settled(port: EnforcementProgress) -> bool:
    """Whether the kernel holds the port's own revision."""
    return _own_revision(port) >= port.policy_revision


def status(port: EnforcementProgress) -> str:
    """ACTIVE only when the wanted revision was read back a moment ago, and frames may pass."""
    enforced = (
        not port.silent_since and port.enforcement.state is PortState.ENFORCED and is_settled(port)
    )
    meant_open = port.port_up and port.network_up
    return "ACTIVE" if enforced and meant_open else "DOWN"


def status_reason(port: EnforcementProgress, *, sees_hosts_and_others: bool) -> str:
    """Why the port is not ACTIVE; if it is, the remark of its host, mostly empty.

    The name of the host, its remarks on its own interfaces, and the time since which it is silent,
    are only for users that see hosts: the place of a port is the operator's knowledge, and so is
    which ports share it.
    """
    if status(port) == "ACTIVE":
        return _said(port, sees_all=sees_hosts_and_others)
    if not port.port_up:
        return "the port's admin_state_up is false"
    if not port.network_up:
        return "the network's admin_state_up is false"
    host = f"host {port.host}" if sees_hosts_and_others else "its host"
    if not port.host:
        return "the port is on no host" + (
            ": set binding:host_id" if sees_hosts_and_others else " yet"
        )
    if port.silent_since:
        return _why_silent(port, host, sees_all=sees_hosts_and_others)
    return _said(port, sees_all=sees_hosts_and_others) or _why_behind(port, host)


_DISCREET: Final = MappingProxyType(
    {
        PortState.ENFORCED: "its host has a remark, which the operator can see",
        PortState.HELD_CLOSED: "its host holds the port closed; the operator can see why",
        PortState.ABSENT: "its host has no interface for the port; the operator can see why",
    }
)


def _said(port: EnforcementProgress, *, sees_all: bool) -> str:
    """The host's own remark on the port."""
    said = port.enforcement.reason
    return said if sees_all or not said else _DISCREET[port.enforcement.state]


def _why_silent(port: EnforcementProgress, host: str, *, sees_all: bool) -> str:
    # Of two silent hosts, the times would tell which ports are on the same one.
    at = datetime.fromtimestamp(int(port.silent_since), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    since = f"has been silent since {at}" if sees_all else "is silent"
    return f"{host} {since}: its guards stay in force, but nothing checks them"


def _why_behind(port: EnforcementProgress, host: str) -> str:
    if port.enforcement.revision == 0:
        return f"{host} has not reported the port yet"
    return (
        f"{host} holds revision {port.enforcement.revision} of the port; "
        f"{port.policy_revision} is wanted"
    )


def why_uncounted(port: EnforcementProgress) -> str:
    """Why wide address pairs of a port do not count in its security groups."""
    if not port.uncounted:
        return ""
    return (
        f"the project's wide address pairs on the network break into more than {MOST_PIECES} "
        f"pieces around what its ports and IP groups have: the pairs that break do not count in "
        f"security groups"
    )
