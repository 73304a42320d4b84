"""Security groups at the ports of a real host: what its agent makes of what it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually
from tests.agent.ports import address_of, mac_of, port, port_id

from vifguard.model.address import parse_network
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.port import PortState
from vifguard.model.security_group import PortRange, Rule, SetChange
from vifguard.model.verdict import Direction
from vifguard.packet.build import ethernet, ipv4, udp

pytestmark = pytest.mark.kernel
MARKS = PortRange(7, 7)
"""The port of the frames that tell when all others have come through."""


def rule(low: int, remote: str | None = None) -> Rule:
    return Rule(Direction.FROM_GUEST, 4, 17, ports=PortRange(low, low), remote=remote)


def says(*more: Rule) -> frozenset[Rule]:
    return frozenset({Rule(Direction.FROM_GUEST, 4, 17, ports=MARKS), *more})


def to(dport: int, number: int = 2) -> bytes:
    """From guest 1 to another."""
    packet = ipv4(address_of(1), address_of(number), udp(4000, dport, b"to %d" % dport))
    return ethernet(str(mac_of(1)), str(mac_of(2)), packet)


@pytest.fixture
def host() -> Iterator[Host]:
    """Guest 1 has a group; guest 2 hears everything that reaches it."""
    with hosts() as host:
        for number in (1, 2):
            host.guest(number).plug()
        guards = GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}
        grouped = port(1, guards=guards, security_groups=frozenset({"g"}))
        host.ports = {port_id(1): grouped, port_id(2): port(2, profile=Profile.OFF)}
        host.groups = {"g": says(rule(8))}
        host.start()
        host.enforced(1, 2)
        for guest in host.guests:
            guest.ear.heard()
        yield host


def heard(host: Host, *frames: bytes) -> list[bytes]:
    return host.guests[0].heard_by(host.guests[1], *frames)


def test_rules_come_and_go_without_a_word_about_ports(host):
    assert heard(host, to(8), to(9)) == [to(8)]
    host.say({"g": says(rule(9))})
    assert heard(host, to(8), to(9)) == [to(9)]
    host.say({"g": says()})
    assert heard(host, to(8), to(9)) == []


def test_members_come_and_go(host):
    there = frozenset({parse_network(f"{address_of(2)}/32")})
    none: frozenset = frozenset()
    host.say({"g": says(rule(8, "s"))}, {"s": SetChange(complete=True, added=none)})
    assert heard(host, to(8)) == []
    host.say(sets={"s": SetChange(complete=False, added=there)})
    assert heard(host, to(8), to(9)) == [to(8)]
    host.say(sets={"s": SetChange(complete=False, added=none, removed=there)})
    assert heard(host, to(8)) == []


def named(group: int, many: int) -> frozenset[Rule]:
    return says(*(rule(8, f"{group}-{i}") for i in range(many)))


POISON = {
    "a group that refers to too many others": ("40 address sets", {"p": named(0, 40)}),
    "groups that together ask too much": (
        "look-ups a packet",
        {f"p{i}": named(i, 30) for i in range(3)},
    ),
    "too many groups": ("17 security groups", {f"p{i}": says() for i in range(17)}),
}


@pytest.mark.parametrize("what", POISON)
def test_what_cannot_be_held_closes_its_port_alone_says_why_and_ends(host, what):
    why, groups = POISON[what]
    host.guest(3).plug()
    guards = GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}
    host.set(port(3, guards=guards, security_groups=frozenset(groups)))
    host.say(groups)
    assert why in host.until(3, PortState.HELD_CLOSED).reason
    host.say({"g": says(rule(9))})
    assert heard(host, to(8), to(9)) == [to(9)]
    host.enforced(1, 2)
    host.set(port(3, guards=guards, security_groups=frozenset({"g"})))
    host.enforced(3)


def test_a_group_that_becomes_too_much_closes_its_ports_until_it_is_not(host):
    host.say({"g": named(0, 40)})
    told = eventually(lambda: (x := host.report(1)) and x.state is PortState.HELD_CLOSED and x)
    assert "40 address sets" in told.reason
    host.enforced(2)
    host.say({"g": says(rule(8))})
    host.until(1, PortState.ENFORCED)
    assert heard(host, to(8), to(9)) == [to(8)]


def test_the_kernel_goes_on_while_nobody_is_there_and_learns_what_was_missed(host):
    host.kill()
    assert heard(host, to(8), to(9)) == [to(8)]
    host.groups = {"g": says(rule(9))}
    host.start()
    host.enforced(1)
    assert heard(host, to(8), to(9)) == [to(9)]
