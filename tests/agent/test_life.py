"""The life of ports on a real kernel: plugged, changed, renamed, unplugged, removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually
from tests.agent.ports import bridge_of, forged, legal, mac_of, port, port_id, stray_unicast, tap_of

from vifguard.feed.segment import Flat
from vifguard.model.address import Mac
from vifguard.model.guard import Profile
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts() as host:
        yield host


@pytest.fixture
def pair(host: Host) -> Host:
    """Guest 1, strict, and guest 2, who hears everything that reaches it."""
    for number in (1, 2):
        host.guest(number).plug()
    host.ports = {port_id(1): port(1), port_id(2): port(2, profile=Profile.OFF)}
    host.start()
    host.enforced(1, 2)
    for guest in host.guests:
        guest.ear.heard()  # the host's own IPv6 spoke to it before anybody named its port
    return host


def heard_from_1(host: Host, *frames: bytes) -> list[bytes]:
    """What guest 2 hears when guest 1 sends `frames`."""
    return host.guests[0].heard_by(host.guests[1], *frames)


def test_an_enforced_port_passes_what_is_its_own_and_nothing_else(pair):
    assert heard_from_1(pair, forged(1), legal(1), forged(1)) == [legal(1)]


def test_a_guest_does_not_hear_what_is_flooded_for_others(pair):
    first, second = pair.guests
    assert second.heard_by(first, stray_unicast(2)) == []


def test_an_interface_that_does_not_exist_is_absent_and_says_so(host):
    host.ports = {port_id(1): port(1), port_id(2): port(2, interface="tap77")}
    host.start()
    assert tap_of(1) in host.until(1, PortState.ABSENT).reason
    assert "tap77" in host.until(2, PortState.ABSENT).reason
    eventually(lambda: {tap_of(1), "tap77"} <= host.held())


def test_it_is_enforced_when_it_appears_and_absent_when_it_goes(pair):
    guest = pair.guests[0]
    for _ in range(2):
        guest.unplug()
        pair.until(1, PortState.ABSENT)
        eventually(lambda: guest.tap in pair.held())
        guest.plug()
        pair.enforced(1)
        assert guest.tap not in pair.held()
        assert heard_from_1(pair, forged(1)) == []


def test_a_renamed_interface_is_another_interface(pair):
    pair.ip("link", "set", tap_of(1), "down")
    pair.ip("link", "set", tap_of(1), "name", "other")
    pair.until(1, PortState.ABSENT)
    link = eventually(lambda: (x := pair.links()["other"]).master == 0 and not x.up and x)
    assert f"{link.index}-ingress" not in pair.guards()
    pair.ip("link", "set", "other", "name", tap_of(1))
    pair.until(1, PortState.ENFORCED, interface=tap_of(1))
    assert heard_from_1(pair, forged(1)) == []


def test_an_interface_is_found_by_libvirts_mac_and_followed_when_renamed(pair):
    pair.guest(3).plug("vnet3", mac=Mac(b"\xfe" + mac_of(3).octets[1:]))
    pair.set(port(3))
    pair.until(3, PortState.ENFORCED, interface="vnet3")
    pair.ip("link", "set", "vnet3", "down")
    pair.ip("link", "set", "vnet3", "name", "vnet4")
    pair.until(3, PortState.ENFORCED, interface="vnet4")
    assert "vnet4" in pair.members(bridge_of(1))


def test_an_interface_never_keeps_the_guests_mac_on_a_bridge(pair):
    guest = pair.guest(3)
    guest.plug(mac=mac_of(3))
    pair.set(port(3))
    pair.enforced(3)
    # A bridge takes frames for its members' own MACs to be for the host.
    assert pair.links()[guest.tap].mac == Mac(b"\xfe" + mac_of(3).octets[1:])


def test_two_ports_that_claim_one_interface_are_both_held_closed(pair):
    pair.set(port(3, interface=tap_of(1)))
    for number, other in ((1, 3), (3, 1)):
        assert (
            f"belongs to port {port_id(other)} as well"
            in pair.until(number, PortState.HELD_CLOSED).reason
        )
    assert tap_of(1) not in pair.members(bridge_of(1))
    pair.remove(3)
    pair.enforced(1)
    assert heard_from_1(pair, forged(1)) == []


def test_a_mac_on_another_network_takes_no_interface_away(pair):
    """A project may choose any MAC on a network of its own."""
    pair.guest(3).plug("vnet3", mac=Mac(b"\xfe" + mac_of(3).octets[1:]))
    pair.set(port(3))
    pair.until(3, PortState.ENFORCED, interface="vnet3")
    pair.set(port(4, network=2, mac=mac_of(3)))
    pair.until(4, PortState.ABSENT)
    assert pair.told[port_id(3)].state is PortState.ENFORCED
    pair.remove(3)
    eventually(lambda: not pair.links()["vnet3"].up)
    pair.kill()
    pair.start()
    pair.until_compared()
    assert "had it before" in pair.until(4, PortState.ABSENT).reason
    assert not pair.links()["vnet3"].alias


def test_a_closed_policy_is_installed_closed(pair):
    pair.set(port(1, closed="the port's admin_state_up is false"))
    assert pair.until(1, PortState.HELD_CLOSED).reason == "the port's admin_state_up is false"
    assert pair.members(bridge_of(1)) == {tap_of(2)}
    pair.set(port(1))
    pair.enforced(1)
    assert heard_from_1(pair, forged(1)) == []


def test_law_5_one_bad_port_never_stops_another(pair):
    pair.ip("link", "add", "br-x", "type", "bridge")
    bad = {
        3: port(3, interface="lo"),
        4: port(4, interface="br-x"),
        5: port(5, network=5, segment={"shared": True, "mtu": 1500, "kind": Flat("nowhere")}),
    }
    pair.guest(5).plug()
    pair.set(*bad.values(), port(1, prefixes=port(1).policy.prefixes | port(99).policy.prefixes))
    pair.enforced(1)
    assert heard_from_1(pair, forged(1)) == [forged(1)]  # its own, now
    assert "no Ethernet port" in pair.until(3, PortState.HELD_CLOSED).reason
    assert "no Ethernet port" in pair.until(4, PortState.HELD_CLOSED).reason
    assert "nowhere" in pair.until(5, PortState.HELD_CLOSED).reason


def test_law_4_what_the_driver_cannot_hold_is_held_closed_and_said(pair):
    many = frozenset(range(0x0600, 0x0600 + 20_000))  # more than the kernel's map takes
    pair.set(port(1, ethertypes=many))
    assert pair.until(1, PortState.HELD_CLOSED).reason
    assert tap_of(1) not in pair.members(bridge_of(1))
    pair.set(port(1))
    pair.enforced(1)


def test_a_bridge_holds_exactly_its_ports(pair):
    pair.ip("link", "add", "intruder", "type", "veth", "peer", "name", "beyond")
    pair.ip("link", "set", "intruder", "master", bridge_of(1), "up")
    eventually(lambda: pair.members(bridge_of(1)) == {tap_of(1), tap_of(2)})
    pair.ip("link", "set", tap_of(1), "nomaster")
    eventually(lambda: pair.members(bridge_of(1)) == {tap_of(1), tap_of(2)})
    pair.ip("link", "set", tap_of(1), "type", "bridge_slave", "hairpin", "on")
    eventually(lambda: not pair.links()[tap_of(1)].hairpin)


def test_a_deleted_bridge_comes_back_with_its_members(pair):
    pair.ip("link", "del", bridge_of(1))
    eventually(lambda: pair.members(bridge_of(1)) == {tap_of(1), tap_of(2)})
    assert bridge_of(1) in pair.held()
    assert heard_from_1(pair, forged(1)) == []


def test_a_flushed_ruleset_is_put_back(pair):
    pair.set(port(3))
    pair.until(3, PortState.ABSENT)
    pair.nft("flush", "ruleset")
    eventually(lambda: {tap_of(3), bridge_of(1)} <= pair.held())


def test_a_ruleset_flushed_while_no_agent_lives_leaves_the_guards(pair):
    pair.stop()
    pair.nft("flush", "ruleset")
    assert not pair.held()
    assert heard_from_1(pair, forged(1), legal(1), forged(1)) == [legal(1)]
    pair.start()
    eventually(lambda: bridge_of(1) in pair.held())
    assert heard_from_1(pair, forged(1), legal(1), forged(1)) == [legal(1)]


def test_filters_that_somebody_took_off_are_put_back():
    with hosts(tcx=False) as host:
        for number in (1, 2):
            host.guest(number).plug()
        host.ports = {port_id(1): port(1), port_id(2): port(2, profile=Profile.OFF)}
        host.start()
        host.enforced(1, 2)
        first, second = host.guests
        assert "from_guest" in host.tc("filter", "show", "dev", first.tap, "ingress")
        host.tc("qdisc", "del", "dev", first.tap, "clsact")
        eventually(lambda: "from_guest" in host.tc("filter", "show", "dev", first.tap, "ingress"))
        eventually(lambda: host.links()[first.tap].up)
        host.enforced(1)
        assert first.heard_by(second, forged(1), legal(1)) == [legal(1)]


def test_a_removed_port_leaves_its_interface_cut_off_and_its_bridge_goes_last(pair):
    pair.remove(1)
    eventually(lambda: pair.members(bridge_of(1)) == {tap_of(2)})
    eventually(lambda: not pair.links()[tap_of(1)].up)
    pair.remove(2)
    eventually(lambda: bridge_of(1) not in pair.links())
    eventually(lambda: not pair.guards() and not pair.held())


def test_a_port_removed_before_it_came_leaves_no_quarantine(pair):
    pair.set(port(3))
    eventually(lambda: tap_of(3) in pair.held())
    pair.remove(3)
    eventually(lambda: tap_of(3) not in pair.held())


def test_the_same_addresses_on_two_networks_never_meet(pair):
    third, fourth = pair.guest(3), pair.guest(4)
    third.plug()
    fourth.plug()
    pair.set(port(3, network=2), port(4, network=2, profile=Profile.OFF))
    pair.enforced(3, 4)
    assert third.heard_by(fourth, legal(3)) == [legal(3)]
    assert heard_from_1(pair, legal(1)) == [legal(1)]
    assert fourth.ear.heard() == []
