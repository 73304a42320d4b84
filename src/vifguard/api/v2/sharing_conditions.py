"""The conditions for sharing a network: no setting that its owner could not choose then.

On an isolated network its owner lowers guards, on a shared one the operator alone (docs/policy.md).
Earlier choices would hold for the ports of the projects with which it is shared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any, Final

from vifguard.api.v2.ports import MAX_SHARED
from vifguard.attributes.ports import PORTS
from vifguard.attributes.refusal import conflict
from vifguard.attributes.rules import Subject, User
from vifguard.attributes.schema import ResourceSchema
from vifguard.model.address import LINK_LOCAL_64, IPAddress
from vifguard.model.ip_group import IpGroup
from vifguard.model.network import Network, Subnet
from vifguard.model.port import Port
from vifguard.store.addressing.ownership import is_generated
from vifguard.store.nouns import ip_groups, ports, subnets
from vifguard.store.transaction import Snapshot, WriteTransaction

_SHOWN: Final = 5
_LINK_LOCAL_4: Final = IPv4Network("169.254.0.0/16")
# Attributes without effect on the frames that may pass.
_WORDS: Final = frozenset({"mtu", "dns_domain", "availability_zone_hints"})


def require_shareable(
    change: WriteTransaction,
    networks: ResourceSchema,
    network: Network,
    named: Collection[str] = frozenset(),
) -> None:
    """Raise Refusal (409) where an isolated network has settings only the operator may share.

    `networks` has the rules for choosing its attributes; `named` are attributes that the
    operator chooses in the same request.
    """
    if network.shared:
        return
    found = [
        *(f"its {name}" for name in _chosen(networks, network, network, named)),
        *_in_subnets(change, network),
        *_in_ports(change, network),
        *_in_groups(change, network),
    ]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise conflict(
            "InvalidSharedSetting",
            f"Unable to reconfigure sharing settings for network {network.id}. On a shared network "
            f"the operator alone may choose what is chosen here: "
            f"{', '.join(found[:_SHOWN])}{more}. "
            f"Set it back to what it is by default, or delete it; once the network is shared, the "
            f"operator may choose it again.",
        )


def _in_subnets(snapshot: Snapshot, network: Network) -> Iterator[str]:
    # Others on the segment may have the metadata service there, or link-local addresses.
    for subnet in subnets.of_network(snapshot, network.id):
        if subnet.cidr.version == 4 and subnet.cidr.overlaps(_LINK_LOCAL_4):
            yield f"cidr {subnet.cidr} of subnet {subnet.id}"


def _in_ports(change: WriteTransaction, network: Network) -> Iterator[str]:
    beside = subnets.of_network(change, network.id)
    for stored in ports.of_network(change, network.id):
        port = stored.port
        names = _chosen(PORTS, port, network)
        if not port.port_security_enabled and network.port_security_enabled:
            names.append("port_security_enabled")
        if not is_generated(change, port.mac):
            names.append("mac_address")
        if len(port.fixed_ips) > MAX_SHARED:
            names.append(f"more than {MAX_SHARED} fixed_ips")
        this = _words_for("port", port, network)
        yield from (f"{name} of {this}" for name in names)
        for address in _outside(beside, (fixed.address for fixed in port.fixed_ips)):
            yield f"fixed_ips {address} of {this}"


def _in_groups(snapshot: Snapshot, network: Network) -> Iterator[str]:
    beside = subnets.of_network(snapshot, network.id)
    for stored in ip_groups.of_network(snapshot, network.id):
        for address in _outside(beside, stored.group.addresses):
            yield f"addresses {address} of {_words_for('IP group', stored.group, network)}"


def _words_for(noun: str, each: Port | IpGroup, network: Network) -> str:
    """The object by its id, which other projects than its own do not read."""
    is_own = each.project_id == network.project_id
    return f"{noun} {each.id}" if is_own else f"another project's {noun}"


def _chosen(
    resource: ResourceSchema,
    noun: Network | Port,
    network: Network,
    named: Collection[str] = frozenset(),
) -> list[str]:
    """The attributes of a noun whose value its owner may choose on an isolated network alone."""
    owner = User("", noun.project_id, is_owner=True)
    here, there = (
        Subject(owner, noun.project_id, replace(network, project_id=owner.project_id, shared=each))
        for each in (False, True)
    )
    return [
        each.name
        for each in resource.attributes
        if each.field
        and each.post is not None
        and each.name not in {*_WORDS, *named}
        and (value := getattr(noun, each.field)) != each.default
        and _is_allowed(each.post, here, value)
        and not _is_allowed(each.post, there, value)
    ]


def _is_allowed(rule: Any, standing: Subject, value: Any) -> bool:
    return bool(rule.allows(standing, value))


def _outside(beside: Sequence[Subnet], addresses: Iterable[IPAddress]) -> Iterator[IPAddress]:
    """The addresses that a shared network would not have given by itself."""
    for address in addresses:
        subnet = next((each for each in beside if address in each.cidr), None)
        pooled = subnet is not None and (
            subnet.is_automatic or any(p.start <= address <= p.end for p in subnet.pools)  # type: ignore[operator]
        )
        if address in LINK_LOCAL_64 or not pooled:
            yield address
