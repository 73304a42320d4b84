"""Section K: checksums that an honest stack leaves to be completed."""

from __future__ import annotations

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import PASS, Actor, Attack, Frame, Offload, Variant, everywhere
from vifguard.lab.attacks.legal_row import row
from vifguard.packet import build


def _carried(c: Actors) -> bytes:
    """VXLAN: a segment in a frame in a datagram."""
    inside = build.ethernet(c.a.mac, c.p.mac, build.ipv4("10.1.1.1", "10.1.1.2", _SEGMENT))
    return f.ip4(c, build.udp(40000, 4789, b"\x08" + bytes(7) + inside, checksum=0))


def _complete(
    name: str, frame: Frame, start: int, offset: int, actor: Actor = Actor.GUEST
) -> Variant:
    return Variant(
        name=name,
        frame=frame,
        expect=everywhere(PASS),
        actor=actor,
        offload=lambda _c: Offload(start, offset),
    )


_SEGMENT = build.tcp(4000, 9, f.DATA, flags=0x02, checksum=0)
_DATAGRAM = build.udp(4000, 9, f.DATA, checksum=0)
ROWS: tuple[Attack, ...] = (
    row(
        "L30",
        "Checksum offload",
        _complete("tcp4", lambda c: f.ip4(c, _SEGMENT), 34, 16),
        _complete("tcp6", lambda c: f.ip6(c, _SEGMENT), 54, 16),
        _complete("udp4", lambda c: f.ip4(c, _DATAGRAM), 34, 6),
        _complete("udp6", lambda c: f.ip6(c, _DATAGRAM), 54, 6),
        _complete("dhcp4", lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER)), 34, 6),
        _complete("vxlan", _carried, 34 + 8 + 8 + 14 + 20, 16),
        _complete(
            "udp4-from-outside", lambda c: f.ip4(c, _DATAGRAM, dst=c.v.ip4), 34, 6, Actor.OUTSIDE
        ),
    ),
)
