"""The objects that a viewer sees. Others do not exist for it: they are missing, as any is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Table, or_, select, true

from vifguard.model.network import Network
from vifguard.model.rbac_policy import RbacPolicy, Sharable
from vifguard.model.security_group import SecurityGroup
from vifguard.store.batch import Batch, Pending
from vifguard.store.errors import MissingError
from vifguard.store.nouns import (
    address_groups,
    ip_groups,
    networks,
    ports,
    rbac_policies,
    security_groups,
    subnet_pools,
    subnets,
)
from vifguard.store.schema.tables import address_groups as address_group_table
from vifguard.store.schema.tables import ip_groups as group_table
from vifguard.store.schema.tables import networks as network_table
from vifguard.store.schema.tables import ports as port_table
from vifguard.store.schema.tables import rbac_policies as rbac_policy_table
from vifguard.store.schema.tables import security_group_rules as rule_table
from vifguard.store.schema.tables import security_groups as security_group_table
from vifguard.store.schema.tables import subnet_pools as subnet_pool_table
from vifguard.store.schema.tables import subnets as subnet_table
from vifguard.store.stored_nouns import (
    StoredAddressGroup,
    StoredIpGroup,
    StoredNetwork,
    StoredPort,
    StoredRule,
    StoredSecurityGroup,
    StoredSubnet,
    StoredSubnetPool,
)
from vifguard.store.transaction import Snapshot

Stored = TypeVar("Stored")


class Viewer(Protocol):
    """A project for which the store is read, or with `sees_all` all of them at once."""

    @property
    def project_id(self) -> str:
        """The project whose objects it sees, and those shared with it."""

    @property
    def sees_all(self) -> bool:
        """Whether it sees every project's objects."""

    def sees(self, project_id: str) -> bool:
        """Whether it sees an object of a project, though it is not shared."""


def networks_of(viewer: Viewer) -> ColumnElement[bool]:
    """The networks a viewer sees: its project's, and those shared with it."""
    return _own_or_shared(viewer, network_table, Sharable.NETWORK)


def subnets_of(viewer: Viewer) -> ColumnElement[bool]:
    """The subnets a viewer sees: those of the networks it sees."""
    if viewer.sees_all:
        return true()
    return subnet_table.c.network_id.in_(select(network_table.c.id).where(networks_of(viewer)))


def ports_of(viewer: Viewer) -> ColumnElement[bool]:
    """The ports in a viewer's lists: its project's."""
    return true() if viewer.sees_all else port_table.c.project_id == viewer.project_id


def ip_groups_of(viewer: Viewer) -> ColumnElement[bool]:
    """The IP groups a viewer sees: its project's."""
    return true() if viewer.sees_all else group_table.c.project_id == viewer.project_id


def security_groups_of(viewer: Viewer) -> ColumnElement[bool]:
    """The security groups a viewer sees: its project's, and those shared with it."""
    return _own_or_shared(viewer, security_group_table, Sharable.SECURITY_GROUP)


def security_group_rules_of(viewer: Viewer) -> ColumnElement[bool]:
    """The rules a viewer sees: those of its project's groups."""
    return true() if viewer.sees_all else rule_table.c.project_id == viewer.project_id


def address_groups_of(viewer: Viewer) -> ColumnElement[bool]:
    """The address groups a viewer sees: its project's, and those shared with it."""
    return _own_or_shared(viewer, address_group_table, Sharable.ADDRESS_GROUP)


def subnet_pools_of(viewer: Viewer) -> ColumnElement[bool]:
    """The subnet pools a viewer sees: its project's, and those shared with it."""
    return _own_or_shared(viewer, subnet_pool_table, Sharable.SUBNET_POOL)


def rbac_policies_of(viewer: Viewer) -> ColumnElement[bool]:
    """The RBAC policies a viewer sees: those its project made."""
    return true() if viewer.sees_all else rbac_policy_table.c.project_id == viewer.project_id


def network(snapshot: Snapshot, viewer: Viewer, network_id: str) -> StoredNetwork:
    """One network that the viewer sees; raises MissingError."""
    with snapshot.batch() as batch:
        found = queue_network(batch, viewer, network_id)
    return found.result()


def queue_network(batch: Batch, viewer: Viewer, network_id: str) -> Pending[StoredNetwork]:
    """Queue reading a network; the result raises MissingError if the viewer does not see it."""

    def decide(found: tuple[StoredNetwork, bool] | None) -> StoredNetwork:
        stored, is_shared = found or (None, False)
        if stored is None or not (is_shared or viewer.sees(stored.network.project_id)):
            raise MissingError("network", network_id)
        return stored

    return networks.queue(batch, network_id, viewer.project_id).then(decide)


def subnet(snapshot: Snapshot, viewer: Viewer, subnet_id: str) -> tuple[StoredSubnet, Network]:
    """One subnet that the viewer sees, and its network; raises MissingError."""
    stored = _visible(subnets.get, snapshot, subnet_id)
    network_id = subnet_id if stored is None else stored.subnet.network_id
    found = _visible(networks.get, snapshot, network_id)
    owner = None if found is None else found.network.project_id
    sees = _sees(snapshot, viewer, owner, network_id)
    if stored is None or found is None or not sees:
        raise MissingError("subnet", subnet_id)
    return stored, found.network


def port(snapshot: Snapshot, viewer: Viewer, port_id: str) -> StoredPort:
    """One port that the viewer sees; raises MissingError."""
    with snapshot.batch() as batch:
        found = queue_port(batch, viewer, port_id)
    return found.result()


def queue_port(batch: Batch, viewer: Viewer, port_id: str) -> Pending[StoredPort]:
    """Queue reading one port; the result raises MissingError where the viewer does not see it."""

    def decide(found: StoredPort | None) -> StoredPort:
        if found is None or not viewer.sees(found.port.project_id):
            raise MissingError("port", port_id)
        return found

    return ports.queue(batch, port_id).then(decide)


def ports_among(snapshot: Snapshot, viewer: Viewer, ids: Iterable[str]) -> list[str]:
    """The ids of those of these ports that are in a viewer's lists."""
    which = port_table.c.id.in_(list(ids))
    mine = select(port_table.c.id).where(which, ports_of(viewer))
    return list(snapshot.connection.scalars(mine))


def rbac_policy(snapshot: Snapshot, viewer: Viewer, policy_id: str) -> RbacPolicy:
    """One RBAC policy that the viewer sees; raises MissingError."""
    found = rbac_policies.get(snapshot, policy_id)
    if not viewer.sees(found.project_id):
        raise MissingError("rbac-policy", policy_id)
    return found


def ip_group(snapshot: Snapshot, viewer: Viewer, group_id: str) -> StoredIpGroup:
    """One IP group that the viewer sees; raises MissingError."""
    found = ip_groups.read(snapshot, ip_groups_of(viewer) & (group_table.c.id == group_id))
    if not found:
        raise MissingError("ip-group", group_id)
    return found[0]


def security_group(snapshot: Snapshot, viewer: Viewer, group_id: str) -> StoredSecurityGroup:
    """One security group that the viewer sees; raises MissingError."""
    which = security_groups_of(viewer) & (security_group_table.c.id == group_id)
    found = security_groups.read(snapshot, which)
    found = found or security_groups.by_default_id(snapshot, viewer.project_id, group_id)
    if not found:
        raise MissingError("security-group", group_id)
    return found[0]


def security_group_rule(snapshot: Snapshot, viewer: Viewer, rule_id: str) -> StoredRule:
    """One rule that the viewer sees; raises MissingError."""
    which = security_group_rules_of(viewer) & (rule_table.c.id == rule_id)
    found = security_groups.read_rules(snapshot, which)
    found = found or security_groups.by_default_rule_id(snapshot, viewer.project_id, rule_id)
    if not found:
        raise MissingError("security-group-rule", rule_id)
    return found[0]


def address_group(snapshot: Snapshot, viewer: Viewer, group_id: str) -> StoredAddressGroup:
    """One address group that the viewer sees; raises MissingError."""
    which = address_groups_of(viewer) & (address_group_table.c.id == group_id)
    found = address_groups.read(snapshot, which)
    if not found:
        raise MissingError("address-group", group_id)
    return found[0]


def subnet_pool(snapshot: Snapshot, viewer: Viewer, pool_id: str) -> StoredSubnetPool:
    """One subnet pool that the viewer sees; raises MissingError."""
    found = _visible(subnet_pools.get, snapshot, pool_id)
    owner = None if found is None else found.pool.project_id
    if not _sees(snapshot, viewer, owner, pool_id) or found is None:
        raise MissingError("subnet-pool", pool_id)
    return found


def require_security_groups(
    snapshot: Snapshot, project_id: str, ids: Iterable[str]
) -> list[SecurityGroup]:
    """The groups that objects of a project may refer to: its own, and those shared with it.

    Raises MissingError.
    """
    with snapshot.batch() as batch:
        found = queue_security_groups(batch, project_id, ids)
    return found.result()


def queue_security_groups(
    batch: Batch, project_id: str, ids: Iterable[str]
) -> Pending[list[SecurityGroup]]:
    """Ask as `require_security_groups` does; the result raises MissingError."""
    wanted = frozenset(ids)

    def decide(found: dict[str, tuple[SecurityGroup, bool]]) -> list[SecurityGroup]:
        usable = {
            group_id: group
            for group_id, (group, is_shared) in found.items()
            if is_shared or group.project_id == project_id
        }
        for group_id in sorted(wanted - usable.keys()):
            default = security_groups.by_default_id(batch.snapshot, project_id, group_id)
            if not default:
                raise MissingError("security-group", group_id)
            usable[group_id] = default[0].group
        return list(usable.values())

    return security_groups.queue(batch, wanted, project_id).then(decide)


def require_address_group(snapshot: Snapshot, project_id: str, group_id: str) -> None:
    """Raise MissingError unless a project's rules may refer to an address group."""
    owner = address_groups.owner(snapshot, group_id)
    if owner == project_id:
        return
    is_shared = rbac_policies.is_shared(snapshot, group_id, project_id)
    if owner is None or not is_shared:
        raise MissingError("address-group", group_id)


def _own_or_shared(viewer: Viewer, table: Table, kind: Sharable) -> ColumnElement[bool]:
    if viewer.sees_all:
        return true()
    shared = table.c.id.in_(rbac_policies.shared_with(kind, viewer.project_id))
    return or_(table.c.project_id == viewer.project_id, shared)


def _sees(snapshot: Snapshot, viewer: Viewer, owner: str | None, ident: str) -> bool:
    """Whether a viewer sees an object of `owner`. None: of nobody, and takes as long to look up."""
    if owner is not None and viewer.sees(owner):
        return True
    return rbac_policies.is_shared(snapshot, ident, viewer.project_id)


def _visible(
    get: Callable[[Snapshot, str], Stored], snapshot: Snapshot, ident: str
) -> Stored | None:
    try:
        return get(snapshot, ident)
    except MissingError:
        return None
