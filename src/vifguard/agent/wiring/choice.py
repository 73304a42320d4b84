"""The choice of a port's wiring, by its segment and the operator's mapping. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vifguard.agent.state import AgentState
from vifguard.bridging.bridge import Bridge, bridge_name, is_ours
from vifguard.feed.segment import Segment, UnknownKind
from vifguard.kernel.net.link import BRIDGE, Link


class WiringName(StrEnum):
    """The wirings by name, as a port's answer has them."""

    BRIDGE = "bridge"
    OPERATORS_BRIDGE = "operators-bridge"
    HANDS_OFF = "hands-off"


@dataclass(frozen=True, slots=True)
class WiringChoice:
    """The wiring of a network, and its bridge; or `why` it can have none on this host.

    Hands-off has no bridge, and a reason where this version does not know how to wire it.
    """

    wiring: WiringName
    bridge: Bridge | None = None
    why: str = ""


def choose(state: AgentState, network_id: str) -> WiringChoice:
    """The wiring of a network that has ports here."""
    segment, name = state.segment(network_id), bridge_name(network_id)
    if isinstance(segment.kind, UnknownKind):
        return WiringChoice(WiringName.HANDS_OFF, why=_unknown_reason(segment.kind))
    if segment.physical in state.hands_off:
        return WiringChoice(WiringName.HANDS_OFF)
    if network_id != min(state.networks_of_bridge(name)):
        return _none(f"another network has the bridge {name}")
    if segment.physical:
        return _by_physical(state, segment)
    return WiringChoice(WiringName.BRIDGE, Bridge(name, network_id, segment.mtu))


def wiring_of(state: AgentState, link: Link) -> WiringName:
    """The wiring of an interface by the place that it is in: it stays there, closed."""
    master = state.links.get(link.master)
    is_adopted = (
        master is not None
        and is_operators(master)
        and master.name in frozenset(state.physical.values())
    )
    return WiringName.OPERATORS_BRIDGE if is_adopted else WiringName.BRIDGE


def is_operators(link: Link) -> bool:
    """Whether a device is a bridge that no agent made."""
    return link.kind == BRIDGE and not is_ours(link)


def is_on_operators_bridge(state: AgentState, link: Link) -> bool:
    """Whether an interface is a member of a bridge that no agent made."""
    master = state.links.get(link.master)
    return master is not None and is_operators(master)


def bridge_of(state: AgentState, network_id: str) -> Bridge | None:
    """The bridge of a network that has ports here; None where it can have none, or needs none.

    It needs none while its uplink is missing and it has no member: the next port makes it.
    """
    bridge = choose(state, network_id).bridge
    if bridge and lacks_uplink(state, bridge) and not _has_members(state, bridge):
        return None
    return bridge


def lacks_uplink(state: AgentState, bridge: Bridge) -> bool:
    """Whether the device by which a bridge leads out does not exist."""
    return bool(bridge.uplink) and state.named(bridge.uplink) is None


def _unknown_reason(kind: UnknownKind) -> str:
    return f"its network is of the kind {kind.type}, which this agent does not know: upgrade it"


def _none(why: str) -> WiringChoice:
    return WiringChoice(WiringName.BRIDGE, why=why)


def _by_physical(state: AgentState, segment: Segment) -> WiringChoice:
    device = state.physical.get(segment.physical)
    if device is None:
        remedy = f"--physical {segment.physical}=DEVICE"
        return _none(f"the host has no uplink to {segment.physical}; start its agent with {remedy}")
    if _owner(state, device) != segment.network_id:
        return _none(f"another network has the uplink {device}")
    return _by_device(state, segment, device)


def _by_device(state: AgentState, segment: Segment, device: str) -> WiringChoice:
    """The operator's bridge, or ours with this uplink, or the reason why ours cannot have it."""
    uplink, network_id = state.named(device), segment.network_id
    if uplink is not None and uplink.kind == BRIDGE:
        bridge = Bridge(device, network_id, segment.mtu, ours=False)
        return WiringChoice(WiringName.OPERATORS_BRIDGE, bridge)
    if uplink is not None and is_on_operators_bridge(state, uplink):
        other = state.links[uplink.master].name
        remedy = f"--physical {segment.physical}={other}"
        return _none(f"uplink {device} is a member of {other}; start the agent with {remedy}")
    bridge = Bridge(bridge_name(network_id), network_id, segment.mtu, device)
    return WiringChoice(WiringName.BRIDGE, bridge)


def _owner(state: AgentState, device: str) -> str:
    """The network that has the uplink: that of the bridge it is on, else the first."""
    networks = state.networks_of_uplink(device)
    uplink = state.named(device)
    master = state.links.get(uplink.master) if uplink else None
    holding = [n for n in networks if master is not None and bridge_name(n) == master.name]
    return min(holding or networks)


def _has_members(state: AgentState, bridge: Bridge) -> bool:
    link = state.named(bridge.name)
    return link is not None and any(x.master == link.index for x in state.links.values())
