"""The address pairs of a port as rows; what they hold has other owners when they change."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert

from vifguard.model.port import Port
from vifguard.store import pieces
from vifguard.store.prepared import Prepared
from vifguard.store.rows import pair_values
from vifguard.store.tables import address_pairs
from vifguard.store.transaction import Change

_INSERT = Prepared(insert(address_pairs))
_DELETE = Prepared(delete(address_pairs).where(address_pairs.c.port_id == bindparam("this")))


def write(change: Change, before: Port | None, after: Port | None) -> None:
    """A port has other pairs than before; None before it comes, and once it is gone."""
    had = before.address_pairs if before is not None else ()
    has = after.address_pairs if after is not None else ()
    port = after or before
    if port is None or not (had or has):
        return
    if had:
        change.write(_DELETE, {"this": port.id})
    if after is not None and has:
        change.write(_INSERT, pair_values(after))
    moved = {pair.prefix for pair in had} ^ {pair.prefix for pair in has}
    pieces.own(change, port.network_id, moved)
