"""Hosts on paper: a learning switch, and whatever decides what it takes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vifguard.lab.attacks.actors import OTHERS_VRID
from vifguard.lab.attacks.attack import Kind, Offload
from vifguard.lab.audit.site import Namespace, Site, VantagePoint
from vifguard.model.address import Mac, host_prefix
from vifguard.model.guard import GUARDS_OF, LinkLocal
from vifguard.model.policy import PortPolicy, Storm
from vifguard.model.verdict import Action, Direction
from vifguard.packet.frame import Frame, parse
from vifguard.packet.offload import NO_OFFLOAD
from vifguard.semantics.verdict import verdict

NET4, NET6 = IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:5::/64")


def post(name: str, number: int) -> VantagePoint:
    return VantagePoint(
        name,
        Namespace(f"nowhere-{name}", "eth0"),
        Mac.parse(f"fa:16:3e:00:01:{number:02x}"),
        IPv4Address(f"203.0.113.{10 + number}"),
        IPv6Address(f"2001:db8:5::{0x10 + number:x}"),
    )


SITE = Site(
    "on paper",
    post("attacker", 1),
    post("victim", 2),
    post("third", 3),
    net4=NET4,
    net6=NET6,
    outside=post("outside", 4),
    vip4=IPv4Address("203.0.113.200"),
    vip6=IPv6Address("2001:db8:5::200"),
    vmac4=Mac.parse("00:00:5e:00:01:33"),
    vmac6=Mac.parse("00:00:5e:00:02:34"),
    routed4=IPv4Network("10.66.0.0/24"),
    routed6=IPv6Network("fd66::/64"),
    others_vrid=OTHERS_VRID,
)

Judge = Callable[[VantagePoint, Direction, Frame], bool]
"""Whether the host lets a frame from, or to, a post pass."""


def everything(_post: VantagePoint, _direction: Direction, _frame: Frame) -> bool:
    return True


@dataclass
class Host:
    """A switch that learns and floods, behind what `judge` lets pass; `sent` is all it was sent."""

    site: Site
    judge: Judge = everything
    sent: list[tuple[VantagePoint, bytes]] = field(default_factory=list)
    spoken: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._heard: list[tuple[str, bytes]] = []
        self._behind: dict[bytes, VantagePoint] = {}

    def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
        left = offload.left if offload else NO_OFFLOAD
        parsed = parse(frame, offload=left)
        self.sent.append((post, frame))
        if len(frame) < 14 or not self.judge(post, Direction.FROM_GUEST, parsed):
            return
        destination, source = frame[:6], frame[6:12]
        if not source[0] & 1:
            self._behind[source] = post
        others = [each for each in self.site.posts if each is not post]
        if not destination[0] & 1 and destination in self._behind:
            others = [each for each in others if each is self._behind[destination]]
        self._heard += [
            (each.name, frame) for each in others if self.judge(each, Direction.TO_GUEST, parsed)
        ]

    def receive(self, patience: float) -> list[tuple[str, bytes]]:
        del patience
        heard, self._heard = self._heard, []
        return heard


def reference(site: Site) -> Judge:
    """Every guest's port as our own contract says it."""
    policies = {each.name: _policy(site, each) for each in site.posts if each is not site.outside}

    def judge(post: VantagePoint, direction: Direction, frame: Frame) -> bool:
        if post is site.outside:
            return True
        return verdict(policies[post.name], direction, frame).action is Action.PASS

    return judge


def _policy(site: Site, post: VantagePoint) -> PortPolicy:
    is_attacker = post is site.attacker
    prefixes = {host_prefix(each) for each in (post.ip4, post.ip6) if each}
    if is_attacker:
        prefixes |= {host_prefix(each) for each in (site.vip4, site.vip6) if each}
        prefixes |= {each for each in (site.routed4, site.routed6) if each}
    macs = {post.mac} | (
        {each for each in (site.vmac4, site.vmac6) if each} if is_attacker else set()
    )
    return PortPolicy(
        port_id=post.name,
        guards=GUARDS_OF[Kind(site.level).profile],
        macs=frozenset(macs),
        prefixes=frozenset(prefixes),
        link_local=LinkLocal.EUI64,
        public=frozenset({NET4, NET6}),
        foreign_vrids4=frozenset({OTHERS_VRID}) if is_attacker else frozenset(),
        foreign_vrids6=frozenset({OTHERS_VRID}) if is_attacker else frozenset(),
        storm=Storm(rate=1_000_000, burst=1_000_000),
    )
