"""One store, and the nouns in short."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import uuid4

from vifguard.feed.messages import HostPort, Update
from vifguard.model.address import Mac
from vifguard.model.address_request import AddressRequest
from vifguard.model.ip_group import IpGroup
from vifguard.model.network import Network, Pool, Subnet
from vifguard.model.port import Port
from vifguard.model.security_group import AddressGroup, Rule, SecurityGroup, SecurityGroupRule
from vifguard.store.addressing.addresses import usable
from vifguard.store.nouns import (
    address_groups,
    hosts,
    ip_groups,
    networks,
    ports,
    security_groups,
    subnets,
)
from vifguard.store.nouns.ports import NewPort, PortContext
from vifguard.store.schema.tables import security_group_rules
from vifguard.store.store import Store

ANY_MAC = Mac(bytes(6))


@dataclass
class Clock:
    """A clock that a test sets, and that moves a millisecond whenever it is read."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@dataclass
class World:
    """One store, and what a test does with it; every method is one change."""

    store: Store
    clock: Clock = field(default_factory=Clock)
    where: str = ""

    def network(self, **fields: Any) -> Network:
        network = Network(**{"id": str(uuid4()), "project_id": "p1", "shared": True} | fields)
        with self.store.change() as change:
            return networks.create(change, network).network

    def subnet(self, network: Network, cidr: str, *pools: str, **fields: Any) -> Subnet:
        net = ip_network(cidr)
        first, last = usable(net)
        chosen = tuple(Pool(*map(ip_address, pool.split("-"))) for pool in pools)
        subnet = Subnet(
            id=str(uuid4()),
            network_id=network.id,
            project_id=network.project_id,
            cidr=net,
            pools=chosen or (Pool(first, last),),
            **fields,
        )
        with self.store.change() as change:
            now = networks.get(change, network.id).network
            return subnets.create(change, now, subnet).subnet

    def port(
        self,
        network: Network,
        *wishes: AddressRequest,
        mac: str | None = None,
        **fields: Any,
    ) -> Port:
        port = Port(
            **{
                "id": str(uuid4()),
                "network_id": network.id,
                "project_id": "p1",
                "mac": ANY_MAC,
                "host": "h1",
            }
            | fields
        )
        draft = NewPort(port, None if mac is None else Mac.parse(mac), wishes or None)
        with self.store.change() as change:
            now = networks.get(change, network.id).network
            ground = PortContext(now, subnets.of_network(change, now.id), hosts.read(change))
            return ports.create(change, ground, draft).port

    def group(self, network: Network, *members: Port, **fields: Any) -> IpGroup:
        wishes = fields.pop("wishes", None)
        group = IpGroup(
            **{
                "id": str(uuid4()),
                "network_id": network.id,
                "project_id": "p1",
                "members": frozenset(port.id for port in members),
            }
            | fields
        )
        with self.store.change() as change:
            if wishes is None:
                wishes = (AddressRequest(subnets.of_network(change, network.id)[0].id),)
            return ip_groups.create(change, group, tuple(wishes)).group

    def security_group(self, *rules: Rule, **fields: Any) -> SecurityGroup:
        """A group with these rules beside those that every new one has."""
        group = SecurityGroup(**{"id": str(uuid4()), "project_id": "p1"} | fields)
        with self.store.change() as change:
            made = security_groups.create(change, group).group
        for rule in rules:
            self.rule(made, rule)
        return made

    def rule(self, group: SecurityGroup, rule: Rule, **fields: Any) -> SecurityGroupRule:
        noun = SecurityGroupRule(str(uuid4()), group.project_id, group.id, rule, **fields)
        with self.store.change() as change:
            return security_groups.create_rule(change, noun).rule

    def drop_rule(self, rule: SecurityGroupRule) -> None:
        with self.store.change() as change:
            found = security_groups.read_rules(change, security_group_rules.c.id == rule.id)
            security_groups.delete_rules(change, found)

    def set_security_group(self, group: SecurityGroup, **changes: Any) -> SecurityGroup:
        with self.store.change() as change:
            before = security_groups.get(change, group.id)
            return security_groups.update_group(change, before, changes).group

    def drop_security_group(self, group: SecurityGroup) -> None:
        with self.store.change() as change:
            security_groups.delete_group(change, group)

    def address_group(self, *cidrs: str, **fields: Any) -> AddressGroup:
        prefixes = frozenset(map(ip_network, cidrs))
        group = AddressGroup(
            **{"id": str(uuid4()), "project_id": "p1", "addresses": prefixes} | fields
        )
        with self.store.change() as change:
            return address_groups.create(change, group).group

    def set_addresses(self, group: AddressGroup, *cidrs: str) -> AddressGroup:
        with self.store.change() as change:
            before = address_groups.get(change, group.id)
            prefixes = {"addresses": frozenset(map(ip_network, cidrs))}
            return address_groups.update_group(change, before, prefixes).group

    def set_port(self, port: Port, wishes: Any = None, **changes: Any) -> Port:
        with self.store.change() as change:
            before = ports.get(change, port.id)
            return ports.update_port(change, before, changes, wishes).port

    def set_network(self, network: Network, **changes: Any) -> Network:
        with self.store.change() as change:
            before = networks.get(change, network.id)
            return networks.update_network(change, before, changes).network

    def set_group(self, group: IpGroup, wishes: Any = None, **changes: Any) -> IpGroup:
        with self.store.change() as change:
            before = ip_groups.get(change, group.id)
            return ip_groups.update_group(change, before, changes, wishes).group

    def delete_port(self, port: Port) -> None:
        with self.store.change() as change:
            beside = subnets.of_network(change, port.network_id)
            ports.delete_port(change, ports.get(change, port.id), beside)

    def now(self, port: Port) -> Port:
        with self.store.read() as snapshot:
            return ports.get(snapshot, port.id).port

    def revision_of(self, port: Port) -> int:
        with self.store.read() as snapshot:
            return ports.get(snapshot, port.id).policy_revision

    def complete(self, host: str = "h1") -> Update:
        update = self.store.update_after(host, 0)
        assert update is not None
        assert update.complete
        return update


def held(update: Update) -> dict[str, HostPort]:
    """What a host holds after a complete update."""
    return {port.policy.port_id: port for port in update.ports}
