"""A bridge of the operator's: who may forward there, with an agent, and without one."""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.agent.guest import Ear, Guest, send_marks
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, within
from tests.agent.ports import BROADCAST, address_of, bridge_of, forged, legal, mac_of, port, port_id

from vifguard.feed.messages import Report
from vifguard.feed.segment import Flat
from vifguard.kernel.net.bridge import Bridges, MemberSettings
from vifguard.model.address import Mac
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.port import PortState
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction
from vifguard.packet.build import arp, ethernet, ipv4, ipv6, tcp, udp
from vifguard.semantics.tcp import ACK, SYN

pytestmark = pytest.mark.kernel
LAN = {"shared": True, "mtu": 1500, "kind": Flat("lan")}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose `br0` has an uplink, its own address, and one guest that runs already."""
    with hosts({"lan": "br0"}, trusted=frozenset({"up0"})) as host:
        host.ip("link", "add", "up0", "type", "veth", "peer", "name", "far")
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "up0", "master", "br0", "up")
        host.ip("link", "set", "far", "up")
        host.ip("link", "set", "br0", "up")
        host.ip("address", "add", "10.9.0.250/24", "dev", "br0")
        host.guest(1).plug("vnet0", mac=Mac(b"\xfe" + mac_of(1).octets[1:]), bridge="br0")
        host.ports[port_id(1)] = port(1, segment=LAN)
        yield host


@pytest.fixture
def far(host: Host) -> Iterator[Ear]:
    ear = Ear(host.name, "far")
    yield ear
    ear.close()


def restart(guest: Guest, name: str) -> None:
    """The guest's interface goes, and comes again in the bridge under another name."""
    guest.unplug()
    guest.plug(name, mac=Mac(b"\xfe" + mac_of(guest.number).octets[1:]), bridge="br0")


def passes(sender: Guest | Ear, ear: Ear, frame: bytes) -> set[bytes]:
    """What arrives until `frame`, sent again and again, does."""
    found: set[bytes] = set()

    def arrived() -> bool:
        sender.send(frame)
        select.select([ear], [], [], 0.05)
        found.update(ear.heard())
        return frame in found

    eventually(arrived)
    return found


def is_shut(sender: Guest, ear: Ear, frame: bytes) -> bool:
    """Whether a frame of a guest does not arrive within a moment."""
    sender.send(frame)
    return not ear.hears(frame)


def to_host(number: int, host: Host) -> bytes:
    """A datagram to the host's own address."""
    mac = str(host.links()["br0"].mac)
    return ethernet(str(mac_of(number)), mac, ipv4(address_of(number), "10.9.0.250", udp(9, 9)))


def listener() -> socket.socket:
    it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.bind(("10.9.0.250", 9))
    return it


def passes_to_host(guest: Guest, service: socket.socket, host: Host) -> None:
    eventually(lambda: guest.send(to_host(1, host)) or select.select([service], [], [], 0.05)[0])


def test_a_running_guest_is_guarded_where_it_is(host, far):
    host.start()
    host.until(1, PortState.ENFORCED, interface="vnet0")
    guest = host.guests[0]
    assert host.members("br0") == {"up0", "vnet0"}
    passes(guest, far, legal(1))
    guest.send(forged(1))
    assert forged(1) not in far.until(*guest.send_marks())


def test_a_running_guests_connections_go_on_whoever_speaks_first(host, far):
    """Its guard knows none of them; one that comes later can have none."""
    grouped = {"guards": GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}}
    for number in (1, 2):
        host.ports[port_id(number)] = port(
            number, segment=LAN, security_groups=frozenset({"g"}), **grouped
        )
    host.groups = {"g": frozenset({Rule(Direction.FROM_GUEST, 4, 6)})}
    host.start()
    host.until(1, PortState.ENFORCED, interface="vnet0")
    host.guest(2).plug("vnet1", mac=Mac(b"\xfe" + mac_of(2).octets[1:]), bridge="br0")
    host.until(2, PortState.ENFORCED, interface="vnet1")
    news, opening = (from_afar(1, flags) for flags in (ACK, SYN))
    first, second = (guest.ear for guest in host.guests)
    passes(far, first, news)
    far.send(opening)
    assert opening not in passes(far, first, news)
    far.send(from_afar(2, ACK))
    question = arp("02:00:00:00:00:c8", "10.9.0.200", target_ip=address_of(2))
    asked = ethernet("02:00:00:00:00:c8", BROADCAST, question)
    assert from_afar(2, ACK) not in passes(far, second, asked)


def from_afar(number: int, flags: int) -> bytes:
    """A segment of a server's to a guest."""
    packet = ipv4("10.9.0.200", address_of(number), tcp(443, 4000, b"news", flags=flags))
    return ethernet("02:00:00:00:00:c8", str(mac_of(number)), packet)


def test_a_guest_that_restarts_while_no_agent_lives_has_no_network_until_one_does(host, far):
    host.start()
    host.enforced(1)
    guest = host.guests[0]
    passes(guest, far, legal(1))
    host.kill()
    restart(guest, "vnet1")
    flood = guest.flood(forged(1))
    eventually(guest.is_flooding)
    service = within(host.name, listener)
    guest.send(to_host(1, host))
    host.start()
    host.until(1, PortState.ENFORCED, interface="vnet1")
    heard = passes(guest, far, legal(1, b"again"))
    assert flood.end() > 0
    assert forged(1) not in heard | set(far.heard())
    assert select.select([service], [], [], 0)[0] == []
    passes_to_host(guest, service, host)
    service.close()


def test_an_interface_that_no_port_is_for_forwards_nothing_and_hears_nothing(host, far):
    host.start()
    host.enforced(1)
    stranger = host.guest(7)
    stranger.plug("vnet7", bridge="br0")
    flood = stranger.flood(forged(7))
    eventually(stranger.is_flooding)
    heard = passes(host.guests[0], far, legal(1))
    far.send(legal(9))
    host.guests[0].ear.until(legal(9))
    assert flood.end() > 0
    assert forged(7) not in heard | set(far.heard())
    assert not {legal(1), legal(9)} & set(stranger.ear.heard())
    host.set(port(7, segment=LAN, interface="vnet7"))
    host.enforced(7)
    passes(stranger, far, legal(7))


def box(host: Host) -> Guest:
    """A guest that runs already and that no port is for."""
    guest = host.guest(2)
    guest.plug("box", bridge="br0")
    return guest


def hears_nothing(box: Guest, host: Host, far: Ear) -> bool:
    """Whether a guest hears nothing of what is for it and for all, while its neighbour does."""
    asked = legal(9, b"is it open?")
    passes(far, host.guests[0].ear, asked)
    box.ear.heard()
    for frame in to_box():
        far.send(frame)
    host.guests[0].ear.until(*send_marks(far.send, 9))
    return not set(to_box()) & set(box.ear.heard())


def to_box() -> tuple[bytes, bytes, bytes]:
    """From afar: a frame for all, and one of each family for a box."""
    mac, source = str(mac_of(2)), "02:00:00:00:00:c8"
    return (
        legal(9, b"to all"),
        ethernet(source, mac, ipv4("10.9.0.200", address_of(2), udp(7, 7))),
        ethernet(source, mac, ipv6("2001:db8::c8", "2001:db8::2", udp(7, 7))),
    )


def from_box() -> tuple[bytes, bytes]:
    """What a box sends, in each family."""
    packet = ipv6("2001:db8::2", "ff02::9", udp(7, 7))
    return legal(2), ethernet(str(mac_of(2)), "33:33:00:00:00:09", packet)


def is_cut_off(box: Guest, host: Host, far: Ear) -> None:
    """That a guest without a guard is cut off by now, both ways, in both families."""
    eventually(lambda: is_shut(box, far, legal(2, b"yet")))
    for frame in from_box():
        box.send(frame)
    assert not set(from_box()) & set(far.until(*host.guests[0].send_marks()))
    assert hears_nothing(box, host, far)


def test_who_was_there_first_without_a_port_is_cut_off_also_while_no_agent_lives(host, far):
    guest = box(host)
    for frame in from_box():
        passes(guest, far, frame)
    host.start()
    host.enforced(1)
    is_cut_off(guest, host, far)
    host.kill()
    is_cut_off(guest, host, far)
    host.start()
    host.enforced(1)
    is_cut_off(guest, host, far)
    host.set(port(2, segment=LAN, interface="box"))
    host.enforced(2)
    passes(guest, far, legal(2, b"guarded"))


def test_with_keep_unguarded_it_goes_on_whatever_was_said_at_an_earlier_start(host, far):
    guest, strict = box(host), host.settings
    for keep in (True, False, True):
        host.settings = replace(strict, keep_unguarded=keep)
        host.start()
        host.enforced(1)
        host.until_compared()
        if keep:
            passes(guest, far, legal(2))
            passes(far, guest.ear, to_box()[1])
        else:
            is_cut_off(guest, host, far)
        host.kill()


def test_nobody_is_cut_off_by_an_agent_that_knows_no_ports(host, far):
    guest = box(host)
    host.start(complete=False)
    passes(guest, far, legal(2))
    host.lose_server()
    host.until_reported(lambda report: report.about)
    passes(guest, far, legal(2, b"still"))
    host.send_all()
    host.enforced(1)
    is_cut_off(guest, host, far)


def test_on_a_host_without_ports_whoever_was_there_first_is_cut_off(host, far):
    """Who names the bridge before its ports are declared: strict is strict."""
    guest = box(host)
    host.ports.clear()
    host.start()
    eventually(lambda: is_shut(guest, far, legal(2)))
    eventually(lambda: is_shut(host.guests[0], far, legal(1)))
    host.set(port(1, segment=LAN))
    host.enforced(1)
    passes(host.guests[0], far, legal(1, b"guarded"))
    is_cut_off(guest, host, far)


def test_a_guest_whose_ports_turn_comes_late_loses_no_frame(host, far):
    """Its bridge is filtered with the first ports, and 600 others come before its own."""
    guest = host.guest(2)
    guest.plug("vnet2", bridge="br0")
    other = port(3, segment=LAN)
    for number in range(1000, 1600):
        policy = replace(other.policy, port_id=port_id(number))
        host.ports[port_id(number)] = replace(other, policy=policy, mac=mac_of(number))
    host.ports[port_id(2)] = port(2, segment=LAN, interface="vnet2")
    passes(guest, far, legal(2, b"before"))
    host.start()
    sent = []
    while not (host.report(2) and host.report(2).state is PortState.ENFORCED):
        sent.append(legal(2, b"number %d" % len(sent)))
        guest.send(sent[-1])
        select.select([], [], [], 0.001)
    heard = {*far.until(*guest.send_marks())}
    assert [number for number, frame in enumerate(sent) if frame not in heard] == []


def test_a_filter_that_somebody_takes_away_is_put_back_and_lets_no_stranger_in(host, far):
    host.start()
    host.enforced(1)
    passes(host.guests[0], far, legal(1))
    stranger = host.guest(7)
    stranger.plug("vnet7", bridge="br0")
    host.nft("flush", "ruleset")
    host.ip("link", "set", "br0", "type", "bridge", "vlan_filtering", "0", check=False)
    passes(host.guests[0], far, legal(1, b"still"))

    eventually(lambda: is_shut(stranger, far, forged(7)))
    passes(host.guests[0], far, legal(1, b"again"))
    stranger.send(forged(7))
    assert forged(7) not in far.until(*host.guests[0].send_marks())


@contextmanager
def owned_by_another(host: Host) -> Iterator[None]:
    """A table by the name of ours that the kernel lets nobody else change."""
    nft = ("nsenter", f"--net=/run/netns/{host.name}", "nft", "-i")
    with subprocess.Popen(nft, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as owner:
        assert owner.stdin
        owner.stdin.write(b"add table bridge vifguard-members { flags owner; }\n")
        owner.stdin.flush()
        eventually(lambda: "vifguard-members" in host.nft("list", "tables"))
        yield
        owner.stdin.close()


def test_a_filter_that_could_not_be_put_is_tried_again_within_seconds(host, far):
    guest = box(host)
    host.ports.clear()
    with owned_by_another(host):
        host.start()
        host.until_compared()
        if "vlan_filtering 1" in host.ip("-d", "link", "show", "br0"):
            pytest.skip("bridges of this kernel filter by VLANs, and nobody can keep them from it")
        passes(guest, far, legal(2))
    eventually(lambda: is_shut(guest, far, legal(2)))


def test_a_bridge_made_anew_is_filtered_before_long_without_any_port(host, far):
    host.ports.clear()
    host.start()
    host.until_compared()
    host.guests[0].unplug()
    host.ip("link", "del", "br0")
    host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
    host.ip("link", "set", "br0", "up")
    host.ip("link", "set", "up0", "master", "br0")
    stranger = host.guest(7)
    stranger.plug("vnet7", bridge="br0")
    eventually(lambda: is_shut(stranger, far, forged(7)))
    stranger.ear.heard()
    far.send(legal(9))
    assert not stranger.ear.hears(legal(9))


def test_a_port_that_ends_leaves_its_interface_in_the_bridge_shut_out(host, far):
    host.start()
    host.enforced(1)
    guest = host.guests[0]
    passes(guest, far, legal(1))
    host.remove(1)
    eventually(lambda: not host.guards())
    assert host.members("br0") == {"up0", "vnet0"}
    guest.send(forged(1))
    far.send(legal(9))
    assert not far.hears(forged(1))
    host.set(port(1, segment=LAN))
    host.enforced(1)
    passes(guest, far, legal(1, b"again"))


def test_the_bridge_keeps_its_mac_and_believes_no_guests_query(host):
    mac = host.links()["br0"].mac
    host.start()
    host.enforced(1)
    host.guest(2).plug("vnet2", mac=Mac(bytes(5) + b"\2"), bridge="br0")
    assert host.links()["br0"].mac == mac
    index = host.links()["vnet0"].index

    def seen() -> tuple[MemberSettings | None, int | None]:
        with Bridges() as bridges:
            settings = bridges.settings(host.links()["br0"].index)
            return bridges.member(index), settings and settings.max_learned

    member, most = within(host.name, seen)
    assert member == MemberSettings(hairpin=False, learning=True, multicast_router=0)
    assert most in (65536, None)


def test_a_network_without_its_uplink_takes_no_running_guest(host, far):
    """The natural mistake: the NIC is named instead of the bridge that it is in."""
    for uplink in ("up0", "nosuch"):
        host.settings = type(host.settings)(
            host.settings.drivers, {"lan": uplink}, 300, record=host.record
        )
        host.start()
        why = host.until(1, PortState.ABSENT).reason
        assert ("--physical lan=br0" in why) is (uplink == "up0")
        assert "stays where it is" in why
        assert host.members("br0") == {"up0", "vnet0"}
        passes(host.guests[0], far, legal(1, uplink.encode()))
        assert bridge_of(1) not in host.links()
        host.kill()


def test_a_chain_waits_for_no_name_that_its_port_does_not_name(host):
    host.start()
    host.enforced(1)
    host.guests[0].unplug()
    host.until(1, PortState.ABSENT)
    assert host.held() <= {f"tap{port_id(1)[:11]}"}


def test_a_bridge_is_filtered_though_no_disk_takes_what_it_was(host, far):
    directory = host.record.with_suffix(".d")
    host.record = directory / "former.jsonl"
    host.settings = replace(host.settings, compare_every=1.0, record=host.record)
    host.start()
    host.enforced(1)
    stranger = host.guest(7)
    stranger.plug("vnet7", bridge="br0")
    passes(host.guests[0], far, legal(1))
    stranger.send(forged(7))
    assert forged(7) not in far.until(*host.guests[0].send_marks())
    directory.mkdir()
    try:
        eventually(host.record.exists)
    finally:
        host.kill()
        shutil.rmtree(directory)


def has_left(name: str, report: Report) -> bool:
    bridges = report.wiring.bridges if report.wiring else ()
    return any(name not in bridge.unguarded for bridge in bridges)


def test_who_was_kept_and_leaves_is_a_stranger_when_it_returns(host, far):
    host.settings = replace(host.settings, keep_unguarded=True)
    first = box(host)
    host.start()
    host.enforced(1)
    passes(first, far, legal(2))
    since = len(host.reports)
    host.until_reported(lambda report: not has_left("box", report))
    host.ip("link", "set", "box", "nomaster")
    # Who is back before the agent looked has never left.
    host.until_reported(lambda report: has_left("box", report), since)
    host.ip("link", "set", "box", "master", "br0")
    passes(host.guests[0], far, legal(1))
    eventually(lambda: is_shut(first, far, legal(2, b"back")))
    host.kill()
    host.start()
    host.enforced(1)
    first.send(legal(2, b"started"))
    assert legal(2, b"started") not in far.until(*host.guests[0].send_marks())
