"""The wirings of a host whose bridges are Linux's."""

from __future__ import annotations

from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.choice import WiringName
from vifguard.agent.wiring.hands_off import HandsOff
from vifguard.agent.wiring.interface_quarantine import InterfaceQuarantine
from vifguard.agent.wiring.members import Members
from vifguard.agent.wiring.operators_bridges import OperatorsBridges
from vifguard.agent.wiring.own_bridges import OwnBridges
from vifguard.agent.wiring.wiring import Wiring
from vifguard.agent.wiring.wirings import Wirings
from vifguard.bridging.bridge_applier import BridgeApplier
from vifguard.bridging.quarantine import Quarantine


def linux_wirings(
    state: AgentState,
    applier: BridgeApplier,
    quarantine: Quarantine,
    adopted: AdoptedBridges,
    adoption: Adoption,
    *,
    by_name: bool,
) -> Wirings:
    """The wirings of a host with bridges of Linux.

    `by_name`: the quarantine can wait for an interface that is not there yet.
    """
    members = Members(state, applier, adopted, adoption)
    wirings: dict[WiringName, Wiring] = {
        WiringName.HANDS_OFF: HandsOff(state, adoption),
        WiringName.OPERATORS_BRIDGE: OperatorsBridges(state, members, adopted, adoption),
        WiringName.BRIDGE: OwnBridges(state, members, adoption),
    }
    names = InterfaceQuarantine(state, quarantine, by_name=by_name)
    return Wirings(state, wirings, names, adoption)
