"""Ownership of interfaces: no two ports name the same one of a host."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from vifguard.model.port import Port
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.errors import InterfaceTakenError
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import ports

_OTHER = Statement(
    select(ports.c.id)
    .where(
        ports.c.interface == bindparam("interface"),
        ports.c.host == bindparam("host"),
        ports.c.id != bindparam("id"),
    )
    .limit(1)
)


def check_interface(batch: Batch, port: Port) -> list[Pending[None]]:
    """Ask whether another port names the interface: the result raises InterfaceTakenError.

    A port that names none, or is on no host yet, takes none.
    """
    if not (port.interface and port.host):
        return []

    def decide(rows: list[Record]) -> None:
        for row in rows:
            raise InterfaceTakenError(
                f"Interface {port.interface} of host {port.host} is port {row.id}'s: name another "
                f"in binding:profile, or take it from that port first."
            )

    place = {"interface": port.interface, "host": port.host, "id": port.id}
    return [batch.queue(_OTHER, place, decide)]
