"""A world that stands: one host behind the real API, real guests, and somebody outside.

Everything is made as its owner would make it: networks, ports and IP groups by requests of
their projects or of the operator, interfaces by plugging them into the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from vifguard.client.client import Client, Item
from vifguard.client.resource import (
    IP_GROUP,
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
)
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.link import Links
from vifguard.lab.world import netns
from vifguard.lab.world.guest_netns import Interface, give, make_guest, make_host, plug
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.server import Server
from vifguard.lab.world.world_plan import (
    OPERATOR,
    GroupPlan,
    GuestPlan,
    NetworkPlan,
    NicPlan,
    SecurityGroupPlan,
    WorldPlan,
)
from vifguard.model.address import IPAddress, IPNetwork, Mac

ENFORCED_WITHIN = 30.0
"""Seconds after which a port that is not enforced is an error."""

UPLINK, PHYSICAL = "uplink0", "physnet1"
_OUTSIDE_MAC = Mac.parse("02:66:00:00:00:01")
_HOST_ADDRESSES = ("192.168.76.1/24", "fd76::1/64")


@dataclass(frozen=True, slots=True)
class Net:
    """A network that exists."""

    id: str
    plan: NetworkPlan
    subnets: Mapping[int, Item]

    @property
    def name(self) -> str:
        """Its name in the plan."""
        return self.plan.name

    @property
    def leads_out(self) -> bool:
        """Whether it has the host's uplink."""
        return self.plan.uplink

    @property
    def bridge(self) -> str:
        """Its bridge on the host."""
        return f"vg{self.id[:11]}"

    def cidr(self, version: int) -> IPNetwork:
        """The range of its subnet of this family."""
        return ip_network(self.subnets[version]["cidr"])


@dataclass(frozen=True, slots=True)
class Nic:
    """An interface of a guest, and the port that guards it."""

    plan: NicPlan
    port: Item
    interface: Interface
    net: Net

    @property
    def port_id(self) -> str:
        """The port's id."""
        return str(self.port["id"])

    @property
    def addresses(self) -> dict[int, IPAddress]:
        """Its addresses by version."""
        given = (ip_address(fixed["ip_address"]) for fixed in self.port["fixed_ips"])
        return {address.version: address for address in given}

    @property
    def interfaces(self) -> list[IPv4Interface | IPv6Interface]:
        """Its addresses with their prefix lengths."""
        return [
            ip_interface(f"{address}/{self.net.cidr(version).prefixlen}")
            for version, address in self.addresses.items()
        ]


@dataclass(slots=True)
class Guest:
    """A guest that runs."""

    name: str
    netns: str
    project: str
    nics: list[Nic] = field(default_factory=list)

    @property
    def nic(self) -> Nic:
        """Its first interface."""
        return self.nics[0]


class World:
    """A world that stands; made by `standing`."""

    def __init__(self, run: Run, plan: WorldPlan, cleanup: ExitStack) -> None:
        self.run, self.plan = run, plan
        self._cleanup = cleanup
        self.host_netns = run.netns(f"{plan.name}-host")
        self.outside_netns = run.netns(f"{plan.name}-outside")
        make_host(self.host_netns)
        netns.ip(
            [
                "link add mgmt0 type bridge",
                "link set mgmt0 up",
                *(f"addr add {address} dev mgmt0" for address in _HOST_ADDRESSES),
            ],
            self.host_netns,
        )
        make_guest(self.outside_netns)
        self.outside = Interface(self.outside_netns, "eth0", self.host_netns, UPLINK, _OUTSIDE_MAC)
        plug(self.outside)
        # An uplink that its operator gave to guests alone: the host sends nothing on it.
        netns.within(self.host_netns, lambda: sysctl.write(UPLINK, sysctl.NO_HOST_IPV6))
        self.server = Server(run.directory / plan.name, self.host_netns, {PHYSICAL: UPLINK})
        self.server.start()
        cleanup.callback(self.server.stop)
        self.operator = self._client(self.server.operator())
        self.members = {
            project: self._client(self.server.member(project)) for project in plan.projects
        }
        self.nets: dict[str, Net] = {}
        self.guests: dict[str, Guest] = {}
        self.groups: dict[str, Item] = {}
        self.security_groups: dict[str, Item] = {}

    def client(self, project: str) -> Client:
        """The client that calls the API for the project."""
        return self.operator if project == OPERATOR else self.members[project]

    # Making

    def add_network(self, plan: NetworkPlan) -> Net:
        """Create a network and its subnets."""
        client = self.client(plan.project)
        body: dict[str, Any] = {"name": plan.name, **plan.body}
        if plan.project == OPERATOR:
            body["shared"] = True
        if plan.uplink:
            body |= {"provider:network_type": "flat", "provider:physical_network": PHYSICAL}
        network = client.create(NETWORK, body)
        subnets: dict[int, Item] = {}
        for cidr in plan.cidrs:
            version = ip_network(cidr).version
            fields = {"network_id": network["id"], "ip_version": version, "cidr": cidr}
            further = plan.subnet_body.get(version, {})
            subnets[version] = client.create(SUBNET, {**fields, **further})
        net = self.nets[plan.name] = Net(str(network["id"]), plan, subnets)
        if plan.uplink:
            give(self.outside, [_gateway(subnet) for subnet in subnets.values()])
        return net

    def add_guest(self, plan: GuestPlan) -> Guest:
        """Make a guest and all its interfaces."""
        guest = Guest(plan.name, self.run.netns(f"{self.plan.name}-{plan.name}"), plan.project)
        self.guests[plan.name] = guest
        make_guest(guest.netns)
        for nic in plan.nics:
            self.add_nic(guest, nic)
        return guest

    def add_nic(self, guest: Guest, plan: NicPlan) -> Nic:
        """Create a port and plug the guest's next interface into it."""
        net = self.nets[plan.network]
        port = self._create_port(guest, plan, net)
        interface = Interface(
            guest.netns,
            f"eth{len(guest.nics)}",
            self.host_netns,
            f"tap{port['id'][:11]}",
            Mac.parse(port["mac_address"]),
        )
        nic = Nic(plan, port, interface, net)
        muted = plan.silent or 6 not in plan.families
        plug(interface, muted=muted, offloads=plan.offloads)
        if not plan.silent:
            give(interface, nic.interfaces)
            self._route(nic)
        guest.nics.append(nic)
        return nic

    def add_group(self, plan: GroupPlan) -> Item:
        """Create an IP group."""
        net = self.nets[plan.network]
        members = [
            nic.port_id
            for name in plan.members
            for nic in self.guests[name].nics
            if nic.net.name == plan.network
        ]
        body = {
            "name": plan.name,
            "network_id": net.id,
            "members": members,
            "addresses": [{"subnet_id": subnet["id"]} for subnet in net.subnets.values()],
            **plan.body,
        }
        client = self.client(plan.project)
        if plan.link_local:
            client = self.operator
            body["project_id"] = plan.project
            body["addresses"].append({"ip_address": plan.link_local})
        group = self.groups[plan.name] = client.create(IP_GROUP, body)
        return group

    def add_security_group(self, plan: SecurityGroupPlan) -> Item:
        """Create a security group and its rules."""
        client = self.client(plan.project)
        body = {"name": plan.name, **plan.body}
        group = self.security_groups[plan.name] = client.create(SECURITY_GROUP, body)
        if not plan.speaks:
            for rule in group["security_group_rules"]:
                client.delete(SECURITY_GROUP_RULE, rule["id"])
        for said in plan.rules:
            for version in (4, 6):
                self.let_in(plan, version, said)
        return group

    def let_in(self, plan: SecurityGroupPlan, version: int, said: Mapping[str, Any]) -> Item:
        """Create one rule of a security group, for one family."""
        body = {
            "security_group_id": self.security_groups[plan.name]["id"],
            "direction": "ingress",
            "ethertype": f"IPv{version}",
            **said,
        }
        if "remote" in body:
            body["remote_group_id"] = self.security_groups[body.pop("remote")]["id"]
        return self.client(plan.project).create(SECURITY_GROUP_RULE, body)

    # Looking

    def await_enforced(self, *nics: Nic) -> None:
        """Wait until the desired policies of these ports, or of all, are enforced."""
        chosen = nics or [nic for guest in self.guests.values() for nic in guest.nics]
        for nic in chosen:
            self.operator.wait_for_port(nic.port_id, ENFORCED_WITHIN)

    def bridge_mac(self, net: Net) -> Mac:
        """The MAC of a network's bridge on the host."""

        def look() -> Mac | None:
            with Links() as links:
                link = links.named(net.bridge)
                return link.mac if link else None

        mac = netns.within(self.host_netns, look)
        if mac is None:
            raise netns.LabError(f"there is no bridge {net.bridge} for network {net.name}")
        return mac

    def drops(self, nic: Nic) -> Item:
        """The drop records and counts of a port."""
        answer: Item = self.operator.call("GET", f"ports/{nic.port_id}/drops")
        return answer

    def _create_port(self, guest: Guest, plan: NicPlan, net: Net) -> Item:
        body: dict[str, Any] = {
            "network_id": net.id,
            "name": f"{guest.name}-{net.name}",
            "device_id": guest.name,
            "security_groups_enabled": bool(plan.security_groups),
            **plan.body,
        }
        if plan.security_groups:
            groups = [self.security_groups[name]["id"] for name in plan.security_groups]
            body["security_groups"] = groups
        if net.subnets and set(plan.families) != set(net.subnets):
            body["fixed_ips"] = [{"subnet_id": net.subnets[each]["id"]} for each in plan.families]
        if plan.by_operator:
            body |= {"project_id": guest.project, **plan.by_operator}
            return self.operator.create(PORT, body)
        return self.members[guest.project].create(PORT, body)

    def _route(self, nic: Nic) -> None:
        for version, subnet in nic.net.subnets.items():
            gateway = subnet.get("gateway_ip")
            if gateway and version in nic.addresses and nic.interface.device == "eth0":
                netns.ip(
                    [f"route add default via {gateway} dev {nic.interface.device}"],
                    nic.interface.netns,
                )

    def _client(self, client: Client) -> Client:
        self._cleanup.callback(client.close)
        return client


def _gateway(subnet: Item) -> IPv4Interface | IPv6Interface:
    return ip_interface(f"{subnet['gateway_ip']}/{ip_network(subnet['cidr']).prefixlen}")


def stand(run: Run, plan: WorldPlan, cleanup: ExitStack) -> World:
    """The world of a plan, every port enforced; `cleanup` stops its server."""
    world = World(run, plan, cleanup)
    for network in plan.networks:
        world.add_network(network)
    for security_group in plan.security_groups:
        world.add_security_group(security_group)
    for guest in plan.guests:
        world.add_guest(guest)
    for group in plan.groups:
        world.add_group(group)
    world.await_enforced()
    return world


@contextmanager
def standing(run: Run, plan: WorldPlan) -> Iterator[World]:
    """The world of a plan, for as long as it is looked at."""
    with ExitStack() as cleanup:
        yield stand(run, plan, cleanup)
