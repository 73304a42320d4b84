"""Ports of a driver, and frames of guests: what the tests of a driver's state have in common."""

from tests.enforce.guarded_port import hold, mac_of, policy_of

from vifguard.enforce.driver.protocol import Attachment
from vifguard.model.verdict import Direction
from vifguard.packet.build import ethernet, ipv4, udp

HELLO = udp(1, 1, b"hello")


def from_(sender, receiver, source=None, mac=None):
    source = source or f"10.9.0.{sender.number}"
    packet = ipv4(source, f"10.9.0.{receiver.number}", HELLO)
    return ethernet(mac or sender.mac, receiver.mac, packet)


def port(number, *prefixes, ifindex=None, revision=1, **more):
    policy = policy_of(number, *prefixes, **more)
    return Attachment(policy, ifindex or number, reversed_hooks=False, revision=revision)


def hold_one(driver, **more):
    """Bring the port of guest 1 into force, at interface 1."""
    hold(driver, port(1, **more))


def passes(driver, number, source, *, ifindex=None):
    frame = ethernet(mac_of(number), mac_of(99), ipv4(source, "192.0.2.1", HELLO))
    return driver.test(Direction.FROM_GUEST, frame, ifindex or number) is None


def programs_at(driver, guest):
    return [program for program in driver._attaching.observed(guest.ifindex) if program]
