"""Claims of addresses, from the program's records to the server and back to the guest."""

from ipaddress import IPv6Address, ip_network

import pytest
from tests.agent.ports import mac_of, port
from tests.enforce.guarded_port import nowhere

from vifguard.agent.kernel_events import address_detection
from vifguard.agent.kernel_events.address_detection import AddressDetector
from vifguard.agent.placement import Placement
from vifguard.agent.reporting.report import Outbox
from vifguard.enforce.driver.events import ClaimKind
from vifguard.enforce.driver.protocol import Attachment
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.feed.messages import Detection, RefusedClaim, ReportAnswer
from vifguard.model.guard import GUARDS_OF, LinkLocal, Profile
from vifguard.model.verdict import Direction
from vifguard.packet.build import (
    ethernet,
    ipv6,
    multicast_mac,
    na,
    ns,
    rs,
    slla,
    solicited_node,
    tlla,
    udp,
)
from vifguard.packet.frame import parse
from vifguard.semantics.verdict import verdict

pytestmark = pytest.mark.kernel

MAC, NEIGHBOUR = mac_of(1), "02:00:00:00:00:77"
CLAIMABLE = frozenset({ip_network("fe80::/64"), ip_network("2001:db8::/64")})
CHOSEN, OTHER = IPv6Address("fe80::a0b0:0:0:1"), IPv6Address("2001:db8::a0b0:0:0:2")
UNSPECIFIED = IPv6Address("::")


class Host:
    """One port in a driver of its own, whose answers are kept; and a Learner over it."""

    def __init__(self, driver: EbpfDriver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.driver, self.outbox = driver, Outbox("h")
        self.claiming: dict[int, Placement] = {}
        self.detecting: dict[int, Placement] = {}
        self.sent: list[tuple[Direction, bytes]] = []
        self.now = 1000.0
        monkeypatch.setattr(address_detection.time, "monotonic", lambda: self.now)
        self.learner = AddressDetector(self, self.outbox, self)
        self.policy = self.hold()

    def hold(self, **more):
        """Hold the port with some addresses claimed or learned."""
        values = {"link_local": LinkLocal.LEARNED, "claimable": CLAIMABLE} | more
        held = port(1, **values)
        wanted = self.driver.render([Attachment(held.policy, 2, reversed_hooks=False, revision=1)])
        change = self.driver.diff(wanted, self.driver.observe(None))
        if change:
            self.driver.apply(change)
        place = Placement(held, closed=held.policy.closed)
        self.claiming = {2: place}
        self.detecting = {2: place} if held.policy.tentative else {}
        return held.policy

    def play(self, frame: bytes, direction: Direction = Direction.FROM_GUEST) -> str:
        """What the program says of a frame; what it records goes to the learner."""
        said = self.driver.test(direction, frame, 2)
        for claimed in self.driver.events.claims():
            if claimed.kind is not ClaimKind.HOLDS:
                self.learner.take(claimed.device, claimed)
        return "" if said is None else said.reason.name

    def told(self):
        """The claims and detections that go up now."""
        self.outbox.close()
        report = self.outbox.take()
        if report is None:
            return [], []
        return [c.address for c in report.address_claims], list(report.detections)

    def uses(self, index):
        return self.driver.events.uses(index)

    def inject(self, index, direction, frame, *, reversed_hooks):
        assert (index, reversed_hooks) == (2, False)
        self.sent.append((direction, frame))


@pytest.fixture
def host(monkeypatch):
    with nowhere(2), EbpfDriver.private() as driver:
        yield Host(driver, monkeypatch)


def dad(address, mac=MAC):
    group = solicited_node(address)
    return ethernet(mac, multicast_mac(group), ipv6("::", group, ns(address), hop_limit=255))


def advertised(address, mac=NEIGHBOUR):
    packet = ipv6(address, "ff02::1", na(address, tlla(mac)), hop_limit=255)
    return ethernet(mac, multicast_mac("ff02::1"), packet)


def test_a_claim_goes_to_the_server_and_nowhere_else(host) -> None:
    assert host.play(dad(CHOSEN)) == "ND_CLAIM"
    assert host.told() == ([CHOSEN], [])
    assert host.sent == []


@pytest.mark.parametrize(
    "packet",
    [
        ipv6(CHOSEN, "ff02::2", rs(), hop_limit=255),
        ipv6(CHOSEN, "2001:db8::1", ns("2001:db8::1", slla(MAC)), hop_limit=255),
        ipv6(CHOSEN, "2001:db8::1", na(CHOSEN, tlla(MAC), solicited=True), hop_limit=255),
        ipv6(CHOSEN, "2001:db8::1", udp(1, 2)),
    ],
    ids=["router solicitation", "solicitation", "advertisement", "datagram"],
)
def test_a_guest_that_was_up_before_its_guard_claims_by_use(host, packet) -> None:
    assert host.play(ethernet(MAC, NEIGHBOUR, packet)) in {"ND_CLAIM", "IPV6_SOURCE"}
    assert host.told() == ([CHOSEN], [])


def test_a_routers_public_source_claims_too(host) -> None:
    router = {
        "guards": GUARDS_OF[Profile.ROUTER],
        "public": frozenset({ip_network("2001:db8::/32")}),
    }
    host.hold(**router)
    assert host.play(ethernet(MAC, NEIGHBOUR, ipv6(OTHER, "2001:db8::1", udp(1, 2)))) == (
        "PUBLIC_SOURCE"
    )
    assert host.told() == ([OTHER], [])


def test_what_is_tentative_is_solicited_in_the_ports_name_and_then_unique(host) -> None:
    policy = host.hold(tentative=frozenset({CHOSEN}))
    host.learner.step(host.now)
    ((direction, frame),) = host.sent
    assert direction is Direction.FROM_GUEST
    assert frame == dad(CHOSEN)
    assert str(verdict(policy, direction, frame)) == "pass"
    host.now += address_detection.QUIET * 0.9
    host.learner.step(host.now)
    host.now += address_detection.QUIET * 0.2
    host.learner.step(host.now)
    host.learner.step(host.now)
    assert host.told() == ([], [Detection(policy.port_id, CHOSEN, unique=True)])
    assert len(host.sent) == 1


def test_of_a_tentative_address_only_its_detection_passes(host) -> None:
    host.hold(tentative=frozenset({CHOSEN}))
    assert host.play(dad(CHOSEN)) == ""
    assert host.play(advertised(CHOSEN, MAC)) == "ND_CLAIM"
    packet = ipv6(CHOSEN, "2001:db8::1", udp(1, 2))
    assert host.play(ethernet(MAC, NEIGHBOUR, packet)) == "IPV6_SOURCE"
    assert host.told() == ([], [])


def test_a_port_that_is_closed_meanwhile_proves_nothing(host) -> None:
    """Its solicitation may have been dropped as all it sends, and so nobody answered."""
    host.hold(tentative=frozenset({CHOSEN}))
    host.learner.step(host.now)
    host.hold(tentative=frozenset({CHOSEN}), closed="it is administratively down")
    host.now += address_detection.QUIET * 2
    host.learner.step(host.now)
    policy = host.hold(tentative=frozenset({CHOSEN}))
    host.learner.step(host.now)
    assert len(host.sent) == 2
    host.now += address_detection.QUIET * 2
    host.learner.step(host.now)
    assert host.told() == ([], [Detection(policy.port_id, CHOSEN, unique=True)])


def test_who_defends_a_tentative_address_is_told_of(host) -> None:
    policy = host.hold(tentative=frozenset({CHOSEN}))
    host.learner.step(host.now)
    assert host.play(advertised(OTHER), Direction.TO_GUEST) == ""
    assert host.play(advertised(CHOSEN), Direction.TO_GUEST) == ""
    host.now += address_detection.QUIET * 2
    host.learner.step(host.now)
    assert host.told() == ([], [Detection(policy.port_id, CHOSEN, unique=False)])


def test_who_wants_what_is_taken_hears_of_a_duplicate(host) -> None:
    host.play(dad(CHOSEN))
    refused = RefusedClaim(host.policy.port_id, CHOSEN, taken=True)
    host.outbox.put_answer(ReportAnswer((refused,)))
    host.learner.step(host.now)
    ((direction, frame),) = host.sent
    assert direction is Direction.TO_GUEST
    seen = parse(frame).body
    assert (str(seen.dst), seen.upper.message.target) == ("ff02::1", CHOSEN)
    assert str(verdict(host.policy, direction, frame)) == "pass"


def test_a_claim_that_was_refused_is_not_asked_again(host) -> None:
    host.play(dad(CHOSEN))
    assert host.told() == ([CHOSEN], [])
    host.play(dad(CHOSEN))
    assert host.told() == ([], [])
    for taken in (True, False):
        host.outbox.put_answer(
            ReportAnswer((RefusedClaim(host.policy.port_id, CHOSEN, taken=taken),))
        )
        host.learner.step(host.now)
        host.sent.clear()
        host.play(dad(CHOSEN))
        assert [direction for direction, _ in host.sent] == [Direction.TO_GUEST] * taken
        assert host.told() == ([], [])
    host.now += address_detection.AGAIN * 2
    host.learner.step(host.now)
    host.play(dad(CHOSEN))
    assert host.told() == ([CHOSEN], [])


def test_a_storm_of_claims_is_passed_on_at_a_low_rate(host) -> None:
    claims = [IPv6Address(int(OTHER) + (n << 8)) for n in range(500)]
    assert {host.play(dad(address)) for address in claims} == {"ND_CLAIM"}
    told, _ = host.told()
    assert 20 <= len(told) <= 60


def test_what_was_used_lately_makes_no_room(host, monkeypatch) -> None:
    third, fourth = (IPv6Address(int(OTHER) + n) for n in (1, 2))
    host.hold(learned=frozenset({OTHER, third, CHOSEN}))
    began = address_detection.time.monotonic_ns()
    later = began + int(address_detection.UNUSED * 2e9)
    host.play(advertised(third, MAC))  # the last use
    host.play(dad(fourth))
    report = host.outbox.take()
    assert report.address_claims[0].unused == ()
    monkeypatch.setattr(address_detection.time, "monotonic_ns", lambda: later)
    host.now += address_detection.AGAIN * 2
    host.learner.step(host.now)
    host.play(dad(fourth))
    report = host.outbox.take()
    assert set(report.address_claims[0].unused) == {OTHER, third, CHOSEN}
    assert report.address_claims[0].unused[-1] == third


def test_the_use_of_a_learned_address_is_known_over_a_change(host) -> None:
    host.hold(learned=frozenset({OTHER}))
    host.play(advertised(OTHER, MAC))
    used = host.uses(2)
    host.hold(learned=frozenset({OTHER, CHOSEN}))
    assert host.uses(2)[OTHER] == used[OTHER] > 0
    host.hold(learned=frozenset({CHOSEN}))
    assert set(host.uses(2)) == {CHOSEN}
