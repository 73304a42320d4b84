"""The source of a new subnet's range: the request, or a subnet pool."""

from __future__ import annotations

from vifguard.attributes.refusal import Refusal
from vifguard.attributes.rules import User
from vifguard.attributes.schema import ParsedBody
from vifguard.model.address import IPNetwork
from vifguard.model.subnet_pool import SubnetPool
from vifguard.store.nouns import subnet_pools, subnets
from vifguard.store.queries import visibility
from vifguard.store.transaction import WriteTransaction


def range_of(
    change: WriteTransaction, user: User, given: ParsedBody, project_id: str
) -> tuple[IPNetwork, str | None]:
    """The range of a new subnet, and the pool that it is from, if any.

    Raises Refusal, or StoreError where the pool does not have it.
    """
    wanted: IPNetwork | None = given["cidr"]
    if wanted is not None and given["prefixlen"] is not None:
        raise _bad("cidr and prefixlen must not be supplied together")
    pool = _pool(change, user, given)
    if pool is None:
        if wanted is None:
            raise _bad("a subnetpool must be specified in the absence of a cidr")
        _require_affinity(change, given["network_id"], wanted.version, None)
        return wanted, None
    _require_fit(pool, given)
    length = _length(pool, given)
    _require_affinity(change, given["network_id"], pool.version, pool.id)
    return subnet_pools.take(change, pool, project_id, length, wanted), pool.id


def _pool(change: WriteTransaction, user: User, given: ParsedBody) -> SubnetPool | None:
    if given["subnetpool_id"] is not None:
        if given["use_default_subnetpool"]:
            raise _bad("subnetpool_id and use_default_subnetpool cannot both be specified")
        return visibility.subnet_pool(change, user, given["subnetpool_id"]).pool
    if not given["use_default_subnetpool"]:
        return None
    version = given["cidr"].version if given["cidr"] is not None else given["ip_version"]
    if version is None:
        raise _bad("ip_version must be specified in the absence of cidr and subnetpool_id")
    pool = subnet_pools.default(change, version)
    if pool is None:
        raise _bad(f"No default subnetpool found for IPv{version}")
    return visibility.subnet_pool(change, user, pool.id).pool


def _require_fit(pool: SubnetPool, given: ParsedBody) -> None:
    if given["ip_version"] not in (None, pool.version):
        raise _bad(
            f"Cannot allocate IPv{given['ip_version']} subnet from IPv{pool.version} subnet pool"
        )
    if given["cidr"] is None and given["allocation_pools"] is not None:
        raise _bad("allocation_pools allowed only for specific subnet requests.")


def _length(pool: SubnetPool, given: ParsedBody) -> int:
    length: int = given["prefixlen"] if given["prefixlen"] is not None else pool.usual
    if given["cidr"] is not None:
        length = given["cidr"].prefixlen
    for fits, kind, word, limit in (
        (length <= pool.longest, "MaxPrefix", "maximum", pool.longest),
        (length >= pool.shortest, "MinPrefix", "minimum", pool.shortest),
    ):
        if not fits:
            raise Refusal(
                400,
                f"{kind}SubnetAllocationError",
                f"Unable to allocate subnet with prefix length {length}, {word} allowed prefix "
                f"is {limit}.",
            )
    return length


def _require_affinity(
    change: WriteTransaction, network_id: str, version: int, pool_id: str | None
) -> None:
    for other in subnets.of_network(change, network_id):
        if other.cidr.version == version and other.subnet_pool_id != pool_id:
            raise Refusal(
                400,
                "NetworkSubnetPoolAffinityError",
                "Subnets hosted on the same network must be allocated from the same subnet pool.",
            )


def _bad(why: str) -> Refusal:
    return Refusal(400, "BadRequest", f"Bad subnets request: {why.rstrip('.')}.")
