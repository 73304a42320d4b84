"""Where a host's networks end: uplinks, the host itself, macvtaps."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.agent.guest import Ear
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, run, within
from tests.agent.ports import (
    BROADCAST,
    address_of,
    bridge_of,
    forged,
    legal,
    mac_of,
    port,
    port_id,
    tap_of,
)

from vifguard.feed.segment import Flat
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.port import PortState
from vifguard.packet.build import arp, ethernet, ipv4, tcp, udp

pytestmark = pytest.mark.kernel
PHYSICAL = {"shared": True, "mtu": 1500, "kind": Flat("physnet1")}
_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_INFO = 0x1002


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with an uplink, `up0`, whose far end is `far`."""
    with hosts({"physnet1": "up0"}) as host:
        host.ip("link", "add", "up0", "type", "veth", "peer", "name", "far")
        host.ip("link", "set", "far", "up")
        host.guest(1).plug()
        host.ports[port_id(1)] = port(1, segment=PHYSICAL)
        yield host


@pytest.fixture
def far(host: Host) -> Iterator[Ear]:
    ear = Ear(host.name, "far")
    yield ear
    ear.close()


def test_a_shared_network_reaches_beyond_the_host(host, far):
    host.start()
    host.enforced(1)
    guest = host.guests[0]
    assert host.members(bridge_of(1)) == {"up0", tap_of(1)}
    eventually(lambda: guest.send(legal(1)) or far.hears(legal(1)))
    guest.send(forged(1))
    assert forged(1) not in far.until(*guest.send_marks())
    back = ethernet("02:00:00:00:00:99", str(mac_of(1)), ipv4("10.9.0.98", "10.9.0.1", udp(7, 7)))
    far.send(back)
    guest.ear.until(back)


def test_the_host_itself_says_nothing_on_its_uplink(host):
    host.ip("link", "set", "up0", "up")
    within(host.name, lambda: Path("/proc/sys/net/ipv6/conf/up0/disable_ipv6").write_text("0"))
    eventually(lambda: "up0" in within(host.name, Path("/proc/thread-self/net/if_inet6").read_text))
    host.start()
    host.enforced(1)
    assert "up0" not in within(host.name, Path("/proc/thread-self/net/if_inet6").read_text)


def test_an_uplink_that_carries_the_hosts_own_addresses_is_not_taken(host):
    host.ip("address", "add", "192.0.2.1/24", "dev", "up0")
    host.start()
    assert "addresses" in host.until(1, PortState.ENFORCED).reason
    assert host.members(bridge_of(1)) == {tap_of(1)}


def test_an_uplink_that_comes_later_is_taken_then(host):
    host.ip("link", "del", "up0")
    host.start()
    assert "up0 does not exist" in host.until(1, PortState.ENFORCED).reason
    host.ip("link", "add", "up0", "type", "veth", "peer", "name", "far")
    eventually(lambda: "up0" in host.members(bridge_of(1)))


def test_the_uplink_goes_free_with_the_last_port(host):
    host.start()
    host.enforced(1)
    host.remove(1)
    eventually(lambda: bridge_of(1) not in host.links())
    assert host.links()["up0"].master == 0


def test_one_uplink_is_one_networks(host):
    host.guest(2).plug()
    host.ports[port_id(2)] = port(2, network=2, segment=PHYSICAL)
    host.start()
    host.enforced(1)
    assert "up0" in host.until(2, PortState.HELD_CLOSED).reason
    host.remove(1)
    host.enforced(2)


def test_no_port_is_an_uplink(host):
    host.ports[port_id(2)] = port(2, interface="up0", segment=PHYSICAL)
    host.start()
    host.enforced(1)
    assert "uplink" in host.until(2, PortState.HELD_CLOSED).reason
    assert "up0" in host.members(bridge_of(1))


def test_an_operators_bridge_is_joined_and_otherwise_left_alone():
    with hosts({"physnet1": "br0"}) as host:
        host.ip("link", "add", "br0", "type", "bridge")
        host.ip("address", "add", "192.0.2.1/24", "dev", "br0")
        host.ip("link", "set", "br0", "up")
        host.ip("link", "add", "theirs", "type", "veth", "peer", "name", "beyond")
        host.ip("link", "set", "theirs", "master", "br0")
        host.guest(1).plug()
        host.ports[port_id(1)] = port(1, segment=PHYSICAL)
        host.start()
        host.enforced(1)
        assert host.members("br0") == {"theirs", tap_of(1)}
        assert not host.held()
        host.remove(1)
        eventually(lambda: host.members("br0") == {"theirs"})
        assert not host.links()[tap_of(1)].up


def test_a_guest_does_not_reach_the_host_through_its_bridge(host):
    """attacks: iso-host-ip-via-bridge, ra-to-host, iso-host-ipv6-linklocal."""
    host.ip("address", "add", "198.51.100.1/32", "dev", "lo")
    host.ports = {port_id(1): port(1, profile=Profile.OFF)}
    host.start()
    host.enforced(1)
    host.guests[0].ear.heard()  # the host's own IPv6 spoke to it before anybody named its port
    bridge = host.links()[bridge_of(1)]
    listener = within(host.name, lambda: _listener(9999))
    guest = host.guests[0]
    mine, theirs = str(mac_of(1)), str(bridge.mac)
    asks = ethernet(mine, BROADCAST, arp(mine, "10.9.0.1", target_ip="198.51.100.1"))
    calls = [
        ethernet(mine, to, ipv4(source, target, udp(9999, 9999)))
        for to in (theirs, BROADCAST)
        for source in ("10.9.0.1", "0.0.0.0")
        for target in ("198.51.100.1", "255.255.255.255")
    ]
    with listener, _heard_at(host, bridge_of(1)) as before:
        for frame in (asks, *calls):
            guest.send(frame)
        eventually(lambda: before() >= 5)
        assert select.select([listener], [], [], 0)[0] == []
    assert guest.ear.heard() == []


def _listener(number: int) -> socket.socket:
    it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.bind(("", number))
    return it


class _heard_at:  # noqa: N801  reads as the sentence that it is in
    """How many frames the bridge has handed to the host's stack since, to be dropped there."""

    def __init__(self, host: Host, bridge: str) -> None:
        self._ear = Ear(host.name, bridge)
        self._count = 0

    def __enter__(self):
        return self._so_far

    def __exit__(self, *_: object) -> None:
        self._ear.close()

    def _so_far(self) -> int:
        self._count += len(self._ear.heard())
        return self._count


class Macvtap:
    """A macvtap over `near`, and the character device that a hypervisor opens."""

    def __init__(self, host: Host, number: int, directory: Path) -> None:
        host.ip("link", "add", "near", "type", "veth", "peer", "name", "beyond")
        host.ip("link", "add", "link", "near", "name", "mvt0", "type", "macvtap", "mode", "bridge")
        for name in ("near", "beyond"):
            host.ip("link", "set", name, "up")
        host.ip("link", "set", "mvt0", "address", str(mac_of(number)), "up")
        index = host.links()["mvt0"].index
        device = f"/sys/class/net/mvt0/tap{index}/dev"
        numbers = run("ip", "netns", "exec", host.name, "cat", device).split(":")
        node = directory / "macvtap"
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(*map(int, numbers)))
        self.device = os.open(node, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.device, _TUNSETIFF, struct.pack("16sH22x", b"mvt0", _TAP_WITHOUT_INFO))


@pytest.fixture
def macvtap(host: Host, tmp_path: Path) -> Iterator[Macvtap]:
    it = Macvtap(host, 3, tmp_path)
    yield it
    os.close(it.device)


def test_a_macvtap_is_guarded_the_other_way_round_and_in_no_bridge(host, macvtap):
    host.ports[port_id(3)] = port(3)
    host.start()
    host.until(3, PortState.ENFORCED, interface="mvt0")
    assert host.links()["mvt0"].master == 0
    beyond = Ear(host.name, "beyond")
    try:
        eventually(lambda: os.write(macvtap.device, legal(3)) and beyond.hears(legal(3)))
        os.write(macvtap.device, forged(3))
        os.write(macvtap.device, legal(3, b"end"))
        assert forged(3) not in beyond.until(legal(3, b"end"))
        host.remove(3)
        # Nothing but the guard was between the guest and the wire: without it, it is down.
        eventually(lambda: not host.links()["mvt0"].up)
    finally:
        beyond.close()


def test_whom_a_macvtap_refuses_is_told_on_both_sides(host, macvtap):
    host.ports[port_id(3)] = port(
        3,
        guards=GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS},
        security_groups=frozenset({"none"}),
        reject=True,
    )
    host.groups = {"none": frozenset()}
    host.start()
    host.until(3, PortState.ENFORCED, interface="mvt0")
    beyond = Ear(host.name, "beyond")
    inside, outside = (str(mac_of(3)), address_of(3)), ("02:00:00:00:00:99", "10.9.0.99")
    try:
        beyond.send(_opening(outside, inside))
        beyond.until(_reset(inside, outside))
        os.write(macvtap.device, _opening(inside, outside))
        eventually(lambda: _reset(outside, inside) in _read(macvtap.device))
    finally:
        beyond.close()


def _opening(src: tuple[str, str], dst: tuple[str, str]) -> bytes:
    return ethernet(src[0], dst[0], ipv4(src[1], dst[1], tcp(5, 80)))


def _reset(src: tuple[str, str], dst: tuple[str, str]) -> bytes:
    segment = tcp(80, 5, flags=0x14, acknowledged=1, window=0)
    return ethernet(src[0], dst[0], ipv4(src[1], dst[1], segment))


def _read(device: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(device, 1 << 16)
    return b""


def test_a_macvtap_is_never_on_an_isolated_network(host, macvtap):
    host.ports[port_id(3)] = port(3, network=3, segment={"shared": False, "mtu": 1500})
    host.start()
    assert "isolated" in host.until(3, PortState.HELD_CLOSED).reason
    beyond = Ear(host.name, "beyond")
    try:
        os.write(macvtap.device, legal(3))
        host.until_reported(lambda report: any(d.port_id == port_id(3) for d in report.drops))
        assert legal(3) not in beyond.heard()
    finally:
        beyond.close()
