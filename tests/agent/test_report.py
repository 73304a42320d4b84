"""What goes up: the latest of each, in order, whatever becomes of the server."""

from __future__ import annotations

import threading
from dataclasses import replace

import orjson
import pytest

from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import Outbox, Reporter
from vifguard.feed.codec import decode, encode
from vifguard.feed.messages import (
    ADDRESS_CLAIMS_AT_ONCE,
    CLAIMS_AT_ONCE,
    DROPS_AT_ONCE,
    PORTS_AT_ONCE,
    AddressClaim,
    AdoptedBridge,
    Claim,
    Detection,
    DropCount,
    DropRecord,
    FeedError,
    HeldDevice,
    HostReport,
    PortReport,
    Report,
    ReportAnswer,
    Sighting,
    WiringReport,
)
from vifguard.model.address import Mac, parse_address
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason

ABOUT = HostReport("6.1", "ebpf", frozenset(), (), (), isolation=True)
ADDRESS = parse_address("10.0.0.1")
MAC = Mac.parse("02:00:00:00:00:01")
DROP = DropRecord("p", 1.0, Direction.FROM_GUEST, None, Reason.HELD_CLOSED, 60, b"x")


def told(number: int, revision: int = 1) -> PortReport:
    return PortReport(f"p{number}", revision, PortState.ENFORCED)


def taken(outbox: Outbox) -> Report:
    report = outbox.take()
    assert report
    return report


def test_the_latest_of_each_port_goes_up():
    outbox = Outbox("h")
    outbox.put_ports([told(1, 1), told(2, 1)])
    outbox.put_ports([told(1, 2)])
    assert set(taken(outbox).ports) == {told(1, 2), told(2, 1)}


def test_many_ports_go_up_in_portions():
    outbox = Outbox("h")
    outbox.put_ports(told(n) for n in range(PORTS_AT_ONCE + 1))
    assert [len(taken(outbox).ports) for _ in range(2)] == [PORTS_AT_ONCE, 1]


def test_what_guests_do_at_once_goes_up_in_portions():
    outbox = Outbox("h")
    sightings = [Sighting(f"p{n}", ADDRESS, 1.0) for n in range(CLAIMS_AT_ONCE + 1)]
    counts = [DropCount(f"p{n}", Direction.TO_GUEST, None, n) for n in range(CLAIMS_AT_ONCE + 1)]
    outbox.put_claims([], sightings)
    outbox.put_drops([], counts)
    for n in range(ADDRESS_CLAIMS_AT_ONCE + 1):
        outbox.put_address_claim(AddressClaim(f"p{n}", ADDRESS, MAC))
        outbox.put_detection(Detection(f"p{n}", ADDRESS, unique=True))
    first, second = taken(outbox), taken(outbox)
    assert [*first.sightings, *second.sightings] == sightings
    assert [*first.counts, *second.counts] == counts
    parts = [[len(x.address_claims), len(x.detections)] for x in (first, second)]
    assert parts == [[ADDRESS_CLAIMS_AT_ONCE] * 2, [1, 1]]


def test_a_host_with_more_to_say_of_itself_than_a_server_takes_cuts_it():
    """Else the server refuses the report, and each that is sent again."""
    outbox = Outbox("h")
    long, many = "a verifier's log " * 1000, tuple(f"part {n}: off" for n in range(1000))
    outbox.put_host_report(replace(ABOUT, missing=(long,), kernel=long))
    outbox.put_health(many, {long: 1})
    outbox.put_ports([replace(told(1), reason=long)])
    members = tuple(f"tap{n}" for n in range(5000))
    outbox.put_wiring(WiringReport((AdoptedBridge("br0", "lan", unguarded=members),)))
    report = taken(outbox)
    assert decode(Report, orjson.loads(orjson.dumps(encode(report)))) == report
    assert report.about is not None
    assert report.about.missing == (long[:1024],)
    assert report.about.degraded == many[:64]
    assert report.about.lost == {long[:255]: 1}
    assert report.ports[0].reason == long[:1024]
    assert report.wiring is not None
    assert report.wiring.bridges[0].unguarded == members[:1000]


def test_reports_about_a_host_that_are_too_long_as_a_whole_are_cut():
    """Each list of them is within its bound, and all together made the server's rows long."""
    outbox = Outbox("h")
    wordy = tuple(f"{number:02} " + "r" * 1021 for number in range(64))
    outbox.put_host_report(replace(ABOUT, missing=wordy, refused_guards=wordy))
    taps = tuple(f"{number:04}" + "u" * 60 for number in range(1000))
    bridges = (AdoptedBridge(f"b{n}", f"p{n}", unguarded=taps, forwarding=taps) for n in range(64))
    outbox.put_wiring(WiringReport(tuple(bridges), (HeldDevice("vg0-0", 3),)))
    report = taken(outbox)
    assert decode(Report, orjson.loads(orjson.dumps(encode(report)))) == report
    assert report.about is not None
    assert report.about.missing == report.about.refused_guards == wordy[:16]
    assert report.wiring is not None
    assert len(report.wiring.bridges) == 32
    assert report.wiring.bridges[0].unguarded == taps[:32]
    assert report.wiring.held == (HeldDevice("vg0-0", 3),)


def test_a_claim_goes_up_with_what_was_seen_before_it():
    outbox = Outbox("h")
    sightings = [Sighting("p2", ADDRESS, 1.0), Sighting("p2", ADDRESS, 2.0)]
    outbox.put_claims([], sightings)
    outbox.put_claims([Claim("p1", ADDRESS, MAC, 3.0)], [])
    report = taken(outbox)
    assert report.claims == (Claim("p1", ADDRESS, MAC, 3.0),)
    assert report.sightings == (Sighting("p2", ADDRESS, 2.0),)


def test_drops_wait_for_company_and_are_not_kept_for_ever():
    outbox = Outbox("h")
    count = DropCount("p", Direction.FROM_GUEST, None, 7)
    outbox.put_drops([DROP] * (DROPS_AT_ONCE + 5), [replace(count, frames=5)])
    outbox.put_drops([], [count])
    report = taken(outbox)
    assert len(report.drops) == DROPS_AT_ONCE
    assert report.counts == (count,)


def test_one_ports_flood_leaves_anothers_drops():
    outbox = Outbox("h")
    others = [replace(DROP, port_id="other", at=at) for at in range(3)]
    outbox.put_drops(others, [])
    outbox.put_drops([replace(DROP, at=3 + at) for at in range(2 * DROPS_AT_ONCE)], [])
    found = taken(outbox).drops
    assert found[:3] == tuple(others)
    assert len(found) == DROPS_AT_ONCE


def test_nothing_more_comes_from_a_closed_outbox():
    outbox = Outbox("h")
    outbox.put_ports([told(1)])
    outbox.close()
    assert taken(outbox).ports == (told(1),)
    assert outbox.take() is None


class Server:
    """Refuses what it is told to refuse, and wakes who waits for what it took."""

    def __init__(self, refusals: list[Exception]) -> None:
        self.refusals = refusals
        self.taken: list[Report] = []
        self.done = threading.Event()

    def next(self, instance: str, after: int, timeout: float) -> None:
        raise NotImplementedError

    def report(self, report: Report) -> ReportAnswer:
        if self.refusals:
            raise self.refusals.pop()
        self.taken.append(report)
        self.done.set()
        return ReportAnswer()


def started(outbox: Outbox, server: Server, stop: threading.Event) -> threading.Thread:
    """What sends the outbox to the server, in its thread."""
    reporter = Reporter(outbox, server, stop, Health(outbox.put_health), lambda _: None)
    thread = threading.Thread(target=reporter.work)
    thread.start()
    return thread


@pytest.mark.parametrize("error", [FeedError("gone"), RuntimeError("a bug")])
def test_a_server_that_comes_back_is_told_again_who_speaks(error):
    server = Server([])
    outbox, stop = Outbox("h"), threading.Event()
    reporter = started(outbox, server, stop)
    outbox.put_host_report(ABOUT)
    assert server.done.wait(10)
    server.refusals, _ = [error], server.done.clear()
    outbox.put_ports([told(1)])
    assert server.done.wait(10)
    stop.set()
    outbox.close()
    reporter.join(10)
    assert not reporter.is_alive()
    assert Report("h", ABOUT, (told(1),)) in server.taken


def test_an_agent_that_stops_does_not_wait_for_a_server_that_is_gone():
    server = Server([FeedError("gone")] * 100)
    outbox, stop = Outbox("h"), threading.Event()
    reporter = started(outbox, server, stop)
    outbox.put_ports([told(1)])
    stop.set()
    outbox.close()
    reporter.join(10)
    assert not reporter.is_alive()
