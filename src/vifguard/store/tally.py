"""How many there are: counted by the database, however many ports it holds."""

from __future__ import annotations

from sqlalchemy import and_, case, func, select

from vifguard.model.port import PortState
from vifguard.store.tables import enforcements, networks, ports
from vifguard.store.transaction import Snapshot

_ACTIVE = and_(
    ports.c.admin_state_up,
    networks.c.admin_state_up,
    enforcements.c.state == PortState.ENFORCED.value,
    enforcements.c.revision >= ports.c.policy_revision,
)
_STATUS = case((_ACTIVE, "ACTIVE"), else_="DOWN")
_BY_STATUS = (
    select(_STATUS, func.count())
    .select_from(ports)
    .join(networks, networks.c.id == ports.c.network_id)
    .join(enforcements, enforcements.c.port_id == ports.c.id, isouter=True)
    .group_by(_STATUS)
)


def ports_by_status(snapshot: Snapshot) -> dict[str, int]:
    """How many ports are ACTIVE, and how many are DOWN, as the API says of each."""
    rows = snapshot.connection.execute(_BY_STATUS).all()
    return {"ACTIVE": 0, "DOWN": 0} | {row[0]: row[1] for row in rows}
