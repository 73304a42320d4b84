"""The players of the catalogue, and their ports' policies under each profile."""

from dataclasses import dataclass, replace
from ipaddress import ip_network

import pytest

from vifguard.model.address import Mac
from vifguard.model.guard import GUARDS_OF, LinkLocal, Profile
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Action, Direction, Reason, Verdict
from vifguard.packet import build
from vifguard.packet.describe import describe
from vifguard.packet.frame import Frame
from vifguard.packet.link import Tag
from vifguard.semantics.verdict import verdict

MAC_A, MAC_V = Mac.parse("02:00:00:00:00:0a"), Mac.parse("02:00:00:00:00:0b")
MAC_G, MAC_VRRP = Mac.parse("02:00:00:00:00:01"), Mac.parse("00:00:5e:00:01:07")
BROADCAST, ZERO_MAC = Mac.parse("ff:ff:ff:ff:ff:ff"), Mac(bytes(6))

IP4_A, IP4_V, IP4_V2, IP4_G = "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.1"
IP4_VIP, ZERO4, ALL4 = "10.0.0.100", "0.0.0.0", "255.255.255.255"
IP6_A, IP6_V, IP6_V2 = "fd00::a", "fd00::b", "fd00::c"
LL_A, LL_V, LL_G = str(MAC_A.link_local), str(MAC_V.link_local), str(MAC_G.link_local)
ALL6 = "ff02::1"

STRICT = PortPolicy(
    "a",
    GUARDS_OF[Profile.STRICT],
    frozenset({MAC_A, MAC_VRRP}),
    frozenset(
        ip_network(p)
        for p in (f"{IP4_A}/32", f"{IP4_VIP}/32", "10.9.0.0/24", f"{IP6_A}/128", "fd09::/64")
    ),
    link_local=LinkLocal.EUI64,
    public=frozenset({ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")}),
)
ROUTER = replace(STRICT, guards=GUARDS_OF[Profile.ROUTER])
ONLY_MAC = replace(STRICT, guards=GUARDS_OF[Profile.MAC])
OFF = replace(STRICT, guards=GUARDS_OF[Profile.OFF])


def frame(
    payload: build.Payload, dst: build.MacLike = BROADCAST, src: build.MacLike = MAC_A, **fields
) -> bytes:
    """What the attacker's port sends."""
    return build.ethernet(src, dst, payload, **fields)


def said(
    policy: PortPolicy, data: bytes | Frame, direction: Direction = Direction.FROM_GUEST, **given
) -> Reason | None:
    """The reason for which the frame is dropped; None where it passes."""
    given_verdict: Verdict = verdict(policy, direction, data, **given)
    assert (given_verdict.action is Action.PASS) == (given_verdict.reason is None)
    return given_verdict.reason


@dataclass(frozen=True)
class Row:
    """One shape of an attack: what becomes of it, and the legal frame beside it.

    `strict`, `mac` and `off` are the reasons under these profiles, None where it passes.
    `twin` passes under all of them.
    """

    attack: str
    bad: bytes
    strict: Reason | None
    mac: Reason | None = None
    off: Reason | None = None
    twin: bytes = build.ethernet(MAC_A, MAC_V, build.ipv4(IP4_A, IP4_V, build.udp(1, 1)))
    tag: Tag | None = None

    def check(self) -> None:
        """Assert all of it."""
        for policy, reason in ((STRICT, self.strict), (ONLY_MAC, self.mac), (OFF, self.off)):
            seen = said(policy, self.bad, tag=self.tag)
            assert seen is reason, f"{describe(self.bad, tag=self.tag)}: {seen!r}"
            assert said(policy, self.twin) is None, describe(self.twin)

    def __str__(self) -> str:
        return self.attack


def numbered(rows: list[Row]) -> list:
    """The rows as parameters, each with the name of its attack and its place among them."""
    names = [row.attack for row in rows]
    return [
        pytest.param(row, id=f"{row.attack}-{names[:place].count(row.attack) + 1}")
        for place, row in enumerate(rows)
    ]
