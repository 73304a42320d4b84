"""Security groups are offered only where every host can hold them."""

from __future__ import annotations

from vifguard.api.errors import forbidden
from vifguard.store import hosts
from vifguard.store.transaction import Snapshot


def require_groups_offered(snapshot: Snapshot, what: str) -> None:
    """Raise Refusal (403), with the reason, where they cannot be."""
    if why := hosts.why_no_groups(snapshot):
        raise forbidden(f"{what} cannot be offered: {why}.")
