"""What a user sees at all. What it does not see does not exist for it: 404, never 403."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, or_, select, true

from vifguard.api.who import User
from vifguard.model.network import Network
from vifguard.model.security_group import SecurityGroup
from vifguard.store import (
    address_groups,
    ip_groups,
    networks,
    ports,
    security_groups,
    subnets,
)
from vifguard.store.errors import MissingError
from vifguard.store.rows import (
    StoredAddressGroup,
    StoredGroup,
    StoredNetwork,
    StoredPort,
    StoredRule,
    StoredSecurityGroup,
    StoredSubnet,
)
from vifguard.store.tables import address_groups as address_group_table
from vifguard.store.tables import ip_groups as group_table
from vifguard.store.tables import networks as network_table
from vifguard.store.tables import ports as port_table
from vifguard.store.tables import security_group_rules as rule_table
from vifguard.store.tables import security_groups as security_group_table
from vifguard.store.tables import subnets as subnet_table
from vifguard.store.transaction import Snapshot


def networks_of(user: User) -> ColumnElement[bool]:
    """The networks a user sees: its project's, and the shared ones."""
    if user.is_operator:
        return true()
    return or_(network_table.c.project_id == user.project_id, network_table.c.shared)


def subnets_of(user: User) -> ColumnElement[bool]:
    """The subnets a user sees: those of the networks it sees."""
    if user.is_operator:
        return true()
    return subnet_table.c.network_id.in_(select(network_table.c.id).where(networks_of(user)))


def ports_of(user: User) -> ColumnElement[bool]:
    """The ports in a user's lists: its project's."""
    return true() if user.is_operator else port_table.c.project_id == user.project_id


def groups_of(user: User) -> ColumnElement[bool]:
    """The IP groups a user sees: its project's."""
    return true() if user.is_operator else group_table.c.project_id == user.project_id


def security_groups_of(user: User) -> ColumnElement[bool]:
    """The security groups a user sees: its project's."""
    return true() if user.is_operator else security_group_table.c.project_id == user.project_id


def rules_of(user: User) -> ColumnElement[bool]:
    """The rules a user sees: those of its project's groups."""
    return true() if user.is_operator else rule_table.c.project_id == user.project_id


def address_groups_of(user: User) -> ColumnElement[bool]:
    """The address groups a user sees: its project's."""
    return true() if user.is_operator else address_group_table.c.project_id == user.project_id


def network(snapshot: Snapshot, user: User, network_id: str) -> StoredNetwork:
    """One network that the user sees; raises MissingError."""
    stored = networks.get(snapshot, network_id)
    if not sees_network(user, stored.network):
        raise MissingError("network", network_id)
    return stored


def sees_network(user: User, wanted: Network) -> bool:
    """Whether the user sees a network."""
    return user.is_operator or wanted.shared or wanted.project_id == user.project_id


def subnet(snapshot: Snapshot, user: User, subnet_id: str) -> tuple[StoredSubnet, Network]:
    """One subnet that the user sees, and its network; raises MissingError."""
    stored = subnets.get(snapshot, subnet_id)
    owner = networks.get(snapshot, stored.subnet.network_id).network
    if not sees_network(user, owner):
        raise MissingError("subnet", subnet_id)
    return stored, owner


def port(snapshot: Snapshot, user: User, port_id: str) -> StoredPort:
    """One port that the user sees; raises MissingError. A service sees any port by its id."""
    stored = ports.get(snapshot, port_id)
    if not (user.is_operator or user.is_service or stored.port.project_id == user.project_id):
        raise MissingError("port", port_id)
    return stored


def group(snapshot: Snapshot, user: User, group_id: str) -> StoredGroup:
    """One IP group that the user sees; raises MissingError."""
    stored = ip_groups.get(snapshot, group_id)
    if not (user.is_operator or stored.group.project_id == user.project_id):
        raise MissingError("ip-group", group_id)
    return stored


def security_group(snapshot: Snapshot, user: User, group_id: str) -> StoredSecurityGroup:
    """One security group that the user sees; raises MissingError."""
    stored = security_groups.get(snapshot, group_id)
    if not (user.is_operator or stored.group.project_id == user.project_id):
        raise MissingError("security-group", group_id)
    return stored


def security_group_rule(snapshot: Snapshot, user: User, rule_id: str) -> StoredRule:
    """One rule that the user sees; raises MissingError."""
    stored = security_groups.get_rule(snapshot, rule_id)
    if not (user.is_operator or stored.rule.project_id == user.project_id):
        raise MissingError("security-group-rule", rule_id)
    return stored


def address_group(snapshot: Snapshot, user: User, group_id: str) -> StoredAddressGroup:
    """One address group that the user sees; raises MissingError."""
    stored = address_groups.get(snapshot, group_id)
    if not (user.is_operator or stored.group.project_id == user.project_id):
        raise MissingError("address-group", group_id)
    return stored


def require_security_groups(
    snapshot: Snapshot, project_id: str, ids: Iterable[str]
) -> list[SecurityGroup]:
    """The groups that objects of a project may refer to: its own; raises MissingError."""
    found = security_groups.by_id(snapshot, ids)
    for group_id in sorted(ids):
        if group_id not in found or found[group_id].project_id != project_id:
            raise MissingError("security-group", group_id)
    return list(found.values())


def require_address_group(snapshot: Snapshot, project_id: str, group_id: str) -> None:
    """Raise MissingError unless a project's rules may refer to an address group: its own."""
    if address_groups.get(snapshot, group_id).group.project_id != project_id:
        raise MissingError("address-group", group_id)
