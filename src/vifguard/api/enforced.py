"""Whether a port's host really holds what is wanted, and what to say when it does not."""

from __future__ import annotations

from vifguard.model.port import PortState
from vifguard.store.rows import StoredPort


def wanted_revision(stored: StoredPort) -> int:
    """The last revision that changed what the port may send and receive."""
    return max(stored.policy_revision, stored.rules_revision)


def enforced_revision(stored: StoredPort) -> int:
    """The revision that the kernel of the port's host holds; 0 where it holds none.

    Rules of security groups stand once a host: of them the host says how far it has come.
    """
    own = _own_revision(stored)
    if own < stored.policy_revision:
        return own
    return max(own, min(stored.reached, wanted_revision(stored)))


def is_in_force(stored: StoredPort) -> bool:
    """Whether the kernel holds all that is wanted, the rules of its security groups included."""
    return enforced_revision(stored) >= wanted_revision(stored)


def _own_revision(stored: StoredPort) -> int:
    """What the host said of the port itself.

    A port that is held closed against its owner's wish has nothing enforced; one that is
    meant to be closed has.
    """
    reported = stored.enforcement
    meant_closed = not (stored.port.admin_state_up and stored.network.admin_state_up)
    if reported.state is PortState.ENFORCED:
        return reported.revision
    if reported.state is PortState.HELD_CLOSED and meant_closed:
        return reported.revision
    return 0


def is_settled(stored: StoredPort) -> bool:
    """Whether the kernel holds the port's own revision."""
    return _own_revision(stored) >= stored.policy_revision


def status(stored: StoredPort) -> str:
    """ACTIVE only when the wanted revision is enforced and frames may pass."""
    enforced = stored.enforcement.state is PortState.ENFORCED and is_settled(stored)
    meant_open = stored.port.admin_state_up and stored.network.admin_state_up
    return "ACTIVE" if enforced and meant_open else "DOWN"


def status_reason(stored: StoredPort) -> str:
    """Why the port is not ACTIVE; where it is, what its host remarks, mostly nothing."""
    port = stored.port
    if status(stored) == "ACTIVE":
        return stored.enforcement.reason
    if not port.admin_state_up:
        return "the port's admin_state_up is false"
    if not stored.network.admin_state_up:
        return "the network's admin_state_up is false"
    if not port.host:
        return "the port is on no host: set binding:host_id"
    return stored.enforcement.reason or _behind(stored)


def _behind(stored: StoredPort) -> str:
    if stored.enforcement.revision == 0:
        return f"host {stored.port.host} has not reported the port yet"
    return (
        f"host {stored.port.host} holds revision {stored.enforcement.revision} of the port; "
        f"{stored.policy_revision} is wanted"
    )
