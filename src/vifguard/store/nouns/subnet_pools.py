"""Subnet pools: read, create, update, delete, and take a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from vifguard.model.address import IPNetwork
from vifguard.model.subnet_pool import SubnetPool, first_free, holds, left, units
from vifguard.store.errors import (
    DefaultPoolExistsError,
    MissingError,
    PoolInUseError,
    PoolQuotaError,
    PrefixTakenError,
)
from vifguard.store.nouns import rbac_policies
from vifguard.store.schema.mapping import SUBNET_POOL, stamp_of
from vifguard.store.schema.row_mapping import Values
from vifguard.store.schema.tables import subnet_pools, subnets
from vifguard.store.stored_nouns import Stamp, StoredSubnetPool
from vifguard.store.transaction import Snapshot, WriteTransaction

_TAKEN = select(subnets.c.project_id, subnets.c.cidr).where(
    subnets.c.subnet_pool_id == bindparam("pool_id")
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredSubnetPool]:
    """The pools that a condition on their table selects, in the order they were made."""
    order = (subnet_pools.c.created_at, subnet_pools.c.id)
    rows = snapshot.connection.execute(select(subnet_pools).where(which).order_by(*order))
    return [StoredSubnetPool(SUBNET_POOL.read(row), stamp_of(row)) for row in rows]


def get(snapshot: Snapshot, pool_id: str) -> StoredSubnetPool:
    """One pool; raises MissingError."""
    found = read(snapshot, subnet_pools.c.id == pool_id)
    if not found:
        raise MissingError("subnet-pool", pool_id)
    return found[0]


def default(snapshot: Snapshot, version: int) -> SubnetPool | None:
    """The default pool of an IP version, if there is one."""
    found = read(snapshot, subnet_pools.c.is_default & (subnet_pools.c.version == version))
    return found[0].pool if found else None


def create(change: WriteTransaction, pool: SubnetPool) -> StoredSubnetPool:
    """Store a pool; raises DefaultPoolExistsError."""
    stamp = change.created_stamp()
    _require_one_default(change, pool)
    change.connection.execute(insert(subnet_pools).values(_values(pool) | stamp))
    return StoredSubnetPool(pool, Stamp(**stamp))


def update_pool(
    change: WriteTransaction, before: StoredSubnetPool, changes: Mapping[str, Any]
) -> StoredSubnetPool:
    """Change fields of a pool; raises DefaultPoolExistsError."""
    after = replace(before.pool, **changes)
    values = _values(after) | change.updated_stamp(before.stamp)
    _require_one_default(change, after)
    this = subnet_pools.c.id == after.id
    change.connection.execute(update(subnet_pools).where(this).values(values))
    return get(change, after.id)


def delete_pool(change: WriteTransaction, pool_id: str) -> None:
    """Delete a pool; raises PoolInUseError while a subnet is from it."""
    change.allocate_revision()
    if change.connection.execute(_TAKEN, {"pool_id": pool_id}).first() is not None:
        raise PoolInUseError("Unable to delete subnet pool: Subnet pool has existing allocations.")
    rbac_policies.forget(change, pool_id)
    change.connection.execute(delete(subnet_pools).where(subnet_pools.c.id == pool_id))


def take(
    change: WriteTransaction,
    pool: SubnetPool,
    project_id: str,
    length: int,
    wanted: IPNetwork | None,
) -> IPNetwork:
    """A free prefix of a pool, for a subnet that the same change stores: `wanted`, or the first.

    Raises PoolQuotaError, or PrefixTakenError where there is none.
    """
    change.allocate_revision()  # A free prefix stays free until this change ends.
    rows = change.connection.execute(_TAKEN, {"pool_id": pool.id}).all()
    taken = [ip_network(row.cidr) for row in rows]
    found = wanted or first_free(pool.prefixes, taken, length)
    if wanted is not None and not holds(left(pool.prefixes, taken), wanted):
        raise PrefixTakenError(
            "Failed to allocate subnet: Cannot allocate requested subnet from the available set "
            "of prefixes."
        )
    if found is None:
        raise PrefixTakenError(
            f"Failed to allocate subnet: Insufficient prefix space to allocate subnet size "
            f"/{length}."
        )
    mine = sum(units(ip_network(row.cidr)) for row in rows if row.project_id == project_id)
    if pool.quota is not None and mine + units(found) > pool.quota:
        raise PoolQuotaError("Per-project subnet pool prefix quota exceeded.")
    return found


def _require_one_default(change: WriteTransaction, pool: SubnetPool) -> None:
    other = default(change, pool.version) if pool.is_default else None
    if other is not None and other.id != pool.id:
        raise DefaultPoolExistsError(
            "A default subnetpool for this IP family has already been set. Only one default may "
            "exist per IP family."
        )


def _values(pool: SubnetPool) -> Values:
    return SUBNET_POOL.values(pool) | {"version": pool.version}
