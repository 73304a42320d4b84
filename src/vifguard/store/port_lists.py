"""Lists of ports: their order, where they are cut, and which versions of the ports are in them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select, tuple_

from vifguard.store.rows import Record
from vifguard.store.tables import (
    enforcements,
    hosts,
    networks,
    port_security_groups,
    ports,
    security_groups,
)
from vifguard.store.transaction import Snapshot

Place = tuple[int, str]
"""Where a port stands in lists: when it was made (microseconds), and its id."""

Version = tuple[Hashable, ...]
"""Equal for a port only where all is that may be shown of it: its rows, and its host's word."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What to read of a list: at most so many (0: all) behind a place, or backwards before it."""

    most: int = 0
    place: Place | None = None
    backwards: bool = False


WHOLE: Final = Cut()

_VERSIONS = (
    select(
        ports.c.id,
        ports.c.revision_number,
        ports.c.updated_at,
        networks.c.revision_number,
        networks.c.updated_at,
        enforcements.c.host,
        enforcements.c.revision,
        enforcements.c.state,
        enforcements.c.reason,
        ports.c.policy_revision,
        select(func.max(security_groups.c.rules_revision))
        .join_from(port_security_groups, security_groups)
        .where(port_security_groups.c.port_id == ports.c.id)
        .scalar_subquery(),
        hosts.c.reached,
    )
    .join_from(ports, networks)
    .join(enforcements, enforcements.c.port_id == ports.c.id, isouter=True)
    .join(hosts, hosts.c.name == ports.c.host, isouter=True)
)


def place(snapshot: Snapshot, which: ColumnElement[bool], port_id: str) -> Place | None:
    """Where a port stands in the list of those that a condition selects; None: it does not."""
    mine = select(ports.c.created_at, ports.c.id).where(which, ports.c.id == port_id)
    row = snapshot.connection.execute(mine).first()
    return None if row is None else (row.created_at, row.id)


def versions(
    snapshot: Snapshot, which: ColumnElement[bool], cut: Cut = WHOLE
) -> dict[str, Version]:
    """The versions of the ports that a condition selects, by id, in the order they were made.

    Of those behind, or before, the place where the list is cut as many as it names.
    """
    statement = _VERSIONS.where(which)
    order = (ports.c.created_at, ports.c.id)
    if cut.place is not None:
        at = tuple_(*order)
        statement = statement.where(at < cut.place if cut.backwards else at > cut.place)
    if cut.most:
        statement = statement.limit(cut.most)
    statement = statement.order_by(*(each.desc() if cut.backwards else each for each in order))
    rows = snapshot.connection.execute(statement).all()
    return {row[0]: _version(row) for row in (reversed(rows) if cut.backwards else rows)}


def _version(row: Record) -> Version:
    *others, policy, rules, reached = row
    # How far a host has come says nothing new of a port whose rules it holds already.
    wanted = max(policy, rules or 0)
    return (*others, policy, wanted, min(reached or 0, wanted))
