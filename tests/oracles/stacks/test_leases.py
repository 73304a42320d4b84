"""dnsmasq's leases are given up by who has them, and by nobody else.

dnsmasq stands beyond the uplink; its file of leases tells. Real clients lease, release and
decline. What no client sends, a release or a decline of another's address, goes as a frame of
our own: on the bare bridge it takes the other's lease, at a port with the profile `strict`
nothing happens.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from tests.agent.guest import Ear
from tests.agent.netns import eventually, run
from tests.agent.ports import mac_of
from tests.oracles.stacks.dnsmasq import Server
from tests.oracles.stacks.guests import Linux, Place, Router
from tests.oracles.stacks.segment import (
    MAKERS,
    OUTSIDE,
    Protection,
    address4,
    address6,
)

from vifguard.lab.play.referee import on_one_cpu
from vifguard.model.address import Mac
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction
from vifguard.packet import build

pytestmark = pytest.mark.kernel

ALICE, BOB = 1, 2
RELEASE, DECLINE = {4: 7, 6: 8}, {4: 4, 6: 9}
SERVERS6 = "ff02::1:2"


class Network:
    """Two guests on a segment, and the server beyond its uplink, which has leased Bob his own."""

    def __init__(self, protection: Protection, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self.segment = MAKERS[protection](f"vgls{os.getpid()}{protection.value[0]}")
        stack.callback(self.segment.close)
        router = Router(self.segment)
        stack.callback(router.close)
        self.router = router.netns
        self.alice, self.bob = (self._guest(number, stack) for number in (ALICE, BOB))
        self.ear = Ear(self.alice.netns, "eth0")
        stack.callback(self.ear.close)
        self.server = Server(self.router, directory, (ALICE, BOB))
        stack.callback(self.server.stop)
        with self.udhcpc(self.bob) as client:
            _until_obtained(client)
        self.lease6(self.bob)
        self.server.keep()

    def _guest(self, number: int, stack: ExitStack) -> Linux:
        guest = Linux(Place(self.segment, number, wired=False))
        stack.callback(guest.close)
        return guest

    @contextmanager
    def udhcpc(self, guest: Linux, *options: str) -> Iterator[subprocess.Popen[str]]:
        """A client of IPv4; what it tells is at its standard error."""
        command = ("udhcpc", "-f", "-i", "eth0", "-s", "/bin/true", *options)
        with _killed(_in(guest.netns), *command) as client:
            yield client

    @contextmanager
    def dhclient(self, guest: Linux, script: str = "/bin/true") -> Iterator[None]:
        """A client of IPv6, which asks `script` about each address."""
        with _killed(_in(guest.netns), *self._dhclient(guest, script), "-d", "eth0"):
            yield

    def lease6(self, guest: Linux) -> None:
        """Let dhclient lease an address, which it writes down and does not give up."""
        with self.dhclient(guest):
            eventually(lambda: "iaaddr" in self._written(guest), "dhclient leases an address")
        own = address6(guest.place.number)
        eventually(lambda: own in self.server.leases, "the server writes the lease down")

    def release6(self, guest: Linux) -> None:
        """Let dhclient give up what it wrote down."""
        run(*_in(guest.netns), *self._dhclient(guest), "-r", "eth0")

    def _written(self, guest: Linux) -> str:
        file = self._directory / guest.netns
        return file.read_text() if file.exists() else ""

    def _dhclient(self, guest: Linux, script: str = "/bin/true") -> tuple[str, ...]:
        file = str(self._directory / guest.netns)
        return ("dhclient", "-6", "-1", "-D", "LL", "--no-pid", "-lf", file, "-sf", script)

    def dropped(self) -> int:
        """How many of Alice's frames the guard `dhcp` has dropped so far."""
        place = (self.segment.index(ALICE), Direction.FROM_GUEST, Guard.DHCP)
        return self.segment.dropped()[place]


def _in(netns: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{netns}")


@contextmanager
def _killed(inside: tuple[str, ...], *command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block."""
    with subprocess.Popen((*inside, *command), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _until_obtained(client: subprocess.Popen[str]) -> None:
    assert client.stderr
    told = []
    for line in client.stderr:
        told.append(line)
        if "obtained" in line:
            return
    raise AssertionError("".join(told))


@pytest.fixture(scope="module", params=[Protection.BARE, Protection.STRICT])
def standing(request, tmp_path_factory) -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(request.param, tmp_path_factory.mktemp("leases"), stack)


@pytest.fixture
def network(standing: Network) -> Network:
    """Alice has no lease, Bob has his."""
    standing.server.restart()
    return standing


def test_a_guest_releases_its_own_lease(network: Network) -> None:
    server, before, own = network.server, network.dropped(), address4(ALICE)
    with network.udhcpc(network.alice, "-R") as client:
        _until_obtained(client)
        assert own in server.leases
        client.terminate()
        eventually(lambda: own not in server.leases, "the lease ends with its client")
    assert server.logged("DHCPRELEASE", own)
    assert address4(BOB) in server.leases
    assert network.dropped() == before


def test_a_guest_declines_an_address_that_another_uses(network: Network) -> None:
    """udhcpc asks by ARP; the router answers, so that its server has to offer by broadcast."""
    server, before, own = network.server, network.dropped(), address4(ALICE)
    run("ip", "-n", network.router, "address", "add", f"{own}/32", "dev", "eth0")
    try:
        with network.udhcpc(network.alice, "-a", "-B"):
            eventually(lambda: server.logged("DHCPDECLINE", own), "it declines")
            eventually(lambda: own not in server.leases, "it is not leased any more")
    finally:
        run("ip", "-n", network.router, "address", "del", f"{own}/32", "dev", "eth0")
    assert server.logged("DHCPACK", own)
    judge_decline(network, own, address4(BOB), before)


def test_a_guest_releases_its_own_lease_of_ipv6(network: Network) -> None:
    server, before, own = network.server, network.dropped(), address6(ALICE)
    network.lease6(network.alice)
    network.release6(network.alice)
    eventually(lambda: own not in server.leases, "the lease ends with its client")
    assert server.logged("DHCPRELEASE", duid(ALICE))
    assert address6(BOB) in server.leases
    assert network.dropped() == before


def test_a_guest_declines_an_address_of_ipv6(network: Network, tmp_path: Path) -> None:
    """dhclient is told of a duplicate when it leases the address."""
    server, before, own = network.server, network.dropped(), address6(ALICE)
    script = tmp_path / "duplicate"
    script.write_text('#!/bin/sh\n[ "$reason" != BOUND6 ] || exit 3\n')
    script.chmod(0o700)
    with network.dhclient(network.alice, str(script)):
        eventually(lambda: server.logged("DHCPDECLINE", duid(ALICE)), "it declines")
        eventually(lambda: own not in server.leases, "it is not leased any more")
    assert server.logged("DHCPREPLY", own)
    judge_decline(network, own, address6(BOB), before)


def judge_decline(network: Network, own: str, bobs: str, before: int) -> None:
    """What was declined is kept from everybody, and nobody else's lease ends."""
    eventually(lambda: network.server.disabled(own), "the server keeps it from everybody")
    assert bobs in network.server.leases
    assert network.dropped() == before


def duid(number: int) -> str:
    """What a client of IPv6 says it is, in the server's writing: DUID-LL."""
    return f"00:03:00:01:{mac_of(number)}"


def identifier(number: int) -> bytes:
    """What a client of IPv4 says it is (RFC 2132, 9.14): Ethernet, and its MAC."""
    return b"\x01" + mac_of(number).octets


def message4(kind: int, about: int, chaddr: int, mac: Mac) -> bytes:
    """From Alice to the server's `mac`: gives up the address of `about`, by its client id."""
    address = IPv4Address(address4(about))
    options = [
        build.dhcp_option(54, IPv4Address(address4(OUTSIDE)).packed),
        build.dhcp_option(61, identifier(about)),
    ]
    declines = kind == DECLINE[4]
    if declines:
        options.append(build.dhcp_option(50, address.packed))
    body = build.dhcpv4(
        mac_of(chaddr), kind, *options, ciaddr=IPv4Address(0) if declines else address
    )
    packet = build.ipv4(address4(ALICE), address4(OUTSIDE), build.udp(68, 67, body))
    return build.ethernet(mac_of(ALICE), mac, packet)


def message6(kind: int, about: int, server: bytes) -> bytes:
    """From Alice to `server`, a DUID: gives up the address of `about`, by its DUID and IAID."""
    lease = build.dhcpv6_option(5, IPv6Address(address6(about)).packed + bytes(8))
    body = build.dhcpv6(
        kind,
        build.dhcpv6_option(1, bytes.fromhex(duid(about).replace(":", ""))),
        build.dhcpv6_option(2, server),
        # dhclient's IAID is the end of the MAC.
        build.dhcpv6_option(3, mac_of(about).octets[2:] + bytes(8) + lease),
    )
    packet = build.ipv6(mac_of(ALICE).link_local, SERVERS6, build.udp(546, 547, body))
    return build.ethernet(mac_of(ALICE), build.multicast_mac(IPv6Address(SERVERS6)), packet)


@pytest.mark.parametrize("chaddr", [BOB, ALICE], ids=["his MAC", "her MAC"])
@pytest.mark.parametrize("kind", [RELEASE[4], DECLINE[4]], ids=["release", "decline"])
def test_nobody_gives_up_anothers_lease(network: Network, kind: int, chaddr: int) -> None:
    server, before = network.server, network.dropped()
    (device,) = json.loads(run("ip", "-n", network.router, "-j", "link", "show", "eth0"))
    mac = Mac.parse(device["address"])
    with on_one_cpu():
        network.ear.send(message4(kind, BOB, chaddr, mac))
        network.ear.send(message4(RELEASE[4], ALICE, ALICE, mac))
    eventually(lambda: server.logged("DHCPRELEASE", address4(ALICE)), "her own release arrives")
    judge(network, address4(BOB), before)


def test_nobody_leases_with_anothers_identifier(network: Network) -> None:
    """A server that knows clients by identifiers frees what Bob has, for Alice's address."""
    server, before, own = network.server, network.dropped(), address4(ALICE)
    options = (
        build.dhcp_option(54, IPv4Address(address4(OUTSIDE)).packed),
        build.dhcp_option(50, IPv4Address(own).packed),
    )
    with on_one_cpu():
        for about in (BOB, ALICE):
            body = build.dhcpv4(
                mac_of(ALICE), 3, *options, build.dhcp_option(61, identifier(about))
            )
            packet = build.ipv4("0.0.0.0", "255.255.255.255", build.udp(68, 67, body))
            network.ear.send(build.ethernet(mac_of(ALICE), Mac(b"\xff" * 6), packet))
    eventually(lambda: server.leased_to(own, identifier(ALICE)), "her own request is met")
    judge(network, address4(BOB), before)


@pytest.mark.parametrize("kind", [RELEASE[6], DECLINE[6]], ids=["release", "decline"])
def test_nobody_gives_up_anothers_lease_of_ipv6(network: Network, kind: int) -> None:
    server, before = network.server, network.dropped()
    with on_one_cpu():
        network.ear.send(message6(kind, BOB, server.duid))
        network.ear.send(message6(RELEASE[6], ALICE, server.duid))
    eventually(lambda: server.logged("DHCPRELEASE", duid(ALICE)), "her own release arrives")
    judge(network, address6(BOB), before)


def judge(network: Network, lease: str, before: int) -> None:
    """The control, the bare bridge, loses the lease: else it would prove nothing that it stays."""
    is_guarded = network.segment.protection is not Protection.BARE
    assert (lease in network.server.leases) == is_guarded
    assert network.dropped() - before == is_guarded
