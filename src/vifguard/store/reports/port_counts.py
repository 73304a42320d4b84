"""The number of ports, counted by the database, however many it holds."""

from __future__ import annotations

from collections.abc import Container

from sqlalchemy import and_, case, func, select

from vifguard.model.port import PortState
from vifguard.store.schema.tables import enforcements, networks, ports
from vifguard.store.transaction import Snapshot

_ACTIVE = and_(
    ports.c.admin_state_up,
    networks.c.admin_state_up,
    enforcements.c.state == PortState.ENFORCED.value,
    enforcements.c.revision >= ports.c.policy_revision,
)
_COUNT_BY_STATUS = (
    select(ports.c.host, case((_ACTIVE, "ACTIVE"), else_="DOWN").label("status"), func.count())
    .select_from(ports)
    .join(networks, networks.c.id == ports.c.network_id)
    .join(enforcements, enforcements.c.port_id == ports.c.id, isouter=True)
    .group_by(ports.c.host, "status")
)


def ports_by_status(snapshot: Snapshot, silent: Container[str]) -> dict[str, int]:
    """The number of ports that are ACTIVE and that are DOWN, as the API shows each.

    Those of `silent` hosts are DOWN.
    """
    found = {"ACTIVE": 0, "DOWN": 0}
    for host, status, many in snapshot.connection.execute(_COUNT_BY_STATUS):
        found["DOWN" if host in silent else status] += many
    return found
