"""The audit on real bridges and real guests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bridge_host import NAMES, Bridge, bridge, over_commands

from vifguard.kernel.net import sysctl
from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.auditor import audit
from vifguard.lab.audit.report import HARMLESS, LEGAL, Report, Status
from vifguard.lab.audit.self_audit import own_site
from vifguard.lab.audit.site import Guest, Namespace, Site, SiteError
from vifguard.lab.audit.transport import facts_of
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import run
from vifguard.model.guard import Guard

pytestmark = pytest.mark.kernel

FAST = 5000.0
COMMAND = Path(sys.executable).with_name("vifguard")


@pytest.fixture
def host() -> Iterator[Bridge]:
    with bridge() as standing:
        yield standing


def audited(site: Site, **bounds: float) -> Report:
    return audit(site, lambda _: None, rate=FAST, **bounds)


def refused(report: Report) -> list[str]:
    return [
        each.id
        for each in report.records
        if each.status is Status.PASS and each.guard not in {LEGAL, HARMLESS}
    ]


def configuration(host: Bridge) -> list[str]:
    """What could have been changed: links, addresses, routes and rules of everyone."""
    looks = (("link",), ("addr",), ("route", "show", "table", "all"), ("-6", "route"), ("rule",))
    return [
        netns.run(["ip", *look], netns=name)
        for name in (host.netns, *host.guests)
        for look in looks
    ]


@pytest.mark.parametrize("reach", ["namespaces", "commands"])
def test_a_plain_bridge_fails_and_refuses_nothing(host: Bridge, reach: str) -> None:
    before = configuration(host)
    report = audited(host.site if reach == "namespaces" else over_commands(host.site))
    assert not report.interrupted
    assert not refused(report)
    assert report.tally(LEGAL).failed == 0
    assert report.tally(LEGAL).passed > 70
    assert report.total.failed > 300
    found = {each.id: each for each in report.records}
    moved = found["mac-src-victim/victim"]
    assert "frames to the victim's MAC go to the attacker" in moved.why
    assert configuration(host) == before


def test_a_poisoned_neighbour_table_is_seen(host: Bridge) -> None:
    assert host.site.third
    # The third knows the victim; the attacker's announcement then makes it believe otherwise.
    netns.run(["ping", "-c1", "-W2", str(host.site.victim.ip4)], netns=host.guests[2])
    report = audited(host.site)
    told = [why for each in report.records for why in each.why if "believes" in why]
    assert f"the third believes {host.site.victim.ip4} at the attacker's MAC" in told


@pytest.mark.parametrize("level", [Kind.STRICT, Kind.ROUTER, Kind.MAC])
def test_our_own_host_conforms(level: Kind) -> None:
    with run() as this, own_site(this, level) as site:
        report = audit(site, lambda _: None, rate=FAST, default_route=True)
    failed = [(each.id, each.why) for each in report.records if each.status is Status.FAIL]
    assert not failed
    assert report.conformant, report.verdict
    assert report.tally(LEGAL).passed > 90
    assert report.tally(Guard.MAC).passed > 70


def test_a_dead_filter_is_not_conformant(host: Bridge) -> None:
    """Nothing passes but ordinary datagrams: every attack is refused, and that proves nothing."""
    netns.run(
        ["nft", "-f", "-"],
        netns=host.netns,
        stdin="table bridge dead { chain dead { type filter hook forward priority 0; policy drop; "
        "ether type ip udp sport 4242 accept; }; }",
    )
    report = audited(host.site)
    assert not report.interrupted
    assert not report.conformant
    assert report.tally(LEGAL).failed > 40
    assert not report.tally(LEGAL).passed


def test_a_host_that_forwards_nothing_is_not_conformant(host: Bridge) -> None:
    netns.ip(["link set tap2 nomaster"], host.netns)
    report = audited(host.site)
    assert "do not reach the victim" in report.interrupted
    assert not report.conformant
    assert not report.total.tested


def test_a_device_with_a_default_route_is_refused_unless_told(host: Bridge) -> None:
    there = host.guests[1]
    for route in ("route add default via 203.0.113.1", "-6 route add default dev eth0"):
        netns.run(["ip", *route.split()], netns=there)
        for site in (host.site, over_commands(host.site)):
            with pytest.raises(SiteError, match=r"victim \(eth0\)"):
                audited(site)
        netns.run(["ip", *route.replace("add", "del").split()], netns=there)
    netns.run(["ip", "route", "add", "default", "via", "203.0.113.1"], netns=there)
    assert audit(host.site, lambda _: None, rate=FAST, limit=0.05, default_route=True).sent


def test_a_rate_is_kept(host: Bridge) -> None:
    report = audit(host.site, lambda _: None, rate=200.0, limit=0.5)
    assert report.interrupted == "the time limit was reached"
    # Half a second, and the case that was being played.
    assert report.sent <= 200 * 0.5 + 40


def test_what_a_device_tells_is_the_same_here_and_over_a_command(host: Bridge) -> None:
    netns.within(host.guests[0], lambda: sysctl.write("eth0", {"ipv6/conf/{}/addr_gen_mode": "0"}))
    here = facts_of(Namespace(host.guests[0], "eth0"))
    there = facts_of(Guest(("ip", "netns", "exec", host.guests[0], "python3", "-"), "eth0"))
    assert here == there
    assert here.mac == host.site.attacker.mac
    assert not here.default_route
    assert {"203.0.113.11/24", "2001:db8:5::11/64"} <= set(here.addresses)


def test_what_a_login_says_first_is_not_taken_for_an_answer(host: Bridge) -> None:
    script = f'echo Welcome; echo; echo 7; exec ip netns exec {host.guests[0]} python3 "$@"'
    told = facts_of(Guest(("sh", "-c", script, "sh", "-"), "eth0"))
    assert told.mac == host.site.attacker.mac


def test_what_is_not_there_is_named(host: Bridge) -> None:
    attacker = host.site.attacker
    for reach in (
        Namespace("nowhere", "eth0"),
        Namespace(host.guests[0], "eth7"),
        Guest(("nix", "-"), "eth0"),
    ):
        with pytest.raises(SiteError, match=r"nowhere|eth7|nix"):
            audited(replace(host.site, attacker=replace(attacker, reach=reach)))
    for command in (("false", "-"), ("ip", "netns", "exec", "nowhere", "python3", "-")):
        with pytest.raises(SiteError, match=command[0]):
            audited(replace(host.site, attacker=replace(attacker, reach=Guest(command, "eth0"))))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "audit", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def posts(host: Bridge) -> list[str]:
    pairs = zip(NAMES, host.guests, strict=True)
    return [f"--{name}={there}/eth0" for name, there in pairs]


def test_the_command_reports_in_every_form(host: Bridge, tmp_path: Path) -> None:
    junit, html = tmp_path / "junit.xml", tmp_path / "page.html"
    done = command(
        *posts(host), "--json", "--rate=5000", f"--junit={junit}", f"--html={html}", "--name=br0"
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["format"], told["version"], told["site"]) == ("vifguard-audit", 1, "br0")
    assert not told["conformant"]
    suites = ET.parse(junit).getroot()  # noqa: S314 - the command's own file
    assert sum(int(suite.get("failures", 0)) for suite in suites) == sum(
        each["status"] == "fail" for each in told["records"]
    )
    assert "Not conformant" in html.read_text()


def test_a_plan_sends_nothing_and_prints_every_frame(host: Bridge) -> None:
    def received() -> int:
        told = json.loads(netns.run(["ip", "-j", "-s", "link", "show", "tap1"], netns=host.netns))
        return int(told[0]["stats64"]["rx"]["packets"])

    for name in host.guests:  # silent guests: nothing but the audit could be counted
        netns.within(name, lambda: sysctl.write("eth0", {"ipv6/conf/{}/router_solicitations": "0"}))
    before = received()
    done = command(*posts(host), "--plan", "--json")
    assert done.returncode == 0, done.stderr
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert received() - before < 10 < len(frames)
    assert {each["purpose"] for each in frames} > {"mac-src-victim/victim", "L04/broadcast"}
    assert all(bytes.fromhex(each["frame"]) is not None and each["text"] for each in frames)


def test_the_command_over_guests_and_a_dead_host(host: Bridge) -> None:
    netns.ip(["link set tap3 down"], host.netns)
    told = command(*posts(host), "--guest-command=ip netns exec {} python3 -", "--rate=5000")
    assert told.returncode == 1
    assert "Not everything could be played" in told.stdout
