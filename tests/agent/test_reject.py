"""What those hear whom a port refuses: an error at once where its group says so, else nothing."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import PATIENCE, run, within
from tests.agent.ports import BROADCAST, address_of, mac_of, port, port_id

from vifguard.agent.kernel_events.reject import reject_packet, wants_reject
from vifguard.enforce.driver.events import Dropped
from vifguard.feed.messages import HostPort
from vifguard.model.address import parse_prefix
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import (
    Payload,
    arp,
    ethernet,
    fragment,
    icmpv4,
    icmpv6,
    ipv4,
    ipv6,
    ns,
    redirect,
    tcp,
    udp,
    vlan,
)
from vifguard.packet.frame import parse
from vifguard.packet.icmp6 import Icmp6
from vifguard.packet.transport import Icmp4, Tcp

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
INTERNET = {4: (ipv4, "10.0.0.1", "10.0.0.2"), 6: (ipv6, "2001:db8::1", "2001:db8::2")}
FIN, SYN, RST, ACK = 1, 2, 4, 16
HEAD = 128
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def dropped(frame: bytes, **more: Any) -> Dropped:
    values = {"guard": Guard.SECURITY_GROUPS, "reason": Reason.NOT_ALLOWED} | more
    return Dropped(
        7,
        port_id(1),
        0,
        Direction.FROM_GUEST,
        values["guard"],
        values["reason"],
        len(frame),
        frame[:HEAD],
    )


def sent(family: int, payload: Payload, **more: Any) -> bytes:
    internet, src, dst = INTERNET[family]
    return ethernet(B, A, internet(src, dst, payload, **more))


def answer(frame: bytes) -> Any:
    """The packet that answers, which goes back to whom the frame came from."""
    told = reject_packet(dropped(frame))
    assert told is not None
    before, after = parse(frame), parse(told)
    assert (after.src, after.dst) == (before.dst, before.src)
    assert (after.body.src, after.body.dst) == (before.body.dst, before.body.src)
    return after.body


def test_only_what_no_rule_allowed_is_refused():
    frame = sent(4, udp(1, 2))
    assert wants_reject(dropped(frame))
    assert not wants_reject(dropped(frame, reason=Reason.FLOW_INVALID))
    assert not wants_reject(dropped(frame, guard=Guard.IP))
    assert not wants_reject(dropped(frame, guard=None))


@FAMILIES
@pytest.mark.parametrize(
    ("segment", "reset"),
    [
        (tcp(5, 80, sequence=100), Tcp(80, 5, 0, 101, RST | ACK, b"")),
        (tcp(5, 80, sequence=2**32 - 1), Tcp(80, 5, 0, 0, RST | ACK, b"")),
        (tcp(5, 80, b"early", sequence=1), Tcp(80, 5, 0, 7, RST | ACK, b"")),
        (tcp(5, 80, bytes(9000), sequence=1), Tcp(80, 5, 0, 9002, RST | ACK, b"")),
    ],
)
def test_what_opens_a_connection_is_reset(family, segment, reset):
    assert answer(sent(family, segment)).upper == reset


@FAMILIES
def test_all_else_is_prohibited_and_quoted(family):
    frame = sent(family, udp(5, 53, bytes(range(200))))
    packet = answer(frame)
    quote = bytes(4) + frame[14:HEAD]
    assert packet.upper == (Icmp4(3, 13, quote) if family == 4 else Icmp6(1, 1, quote))
    assert packet.size <= len(frame)


@FAMILIES
def test_padding_is_not_quoted(family):
    frame = sent(family, udp(5, 53, b"a"))
    assert answer(frame + bytes(40)) == answer(frame)


UNANSWERED = {
    "data of a connection": sent(4, tcp(5, 80, b"more", acknowledged=77, flags=ACK)),
    "the end of one": sent(6, tcp(5, 80, acknowledged=77, flags=FIN | ACK)),
    "an answer": sent(4, tcp(5, 80, acknowledged=77, flags=SYN | ACK)),
    "without flags": sent(4, tcp(5, 80, flags=0)),
    "reset": sent(4, tcp(5, 80, flags=RST)),
    "reset, IPv6": sent(6, tcp(5, 80, flags=RST | ACK)),
    "error": sent(4, icmpv4(3, 1)),
    "redirect": sent(4, icmpv4(5, 1)),
    "error, IPv6": sent(6, icmpv6(2, 0)),
    "redirect, IPv6": sent(6, redirect("fe80::1", "fe80::2")),
    "later fragment": sent(4, b"the rest", protocol=17, offset=4),
    "later fragment, IPv6": sent(6, fragment(b"the rest", offset=4, next_header=17)),
    "segment without ports": sent(4, b"\0", protocol=6),
    "to all on the segment": ethernet(
        B, "ff:ff:ff:ff:ff:ff", ipv4("10.0.0.1", "10.0.0.2", udp(1, 2))
    ),
    "from a group": ethernet("03:00:00:00:00:01", A, ipv4("10.0.0.1", "10.0.0.2", udp(1, 2))),
    "to multicast": ethernet(B, A, ipv4("10.0.0.1", "224.0.0.9", udp(1, 2))),
    "to multicast, IPv6": ethernet(B, A, ipv6("2001:db8::1", "ff02::9", udp(1, 2))),
    "to broadcast": ethernet(B, A, ipv4("10.0.0.1", "255.255.255.255", udp(1, 2))),
    "from nowhere": ethernet(B, A, ipv4("0.0.0.0", "10.0.0.2", udp(1, 2))),
    "from nowhere, IPv6": ethernet(B, A, ipv6("::", "2001:db8::2", ns("2001:db8::2"))),
    "from loopback": ethernet(B, A, ipv4("127.0.0.1", "10.0.0.2", udp(1, 2))),
    "tagged": ethernet(B, A, vlan(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2)), 5)),
    "cut short": sent(4, udp(1, 2))[:30],
}


@pytest.mark.parametrize("what", UNANSWERED)
def test_never_answered(what):
    assert reject_packet(dropped(UNANSWERED[what])) is None


V6 = {number: f"2001:db8::{number}" for number in (1, 2, 3)}


def alone(number: int, *, reject: bool) -> HostPort:
    """A port whose one group allows nothing."""
    return port(
        number,
        prefixes=frozenset(map(parse_prefix, (address_of(number), V6[number]))),
        guards=GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS},
        security_groups=frozenset({"none"}),
        reject=reject,
    )


@pytest.fixture(params=(True, False), ids=("tcx", "clsact"))
def host(request) -> Iterator[Host]:
    """Guests 1 and 3 may talk with nobody; only 1's group tells. Guest 2 has no guard."""
    with hosts(tcx=request.param) as host:
        for number, ipv6_address in V6.items():
            guest = host.guest(number)
            guest.plug()
            inside = ("ip", "-n", guest.name, "address", "add", "dev", "eth0")
            run(*inside, f"{address_of(number)}/24")
            within(guest.name, lambda: run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0"))
            run(*inside, f"{ipv6_address}/64", "nodad")
        ports = (alone(1, reject=True), port(2, profile=Profile.OFF), alone(3, reject=False))
        host.ports = {each.policy.port_id: each for each in ports}
        host.groups = {"none": frozenset()}
        host.start()
        host.enforced(*V6)
        yield host


def heard_of(host: Host, guest: int, kind: int, family: int, to: int) -> int:
    """The error that a guest gets when it talks to another."""
    address = V6[to] if family == 6 else address_of(to)

    def talk() -> int:
        internet = socket.AF_INET6 if family == 6 else socket.AF_INET
        with socket.socket(internet, kind) as sock:
            sock.settimeout(PATIENCE)
            try:
                sock.connect((address, 80))
                sock.send(b"hello")
                sock.recv(1)
            except OSError as error:
                return error.errno or 0
        return 0

    found: int = within(host.guests[guest - 1].name, talk)
    return found


PROHIBITED = {4: errno.EHOSTUNREACH, 6: errno.EACCES}


@pytest.mark.kernel
@FAMILIES
def test_who_is_refused_is_told_at_once_on_both_sides(host, family):
    for guest, to in ((1, 2), (2, 1)):
        assert heard_of(host, guest, socket.SOCK_STREAM, family, to) == errno.ECONNREFUSED
        assert heard_of(host, guest, socket.SOCK_DGRAM, family, to) == PROHIBITED[family]


def told_after(host: Host, quiet: int, telling: int, to: int = 2) -> list[bytes]:
    """What one guest is told of what it may not send; another is told after it."""
    guest = host.guests[quiet - 1]
    packet = ipv4(address_of(quiet), address_of(to), tcp(5, 80))
    guest.ear.heard()
    guest.send(ethernet(str(mac_of(quiet)), str(mac_of(to)), packet))
    # Drops are told in their order: once the next is answered, this one is not going to be.
    assert heard_of(host, telling, socket.SOCK_STREAM, 4, to) == errno.ECONNREFUSED
    return [frame for frame in guest.ear.heard() if frame[12:14] == b"\x08\x00"]


@pytest.mark.kernel
def test_a_port_whose_groups_do_not_say_so_is_silent(host):
    assert told_after(host, quiet=3, telling=1) == []
    host.set(alone(1, reject=False), alone(3, reject=True))
    host.enforced(1, 3)
    assert told_after(host, quiet=1, telling=3) == []


@pytest.mark.kernel
def test_an_answer_is_judged_by_the_groups_of_whom_it_is_for(host):
    """They are stateless, let the question out, and nothing in."""
    judging = alone(3, reject=False)
    host.set(replace(judging, policy=replace(judging.policy, stateful=False)))
    out = Rule(Direction.FROM_GUEST, 4, remote=parse_prefix(f"{address_of(1)}/32"))
    host.say({"none": frozenset({out})})
    host.enforced(3)
    assert told_after(host, quiet=3, telling=2, to=1) == []


@pytest.mark.kernel
def test_no_mark_but_the_agents_own_passes(host):
    """Not even that of a process of the host."""
    packet = ipv4(address_of(2), address_of(1), udp(5, 80))
    frame = ethernet(str(mac_of(2)), str(mac_of(1)), packet)
    last = ethernet(str(mac_of(2)), BROADCAST, arp(str(mac_of(2)), address_of(2)))
    guest = host.guests[0]

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((guest.tap, 0))
            for mark in (0, 1, 2**32 - 1):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark.to_bytes(4, sys.byteorder))
                with pytest.raises(OSError, match="No buffer space"):  # as a drop is told
                    sock.send(frame)
            sock.send(last)

    within(host.name, send)
    assert frame not in guest.ear.until(last)
