"""What an audit says of hosts on paper: of one that guards, and of those that do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paper_host import SITE, Host, Judge, everything, post, reference

from vifguard.lab.attacks import CATALOGUE
from vifguard.lab.attacks.attack import Kind, Offload, Outcome
from vifguard.lab.attacks.sample_actors import ACTORS_ON_PAPER
from vifguard.lab.audit import proxying
from vifguard.lab.audit.auditor import audit, examine, rehearse
from vifguard.lab.audit.report import HARMLESS, LEGAL, Record, Report, Status
from vifguard.lab.audit.schedule import cases
from vifguard.lab.audit.site import Guest, Site, SiteError, VantagePoint
from vifguard.lab.audit.site_actors import SiteActors
from vifguard.lab.result.finding import Finding
from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.packet.frame import Frame

LEVELS = (Kind.STRICT, Kind.ROUTER, Kind.MAC)
BARE = replace(
    SITE, third=None, outside=None, vip4=None, vip6=None, vmac4=None, vmac6=None,
    routed4=None, routed6=None, others_vrid=None,
)  # fmt: skip


def examined(site: Site, judge: Judge, limit: float = 600.0) -> Report:
    findings: list[Finding] = []
    report = examine(site, Host(site, judge), findings.append, limit=limit, patience=0)
    assert [each.subject for each in findings] == [each.id for each in report.records]
    return report


def attacks(report: Report) -> list[Record]:
    return [each for each in report.records if each.guard not in {LEGAL, HARMLESS}]


def ids(records: list[Record], status: Status) -> list[str]:
    return [each.id for each in records if each.status is status]


@pytest.mark.parametrize("level", LEVELS)
def test_a_host_that_holds_the_contract_conforms(level: Kind) -> None:
    site = replace(SITE, level=level)
    report = examined(site, reference(site))
    assert not ids(list(report.records), Status.FAIL)
    assert report.conformant, report.verdict
    assert report.tally(LEGAL).passed > 90


@pytest.mark.parametrize("site", [SITE, BARE, replace(SITE, outside=None)])
def test_a_plain_switch_refuses_nothing(site: Site) -> None:
    report = examined(site, everything)
    assert not ids(attacks(report), Status.PASS)
    assert not report.conformant
    assert not report.tally(LEGAL).failed
    assert report.total.failed > 300


def test_another_ones_virtual_router_must_be_known_to_be_taken() -> None:
    records = examined(BARE, everything).records
    why = {each.why for each in records if each.attack == "x-vrrp-id-of-another"}
    assert why == {("no router id of another's virtual router is known here",)}


def test_a_forged_mac_that_moved_is_seen_with_and_without_a_third_guest() -> None:
    for site in (SITE, BARE):
        report = examined(site, everything)
        moved = [each for each in report.records if any("MAC" in why for why in each.why)]
        assert any(each.attack == "mac-src-victim" for each in moved), site.third


def test_a_host_that_passes_nothing_is_never_conformant() -> None:
    report = examined(SITE, lambda _post, _direction, _frame: False)
    assert not report.conformant
    assert "do not reach" in report.interrupted
    assert not report.total.tested


def test_a_host_that_passes_ordinary_datagrams_alone_proves_nothing() -> None:
    def only_udp4(_post: VantagePoint, _direction: Direction, parsed: Frame) -> bool:
        frame = parsed.octets
        return frame[12:14] == b"\x08\x00" and b"vifguard audit" in frame

    report = examined(SITE, only_udp4)
    refused = attacks(report)
    assert not report.conformant
    assert report.tally(LEGAL).passed == 0
    assert report.tally(LEGAL).failed > 80
    # What has a legal twin is not called refused.
    assert all("twin" in each.why[0] for each in refused if each.id == "arp-spa-spoof/victim-reply")
    assert "arp-spa-spoof/victim-reply" in ids(refused, Status.UNTESTABLE)


def test_a_host_that_answers_for_its_guests_serves_them() -> None:
    class Answering(Host):
        def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
            address = proxying.asked_for(frame)
            owner = proxying.owner(address, self.site.posts) if address else None
            if owner is None or owner is post or frame[12:14] != b"\x08\x06":
                super().send(post, frame, offload)
                return
            reply = build.arp(owner.mac, address, target_mac=post.mac, target_ip=post.ip4, op=2)
            self._heard.append((post.name, build.ethernet(owner.mac, post.mac, reply)))

    report = examine(SITE, Answering(SITE), lambda _: None, patience=0)
    found = {each.id: each for each in report.records}
    assert found["L04/broadcast"].status is Status.PASS
    assert found["L04/broadcast"].seen == "the host itself answered"


def test_a_host_that_puts_fragments_together_serves_them() -> None:
    held: list[bytes] = []

    def whole_only(_post: VantagePoint, direction: Direction, parsed: Frame) -> bool:
        frame = parsed.octets
        if direction is Direction.TO_GUEST or not proxying.is_fragment(frame):
            return True
        held.append(frame)
        return b"vifaudit" in frame

    report = examined(SITE, whole_only)
    found = {each.id: each for each in report.records}
    assert held
    assert found["L23/v4-first"].seen == "its datagram is delivered as a whole"
    assert found["L23/v6-last"].status is Status.PASS


def test_a_frame_that_is_heard_late_was_not_refused() -> None:
    class Late(Host):
        """Hands the first forged frame on when two hundred others were sent."""

        def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
            super().send(post, frame, offload)
            if len(self.sent) == 200:
                victim = site.victim.mac.octets
                forged = (each for by, each in self.sent if by.name == "attacker")
                self._heard.append(("third", next(e for e in forged if e[6:12] == victim)))

    site = replace(SITE)
    report = examine(site, Late(site, reference(site)), lambda _: None)
    assert not report.conformant
    assert any(each.seen == "heard late" for each in report.records)


def test_the_time_limit_ends_an_audit() -> None:
    report = examined(SITE, reference(SITE), limit=0.0)
    assert report.interrupted == "the time limit was reached"
    assert not report.conformant
    assert not report.total.tested


def test_the_plan_is_what_is_sent() -> None:
    host = Host(SITE, reference(SITE))
    examine(SITE, host, lambda _: None)
    planned = [(each.post, each.frame) for each in rehearse(SITE)]
    assert planned == [(each.name, frame) for each, frame in host.sent]
    assert len(planned) > 4000


@pytest.mark.parametrize("family", [4, 6])
def test_a_site_of_one_family_plays_what_it_can(family: int) -> None:
    missing = {4: "ip6", 6: "ip4"}[family]
    posts = {
        name: replace(getattr(SITE, name), **{missing: None})
        for name in ("attacker", "victim", "third", "outside")
    }
    site = replace(SITE, **posts, **{{4: "net6", 6: "net4"}[family]: None})
    report = examined(site, reference(site))
    assert report.conformant, report.verdict
    other = {4: b"\x86\xdd", 6: b"\x08\x00"}[family]
    legal = [each for each in report.records if each.guard == LEGAL and each.frame[12:14] == other]
    assert {each.status for each in legal} <= {Status.UNTESTABLE}
    assert examined(site, everything).total.failed > 100


def test_a_stand_in_is_never_in_a_frame_that_does_not_name_it() -> None:
    lacks = SiteActors.of(replace(BARE, net4=None, net6=None)).lacks
    assert len(lacks) >= 8
    for attack in CATALOGUE:
        for variant in attack.variants:
            assert not any(each.octets in variant.frame(ACTORS_ON_PAPER) for each in lacks), (
                variant.name
            )


def test_what_no_guest_can_do_is_said_to_be_untestable() -> None:
    site = replace(SITE, attacker=replace(SITE.attacker, reach=Guest(("python3", "-"), "eth0")))
    why = {case.attack.variant_id(case.variant): case.why for case in cases(site)}
    assert not why["L26/tcp4"]
    assert "host's own sockets" in why["iso-host-ip-via-bridge/udp"]
    assert "only the host itself can do" in why["arp-jump-lost/victim-request"]
    assert "closed" in why["arp-default-accept/own"]
    assert all(case.why or case.expected.outcome is not Outcome.CONTAINED for case in cases(site))


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (replace(SITE, victim=replace(SITE.victim, mac=SITE.attacker.mac)), "same MAC"),
        (replace(SITE, third=replace(SITE.third or post("x", 9), name="victim")), "same name"),
        (replace(SITE, level=Kind.ISOLATED), "hold nothing"),
        (replace(SITE, victim=replace(SITE.victim, ip4=None, ip6=None)), "one family"),
    ],
)
def test_a_site_that_makes_no_sense_is_refused(site: Site, message: str) -> None:
    with pytest.raises(SiteError, match=message):
        audit(site, lambda _: None)
    with pytest.raises(SiteError, match=message):
        rehearse(site)


@pytest.mark.parametrize("bounds", [{"rate": 0.0}, {"limit": -1.0}, {"rate": float("nan")}])
def test_bounds_that_bound_nothing_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(SiteError, match="above 0"):
        audit(SITE, lambda _: None, **bounds)
