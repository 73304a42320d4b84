"""Wide address pairs: what they bring to sets, and which sets say something else when owners move.

What others own within a wide pair is not the pair's (`resolve.members`). So a set that such a
pair is in is told whole whenever it, or an owner within, comes or goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import LargeBinary, String, and_, bindparam, or_, select, union_all

from vifguard.model.address import IPNetwork, host_prefix
from vifguard.resolve.members import without
from vifguard.store.prepared import Prepared, among
from vifguard.store.rows import Record, address_of, key, prefix_of
from vifguard.store.tables import (
    address_pairs,
    allocations,
    learned_addresses,
    port_security_groups,
    ports,
    set_prefixes,
)
from vifguard.store.transaction import Snapshot

_IPV6 = bytes((6,))
_IS_WIDE = or_(
    and_(set_prefixes.c.length != 32, set_prefixes.c.length != 128),
    and_(set_prefixes.c.length == 32, set_prefixes.c.first >= _IPV6),
)
_WIDE = Prepared(
    select(
        set_prefixes.c.set_id,
        set_prefixes.c.first,
        set_prefixes.c.length,
        set_prefixes.c.port_id,
        ports.c.network_id,
    )
    .join(ports, ports.c.id == set_prefixes.c.port_id)
    .where(among(set_prefixes.c.set_id, "sets"), _IS_WIDE)
)
_ON = bindparam("network_id", type_=String)
_PORT = bindparam("port_id", type_=String)
_FIRST, _LAST = (bindparam(name, type_=LargeBinary) for name in ("first", "last"))
_OWNED = union_all(
    select(allocations.c.address).where(
        allocations.c.network_id == _ON,
        allocations.c.address.between(_FIRST, _LAST),
        or_(allocations.c.port_id.is_(None), allocations.c.port_id != _PORT),
    ),
    select(learned_addresses.c.address).where(
        learned_addresses.c.network_id == _ON,
        learned_addresses.c.address.between(_FIRST, _LAST),
        learned_addresses.c.port_id != _PORT,
        learned_addresses.c.proven,
    ),
)
_LISTED = select(address_pairs.c.first, address_pairs.c.length).where(
    address_pairs.c.network_id == _ON,
    address_pairs.c.first.between(_FIRST, _LAST),
    address_pairs.c.port_id != _PORT,
)
_AROUND = (
    select(
        port_security_groups.c.group_id.label("set_id"),
        address_pairs.c.first,
        address_pairs.c.length,
    )
    .join(port_security_groups, port_security_groups.c.port_id == address_pairs.c.port_id)
    .where(
        address_pairs.c.network_id == _ON,
        address_pairs.c.first.in_(bindparam("firsts", expanding=True)),
    )
)


def is_wide(prefix: IPNetwork) -> bool:
    """Whether a prefix holds more than one address."""
    return prefix.num_addresses > 1


def members(snapshot: Snapshot, set_ids: Iterable[str]) -> Mapping[str, frozenset[IPNetwork]]:
    """Of these sets, those that wide pairs are in, and what remains of their pairs."""
    found: dict[str, set[IPNetwork]] = defaultdict(set)
    for row in snapshot.rows(_WIDE, {"sets": sorted(set_ids)}):
        found[row.set_id] |= without(prefix_of(row), _owned(snapshot, row))
    return {set_id: frozenset(remaining) for set_id, remaining in found.items()}


def around(snapshot: Snapshot, network_id: str, owned: Sequence[IPNetwork]) -> frozenset[str]:
    """The sets that wide pairs of a network are in which hold some of these.

    Asks for each prefix that could, by its exact key: the cost does not grow with the pairs.
    """
    firsts = {
        key(each.supernet(new_prefix=length).network_address)
        for each in owned
        for length in range(each.prefixlen + 1)
    }
    here = {"network_id": network_id, "firsts": sorted(firsts)}
    found = [(row.set_id, prefix_of(row)) for row in snapshot.connection.execute(_AROUND, here)]
    return frozenset(
        set_id
        for set_id, wide in found
        if is_wide(wide) and any(_holds(wide, each) for each in owned)
    )


def _owned(snapshot: Snapshot, row: Record) -> list[IPNetwork]:
    """What other ports and IP groups own within a port's wide pair."""
    wide = prefix_of(row)
    here = {
        "network_id": row.network_id,
        "port_id": row.port_id,
        "first": key(wide[0]),
        "last": key(wide[-1]),
    }
    addresses = snapshot.connection.scalars(_OWNED, here)
    listed = snapshot.connection.execute(_LISTED, here)
    return [*(host_prefix(address_of(each)) for each in addresses), *map(prefix_of, listed)]


def _holds(wide: IPNetwork, narrow: IPNetwork) -> bool:
    return wide.version == narrow.version and narrow.network_address in wide
