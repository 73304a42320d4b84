"""Bridges and their members as data: desired, observed, and the difference. Pure.

One bridge a network. It is the operator's where a physical network is mapped to a bridge;
else it is ours: without an address, and with a host that receives nothing from its members.
A device becomes a member only when the caller has seen its guard in the kernel.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vifguard.kernel.net.link import BRIDGE, Link, LinkChange
from vifguard.model.address import Mac

_OURS = re.compile(r"vg[0-9a-f]{8}-[0-9a-f]{2}", re.ASCII)
_MARK = "vifguard port "
_TAP_OCTET = 0xFE


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge of one network. `uplink` names the device that leads out, or is empty.

    `ours`: we make it, seal it and remove it; otherwise it is only joined.
    """

    name: str
    network_id: str
    mtu: int
    uplink: str = ""
    ours: bool = True

    @property
    def mac(self) -> Mac:
        """A fixed MAC: a bridge otherwise takes the lowest of its members', and changes it."""
        digest = hashlib.sha256(self.network_id.encode()).digest()
        return Mac(b"\x02\x76\x67" + digest[:3])


@dataclass(frozen=True, slots=True)
class Member:
    """The desired state of one interface; `bridge` is the one it is a member of, empty for none.

    `port_id` goes into the interface's alias, unless empty. `guest` is the MAC behind the
    interface. `up` None leaves the device up or down.
    """

    port_id: str
    bridge: str
    guest: Mac | None
    mtu: int
    up: bool | None = None


@dataclass(frozen=True, slots=True)
class DesiredBridges:
    """The bridges by name, and the interfaces by index."""

    bridges: Mapping[str, Bridge]
    members: Mapping[int, Member]


@dataclass(frozen=True, slots=True)
class ObservedBridges:
    """The devices in scope by index, and our bridges among them that the quarantine seals.

    In scope are bridges and uplinks by name, and the interfaces concerned: those that are
    members of a bridge of ours without being desired there are removed from it.
    """

    links: Mapping[int, Link]
    quarantine: frozenset[str]
    vlan_quarantine: bool = False


@dataclass(frozen=True, slots=True)
class BridgeChange:
    """The steps: bridges to prepare, uplinks to join, interfaces to change, devices to remove.

    `joins` names the bridge that a changed interface joins, where that is still to be made
    and has no index for the interface's own change. `allow_forwarding` are members that a VLAN
    quarantine blocks, or may block: the observed state does not show which.
    """

    ready: tuple[Bridge, ...] = ()
    uplinks: tuple[tuple[Link, str], ...] = ()
    members: tuple[tuple[Link, LinkChange], ...] = ()
    joins: Mapping[int, str] = field(default_factory=dict)
    allow_forwarding: frozenset[int] = frozenset()
    hairpins: frozenset[int] = frozenset()
    leave: tuple[Link, ...] = ()
    remove: tuple[Link, ...] = ()


def bridge_name(network_id: str) -> str:
    """The name of a network's bridge; an interface's name has 15 octets."""
    return f"vg{network_id[:11]}"


def is_ours(link: Link) -> bool:
    """Whether this is a bridge that an agent made."""
    return link.kind == BRIDGE and _OURS.fullmatch(link.name) is not None


def mark(port_id: str) -> str:
    """The alias that an interface bears once a port had it (`ip link` shows it)."""
    return _MARK + port_id


def port_of_mark(link: Link) -> str:
    """The port that an interface's alias names, or empty."""
    return link.alias.removeprefix(_MARK) if link.alias.startswith(_MARK) else ""


def difference(desired: DesiredBridges, observed: ObservedBridges) -> BridgeChange | None:
    """The change from `observed` to `desired`; None for none."""
    by_name = {link.name: link for link in observed.links.values()}
    bridges = desired.bridges.values()
    here = {i: member for i, member in desired.members.items() if i in observed.links}
    changed = {i: _member(member, observed.links[i], by_name) for i, member in here.items()}
    change = BridgeChange(
        ready=tuple(b for b in bridges if b.ours and not _is_ready(b, observed, by_name)),
        uplinks=tuple(
            (by_name[b.uplink], b.name)
            for b in bridges
            if b.uplink in by_name and not _is_joined(b, by_name)
        ),
        members=tuple(
            (observed.links[i], change)
            for i, (change, join) in changed.items()
            if join or change != LinkChange(i)
        ),
        joins={i: join for i, (_, join) in changed.items() if join},
        allow_forwarding=_held_back(desired, here) if observed.vlan_quarantine else frozenset(),
        hairpins=frozenset(i for i in here if observed.links[i].hairpin),
        leave=_strays(desired, observed),
        remove=tuple(
            link
            for link in observed.links.values()
            if is_ours(link) and link.name not in desired.bridges
        ),
    )
    return None if change == BridgeChange() else change


def _held_back(desired: DesiredBridges, here: Mapping[int, Member]) -> frozenset[int]:
    ours = {bridge.name for bridge in desired.bridges.values() if bridge.ours}
    return frozenset(index for index, member in here.items() if member.bridge in ours)


def _is_ready(bridge: Bridge, observed: ObservedBridges, by_name: Mapping[str, Link]) -> bool:
    link = by_name.get(bridge.name)
    return bool(link and link.up and link.mtu == bridge.mtu and bridge.name in observed.quarantine)


def _is_joined(bridge: Bridge, by_name: Mapping[str, Link]) -> bool:
    link, uplink = by_name.get(bridge.name), by_name[bridge.uplink]
    return link is not None and uplink.master == link.index and uplink.up


def _member(member: Member, link: Link, by_name: Mapping[str, Link]) -> tuple[LinkChange, str]:
    """The change of one interface, and the bridge still to be made that it joins (or empty)."""
    bridge = by_name.get(member.bridge) if member.bridge else None
    master = bridge.index if bridge else 0
    joins = bool(member.bridge) and bridge is None
    change = LinkChange(
        link.index,
        master=master if master != link.master and not joins else None,
        up=member.up if member.up is not None and member.up != link.up else None,
        mtu=member.mtu if member.bridge and member.mtu != link.mtu else None,
        mac=_other_mac(link) if member.bridge and link.mac == member.guest else None,
        alias=_alias(member, link),
    )
    return change, member.bridge if joins else ""


def _other_mac(link: Link) -> Mac | None:
    """Another MAC, as libvirt's: a bridge does not forward frames to its members' own MACs."""
    return Mac(bytes((_TAP_OCTET,)) + link.mac.octets[1:]) if link.mac else None


def _alias(member: Member, link: Link) -> str | None:
    """Our mark, unless the operator wrote an alias of his own."""
    free = not link.alias or bool(port_of_mark(link))
    desired = bool(member.port_id) and member.port_id != port_of_mark(link)
    return mark(member.port_id) if free and desired else None


def _strays(desired: DesiredBridges, observed: ObservedBridges) -> tuple[Link, ...]:
    """Members of our bridges that are not desired there: they have no guard of ours."""
    ours = {link.index for link in observed.links.values() if is_ours(link)}
    uplinks = {bridge.uplink for bridge in desired.bridges.values()}
    return tuple(
        link
        for link in observed.links.values()
        if link.master in ours and link.index not in desired.members and link.name not in uplinks
    )
