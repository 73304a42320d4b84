"""Where a port is: its interface, its bridge, or why it has none. Pure.

An interface is found by name, which the operator or the hypervisor chooses; failing that by
MAC, which a project may choose on a network of its own. So a MAC finds an interface only
where that is unambiguous, and one that was some port's stays that port's until it goes:
otherwise whoever makes a port with a stopped guest's MAC would come by that guest's place.
"""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.agent.state import State, claimed_name
from vifguard.feed.messages import HostPort, Segment
from vifguard.kernel.link import Link
from vifguard.wire.bridge import Bridge, bridge_name, marked

CONTESTED = "contested"
"""What the alias of an interface names when several ports claim it."""

_SWAPPED = frozenset({"macvtap", "macvlan"})
_BY_MAC = frozenset({"tun", "veth"}) | _SWAPPED
_NO_PORT = frozenset({"bridge", "bond", "team", "vrf", "vlan", "vxlan"})


@dataclass(frozen=True, slots=True)
class Placement:
    """A port, the interface to guard for it, and the bridge to join once guarded.

    `closed` says why it passes nothing; empty means open. Without `link` and `closed` it is
    absent. `note` says more to whoever asks. `contested`: others claim the interface too.
    """

    port: HostPort
    link: Link | None = None
    bridge: Bridge | None = None
    closed: str = ""
    note: str = ""
    contested: bool = False

    @property
    def swapped(self) -> bool:
        """Whether the guest's frames leave the interface instead of entering it."""
        return self.link is not None and self.link.kind in _SWAPPED


def place(state: State, port: HostPort) -> Placement:
    """The place of a port."""
    found = _find(state, port)
    if found.link is None or found.closed:
        return found
    bridge, why = _bridge(state, state.segment(port.segment.network_id))
    if found.swapped:
        bridge, why = None, _why_not_swapped(port, found.link)
    closed = port.policy.closed or why
    note = f"uplink {bridge.uplink} does not exist" if bridge and _lacks(state, bridge) else ""
    return Placement(port, found.link, None if closed else bridge, closed, note)


def bridge_of(state: State, network_id: str) -> Bridge | None:
    """The bridge of a network that has ports here; None where it can have none."""
    return _bridge(state, state.segment(network_id))[0]


def _find(state: State, port: HostPort) -> Placement:
    name = claimed_name(port)
    link = state.named(name)
    if link is not None:
        return _usable(state, port, link, state.claimants(name))
    if port.interface:
        return Placement(port, note=f"interface {name} does not exist")
    return _find_by_mac(state, port)


def _find_by_mac(state: State, port: HostPort) -> Placement:
    port_id, mac = port.policy.port_id, port.mac
    found = [
        link
        for link in state.with_mac(mac)
        if link.kind in _BY_MAC and not state.claimants(link.name)
    ]
    holders = {link.index: marked(link) for link in found}
    own = [link for link in found if holders[link.index] == port_id]
    free = own or [link for link in found if holders[link.index] in ("", CONTESTED)]
    if len(free) == 1:
        rivals = [port_id] if own else _rivals(state, port, set(holders.values()))
        if holders[free[0].index] == CONTESTED and len(rivals) == 1:
            return Placement(port, closed=_name_it(free[0]))
        return _usable(state, port, free[0], tuple(rivals))
    if free:
        return Placement(port, closed=f"{len(free)} interfaces have the MAC {mac}; {_REMEDY}")
    if found:
        return Placement(port, note=_name_it(found[0]))
    return Placement(port, note=f"no interface {claimed_name(port)}, and none with the MAC {mac}")


_REMEDY = "name the port's in binding:profile"


def _name_it(link: Link) -> str:
    return f"interface {link.name} has this MAC, but another port had it before; {_REMEDY}"


def _rivals(state: State, port: HostPort, holders: set[str]) -> list[str]:
    """The ports, this one included, that only a MAC could bring to this interface."""
    others = (state.ports[i] for i in state.ports_with_mac(port.mac))
    return [
        other.policy.port_id
        for other in others
        if not other.interface
        and state.named(claimed_name(other)) is None
        and other.policy.port_id not in holders
    ]


def _usable(state: State, port: HostPort, link: Link, claimants: tuple[str, ...]) -> Placement:
    """The port at this interface; closed where several claim it or it is none for ports."""
    if link.mac is None or link.loopback or link.kind in _NO_PORT:
        return Placement(port, closed=f"interface {link.name} is no Ethernet port of a guest")
    if link.name in state.physical.values():
        return Placement(port, closed=f"interface {link.name} is an uplink of this host")
    if len(claimants) == 1:
        return Placement(port, link)
    first = port.policy.port_id == min(claimants)
    why = f"another port claims interface {link.name} as well"
    return Placement(port, link if first else None, closed=why, contested=first)


def _why_not_swapped(port: HostPort, link: Link) -> str:
    if port.segment.shared:
        return ""
    return (
        f"interface {link.name} is a {link.kind}: what it stands on decides who hears it, so "
        "it cannot be on an isolated network"
    )


def _bridge(state: State, segment: Segment) -> tuple[Bridge | None, str]:
    """The bridge of a network, or why it can have none."""
    name, network_id = bridge_name(segment.network_id), segment.network_id
    if network_id != min(state.networks_of_bridge(name)):
        return None, f"another network has the bridge {name}"
    if not segment.physical:
        return Bridge(name, network_id, segment.mtu), ""
    device = state.physical.get(segment.physical)
    if device is None:
        remedy = f"--physical {segment.physical}=DEVICE"
        return None, f"the host has no uplink to {segment.physical}; start its agent with {remedy}"
    if _owner(state, device) != network_id:
        return None, f"another network has the uplink {device}"
    uplink = state.named(device)
    if uplink is not None and uplink.kind == "bridge":
        return Bridge(device, network_id, segment.mtu, ours=False), ""
    return Bridge(name, network_id, segment.mtu, device), ""


def _owner(state: State, device: str) -> str:
    """The network that has the uplink: the one whose bridge it is on, else the first."""
    networks = state.networks_of_uplink(device)
    uplink = state.named(device)
    master = state.links.get(uplink.master) if uplink else None
    holding = [n for n in networks if master is not None and bridge_name(n) == master.name]
    return min(holding or networks)


def _lacks(state: State, bridge: Bridge) -> bool:
    return bool(bridge.uplink) and state.named(bridge.uplink) is None
