"""Which members of a bridge lead out of the host: by what they are, and by what they stand on."""

import json
import subprocess

import pytest

from vifguard.bridging.uplinks import leads_out
from vifguard.kernel.net.link import Link, Links
from vifguard.model.address import Mac

MAC = Mac.parse("52:54:00:00:00:01")


def link(index: int, kind: str, **told: object) -> Link:
    return Link(index, f"dev{index}", MAC, kind, **told)


def is_uplink(*links: Link) -> bool:
    """Whether the first of a host's links leads out."""
    return leads_out(links[0], {each.index: each for each in links})


@pytest.mark.parametrize("kind", ["", "vxlan", "geneve", "gretap", "dsa"])
def test_cards_and_tunnels_lead_out(kind):
    assert is_uplink(link(2, kind))


@pytest.mark.parametrize("kind", ["tun", "veth", "macvtap", "ipvlan", "ifb", "dummy", "bridge"])
def test_what_a_guest_may_be_behind_does_not(kind):
    assert not is_uplink(link(2, kind))


@pytest.mark.parametrize("bus", ["pci", "virtio", "usb", "xen", "vmbus", ""])
def test_hardware_leads_out_on_any_bus(bus):
    assert is_uplink(link(2, "", bus=bus))


def test_an_interface_of_xens_is_a_guests_although_it_has_no_kind():
    assert not is_uplink(link(2, "", bus="xen-backend"))


@pytest.mark.parametrize("port", ["", "p0", "p1s2"])
def test_an_uplink_of_a_switching_card_leads_out(port):
    assert is_uplink(link(2, "", bus="pci", port_name=port))


@pytest.mark.parametrize("port", ["pf0vf3", "pf1sf88", "c1pf0vf1", "pf0"])
def test_what_represents_a_guests_function_does_not(port):
    assert not is_uplink(link(2, "", bus="pci", port_name=port))


@pytest.mark.parametrize("kind", ["vlan", "macsec"])
def test_what_stands_on_a_device_leads_where_that_does(kind):
    assert is_uplink(link(3, kind, lower=2), link(2, ""))
    assert not is_uplink(link(3, kind, lower=2), link(2, "tun"))
    assert is_uplink(link(4, "vlan", lower=3), link(3, kind, lower=2), link(2, ""))
    assert not is_uplink(link(4, "vlan", lower=3), link(3, kind, lower=2), link(2, "veth"))


def test_what_stands_on_a_device_of_another_namespace_is_not_known_to_lead_out():
    assert not is_uplink(link(3, "vlan", lower=0), link(2, ""))


@pytest.mark.parametrize("kind", ["bond", "team", "batadv"])
def test_a_bond_leads_out_unless_a_guests_device_is_in_it(kind):
    card, tap = link(2, "", master=5), link(3, "tun", master=5)
    assert is_uplink(link(5, kind), card)
    assert not is_uplink(link(5, kind), card, tap)
    assert not is_uplink(link(6, "vlan", lower=5), link(5, kind), card, tap)


def test_devices_that_were_read_while_they_changed_do_not_make_an_endless_chain():
    assert not is_uplink(link(2, "vlan", lower=3), link(3, "vlan", lower=2))


def test_the_bus_and_the_port_of_each_device_are_those_that_ip_shows():
    shown = subprocess.run(["ip", "-d", "-j", "link"], capture_output=True, check=True).stdout
    wanted = {
        each["ifindex"]: (each.get("parentbus", ""), each.get("phys_port_name", ""))
        for each in json.loads(shown)
    }
    with Links() as links:
        assert {each.index: (each.bus, each.port_name) for each in links.all()} == wanted
