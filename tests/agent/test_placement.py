"""Where a port is found, and where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.agent.host_facts import complete, link, mac, port, port_id, tap

from vifguard.agent.placement import CONTESTED, Placement, locate
from vifguard.agent.state import AgentState, AllLinks
from vifguard.bridging.bridge import mark
from vifguard.feed.messages import HostPort
from vifguard.feed.segment import UnknownKind
from vifguard.kernel.net.link import Link


def placed(ports: list[HostPort], links: list[Link], **physical: str) -> dict[int, Placement]:
    state = AgentState(physical)
    state.take(complete(*ports))
    state.take(AllLinks(tuple(links)))
    return {int(i[:8], 16): locate(state, each) for i, each in state.ports.items()}


def test_by_the_name_it_was_told():
    found = placed([port(1, interface="vnet7")], [link(3, "vnet7"), link(4, tap(1))])
    assert found[1].link == link(3, "vnet7")


def test_by_the_usual_name():
    assert placed([port(1)], [link(3, tap(1)), link(4, "vnet1", 1)])[1].link == link(3, tap(1))


@pytest.mark.parametrize("own", [mac(1), mac(1, 0xFE)])
def test_by_mac_or_what_libvirt_makes_of_it(own):
    device = Link(3, "vnet0", own, "tun")
    assert placed([port(1)], [device, link(4, "vnet1", 2)])[1].link == device


def test_a_name_that_it_was_told_is_not_replaced_by_a_mac():
    found = placed([port(1, interface="vnet7")], [link(3, "vnet0", 1)])[1]
    assert found.link is None
    assert not found.closed
    assert "vnet7" in found.note


@pytest.mark.parametrize(
    ("name", "renamed"), [("vnet7", True), ("macvtap0", True), ("tap7", False)]
)
def test_a_name_that_libvirt_gave_and_gives_no_more_is_better_not_told(name, renamed):
    found = placed([port(1, interface=name)], [link(3, "vnet0", 1)])[1]
    assert ("found by its MAC" in found.note) == renamed


def test_a_name_that_libvirt_gave_to_another_guest_brings_that_guest_nobodys_port():
    first = port(1, interface="vnet0")
    of_two, of_one = Link(3, "vnet0", mac(2, 0xFE), "tun"), Link(4, "vnet5", mac(1, 0xFE), "tun")
    found = placed([first, port(2)], [of_two, of_one])
    assert found[1].link is None
    assert "belongs to another guest" in found[1].note
    assert found[2].link == of_two
    again = placed([first, port(2)], [Link(5, "vnet0", mac(1, 0xFE), "tun")])
    assert again[1].link is not None
    assert placed([first], [Link(5, "vnet0", mac(2), "tun")])[1].link is not None


@pytest.mark.parametrize("kind", ["bridge", "bond", "vlan", "", "ifb"])
def test_no_device_of_the_host_itself_is_found_by_mac(kind):
    assert placed([port(1)], [link(3, "any", 1, kind=kind)])[1].link is None


@pytest.mark.parametrize(
    "device",
    [
        link(3, "x", kind="bridge"),
        link(3, "x", kind="vlan"),
        link(3, "x", loopback=True),
        Link(3, "x", None, "tun"),
    ],
)
def test_what_is_no_guests_ethernet_port_is_refused(device):
    found = placed([port(1, interface="x")], [device])[1]
    assert found.link is None
    assert "x is no Ethernet port" in found.closed


def test_several_claims_of_a_name_close_them_all_and_one_guards_the_interface():
    ports = [port(1, interface="x"), port(2, interface="x"), port(3)]
    found = placed(ports, [link(3, "x"), link(4, tap(3))])
    assert [found[n].closed != "" for n in (1, 2, 3)] == [True, True, False]
    assert [found[n].link is not None for n in (1, 2)] == [True, False]
    assert found[1].contested


def test_several_claims_of_a_mac_close_them_all():
    ports = [port(1), port(2, own=mac(1), network=2)]
    found = placed(ports, [link(3, "vnet0", 1)])
    assert all(found[n].closed and found[n].bridge is None for n in (1, 2))


def test_once_contested_by_mac_it_takes_a_name_to_have_it():
    """Else: make a port with a stopped guest's MAC, plug it, remove the port."""
    device = link(3, "vnet0", 1, alias=mark(CONTESTED))
    found = placed([port(1)], [device])[1]
    assert found.link is None
    assert "binding:profile" in found.closed
    assert placed([port(1, interface="vnet0")], [device])[1].link == device


def test_an_interface_that_was_a_ports_is_found_by_no_other_through_a_mac():
    device = link(3, "vnet0", 1, alias=mark(port_id(9)))
    found = placed([port(1)], [device])[1]
    assert found.link is None
    assert "binding:profile" in found.note


def test_its_own_interface_stays_its_own_whoever_else_has_the_mac():
    device = link(3, "vnet0", 1, alias=mark(port_id(1)))
    found = placed([port(1), port(2, own=mac(1), network=2)], [device, link(4, "vnet1", 1)])
    assert found[1].link == device
    assert found[2].link == link(4, "vnet1", 1)


def test_two_interfaces_with_one_mac_are_none():
    found = placed([port(1)], [link(3, "vnet0", 1), link(4, "vnet1", 1)])[1]
    assert found.link is None
    assert "2 interfaces" in found.closed


def test_an_interface_that_has_a_name_claimed_is_found_by_no_mac():
    device = link(3, tap(2), 1)
    found = placed([port(1), port(2)], [device])
    assert found[1].link is None
    assert found[2].link == device


def test_a_physical_network_needs_an_uplink_that_the_host_was_told():
    ports = [port(1, physical="physnet1")]
    links = [link(3, tap(1)), link(4, "eth1", kind="")]
    assert "physnet1" in placed(ports, links)[1].closed
    found = placed(ports, links, physnet1="eth1")[1]
    assert (found.closed, found.bridge and found.bridge.uplink) == ("", "eth1")


def test_a_mapped_bridge_is_the_networks_bridge():
    links = [link(3, tap(1)), link(4, "br0", kind="bridge")]
    bridge = placed([port(1, physical="physnet1")], links, physnet1="br0")[1].bridge
    assert bridge
    assert (bridge.name, bridge.ours, bridge.uplink) == ("br0", False, "")


def test_two_networks_whose_bridges_would_have_one_name_never_share_it():
    first, second = port(1), port(2, network=1)
    other = f"{second.segment.network_id[:12]}ffff"
    twin = HostPort(
        second.policy,
        replace(second.segment, network_id=other),
        second.mac,
        "",
        1,
    )
    found = placed([first, twin], [link(3, tap(1)), link(4, tap(2))])
    assert sorted(bool(found[n].closed) for n in (1, 2)) == [False, True]


def test_a_port_has_the_wiring_that_its_segment_and_the_operator_choose():
    ports = [port(1), port(2, network=2, physical="lan"), port(3, network=3, physical="wan")]
    links = [link(9, "br0", kind="bridge"), link(4, tap(2), master=9), link(5, tap(3), master=9)]
    state = AgentState({"lan": "br0"}, hands_off=frozenset({"wan"}))
    state.take(complete(*ports))
    state.take(AllLinks((link(3, tap(1)), *links)))
    found = {n: locate(state, state.ports[port_id(n)]) for n in (1, 2, 3)}
    assert [found[n].wiring for n in (1, 2, 3)] == ["bridge", "operators-bridge", "hands-off"]
    assert [bool(found[n].bridge) for n in (1, 2, 3)] == [True, True, False]
    assert not any(found[n].closed for n in (1, 2, 3))


def test_a_mac_finds_no_interface_that_a_deleted_port_had():
    state = AgentState({})
    state.ended = {3: port_id(7)}
    state.take(complete(port(1), port(2, interface="vnet1")))
    state.take(AllLinks((link(3, "vnet0", 1), link(4, "vnet1"))))
    found = locate(state, state.ports[port_id(1)])
    assert (found.link, "had it before" in found.note) == (None, True)
    state.take(complete(port(1, interface="vnet0")))
    assert locate(state, state.ports[port_id(1)]).link == link(3, "vnet0", 1)


def test_a_closed_interface_has_the_wiring_of_the_place_where_it_is():
    links = [link(9, "br0", kind="bridge"), link(3, tap(1), master=9), link(4, tap(2))]
    found = placed([port(1, closed="because"), port(2, closed="because")], links, lan="br0")
    assert [found[n].wiring for n in (1, 2)] == ["operators-bridge", "bridge"]


def test_a_network_of_an_unknown_kind_closes_its_ports_and_no_others():
    later, known = port(1, network=1, kind=UnknownKind("vxlan")), port(2, network=2)
    found = placed([later, known], [link(3, tap(1)), link(4, tap(2))])
    assert "vxlan" in found[1].closed
    assert (found[1].link, found[1].bridge) == (link(3, tap(1)), None)
    assert not found[2].closed


def test_an_interface_of_an_unknown_kind_is_closed_on_the_operators_bridge_too():
    links = [link(3, tap(1), master=4), link(4, "br0", kind="bridge")]
    found = placed([port(1, kind=UnknownKind("vxlan"))], links)[1]
    assert (bool(found.closed), found.stays, found.wiring) == (True, False, "hands-off")


def test_a_closed_policy_closes_the_place():
    found = placed([port(1, closed="because")], [link(3, tap(1))])[1]
    assert (found.closed, found.bridge) == ("because", None)
    assert found.link is not None


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
def test_what_stands_on_another_device_is_swapped_and_in_no_bridge(kind):
    device = link(3, "mvt0", 1, kind=kind, lower=2)
    found = placed([port(1)], [device])[1]
    assert (found.reversed_hooks, found.bridge, found.closed) == (True, None, "")
    isolated = placed([port(1, shared=False)], [device])[1]
    assert "isolated" in isolated.closed


@pytest.mark.parametrize("kind", ["macvtap", "veth"])
@pytest.mark.parametrize("network", [{"physical": "nowhere"}, {"kind": UnknownKind("nowhere")}])
def test_a_network_that_can_have_no_place_closes_every_kind_of_interface(kind, network):
    device = link(3, "mvt0", 1, kind=kind, lower=2)
    assert "nowhere" in placed([port(1, **network)], [device])[1].closed


def test_a_host_that_cannot_keep_networks_apart_holds_isolated_ones_closed_and_says_so():
    state = AgentState({}, no_isolation="this host's iptables see bridged packets")
    state.take(complete(port(1), port(2, network=2, shared=False)))
    state.take(AllLinks((link(3, tap(1)), link(4, tap(2)))))
    shared, isolated = (locate(state, state.ports[port_id(number)]) for number in (1, 2))
    assert (shared.closed, shared.bridge is not None) == ("", True)
    assert (isolated.link, isolated.bridge) == (link(4, tap(2)), None)
    assert "iptables" in isolated.closed
