"""Ownership of interfaces: no two ports name the same one of a host."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from vifguard.model.port import Port
from vifguard.store.database.statements import Statement
from vifguard.store.errors import InterfaceTakenError
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import ports
from vifguard.store.transaction import Deferred, WriteTransaction

_OTHER = Statement(
    select(ports.c.id)
    .where(
        ports.c.interface == bindparam("interface"),
        ports.c.host == bindparam("host"),
        ports.c.id != bindparam("id"),
    )
    .limit(1)
)


def queue_free_check(change: WriteTransaction, port: Port) -> list[Deferred[None]]:
    """Queue the check that raises InterfaceTakenError where another port names the interface.

    A port that names none, or is on no host yet, takes none.
    """
    if not (port.interface and port.host):
        return []

    def read(rows: list[Record]) -> None:
        for row in rows:
            raise InterfaceTakenError(
                f"Interface {port.interface} of host {port.host} is port {row.id}'s: name another "
                f"in binding:profile, or take it from that port first."
            )

    here = {"interface": port.interface, "host": port.host, "id": port.id}
    return [change.queue(_OTHER, here, read)]
