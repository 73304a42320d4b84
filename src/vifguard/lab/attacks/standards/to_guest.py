"""The same fields in frames to the guest, from beyond the uplink."""

from __future__ import annotations

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import Actor, Attack, Frame, Variant
from vifguard.lab.attacks.standards.row import TYPE, attack, retyped, row
from vifguard.model.guard import Guard

# To the guest

_FROM_4, _FROM_6 = "L29/udp4-from-outside", "L29/udp6-from-outside"


def _arriving(name: str, frame: Frame, twin: str) -> Variant:
    return row(name, frame, TYPE, twin, actor=Actor.OUTSIDE)


ROWS: tuple[Attack, ...] = (
    attack(
        "x-in-ip4-lengths",
        "The lengths and versions of IPv4, from beyond the uplink",
        "791",
        Guard.ETHERTYPE,
        _arriving("ihl-4", lambda c: f.udp4(c, dst=c.v.ip4, ihl=4), _FROM_4),
        _arriving("total-19", lambda c: f.udp4(c, dst=c.v.ip4, total=19), _FROM_4),
        _arriving("total-65535", lambda c: f.udp4(c, dst=c.v.ip4, total=65535), _FROM_4),
        _arriving("version-6", lambda c: f.udp4(c, dst=c.v.ip4, version=6), _FROM_4),
    ),
    attack(
        "x-in-ip6-lengths",
        "The lengths and versions of IPv6, from beyond the uplink",
        "8200",
        Guard.ETHERTYPE,
        _arriving("zero", lambda c: f.udp6(c, dst=c.v.ip6, length=0), _FROM_6),
        _arriving("past-the-frame", lambda c: f.udp6(c, dst=c.v.ip6, length=1400), _FROM_6),
        _arriving("version-4", lambda c: f.udp6(c, dst=c.v.ip6, version=4), _FROM_6),
    ),
    attack(
        "x-in-types",
        "Types that no guest needs, from beyond the uplink",
        "894",
        Guard.ETHERTYPE,
        *(
            _arriving(f"{kind:04x}", retyped(kind, lambda c: f.udp4(c, dst=c.v.ip4)), _FROM_4)
            for kind in (0x0000, 0x0600, 0x0801, 0x86DE, 0xFFFF)
        ),
    ),
)
