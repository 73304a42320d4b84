"""Windows NLB in unicast mode: two nodes list one MAC, and frames to it reach both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.agent.guest import Guest
from tests.agent.host import Host, hosts
from tests.agent.ports import BROADCAST, address_of, mac_of, port, port_id

from vifguard.model.address import Mac, parse_prefix
from vifguard.packet.build import arp, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

VIP, CLUSTER = "10.9.0.100", Mac.parse("02:bf:0a:09:00:64")
HEARTBEAT = 0x886F


def station(node: int) -> Mac:
    """What the frames of a node come from: 02, its priority, and the address."""
    return Mac(bytes((2, node)) + CLUSTER.octets[2:])


def answer(node: int) -> bytes:
    """ARP tells the cluster's MAC, from the node's: so no switch learns where that is."""
    told = arp(CLUSTER, VIP, target_mac=mac_of(3), target_ip=address_of(3), op=2)
    return ethernet(station(node), mac_of(3), told)


def heartbeat(node: int) -> bytes:
    return ethernet(station(node), BROADCAST, b"\xc0\xde\x01\xc0" + bytes(42), ethertype=HEARTBEAT)


@pytest.fixture
def cluster() -> Iterator[tuple[Host, Guest, Guest, Guest]]:
    """Guests 1 and 2 are the nodes, as two ports of one project may be; 3 is their client."""
    with hosts() as host:
        guests = [host.guest(number) for number in (1, 2, 3)]
        for guest in guests:
            guest.plug()
        for node in (1, 2):
            host.ports[port_id(node)] = port(
                node,
                macs=frozenset({mac_of(node), CLUSTER, station(node)}),
                prefixes=frozenset({parse_prefix(address_of(node)), parse_prefix(VIP)}),
                ethertypes=frozenset({HEARTBEAT}),
            )
        host.ports[port_id(3)] = port(3)
        host.start()
        host.enforced(1, 2, 3)
        for guest in host.guests:
            guest.ear.heard()
        yield host, *guests


def heard(sender: Guest, receiver: Guest, frame: bytes) -> list[bytes]:
    """What the receiver hears of a frame; frames of earlier steps are passed over."""
    receiver.ear.heard()
    return sender.heard_by(receiver, frame)


def test_the_cluster_answers_and_hears(cluster) -> None:
    _, one, two, client = cluster
    for node, number in ((one, 1), (two, 2)):
        assert heard(node, client, answer(number)) == [answer(number)]
    request = ethernet(mac_of(3), CLUSTER, ipv4(address_of(3), VIP, udp(4000, 80, b"to both")))
    assert heard(client, one, request) == [request]
    assert heard(client, two, request) == [request]
    reply = ethernet(station(1), mac_of(3), ipv4(VIP, address_of(3), udp(80, 4000, b"from one")))
    assert heard(one, client, reply) == [reply]


def test_the_nodes_hear_each_others_heartbeat_and_nobody_else_does(cluster) -> None:
    _, one, two, client = cluster
    assert heard(one, two, heartbeat(1)) == [heartbeat(1)]
    assert heard(two, one, heartbeat(2)) == [heartbeat(2)]
    assert heard(one, client, heartbeat(1)) == []


def test_who_does_not_list_the_clusters_mac_cannot_take_it(cluster) -> None:
    _, one, _, client = cluster
    stolen = arp(CLUSTER, address_of(3), target_mac=mac_of(1), target_ip=address_of(1), op=2)
    for frame in (
        ethernet(mac_of(3), mac_of(1), stolen),
        ethernet(CLUSTER, mac_of(1), ipv4(address_of(3), address_of(1), udp(1, 1, b"as it"))),
    ):
        assert heard(client, one, frame) == []
