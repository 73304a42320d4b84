"""The events of several drivers: each goes to its own port, and each answer to its own driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_network

import pytest
from tests.agent.host_facts import link, mac, port, port_id, tap
from tests.agent.recorder import Recorder

from vifguard.agent.host_guards import HostGuards, by_ifindex
from vifguard.agent.kernel_events.events import EventReader
from vifguard.agent.kernel_events.port_events import PortEvents
from vifguard.agent.placement import Placement
from vifguard.agent.reporting.report import Outbox
from vifguard.enforce.driver.events import Claimed, ClaimKind, Dropped, DropTotal
from vifguard.enforce.driver.session import Session
from vifguard.feed.messages import Report
from vifguard.model.address import parse_address
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import ethernet, ipv4, tcp
from vifguard.packet.frame import parse

SHARED, CHOSEN = parse_address("10.9.0.50"), IPv6Address("fe80::a0b0:0:0:1")
SYN = ethernet(
    str(mac(1)), str(mac(9)), ipv4("10.9.0.1", "10.9.0.9", tcp(1000, 80, flags=2, sequence=7))
)


@dataclass
class Index:
    """Ports 1 and 2, at interfaces of these numbers."""

    places: dict[int, Placement]
    port_by_ifindex: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self.port_by_ifindex = {i: each.port.policy.port_id for i, each in self.places.items()}
        self.watched = self.port_by_ifindex
        self.rejecting = self.places
        self.claiming = self.places
        self.detecting: dict[int, Placement] = {}


class Bench:
    """A reader over two drivers, one for taps and one for veths, with a port each."""

    def __init__(self) -> None:
        self.taps, self.veths = Recorder("taps", "tun"), Recorder("veths", "veth")
        guards = HostGuards(Session(each) for each in (self.taps, self.veths))
        places = by_ifindex((self._place(1, "tun"), self._place(2, "veth")))
        guards.apply(guards.plan(places, frozenset(places)))
        self.outbox, self.stop = Outbox("h"), threading.Event()
        self.events = PortEvents(guards)
        self.reader = EventReader(self.events, self.outbox, self.stop, Index(places))

    def _place(self, number: int, kind: str) -> Placement:
        own = port(number)
        claimable = frozenset({ip_network("fe80::/64")})
        own = replace(own, policy=replace(own.policy, claimable=claimable))
        return Placement(own, link(number, tap(number), kind=kind))

    def report(self) -> Report:
        """What is reported of the events by now."""
        self.reader._look()
        self.outbox.close()
        report = self.outbox.take()
        assert report
        return report


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.taps.close()
    bench.veths.close()


def dropped(driver: Recorder, number: int, reason: Reason, guard: Guard) -> Dropped:
    device = driver.device(tap(number))
    return Dropped(device, port_id(number), 1, Direction.FROM_GUEST, guard, reason, len(SYN), SYN)


def claimed(driver: Recorder, number: int, address, kind: ClaimKind) -> Claimed:
    return Claimed(driver.device(tap(number)), port_id(number), 1, address, mac(number), 0, kind)


def test_an_event_of_any_driver_ends_the_wait(bench: Bench) -> None:
    assert not bench.events.wait(0)
    bench.veths.events.put(dropped(bench.veths, 2, Reason.IPV4_SOURCE, Guard.IP))
    assert bench.events.wait(0)
    bench.report()
    assert not bench.events.wait(0)


def test_drops_and_claims_of_both_are_reported(bench: Bench) -> None:
    bench.taps.events.put(dropped(bench.taps, 1, Reason.IPV4_SOURCE, Guard.IP))
    bench.veths.events.put(
        dropped(bench.veths, 2, Reason.IPV4_SOURCE, Guard.IP),
        claimed(bench.veths, 2, SHARED, ClaimKind.HOLDS),
    )
    bench.taps.events.last_uses[bench.taps.device(tap(1))] = {SHARED: 5}
    report = bench.report()
    assert {each.port_id for each in report.drops} == {port_id(1), port_id(2)}
    assert [(each.port_id, each.address) for each in report.claims] == [(port_id(2), SHARED)]
    assert [(each.port_id, each.address) for each in report.sightings] == [(port_id(1), SHARED)]


def test_counts_are_each_ports(bench: Bench) -> None:
    for driver, number in ((bench.taps, 1), (bench.veths, 2)):
        device = driver.device(tap(number))
        driver.events.totals = [DropTotal(device, Direction.FROM_GUEST, Guard.MAC, number)]
    found = {each.port_id: each.frames for each in bench.reader._counts()}
    assert found == {port_id(1): 1, port_id(2): 2}


def test_a_rejected_packet_is_answered_by_the_driver_that_dropped_it(bench: Bench) -> None:
    """A reset goes back to the guest, through its own driver, with that driver's name for it."""
    bench.veths.events.put(dropped(bench.veths, 2, Reason.NOT_ALLOWED, Guard.SECURITY_GROUPS))
    bench.report()
    ((device, direction, frame, reversed_hooks),) = bench.veths.events.sent
    assert (device, direction) == (bench.veths.device(tap(2)), Direction.TO_GUEST)
    assert not reversed_hooks
    assert parse(frame).body.upper.flags & 4
    assert bench.taps.events.sent == []


def test_a_wish_for_an_address_is_sent_with_those_that_may_make_room(bench: Bench) -> None:
    old = IPv6Address("fe80::1")
    bench.veths.events.last_uses[bench.veths.device(tap(2))] = {old: 0}
    bench.veths.events.put(claimed(bench.veths, 2, CHOSEN, ClaimKind.WANTS))
    (claim,) = bench.report().address_claims
    assert (claim.port_id, claim.address, claim.unused) == (port_id(2), CHOSEN, (old,))


def test_a_device_that_is_no_ports_is_nobodys(bench: Bench) -> None:
    stranger = replace(
        dropped(bench.veths, 2, Reason.NOT_ALLOWED, Guard.SECURITY_GROUPS),
        device=bench.veths.device("other"),
    )
    bench.veths.events.put(stranger)
    bench.report()
    assert bench.veths.events.sent == []
    with pytest.raises(OSError, match="interface 7 has no guard"):
        bench.events.inject(7, Direction.TO_GUEST, SYN, reversed_hooks=False)
