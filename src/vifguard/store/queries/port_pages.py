"""Lists of ports: the versions of the ports in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from vifguard.store.addressing import wide_pair_owners
from vifguard.store.queries.list_pages import creation_order
from vifguard.store.schema.tables import (
    enforcements,
    hosts,
    networks,
    port_security_groups,
    ports,
    security_groups,
)
from vifguard.store.stored_nouns import EnforcementProgress, enforcement_of
from vifguard.store.transaction import Snapshot

Version = tuple[Any, ...]
"""A value that is equal only where all that may be shown of a port is, but for its progress."""


@dataclass(frozen=True, slots=True)
class PortListEntry:
    """A port in a list: its id, its version, and all that its progress is made of."""

    id: str
    version: Version
    progress_key: Version

    @property
    def progress(self) -> EnforcementProgress:
        """The progress of its host in enforcing it."""
        policy, host, port_up, network_up, broken, rules, reached, *reported, silent_since = (
            self.progress_key
        )
        return EnforcementProgress(
            host,
            port_up,
            network_up,
            policy,
            rules or 0,
            reached or 0,
            enforcement_of(host, tuple(reported)),
            silent_since,
            broken,
        )


_STATEMENT = (
    select(
        ports.c.id,
        ports.c.revision_number,
        ports.c.updated_at,
        networks.c.revision_number,
        networks.c.updated_at,
        # The last column of the version, and the first of the progress.
        ports.c.policy_revision,
        ports.c.host,
        ports.c.admin_state_up,
        networks.c.admin_state_up,
        wide_pair_owners.TOO_MANY,
        select(func.max(security_groups.c.rules_revision))
        .join_from(port_security_groups, security_groups)
        .where(port_security_groups.c.port_id == ports.c.id)
        .scalar_subquery(),
        hosts.c.reached,
        enforcements.c.host,
        enforcements.c.revision,
        enforcements.c.state,
        enforcements.c.interface,
        enforcements.c.reason,
        enforcements.c.driver,
        enforcements.c.wiring,
        # The progress has the start of the host's silence in its place: that seldom changes.
        hosts.c.seen_at,
    )
    .join_from(ports, networks)
    .join(enforcements, enforcements.c.port_id == ports.c.id, isouter=True)
    .join(hosts, hosts.c.name == ports.c.host, isouter=True)
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[PortListEntry]:
    """The ports that a condition selects, in the order they were made."""
    statement = _STATEMENT.where(which).order_by(*creation_order(ports))
    rows = snapshot.connection.execute(statement).all()
    silences: dict[tuple[str, float | None], float] = {}

    def silent_since(host: str, heard_at: float | None) -> float:
        key = host, heard_at
        if key not in silences:
            beats = snapshot.heartbeats
            silences[key] = 0.0 if heard_at is None else beats.silent_since(host, heard_at)
        return silences[key]

    return [
        PortListEntry(row[0], tuple(row[1:6]), (*row[5:-1], silent_since(row[6], row[-1])))
        for row in rows
    ]
