"""The placement of a port: its interface, its bridge, or why it has none. Pure.

An interface is found by name, which the operator or the hypervisor chooses; failing that by
MAC, which a project may choose on a network of its own. So a MAC finds an interface only
where that is unambiguous, and one that was some port's stays that port's until it is gone:
otherwise a project that makes a port with a stopped guest's MAC would get that guest's place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from vifguard.agent.state import AgentState, claimed_name, is_of_guest, is_of_libvirt
from vifguard.agent.wiring.choice import (
    WiringChoice,
    WiringName,
    choose,
    is_on_operators_bridge,
    lacks_uplink,
    wiring_of,
)
from vifguard.bridging.bridge import Bridge, port_of_mark
from vifguard.feed.messages import HostPort
from vifguard.kernel.net.link import Link

_NOT_APART = "the host cannot keep networks apart, and this one is isolated"
CONTESTED = "contested"
"""The alias of an interface that several ports claim."""

_REVERSED = frozenset({"macvtap", "macvlan"})
_BY_MAC = frozenset({"tun", "veth"}) | _REVERSED
_OF_LIBVIRT = re.compile(r"(vnet|vif|macvtap|macvlan)[0-9]+", re.ASCII)
_NO_PORT = frozenset({"bridge", "bond", "team", "vrf", "vlan", "vxlan"})


@dataclass(frozen=True, slots=True)
class Placement:
    """A port, the interface to guard for it, and the bridge to join once guarded.

    `closed` is the reason why it passes nothing; empty means open. Without `link` and `closed` it
    is absent. `note` is a remark for the report. `contested`: others claim the interface too.
    `stays`: its network cannot take it yet, so it stays in the operator's bridge that it is in.
    `wiring` is that of its network; of a closed one, that of the place where it is.
    """

    port: HostPort
    link: Link | None = None
    bridge: Bridge | None = None
    closed: str = ""
    note: str = ""
    contested: bool = False
    stays: bool = False
    wiring: WiringName = WiringName.BRIDGE

    @property
    def reversed_hooks(self) -> bool:
        """Whether the guest's frames leave the interface instead of entering it."""
        return self.link is not None and has_reversed_hooks(self.link)


def is_libvirts(name: str) -> bool:
    """Whether libvirt chose an interface's name, and chooses another at the guest's next start.

    No domain's XML may ask for such a name: these prefixes are libvirt's own
    (libvirt.org/formatdomain.html, "Overriding the target element").
    """
    return _OF_LIBVIRT.fullmatch(name) is not None


def has_reversed_hooks(link: Link) -> bool:
    """Whether a guest's frames leave this device instead of entering it (macvtap)."""
    return link.kind in _REVERSED


def locate(state: AgentState, port: HostPort) -> Placement:
    """Find the interface of a port, its wiring and its bridge."""
    found, choice = _find(state, port), choose(state, port.segment.network_id)
    if found.link is None:
        return replace(found, wiring=choice.wiring)
    if choice.wiring is WiringName.HANDS_OFF:
        closed = found.closed or port.policy.closed or choice.why
        return replace(found, closed=closed, wiring=choice.wiring)
    if found.closed:
        return replace(found, wiring=wiring_of(state, found.link))
    return _wired(state, found, found.link, choice)


def _wired(state: AgentState, found: Placement, link: Link, choice: WiringChoice) -> Placement:
    """The place with its bridge, or closed where its network can have none here."""
    port, bridge, why = found.port, choice.bridge, choice.why
    here = replace(found, wiring=wiring_of(state, link))
    if state.no_isolation and not port.segment.shared:
        return replace(here, closed=port.policy.closed or f"{_NOT_APART}: {state.no_isolation}")
    if found.reversed_hooks:
        bridge, why = None, why or _why_not_reversed(port, link)
    note = (
        f"uplink {bridge.uplink} does not exist" if bridge and lacks_uplink(state, bridge) else ""
    )
    if (why or note) and is_on_operators_bridge(state, link):
        # Taking it out of there for a network that cannot take it would only cut it off.
        note = f"{why or note}; interface {link.name} stays where it is, without a guard"
        return replace(here, closed=port.policy.closed, note=note, stays=True)
    if closed := port.policy.closed or why:
        return replace(here, closed=closed, note=note)
    return replace(found, bridge=bridge, note=note, wiring=choice.wiring)


def _find(state: AgentState, port: HostPort) -> Placement:
    name = claimed_name(port)
    link = state.named(name)
    if link is not None and _is_of_another_guest(link, port):
        return Placement(
            port, note=f"{name} belongs to another guest, by its MAC {link.mac}; {_RENAMED}"
        )
    if link is not None:
        return _usable(state, port, link, _claimants(state, link))
    if port.interface:
        remedy = f"; {_RENAMED}" if is_libvirts(name) else ""
        return Placement(port, note=f"interface {name} does not exist on this host{remedy}")
    return _find_by_mac(state, port)


def _find_by_mac(state: AgentState, port: HostPort) -> Placement:
    port_id, mac = port.policy.port_id, port.mac
    found = [
        link for link in state.with_mac(mac) if link.kind in _BY_MAC and not _claimants(state, link)
    ]
    holders = {x.index: port_of_mark(x) or state.ended.get(x.index, "") for x in found}
    own = [link for link in found if holders[link.index] == port_id]
    free = own or [link for link in found if holders[link.index] in ("", CONTESTED)]
    if len(free) == 1:
        rivals = [port_id] if own else _rivals(state, port, set(holders.values()))
        if holders[free[0].index] == CONTESTED and len(rivals) == 1:
            return Placement(port, closed=_ambiguous_mac_reason(free[0]))
        return _usable(state, port, free[0], tuple(rivals))
    if free:
        return Placement(port, closed=f"{len(free)} interfaces have the MAC {mac}; {_REMEDY}")
    if found:
        return Placement(port, note=_ambiguous_mac_reason(found[0]))
    return Placement(port, note=f"no interface {claimed_name(port)}, and none with the MAC {mac}")


def _claimants(state: AgentState, link: Link) -> tuple[str, ...]:
    """The ports whose interface has this name, without those whose guest it is not."""
    named = state.claimants(link.name)
    return tuple(i for i in named if not _is_of_another_guest(link, state.ports[i]))


def _is_of_another_guest(link: Link, port: HostPort) -> bool:
    """Whether libvirt made a tap for another guest, under a name that this port's had before."""
    if link.kind != "tun" or not is_libvirts(link.name) or not link.mac:
        return False
    macs = {port.mac, *port.policy.macs}
    return is_of_libvirt(link.mac) and not any(is_of_guest(link.mac, mac) for mac in macs)


_RENAMED = (
    "libvirt renames interfaces at each start: remove the name from binding:profile, and the "
    "interface is found by its MAC"
)
_REMEDY = "name the port's interface in binding:profile"


def _ambiguous_mac_reason(link: Link) -> str:
    return f"interface {link.name} has this MAC, but another port had it before; {_REMEDY}"


def _rivals(state: AgentState, port: HostPort, holders: set[str]) -> list[str]:
    """The ports, this one included, that only a MAC could bring to this interface."""
    others = (state.ports[i] for i in state.ports_with_mac(port.mac))
    return [
        other.policy.port_id
        for other in others
        if not other.interface
        and state.named(claimed_name(other)) is None
        and other.policy.port_id not in holders
    ]


def _usable(state: AgentState, port: HostPort, link: Link, claimants: tuple[str, ...]) -> Placement:
    """The port at this interface; closed where several claim it or it is none for ports."""
    if link.mac is None or link.loopback or link.kind in _NO_PORT:
        return Placement(port, closed=f"interface {link.name} is no Ethernet port of a guest")
    if link.name in state.physical.values():
        return Placement(port, closed=f"interface {link.name} is an uplink of this host")
    if len(claimants) == 1:
        return Placement(port, link)
    first = port.policy.port_id == min(claimants)
    others = ", ".join(sorted({*claimants} - {port.policy.port_id}))
    why = f"interface {link.name} belongs to port {others} as well; {_REMEDY}"
    return Placement(port, link if first else None, closed=why, contested=first)


def _why_not_reversed(port: HostPort, link: Link) -> str:
    if port.segment.shared:
        return ""
    return (
        f"interface {link.name} is a {link.kind}: its lower device decides who receives its "
        "frames, so it cannot be on an isolated network"
    )
