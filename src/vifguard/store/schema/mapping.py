"""Rows <-> the frozen dataclasses of `model`. Nothing here reads or writes the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from vifguard.model.address import IPAddress, IPNetwork, Mac
from vifguard.model.guard import Guard, LinkLocal, Profile, Role
from vifguard.model.ip_group import IpGroup
from vifguard.model.learned import LearnedAddress, LearnedLimits
from vifguard.model.network import HostRoute, Network, Pool, Subnet
from vifguard.model.policy import Storm
from vifguard.model.port import AddressPair, DhcpOption, FixedIp, Port
from vifguard.store.stored_nouns import Stamp

Values = dict[str, Any]
"""Column names and their values."""


Record = Any
"""A row as the database gives it: its columns are attributes."""


class PrefixedRow:
    """The columns of a row that were read under a prefix, by their own names."""

    def __init__(self, row: Record, prefix: str) -> None:
        self._row = row
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        """The value of a column."""
        return getattr(self._row, self._prefix + name)


def key(address: IPAddress) -> bytes:
    """The key under which an address is kept: family, then the packed address."""
    return bytes((address.version,)) + address.packed


def address_of(stored: bytes) -> IPAddress:
    """The address of a key."""
    return IPv4Address(stored[1:]) if stored[0] == 4 else IPv6Address(stored[1:])


def next_key(stored: bytes, step: int = 1) -> bytes:
    """The key `step` addresses on; raises OverflowError beyond the last address."""
    number = int.from_bytes(stored[1:], "big") + step
    return stored[:1] + number.to_bytes(len(stored) - 1, "big")


def network_values(network: Network) -> Values:
    """The columns of a network, without its stamp."""
    return {
        "id": network.id,
        "project_id": network.project_id,
        "name": network.name,
        "shared": network.shared,
        "public": network.public,
        "physical": network.physical,
        "mtu": network.mtu,
        "admin_state_up": network.admin_state_up,
        "profile": network.profile,
        "guards": _listed(network.guards),
        "port_security_enabled": network.port_security_enabled,
        "link_local": network.link_local,
        "learned_link_local": network.learned_limits.link_local,
        "learned_others": network.learned_limits.others,
        "dns_domain": network.dns_domain,
        "external": network.external,
        "zone_hints": list(network.zone_hints) or None,
        "storm_rate": network.storm.rate,
        "storm_burst": network.storm.burst,
        "description": network.description,
    }


def network_of(row: Record | PrefixedRow) -> Network:
    """The network of a row."""
    return Network(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        shared=row.shared,
        public=row.public,
        physical=row.physical,
        mtu=row.mtu,
        admin_state_up=row.admin_state_up,
        profile=_profile(row.profile),
        guards=_guards(row.guards),
        port_security_enabled=row.port_security_enabled,
        link_local=LinkLocal(row.link_local),
        learned_limits=LearnedLimits(row.learned_link_local, row.learned_others),
        storm=Storm(row.storm_rate, row.storm_burst),
        description=row.description,
        dns_domain=row.dns_domain,
        zone_hints=tuple(row.zone_hints or ()),
        external=row.external,
    )


def subnet_values(subnet: Subnet) -> Values:
    """The columns of a subnet, without its stamp."""
    return {
        "id": subnet.id,
        "network_id": subnet.network_id,
        "project_id": subnet.project_id,
        "cidr": str(subnet.cidr),
        "name": subnet.name,
        "gateway": None if subnet.gateway is None else str(subnet.gateway),
        "pools": [[str(pool.start), str(pool.end)] for pool in subnet.pools],
        "enable_dhcp": subnet.enable_dhcp,
        "nameservers": [str(server) for server in subnet.nameservers],
        "host_routes": [[str(hop.destination), str(hop.nexthop)] for hop in subnet.host_routes],
        "ipv6_address_mode": subnet.ipv6_address_mode,
        "ipv6_ra_mode": subnet.ipv6_ra_mode,
        "description": subnet.description,
        "subnet_pool_id": subnet.subnet_pool_id,
        "service_types": list(subnet.service_types) or None,
    }


def subnet_of(row: Record) -> Subnet:
    """The subnet of a row."""
    return Subnet(
        id=row.id,
        network_id=row.network_id,
        project_id=row.project_id,
        cidr=ip_network(row.cidr),
        name=row.name,
        gateway=None if row.gateway is None else ip_address(row.gateway),
        pools=tuple(Pool(ip_address(start), ip_address(end)) for start, end in row.pools),
        enable_dhcp=row.enable_dhcp,
        nameservers=tuple(ip_address(server) for server in row.nameservers),
        host_routes=tuple(HostRoute(ip_network(to), ip_address(by)) for to, by in row.host_routes),
        ipv6_address_mode=row.ipv6_address_mode,
        ipv6_ra_mode=row.ipv6_ra_mode,
        description=row.description,
        subnet_pool_id=row.subnet_pool_id,
        service_types=tuple(row.service_types or ()),
    )


def port_values(port: Port) -> Values:
    """The columns of a port, without its revision and stamp."""
    return {
        "id": port.id,
        "network_id": port.network_id,
        "project_id": port.project_id,
        "mac": port.mac.octets,
        "name": port.name,
        "admin_state_up": port.admin_state_up,
        "port_security_enabled": port.port_security_enabled,
        "profile": port.profile,
        "guards": _listed(port.guards),
        # No role is no text: most ports have none, and reading JSON costs more than the row.
        "roles": _listed(port.roles) or None,
        "ethertypes": sorted(port.ethertypes) or None,
        "storm_rate": port.storm and port.storm.rate,
        "storm_burst": port.storm and port.storm.burst,
        "host": port.host,
        "interface": port.interface,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "vnic_type": port.vnic_type,
        "binding_profile": dict(port.binding_profile) or None,
        "description": port.description,
        "grouped": port.security_groups is not None,
        "dns_name": port.dns_name,
        "dns_domain": port.dns_domain,
        "dhcp_options": [[each.name, each.value, each.version] for each in port.dhcp_options]
        or None,
    }


def port_of(row: Record, groups: Iterable[str]) -> Port:
    """The port of a row that lists the addresses which other tables keep."""
    return Port(
        id=row.id,
        network_id=row.network_id,
        project_id=row.project_id,
        mac=Mac(row.mac),
        name=row.name,
        fixed_ips=tuple(
            FixedIp(subnet_id, address_of(bytes.fromhex(address)))
            for _, subnet_id, address in sorted(row.fixed)
        ),
        address_pairs=tuple(_pair_of(*each) for _, *each in sorted(row.pairs)),
        admin_state_up=row.admin_state_up,
        port_security_enabled=row.port_security_enabled,
        profile=_profile(row.profile),
        guards=_guards(row.guards),
        security_groups=frozenset(groups) if row.grouped else None,
        roles=frozenset(map(Role, row.roles or ())),
        ethertypes=frozenset(row.ethertypes or ()),
        storm=None if row.storm_rate is None else Storm(row.storm_rate, row.storm_burst),
        host=row.host,
        interface=row.interface,
        device_id=row.device_id,
        device_owner=row.device_owner,
        vnic_type=row.vnic_type,
        binding_profile=row.binding_profile or {},
        description=row.description,
        dns_name=row.dns_name,
        dns_domain=row.dns_domain,
        dhcp_options=tuple(DhcpOption(*each) for each in row.dhcp_options or ()),
        learned=tuple(_learned_of(*each) for each in sorted(row.learned)) if row.learned else (),
    )


def pair_values(port: Port) -> list[Values]:
    """The rows of a port's address pairs."""
    return [
        {
            "port_id": port.id,
            "position": position,
            "network_id": port.network_id,
            "project_id": port.project_id,
            "first": key(pair.prefix.network_address),
            "length": pair.prefix.prefixlen,
            "mac": None if pair.mac is None else pair.mac.octets,
            "prefix_text": pair.prefix_text,
            "mac_text": pair.mac_text,
        }
        for position, pair in enumerate(port.address_pairs)
    ]


def _pair_of(first: str, length: int, mac: str | None, *texts: str) -> AddressPair:
    # SQLite has no octets for null, and an empty text.
    return AddressPair(
        prefix_at(bytes.fromhex(first), length), Mac(bytes.fromhex(mac)) if mac else None, *texts
    )


def _learned_of(address: str, mac: str, proven: bool, since: float) -> LearnedAddress:  # noqa: FBT001
    return LearnedAddress(
        IPv6Address(bytes.fromhex(address)[1:]), Mac(bytes.fromhex(mac)), bool(proven), since
    )


def prefix_of(row: Record) -> IPNetwork:
    """The prefix of an address pair's row."""
    return prefix_at(row.first, row.length)


def prefix_at(first: bytes, length: int) -> IPNetwork:
    """The prefix of a length that begins with the address of this key."""
    return ip_network((first[1:], length))


def ip_group_values(group: IpGroup) -> Values:
    """The columns of an IP group, without its stamp; `pinned` is the owner's."""
    return {
        "id": group.id,
        "network_id": group.network_id,
        "project_id": group.project_id,
        "name": group.name,
        "description": group.description,
        "vrid4": group.vrid4,
        "vrid6": group.vrid6,
        "pinned": group.pinned,
        "max_moves": group.max_moves,
    }


def ip_group_of(row: Record, addresses: Sequence[IPAddress], members: Iterable[str]) -> IpGroup:
    """The IP group of a row; while it is frozen, its pin is the member that it is frozen at."""
    return IpGroup(
        id=row.id,
        project_id=row.project_id,
        network_id=row.network_id,
        name=row.name,
        addresses=tuple(addresses),
        members=frozenset(members),
        vrid4=row.vrid4,
        vrid6=row.vrid6,
        pinned=row.held_by or row.pinned,
        max_moves=row.max_moves,
        description=row.description,
    )


def stamp_of(row: Record) -> Stamp:
    """The stamp of any noun's row."""
    return Stamp(row.revision_number, row.created_at, row.updated_at, tuple(row.tags or ()))


def _listed(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _profile(name: str | None) -> Profile | None:
    return None if name is None else Profile(name)


def _guards(names: list[str] | None) -> frozenset[Guard] | None:
    return None if names is None else frozenset(map(Guard, names))
