"""Security groups are offered only where the hosts that live, or a port's own, can hold them."""

from __future__ import annotations

from vifguard.api.errors import Refusal, forbidden
from vifguard.store import hosts
from vifguard.store.transaction import Snapshot


def require_groups_offered(snapshot: Snapshot, what: str, host: str = "") -> None:
    """Raise Refusal (403), with the reason, where they cannot be; of a port, at its host."""
    if why := hosts.why_no_groups(snapshot, host):
        raise not_offered(what, why)


def not_offered(what: str, why: str) -> Refusal:
    """The refusal (403) of what cannot be offered."""
    return forbidden(f"{what} cannot be offered: {why}.")
