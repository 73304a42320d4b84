"""S3, a NAT router: between a project's private network and the shared one.

On the shared side the operator gave its port the profile `router`: any private source may
pass, of the provider's public addresses only its own. On the private side the project itself
chose `mac`: packets that the router brings in from the world have any source.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vifguard.kernel.net import sysctl
from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import PASS, Attack, Frame, Kind, Variant, drop, everywhere
from vifguard.lab.play.packet_socket import PacketSocket
from vifguard.lab.play.scenario_rows import run_rows
from vifguard.lab.play.world_segments import three_guest_segment
from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Tell
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.traffic import echo_stream, pings
from vifguard.lab.world.world import Guest, World, standing
from vifguard.lab.world.world_plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.address import IPAddress
from vifguard.model.guard import Guard

NAME = "s3"
TITLE = "NAT router: private sources inside, only its own public ones outside"

_RED, _BLUE = "red", "blue"
_PORT = 8080
_DATA = b"through the router and back\n" * 1000

PLAN = WorldPlan(
    NAME,
    networks=(
        NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True, body={"public": True}),
        NetworkPlan("private", ("10.77.0.0/24", "fd77::/64"), project=_RED),
    ),
    guests=(
        GuestPlan("neighbour", _BLUE, (NicPlan("s"),)),
        GuestPlan(
            "router",
            _RED,
            (
                NicPlan("s", by_operator={"guard_profile": "router"}),
                NicPlan("private", body={"guard_profile": "mac"}),
            ),
        ),
        GuestPlan("inside", _RED, (NicPlan("private"),)),
    ),
)

_FORWARDING = {"ipv4/conf/{}/forwarding": "1", "ipv6/conf/{}/forwarding": "1"}
_MASQUERADE = """
table {family} nat {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "eth0" masquerade
    }}
}}
"""


def play(run: Run, tell: Tell) -> None:
    """Talk through the router; then forge from the router itself."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world:
        router, inside = world.guests["router"], world.guests["inside"]
        _route(router, inside)
        for version in (4, 6):
            _talk(story, world, version)
        segment = three_guest_segment(
            world, Kind.ROUTER, world.nets["s"], "router", victim="neighbour", peer="neighbour"
        )
        run_rows(NAME, world, (segment,), (_FORGED,), tell)


def _route(router: Guest, inside: Guest) -> None:
    """Make a router of the guest, and lead the private network through it."""
    for family in ("ip", "ip6"):
        netns.run(["nft", "-f", "-"], stdin=_MASQUERADE.format(family=family), netns=router.netns)
    netns.within(router.netns, lambda: sysctl.write("all", _FORWARDING))
    private = router.nics[1].addresses
    netns.ip(
        [f"route replace default via {private[version]} dev eth0" for version in (4, 6)],
        inside.netns,
    )


def _talk(story: Checks, world: World, version: int) -> None:
    """A ping and a stream from inside to outside, and their frames as captured there."""
    router, inside = world.guests["router"], world.guests["inside"]
    gateway = _gateway(world, version)
    public, private = router.nic.addresses[version], inside.nic.addresses[version]
    listening = PacketSocket(world.outside_netns, "eth0")
    try:
        story.must(
            f"a private machine pings {gateway} through the router",
            "answered",
            lambda: pings(inside.netns, gateway),
        )
        data, peer = echo_stream(world.outside_netns, inside.netns, gateway, _PORT, _DATA)
        heard = [each.frame for each in listening.drain() if not each.outgoing]
    finally:
        listening.close()
    story.check(f"it streams {len(_DATA)} bytes to {gateway}", len(_DATA), len(data))
    story.check(f"outside, the stream to {gateway} comes from", public, peer)
    leaked = sum(private.packed in frame[14:54] for frame in heard)
    story.check(f"frames outside that name {private}", 0, leaked)
    story.check(
        f"frames outside that come from {public}",
        expected="some",
        seen="some" if any(public.packed in frame[14:54] for frame in heard) else "none",
    )


def _gateway(world: World, version: int) -> IPAddress:
    subnet = world.nets["s"].subnets[version]
    kind = IPv4Address if version == 4 else IPv6Address
    return kind(subnet["gateway_ip"])


def _row(name: str, frame: Frame, guard: Guard | None, twin: str = "") -> Variant:
    expected = drop(guard) if guard else PASS
    return Variant(name=name, frame=frame, expect=everywhere(expected), twin=twin)


_FORGED = Attack(
    id="router-forges",
    title="The router itself sends what it should not",
    variants=(
        _row("own-public-v4", f.udp4, None),
        _row("own-public-v6", f.udp6, None),
        _row("others-public-v4", lambda c: f.udp4(c, src=c.v.ip4), Guard.PUBLIC_IP, "L29/udp4"),
        _row("others-public-v6", lambda c: f.udp6(c, src=c.v.ip6), Guard.PUBLIC_IP, "L29/udp6"),
        _row("gateways-public", lambda c: f.udp4(c, src=c.g.ip4), Guard.PUBLIC_IP, "L29/udp4"),
        _row("spare-public", lambda c: f.udp4(c, src=c.net4[-2]), Guard.PUBLIC_IP, "L29/udp4"),
        # Not the provider's: a router may bring such sources with it, and NAT decides.
        _row("private-v4", lambda c: f.udp4(c, src=IPv4Address("10.77.0.9")), None),
        _row("private-v6", lambda c: f.udp6(c, src=IPv6Address("fd77::9")), None),
        _row("others-mac", lambda c: f.udp4(c, src_mac=c.v.mac), Guard.MAC, "L29/udp4"),
        _row("others-arp", lambda c: f.arp(c, 1, spa=c.v.ip4), Guard.ARP, "L04/broadcast"),
        _row("others-na", lambda c: f.own_na(c, c.v.ip6), Guard.ND, "L11/unsolicited"),
        _row("advertisement", f.ra, Guard.RA, "L09/link-local"),
    ),
)
