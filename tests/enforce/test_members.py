"""Filters of a bridge's members, each on the kernels that have it, by what frames do."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.agent.guest import Ear
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, run, within

from vifguard.bridging.member_filters import MemberFilter, NftFilter, OriginalVlans, VlanFilter
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, Links
from vifguard.kernel.net.netlink import NetlinkError
from vifguard.kernel.nftables.nft_members import MembersTable
from vifguard.packet.build import ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

BROADCAST = "ff:ff:ff:ff:ff:ff"
BEFORE = OriginalVlans(vlan_filtering=False, vlan_protocol=0x8100, default_vlan=1)
NAMES = ("one", "two", "three", "four")


class Bridge:
    """A bridge with the host's address, and members whose far ends listen."""

    def __init__(self, host: Host) -> None:
        self.host = host
        # Its own address: the lowest of its members' would change with each that joins.
        bridge = ("type", "bridge", "forward_delay", "0")
        host.ip("link", "add", "br0", "address", "02:00:00:00:00:fa", *bridge)
        host.ip("link", "set", "br0", "up")
        host.ip("address", "add", "10.9.0.250/24", "dev", "br0")
        self.far: dict[str, Ear] = {}
        for name in ("one", "two"):
            self.join(name)
        self.mac = str(host.links()["br0"].mac)
        self.service: socket.socket = within(host.name, _listening)

    def join(self, name: str) -> int:
        self.host.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}-far")
        self.host.ip("link", "set", f"{name}-far", "up")
        self.host.ip("link", "set", name, "master", "br0", "up")
        self.far[name] = Ear(self.host.name, f"{name}-far")
        return self.host.links()[name].index

    def frame(self, name: str, text: str, *, to: str = BROADCAST) -> bytes:
        number = 1 + sorted(self.far).index(name)
        there = "10.9.0.250" if to == self.mac else "255.255.255.255"
        return ethernet(
            f"02:00:00:00:00:0{number}",
            to,
            ipv4(f"10.9.0.{number}", there, udp(9, 9, text.encode())),
        )

    def passes(self, sender: str, receiver: str) -> None:
        frame = self.frame(sender, f"{sender} to {receiver}")
        ear = self.far[receiver]
        eventually(lambda: self.far[sender].send(frame) or ear.hears(frame))

    def reaches_host(self, sender: str) -> bool:
        self.far[sender].send(self.frame(sender, "host", to=self.mac))
        found = bool(select.select([self.service], [], [], 0.3)[0])
        while select.select([self.service], [], [], 0)[0]:
            self.service.recv(100)
        return found

    def close(self) -> None:
        for ear in self.far.values():
            ear.close()
        self.service.close()


def _listening() -> socket.socket:
    it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.bind(("10.9.0.250", 9))
    return it


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    with hosts() as host:
        made = Bridge(host)
        yield made
        made.close()


@pytest.fixture(params=["vlan", "nft"])
def member_filter(bridge: Bridge, request: pytest.FixtureRequest) -> Iterator[MemberFilter]:
    with ExitStack() as stack:
        bridges, table = within(
            bridge.host.name,
            lambda: (
                stack.enter_context(Bridges()),
                stack.enter_context(MembersTable("vifguard-members")),
            ),
        )
        it: MemberFilter = VlanFilter(bridges) if request.param == "vlan" else NftFilter(table)
        try:
            it.put(_link(bridge, "br0"), [_link(bridge, "one").index])
        except NetlinkError as error:
            pytest.skip(f"this kernel has no {request.param} filter of members: {error}")
        if it.members(_link(bridge, "br0"), []) is None:
            pytest.skip(f"bridges of this kernel know no VLANs: {run('uname', '-r')}")
        yield it


def _link(bridge: Bridge, name: str) -> Link:
    def read() -> Link:
        with Links() as links:
            found = links.named(name)
            assert found
            return found

    found: Link = within(bridge.host.name, read)
    return found


def test_members_that_were_let_in_forward_and_no_others_do(bridge, member_filter):
    one, two = (_link(bridge, name).index for name in ("one", "two"))
    assert member_filter.members(_link(bridge, "br0"), [one, two]) == {one}
    three = bridge.join("three")
    assert not member_filter.allow_forwarding([three])
    bridge.passes("one", "three")
    assert bridge.reaches_host("one")
    bridge.join("four")
    for stranger in ("two", "four"):
        shut = bridge.frame(stranger, "shut")
        bridge.far[stranger].send(shut)
        bridge.passes("three", "one")
        assert not bridge.far["one"].hears(shut)
        assert not bridge.reaches_host(stranger)
        heard = bridge.far[stranger].heard()
        assert bridge.frame("one", "one to three") not in heard
        assert bridge.frame("three", "three to one") not in heard
    assert not member_filter.deny_forwarding([three])
    shut = bridge.frame("three", "shut")
    bridge.far["three"].send(shut)
    assert not bridge.far["one"].hears(shut)


def test_without_the_filter_all_is_as_it_was(bridge, member_filter):
    member_filter.remove(_link(bridge, "br0"), BEFORE)
    bridge.passes("two", "one")
    bridge.passes("one", "two")
    assert bridge.reaches_host("two")
    assert "vifguard" not in bridge.host.nft("list", "ruleset")
    assert member_filter.members(_link(bridge, "br0"), []) is None


BRIDGE_TABLE, NETDEV_TABLE = ("bridge", "vifguard-members"), ("netdev", "vifguard-members")
SPOILED = (
    ("flush", "table", *BRIDGE_TABLE),
    ("delete", "table", *BRIDGE_TABLE),
    ("add", "table", *BRIDGE_TABLE, "{ flags dormant; }"),
    ("delete", "chain", *BRIDGE_TABLE, "input"),
    ("insert", "rule", *BRIDGE_TABLE, "forward", "accept"),
    ("insert", "rule", *BRIDGE_TABLE, "input", "accept"),
    ("add", "chain", *BRIDGE_TABLE, "forward", "{ policy drop; }"),
    ("flush", "table", *NETDEV_TABLE),
    ("delete", "table", *NETDEV_TABLE),
    ("add", "table", *NETDEV_TABLE, "{ flags dormant; }"),
    ("insert", "rule", *NETDEV_TABLE, "br0", "accept"),
    ("flush", "ruleset"),
)


@pytest.mark.parametrize("words", SPOILED, ids=" ".join)
def test_a_filter_that_somebody_changed_is_told_apart_and_made_whole_again(bridge, words):
    there = _link(bridge, "br0")
    one, two = (_link(bridge, name).index for name in ("one", "two"))
    with within(bridge.host.name, lambda: MembersTable("vifguard-members")) as table:
        nft = NftFilter(table)
        nft.put(there, [one])
        assert nft.members(there, [one, two]) == {one}
        bridge.host.nft(*words)
        assert nft.members(there, [one, two]) is None
        nft.put(there, [one])
        assert nft.members(there, [one, two]) == {one}
        bridge.join("three")
        assert not nft.allow_forwarding([_link(bridge, "three").index])
        bridge.passes("one", "three")
        shut = bridge.frame("two", "shut")
        bridge.far["two"].send(shut)
        bridge.passes("three", "one")
        assert not bridge.far["one"].hears(shut)
        assert not bridge.reaches_host("two")


def test_who_left_meanwhile_does_not_keep_its_bridge_from_being_filtered(bridge, member_filter):
    there, one, two = (_link(bridge, name) for name in ("br0", "one", "two"))
    member_filter.remove(there, BEFORE)
    bridge.host.ip("link", "set", "two", "nomaster")
    three = bridge.join("three")
    bridge.host.ip("link", "del", "three")
    member_filter.put(there, [one.index, two.index, three])
    assert member_filter.members(there, [one.index]) == {one.index}
