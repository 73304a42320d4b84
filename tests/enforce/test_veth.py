"""Frames between two guests on a bridge, through the programs at their interfaces."""

import pytest
from world import attach, hold, mac_of

from vifguard.packet.build import ethernet, ipv4, udp

pytestmark = pytest.mark.kernel


def test_a_forged_mac_dies_and_the_own_one_passes(world, driver):
    alice, bob = world.guest(1), world.guest(2)
    hold(driver, attach(alice), attach(bob))
    packet = ipv4("10.9.0.1", "10.9.0.2", udp(1, 1, b"hello"))
    own = ethernet(alice.mac, bob.mac, packet)
    forged = ethernet(mac_of(7), bob.mac, packet)
    assert world.delivered(alice, bob, forged, own, forged) == [own]
