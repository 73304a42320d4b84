"""Reports of hosts about their ports."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, insert, select, update

from vifguard.feed.messages import PortReport
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.schema.tables import enforcements, ports
from vifguard.store.transaction import Snapshot, WriteTransaction

_BATCH = 500

_COLUMNS = ("host", "revision", "state", "interface", "reason", "driver", "wiring")

_UPDATE = (
    update(enforcements)
    .where(enforcements.c.port_id == bindparam("of_port"))
    .values({name: bindparam(name) for name in _COLUMNS})
)


_OWN = Statement(
    select(ports.c.id).where(in_list(ports.c.id, "ids"), ports.c.host == bindparam("this_host"))
)


def own(snapshot: Snapshot, host: str, named: Iterable[str]) -> set[str]:
    """The ids among those named that are of ports of this host: it reports for no other."""
    return {row.id for row in snapshot.rows(_OWN, {"ids": sorted({*named}), "this_host": host})}


def write(change: WriteTransaction, host: str, reports: Iterable[PortReport]) -> list[str]:
    """Store a host's reports about its ports; return the ids of these ports.

    Reports of a host count for its own ports only.
    """
    latest = {report.port_id: report for report in reports}
    ids = sorted(latest)
    heard: list[str] = []
    for start in range(0, len(ids), _BATCH):
        heard += _write_batch(change, host, latest, ids[start : start + _BATCH])
    return heard


def _write_batch(
    change: WriteTransaction, host: str, latest: dict[str, PortReport], ids: list[str]
) -> list[str]:
    rows = change.connection.execute(
        select(ports.c.id, enforcements.c.port_id.is_not(None).label("known"))
        .join_from(ports, enforcements, isouter=True)
        .where(ports.c.id.in_(ids), ports.c.host == host)
    ).all()
    known = [_values(host, latest[row.id]) | {"of_port": row.id} for row in rows if row.known]
    new = [_values(host, latest[row.id]) | {"port_id": row.id} for row in rows if not row.known]
    if known:
        change.connection.execute(_UPDATE, known)
    if new:
        change.connection.execute(insert(enforcements), new)
    return [row.id for row in rows]


def _values(host: str, report: PortReport) -> dict[str, object]:
    return {
        "host": host,
        "revision": report.revision,
        "state": report.state.value,
        "interface": report.interface,
        "reason": report.reason,
        "driver": report.driver,
        "wiring": report.wiring,
    }
