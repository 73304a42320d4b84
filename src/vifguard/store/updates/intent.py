"""Queries of an Intent: all nouns, or just those that some ports depend on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, or_, select, true

from vifguard.model.intent import Intent
from vifguard.model.port import Port
from vifguard.store.database.statements import in_list
from vifguard.store.nouns import ip_groups, ports, security_groups, subnets
from vifguard.store.schema.row_mapping import Values
from vifguard.store.schema.tables import journal, revision
from vifguard.store.schema.tables import ports as port_table
from vifguard.store.transaction import Snapshot


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """The span of the journal: deltas are known after any revision `since` to `revision`."""

    revision: int
    since: int


_POSITION = select(revision.c.value, revision.c.journal_from)


def position(snapshot: Snapshot) -> JournalPosition:
    """The revision of the snapshot, and the one from which the journal is whole."""
    row = snapshot.connection.execute(_POSITION).one()
    return JournalPosition(row.value, row.journal_from)


_CHANGED = (
    select(journal.c.port_id)
    .where(
        or_(journal.c.host == bindparam("host"), journal.c.host.is_(None)),
        journal.c.revision > bindparam("after"),
    )
    .distinct()
)


def changed_ports(snapshot: Snapshot, host: str, after: int) -> frozenset[str] | None:
    """The ports that changed for a host after a revision; None where every port may have."""
    found = frozenset(snapshot.connection.scalars(_CHANGED, {"host": host, "after": after}))
    return None if None in found else found


class _IntentQuery:
    """The statements that read the Intent of the ports a condition selects."""

    def __init__(self, which: ColumnElement[bool]) -> None:
        self._ports = ports.PortQuery(which)
        self._groups = ip_groups.IpGroupQuery(ip_groups.of_ports(which))
        self._router_ids = ip_groups.IpGroupIdQuery(which)

    def read(self, snapshot: Snapshot, values: Values) -> tuple[Intent, dict[str, int]]:
        stored = self._ports.run(snapshot, values)
        found = [each.port for each in stored]
        nets = {each.network.id: each.network for each in stored}
        intent = Intent.of(
            position(snapshot).revision,
            nets.values(),
            found,
            [each.group for each in self._groups.run(snapshot, values)],
            subnets.ranges(snapshot, nets),
            security_groups.by_id(snapshot, _groups_of(found)).values(),
            router_ids=self._router_ids.run(snapshot, values),
        )
        return intent, {each.port.id: each.policy_revision for each in stored}


def _groups_of(found: Iterable[Port]) -> set[str]:
    # Equal for most ports: looked through once each.
    different = {port.security_groups for port in found if port.security_groups}
    return {group_id for groups in different for group_id in groups}


_THESE = _IntentQuery(in_list(port_table.c.id, "ids"))
_HOST = _IntentQuery(port_table.c.host == bindparam("host"))
_ALL = _IntentQuery(true())


def of_ports(snapshot: Snapshot, ids: Iterable[str]) -> tuple[Intent, dict[str, int]]:
    """The Intent of these ports, and the revision that last touched each."""
    return _THESE.read(snapshot, {"ids": sorted(ids)})


def of_host(snapshot: Snapshot, host: str) -> tuple[Intent, dict[str, int]]:
    """The Intent of every port of a host, and the revision that last touched each."""
    return _HOST.read(snapshot, {"host": host})


def of_all(snapshot: Snapshot) -> tuple[Intent, dict[str, int]]:
    """The Intent of every port there is, and the revision that last touched each."""
    return _ALL.read(snapshot, {})
