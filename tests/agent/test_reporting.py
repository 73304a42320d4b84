"""What the agent tells of frames: drops, counts, claims and sightings."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.agent.host import Host, hosts
from tests.agent.ports import BROADCAST, address_of, forged, legal, mac_of, port, port_id

from vifguard.enforce.ebpf.maps.connection_table import memory, usual
from vifguard.feed.messages import ConnectionTable, Report
from vifguard.model.address import parse_address
from vifguard.model.guard import Guard, Profile
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import arp, ethernet

pytestmark = pytest.mark.kernel
SHARED = parse_address("10.9.0.50")


@pytest.fixture
def host() -> Iterator[Host]:
    """Guests 1 and 2 share 10.9.0.50; guest 3 hears."""
    with hosts() as host:
        for number in (1, 2, 3):
            host.guest(number).plug()
        for number in (1, 2):
            own = port(number)
            prefixes = own.policy.prefixes | port(50).policy.prefixes
            host.ports[port_id(number)] = port(
                number, prefixes=prefixes, watched=frozenset({SHARED})
            )
        host.ports[port_id(3)] = port(3, profile=Profile.OFF)
        host.start()
        host.enforced(1, 2, 3)
        for number in (1, 2):
            host.guests[number - 1].heard_by(host.guests[2])
        yield host


def gratuitous(number: int) -> bytes:
    mac = str(mac_of(number))
    return ethernet(mac, BROADCAST, arp(mac, str(SHARED), target_ip=str(SHARED)))


def test_a_dropped_frame_is_told_with_its_guard_its_reason_and_its_first_bytes(host):
    before = time.time()
    host.guests[0].send(forged(1))
    report = host.until_reported(lambda report: report.drops)
    drop = report.drops[0]
    assert (drop.port_id, drop.direction) == (port_id(1), Direction.FROM_GUEST)
    assert (drop.guard, drop.reason) == (Guard.IP, Reason.IPV4_SOURCE)
    assert drop.head == forged(1)[:128]
    assert drop.length == len(forged(1))
    assert before - 1 < drop.at < time.time() + 1

    def counted(report: Report) -> bool:
        return any(
            (c.port_id, c.direction, c.guard) == (port_id(1), Direction.FROM_GUEST, Guard.IP)
            and c.frames >= 1
            for c in report.counts
        )

    host.until_reported(counted)


def test_the_table_of_connections_is_told_of(host):
    report = host.until_reported(lambda report: report.wiring and report.wiring.connections)
    assert report.wiring.connections == ConnectionTable(usual(memory()), 0)


def test_a_claim_is_told_after_what_was_last_seen_elsewhere(host):
    first, second = host.guests[:2]
    first.send(gratuitous(1))
    claim = host.until_reported(lambda report: report.claims).claims[0]
    assert (claim.port_id, claim.address, claim.mac) == (port_id(1), SHARED, mac_of(1))
    second.send(gratuitous(2))

    def moved(report: Report) -> bool:
        return any(claim.port_id == port_id(2) for claim in report.claims)

    at = next(c.at for c in host.until_reported(moved).claims if c.port_id == port_id(2))
    assert claim.at < at < time.time() + 1

    def seen(report: Report) -> bool:
        return any((s.port_id, s.address) == (port_id(1), SHARED) for s in report.sightings)

    sighting = host.until_reported(seen).sightings[0]
    assert abs(sighting.at - claim.at) < 1


def test_what_a_frame_may_do_is_not_told(host):
    host.guests[0].send(legal(1))
    host.guests[0].send(forged(1))
    host.until_reported(lambda report: report.drops)
    assert {d.head for r in host.reports for d in r.drops} == {forged(1)[:128]}
    assert address_of(1) not in {str(s.address) for r in host.reports for s in r.sightings}


def test_a_host_that_cannot_guard_says_why_and_holds_its_ports_closed(tmp_path):
    with hosts() as host:
        (tmp_path / "file").write_text("")
        host.use_bpf_dir(tmp_path / "file" / "bpf")
        host.guest(1).plug()
        host.ports[port_id(1)] = port(1)
        host.start()
        about = host.until_reported(lambda report: report.about).about
        assert about
        assert not about.isolation
        assert about.missing
        assert host.until(1, PortState.HELD_CLOSED).reason == about.missing[0]
