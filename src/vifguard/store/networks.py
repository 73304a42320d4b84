"""Networks: read, create, update, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from vifguard.model.network import Network
from vifguard.resolve.touched import NOTHING, Touched, touched_by_network
from vifguard.store import subnets
from vifguard.store.errors import InUseError, MissingError, SharedInUseError, UplinkTakenError
from vifguard.store.rows import StoredNetwork, network_of, network_values, stamp_of
from vifguard.store.tables import ip_groups, networks, ports
from vifguard.store.transaction import Change, Snapshot

_ONE = select(networks).where(networks.c.id == bindparam("id"))
_SOME = select(networks).where(networks.c.id.in_(bindparam("ids", expanding=True)))


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredNetwork]:
    """The networks that a condition on their table selects, in the order they were made."""
    rows = snapshot.connection.execute(
        select(networks).where(which).order_by(networks.c.created_at, networks.c.id)
    )
    return [StoredNetwork(network_of(row), stamp_of(row)) for row in rows]


def get(snapshot: Snapshot, network_id: str) -> StoredNetwork:
    """One network; raises MissingError."""
    row = snapshot.connection.execute(_ONE, {"id": network_id}).first()
    if row is None:
        raise MissingError("network", network_id)
    return StoredNetwork(network_of(row), stamp_of(row))


def by_id(snapshot: Snapshot, ids: Iterable[str]) -> dict[str, Network]:
    """The networks with these ids, by id; those that do not exist are left out."""
    rows = snapshot.connection.execute(_SOME, {"ids": sorted(set(ids))})
    return {row.id: network_of(row) for row in rows}


def create(change: Change, network: Network) -> StoredNetwork:
    """Store a network; raises UplinkTakenError where its uplink is taken."""
    _require_uplink_free(change, network)
    change.connection.execute(insert(networks).values(network_values(network) | change.made()))
    change.touch(touched_by_network(None, network))
    return get(change, network.id)


def update_network(
    change: Change, before: StoredNetwork, changes: Mapping[str, Any]
) -> StoredNetwork:
    """Change fields of a network; raises ConflictError where others stand on them."""
    after = replace(before.network, **changes)
    _require_uplink_free(change, after)
    if before.network.shared and not after.shared:
        _require_one_owner(change, after)
    values = network_values(after) | change.changed_from(before.stamp)
    change.connection.execute(update(networks).where(networks.c.id == after.id).values(values))
    change.touch(_touched(before.network, after))
    return get(change, after.id)


def delete_network(change: Change, network: Network) -> None:
    """Delete a network and its subnets; raises InUseError while ports or groups are on it."""
    for table, noun in ((ports, "port"), (ip_groups, "IP group")):
        users = select(table.c.id).where(table.c.network_id == network.id).limit(3)
        ids = ", ".join(change.connection.scalars(users))
        if ids:
            raise InUseError(
                "network",
                f"Unable to complete operation on network {network.id}. There are one or more "
                f"{noun}s still in use on the network, id for these {noun}s is: {ids}.",
            )
    for subnet in subnets.of_network(change, network.id):
        subnets.delete_subnet(change, network, subnet)
    change.connection.execute(delete(networks).where(networks.c.id == network.id))
    change.mark()
    change.touch(touched_by_network(network, None))


def _touched(before: Network, after: Network) -> Touched:
    # What hosts are not told of must not make a port wait for them.
    if _what_hosts_see(before) == _what_hosts_see(after):
        return NOTHING
    return touched_by_network(before, after)


def _what_hosts_see(network: Network) -> Network:
    return replace(network, name="", description="", project_id="")


def _require_uplink_free(change: Change, network: Network) -> None:
    if not network.physical:
        return
    other = change.connection.scalar(
        select(networks.c.id).where(
            networks.c.physical == network.physical, networks.c.id != network.id
        )
    )
    if other:
        raise UplinkTakenError(
            f"Unable to create the flat network. Physical network {network.physical} is in use "
            f"by network {other}."
        )


def _require_one_owner(change: Change, network: Network) -> None:
    """What becomes isolated must be one project's, and on one host."""
    here = ports.c.network_id == network.id
    stranger = change.connection.scalar(
        select(ports.c.id).where(here, ports.c.project_id != network.project_id)
    )
    if stranger:
        raise SharedInUseError(
            f"Unable to reconfigure sharing settings for network {network.id}. Multiple tenants "
            f"are using it: port {stranger} is another project's."
        )
    hosts = change.connection.scalars(
        select(ports.c.host).where(here, ports.c.host != "").distinct().limit(2)
    ).all()
    if len(hosts) > 1:
        raise SharedInUseError(
            f"Unable to reconfigure sharing settings for network {network.id}: its ports are on "
            f"hosts {', '.join(hosts)}, and an isolated network is kept on one host."
        )
