"""Read an Intent: all nouns, or just those that some ports depend on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true

from vifguard.model.intent import Intent
from vifguard.store import ip_groups, networks, ports, subnets
from vifguard.store.tables import journal, revision
from vifguard.store.tables import ports as port_table
from vifguard.store.transaction import Snapshot


@dataclass(frozen=True, slots=True)
class Position:
    """Where the journal stands: deltas are known after any revision `since` to `revision`."""

    revision: int
    since: int


def position(snapshot: Snapshot) -> Position:
    """The revision of the snapshot, and from where on the journal is whole."""
    row = snapshot.connection.execute(select(revision.c.value, revision.c.journal_from)).one()
    return Position(row.value, row.journal_from)


def changed_ports(snapshot: Snapshot, host: str, after: int) -> frozenset[str] | None:
    """The ports that changed for a host after a revision; None where every port may have."""
    theirs = (journal.c.host == host) | journal.c.host.is_(None)
    found = frozenset(
        snapshot.connection.scalars(
            select(journal.c.port_id).where(theirs, journal.c.revision > after).distinct()
        )
    )
    return None if None in found else found


def of_ports(snapshot: Snapshot, ids: Iterable[str]) -> tuple[Intent, dict[str, int]]:
    """The Intent of these ports, and the revision that last touched each."""
    return _read(snapshot, port_table.c.id.in_(sorted(ids)))


def of_host(snapshot: Snapshot, host: str) -> tuple[Intent, dict[str, int]]:
    """The Intent of every port of a host, and the revision that last touched each."""
    return _read(snapshot, port_table.c.host == host)


def of_all(snapshot: Snapshot) -> tuple[Intent, dict[str, int]]:
    """The Intent of every port there is, and the revision that last touched each."""
    return _read(snapshot, true())


def _read(snapshot: Snapshot, which: ColumnElement[bool]) -> tuple[Intent, dict[str, int]]:
    stored = ports.read(snapshot, which)
    found = [each.port for each in stored]
    groups = ip_groups.of_ports_where(snapshot, which)
    intent = Intent.of(
        position(snapshot).revision,
        networks.by_id(snapshot, {port.network_id for port in found}).values(),
        found,
        [each.group for each in groups],
        subnets.public_prefixes(snapshot),
    )
    return intent, {each.port.id: each.policy_revision for each in stored}
