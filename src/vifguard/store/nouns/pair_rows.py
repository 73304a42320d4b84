"""The address pairs of a port as rows; with a change of them, prefixes change owners."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert

from vifguard.model.port import Port
from vifguard.store.addressing import wide_pair_owners
from vifguard.store.database.statements import Statement
from vifguard.store.schema.mapping import pair_values
from vifguard.store.schema.tables import address_pairs
from vifguard.store.transaction import WriteTransaction

_INSERT = Statement(insert(address_pairs))
_DELETE = Statement(delete(address_pairs).where(address_pairs.c.port_id == bindparam("port_id")))


def write(change: WriteTransaction, before: Port | None, after: Port | None) -> None:
    """Replace the pairs of a port; `before` is None for a new port, `after` for a deleted one."""
    before_pairs = before.address_pairs if before is not None else ()
    after_pairs = after.address_pairs if after is not None else ()
    port = after or before
    if port is None or not (before_pairs or after_pairs):
        return
    if before_pairs:
        change.write(_DELETE, {"port_id": port.id})
    if after is not None and after_pairs:
        change.write(_INSERT, pair_values(after))
    old, new = ({pair.prefix for pair in pairs} for pairs in (before_pairs, after_pairs))
    wide_pair_owners.note_owner_removed(change, port.network_id, port.project_id, old - new)
    wide_pair_owners.note_owner_added(change, port.network_id, port.project_id, new - old)
