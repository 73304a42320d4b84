"""The objects that a user sees. Others do not exist for it: 404, never 403.

`User.sees` decides, whichever role allowed the action: no role is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlalchemy import ColumnElement, Table, or_, select, true

from vifguard.attributes.refusal import forbidden
from vifguard.attributes.rules import User
from vifguard.model.network import Network
from vifguard.model.rbac_policy import RbacPolicy, Sharable
from vifguard.model.security_group import SecurityGroup
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


def networks_of(user: User) -> ColumnElement[bool]:
    """The networks a user sees: its project's, and those shared with it."""
    return _own_or_shared(user, network_table, Sharable.NETWORK)


def subnets_of(user: User) -> ColumnElement[bool]:
    """The subnets a user sees: those of the networks it sees."""
    if user.sees_all:
        return true()
    return subnet_table.c.network_id.in_(select(network_table.c.id).where(networks_of(user)))


def ports_of(user: User) -> ColumnElement[bool]:
    """The ports in a user's lists: its project's."""
    return true() if user.sees_all else port_table.c.project_id == user.project_id


def ip_groups_of(user: User) -> ColumnElement[bool]:
    """The IP groups a user sees: its project's."""
    return true() if user.sees_all else group_table.c.project_id == user.project_id


def security_groups_of(user: User) -> ColumnElement[bool]:
    """The security groups a user sees: its project's, and those shared with it."""
    return _own_or_shared(user, security_group_table, Sharable.SECURITY_GROUP)


def security_group_rules_of(user: User) -> ColumnElement[bool]:
    """The rules a user sees: those of its project's groups."""
    return true() if user.sees_all else rule_table.c.project_id == user.project_id


def address_groups_of(user: User) -> ColumnElement[bool]:
    """The address groups a user sees: its project's, and those shared with it."""
    return _own_or_shared(user, address_group_table, Sharable.ADDRESS_GROUP)


def subnet_pools_of(user: User) -> ColumnElement[bool]:
    """The subnet pools a user sees: its project's, and those shared with it."""
    return _own_or_shared(user, subnet_pool_table, Sharable.SUBNET_POOL)


def rbac_policies_of(user: User) -> ColumnElement[bool]:
    """The RBAC policies a user sees: those its project made."""
    return true() if user.sees_all else rbac_policy_table.c.project_id == user.project_id


def network(snapshot: Snapshot, user: User, network_id: str) -> StoredNetwork:
    """One network that the user sees; raises MissingError."""
    return queue_network(snapshot, user, network_id)()


def queue_network(snapshot: Snapshot, user: User, network_id: str) -> Callable[[], StoredNetwork]:
    """Queue one network; its call raises MissingError where the user does not see it."""
    asked = networks.queue(snapshot, network_id, user.project_id)

    def hear() -> StoredNetwork:
        found, is_shared = asked() or (None, False)
        if found is None or not (is_shared or user.sees(found.network.project_id)):
            raise MissingError("network", network_id)
        return found

    return hear


def subnet(snapshot: Snapshot, user: User, subnet_id: str) -> tuple[StoredSubnet, Network]:
    """One subnet that the user sees, and its network; raises MissingError."""
    stored = _visible(subnets.get, snapshot, subnet_id)
    network_id = subnet_id if stored is None else stored.subnet.network_id
    found = _visible(networks.get, snapshot, network_id)
    owner = None if found is None else found.network.project_id
    sees = _sees(snapshot, user, owner, network_id)
    if stored is None or found is None or not sees:
        raise MissingError("subnet", subnet_id)
    return stored, found.network


def port(snapshot: Snapshot, user: User, port_id: str) -> StoredPort:
    """One port that the user sees; raises MissingError."""
    stored = ports.get(snapshot, port_id)
    if not user.sees(stored.port.project_id):
        raise MissingError("port", port_id)
    return stored


def rbac_policy(snapshot: Snapshot, user: User, policy_id: str) -> RbacPolicy:
    """One RBAC policy that the user sees; raises MissingError."""
    found = rbac_policies.get(snapshot, policy_id)
    if not user.sees(found.project_id):
        raise MissingError("rbac-policy", policy_id)
    return found


def ip_group(snapshot: Snapshot, user: User, group_id: str) -> StoredIpGroup:
    """One IP group that the user sees; raises MissingError."""
    found = ip_groups.read(snapshot, ip_groups_of(user) & (group_table.c.id == group_id))
    if not found:
        raise MissingError("ip-group", group_id)
    return found[0]


def security_group(snapshot: Snapshot, user: User, group_id: str) -> StoredSecurityGroup:
    """One security group that the user sees; raises MissingError."""
    which = security_groups_of(user) & (security_group_table.c.id == group_id)
    found = security_groups.read(snapshot, which)
    found = found or security_groups.by_default_id(snapshot, user.project_id, group_id)
    if not found:
        raise MissingError("security-group", group_id)
    return found[0]


def own_security_group(snapshot: Snapshot, user: User, group_id: str) -> StoredSecurityGroup:
    """One security group that the user may change; raises MissingError, or Refusal (403)."""
    found = security_group(snapshot, user, group_id)
    require_owner(user, found.group.project_id, "security group", group_id)
    return found


def security_group_rule(snapshot: Snapshot, user: User, rule_id: str) -> StoredRule:
    """One rule that the user sees; raises MissingError."""
    which = security_group_rules_of(user) & (rule_table.c.id == rule_id)
    found = security_groups.read_rules(snapshot, which)
    found = found or security_groups.by_default_rule_id(snapshot, user.project_id, rule_id)
    if not found:
        raise MissingError("security-group-rule", rule_id)
    return found[0]


def address_group(snapshot: Snapshot, user: User, group_id: str) -> StoredAddressGroup:
    """One address group that the user sees; raises MissingError."""
    which = address_groups_of(user) & (address_group_table.c.id == group_id)
    found = address_groups.read(snapshot, which)
    if not found:
        raise MissingError("address-group", group_id)
    return found[0]


def own_address_group(snapshot: Snapshot, user: User, group_id: str) -> StoredAddressGroup:
    """One address group that the user may change; raises MissingError, or Refusal (403)."""
    found = address_group(snapshot, user, group_id)
    require_owner(user, found.group.project_id, "address group", group_id)
    return found


def subnet_pool(snapshot: Snapshot, user: User, pool_id: str) -> StoredSubnetPool:
    """One subnet pool that the user sees; raises MissingError."""
    found = _visible(subnet_pools.get, snapshot, pool_id)
    owner = None if found is None else found.pool.project_id
    if not _sees(snapshot, user, owner, pool_id) or found is None:
        raise MissingError("subnet-pool", pool_id)
    return found


def own_subnet_pool(snapshot: Snapshot, user: User, pool_id: str) -> StoredSubnetPool:
    """One subnet pool that the user may change; raises MissingError, or Refusal (403)."""
    found = subnet_pool(snapshot, user, pool_id)
    require_owner(user, found.pool.project_id, "subnet pool", pool_id)
    return found


def require_owner(user: User, project_id: str, noun: str, ident: str) -> None:
    """Raise Refusal (403) where the user sees an object that it may use and not change."""
    if not user.owns(project_id):
        raise forbidden(
            f"{noun.capitalize()} {ident} is another project's: it may be used, and changed only "
            f"by its owner or the operator."
        )


def require_security_groups(
    snapshot: Snapshot, project_id: str, ids: Iterable[str]
) -> list[SecurityGroup]:
    """The groups that objects of a project may refer to: its own, and those shared with it.

    Raises MissingError.
    """
    return queue_security_groups(snapshot, project_id, ids)()


def queue_security_groups(
    snapshot: Snapshot, project_id: str, ids: Iterable[str]
) -> Callable[[], list[SecurityGroup]]:
    """As `require_security_groups`, queued; the call raises."""
    wanted = frozenset(ids)
    asked = security_groups.queue(snapshot, wanted, project_id)

    def hear() -> list[SecurityGroup]:
        usable = {
            group_id: group
            for group_id, (group, is_shared) in asked().items()
            if is_shared or group.project_id == project_id
        }
        for group_id in sorted(wanted - usable.keys()):
            default = security_groups.by_default_id(snapshot, project_id, group_id)
            if not default:
                raise MissingError("security-group", group_id)
            usable[group_id] = default[0].group
        return list(usable.values())

    return hear


def require_address_group(snapshot: Snapshot, project_id: str, group_id: str) -> None:
    """Raise MissingError unless a project's rules may refer to an address group."""
    owner = address_groups.owner(snapshot, group_id)
    if owner == project_id:
        return
    is_shared = rbac_policies.is_shared(snapshot, group_id, project_id)
    if owner is None or not is_shared:
        raise MissingError("address-group", group_id)


def _own_or_shared(user: User, table: Table, kind: Sharable) -> ColumnElement[bool]:
    if user.sees_all:
        return true()
    shared = table.c.id.in_(rbac_policies.shared_with(kind, user.project_id))
    return or_(table.c.project_id == user.project_id, shared)


def _sees(snapshot: Snapshot, user: User, owner: str | None, ident: str) -> bool:
    """Whether a user sees an object of `owner`. None: of nobody, and takes as long to look up."""
    if owner is not None and user.sees(owner):
        return True
    return rbac_policies.is_shared(snapshot, ident, user.project_id)


def _visible(
    get: Callable[[Snapshot, str], Stored], snapshot: Snapshot, ident: str
) -> Stored | None:
    try:
        return get(snapshot, ident)
    except MissingError:
        return None
