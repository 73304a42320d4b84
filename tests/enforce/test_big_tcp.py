"""BIG TCP: packets of more than 65,535 octets between guests on veths pass, and none is dropped."""

import select
import socket
import struct
import threading

import pytest
from tests.enforce.guarded_port import attach, hold, packet_socket, run, uuid_of

from vifguard.enforce.driver.protocol import RulesetChange
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction

pytestmark = pytest.mark.kernel

SIZE = 185_000
LIMITS = (41, 58, 63, 64)
"""IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, and the two of IPv4 (Linux 6.3)."""
NEW_LINK = 16
STRICT = GUARDS_OF[Profile.STRICT]
TOTAL = 32 << 20
GROUP = uuid_of(99)
RULES = frozenset(Rule(direction, version) for direction in Direction for version in (4, 6))


def enlarge(device: str) -> None:
    """Let a device of this namespace take such packets; `ip` learned the words in 6.3."""
    attributes = b"".join(struct.pack("=HHI", 8, kind, SIZE) for kind in LIMITS)
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, socket.if_nametoindex(device), 0, 0)
    message = struct.pack("=IHHII", 32 + len(attributes), NEW_LINK, 5, 1, 0) + link + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as door:
        door.send(message)
        assert struct.unpack_from("=i", door.recv(4096), 16) == (0,)


def big(world, guests) -> None:
    """Let the guests' stacks and their taps handle such packets; and give them addresses."""
    for guest in guests:
        enlarge(guest.tap)
        world.inside(guest, lambda: enlarge("eth0"))
        inside = ("ip", "netns", "exec", guest.name)
        run(*inside, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0")
        run("ip", "-n", guest.name, "addr", "add", f"10.9.0.{guest.number}/24", "dev", "eth0")
        own = f"fd00:9::{guest.number:x}/64"
        run("ip", "-n", guest.name, "addr", "add", own, "dev", "eth0", "nodad")


def sent(world, client, server, address: str) -> None:
    """A stream from one guest to the other."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    data = bytes(range(256)) * (TOTAL // 256)
    with (
        world.inside(server, lambda: socket.create_server((address, 5001), family=family)) as door,
        world.inside(client, lambda: socket.create_connection((address, 5001), 10)) as source,
    ):
        peer, _ = door.accept()
        sender = threading.Thread(target=lambda: (source.sendall(data), source.close()))
        sender.start()
        with peer:
            received = b"".join(iter(lambda: peer.recv(1 << 20), b""))
        sender.join()
    assert received == data


def largest(tap: socket.socket) -> int:
    size = 0
    while select.select([tap], [], [], 0)[0]:
        size = max(size, tap.recv_into(bytearray(1), 1, socket.MSG_TRUNC))
    return size


@pytest.mark.parametrize(
    "guards", [STRICT, STRICT | {Guard.SECURITY_GROUPS}], ids=["strict", "groups"]
)
def test_packets_of_big_tcp_pass(world, driver, guards) -> None:
    alice, bob = world.guest(1), world.guest(2)
    big(world, (alice, bob))
    driver.load_ruleset(RulesetChange(complete=True, groups={GROUP: RULES}, sets={}))
    has = {"guards": guards, "security_groups": frozenset({GROUP}), "stateful": True}
    hold(driver, attach(alice, **has), attach(bob, **has))
    for client, server in ((alice, bob), (bob, alice)):
        for address in (f"10.9.0.{server.number}", f"fd00:9::{server.number:x}"):
            with packet_socket(client.tap) as tap:
                sent(world, client, server, address)
                assert largest(tap) > 100_000, address
            assert not driver.events.drops()
