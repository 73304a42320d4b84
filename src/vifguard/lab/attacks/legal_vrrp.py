"""Section K: VRRP and CARP as routers and daemons speak them."""

from __future__ import annotations

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Attack
from vifguard.lab.attacks.legal_row import legal, row
from vifguard.packet import build


def _advertisement4(c: Actors) -> bytes:
    return f.vrrp4(c, build.vrrp(f.OWN_VRID_4, c.vip4), src_mac=c.vmac4)


def _advertisement6(c: Actors) -> bytes:
    return f.vrrp6(c, build.vrrp(f.OWN_VRID_6, c.vip6), src_mac=c.vmac6)


def _unicast(c: Actors) -> bytes:
    """As Octavia configures keepalived: from one amphora to the other, with a password."""
    message = build.vrrp2(f.OWN_VRID_4, c.vip4, password=b"secret")
    return f.vrrp4(c, message, dst=c.p.ip4, ttl=64)


ROWS: tuple[Attack, ...] = (
    row(
        "L17",
        "VRRP and CARP from the virtual MAC that is listed, and from one's own",
        legal("advertisement-v4", _advertisement4),
        legal("advertisement-v6", _advertisement6),
        legal("version-2", lambda c: f.vrrp4(c, build.vrrp2(f.OWN_VRID_4, c.vip4))),
        legal("version-2-unicast", _unicast),
        legal(
            "version-3-unicast-v6",
            lambda c: f.vrrp6(c, build.vrrp(f.OWN_VRID_6, c.vip6), src=c.a.ip6, dst=c.p.ip6),
        ),
        legal("an-id-of-nobody", lambda c: f.vrrp4(c, build.vrrp(7, c.a.ip4))),
        legal("an-id-of-nobody-v6", lambda c: f.vrrp6(c, build.vrrp(7, c.a.ll))),
        legal("several-addresses", lambda c: f.vrrp4(c, build.vrrp(f.OWN_VRID_4, c.vip4, c.a.ip4))),
        legal(
            "link-local-first",
            lambda c: f.vrrp6(c, build.vrrp(f.OWN_VRID_6, c.a.ll, c.vip6)),
        ),
        legal("resignation", lambda c: f.vrrp4(c, build.vrrp(f.OWN_VRID_4, c.vip4, priority=0))),
        legal("carp-v4", lambda c: f.vrrp4(c, build.carp(f.OWN_VRID_4), src_mac=c.vmac4)),
        legal("carp-v6", lambda c: f.vrrp6(c, build.carp(f.OWN_VRID_6))),
        legal(
            "arp-from-the-physical-mac",
            lambda c: f.arp(c, 1, sha=c.vmac4, spa=c.vip4, tpa=c.vip4),
        ),
        legal(
            "arp-from-the-virtual-mac",
            lambda c: f.arp(c, 1, src_mac=c.vmac4, sha=c.vmac4, spa=c.vip4, tpa=c.vip4),
        ),
        legal(
            "na-from-the-physical-mac",
            lambda c: f.na(c, c.vip6, f.tlla(c.vmac6), src=c.vip6),
        ),
    ),
)
