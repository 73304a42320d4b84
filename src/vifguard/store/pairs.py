"""The address pairs of a port as rows."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert

from vifguard.model.port import Port
from vifguard.store.prepared import Prepared
from vifguard.store.rows import pair_values
from vifguard.store.tables import address_pairs
from vifguard.store.transaction import Change

_INSERT = Prepared(insert(address_pairs))
_DELETE = Prepared(delete(address_pairs).where(address_pairs.c.port_id == bindparam("this")))


def add(change: Change, port: Port) -> None:
    """Write the pairs of a new port."""
    if port.address_pairs:
        change.write(_INSERT, pair_values(port))


def replace(change: Change, port: Port) -> None:
    """Write the pairs that a port has, in the place of those it had."""
    change.write(_DELETE, {"this": port.id})
    add(change, port)
