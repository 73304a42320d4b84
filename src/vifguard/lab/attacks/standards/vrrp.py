"""VRRP and CARP: advertisements that take a virtual router from its holder."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import PASS, Attack, Variant, drop, on
from vifguard.lab.attacks.standards.row import VRRP, attack, row
from vifguard.model.guard import Guard
from vifguard.packet import build
from vifguard.packet.build import Layer

_V4, _V6, _V2 = "L17/advertisement-v4", "L17/advertisement-v6", "L17/version-2"
_CARP4, _CARP6 = "L17/carp-v4", "L17/carp-v6"
_HIGHEST = 255


def _sent6(name: str, piece: Layer, twin: str = _V6) -> Variant:
    return row(name, lambda c: f.vrrp6(c, piece), VRRP, twin)


def _own4(c: Actors, vrid: int | None = None) -> Layer:
    return build.vrrp(vrid or c.others_vrid, c.a.ip4, priority=_HIGHEST)


def _own6(c: Actors, vrid: int | None = None) -> Layer:
    return build.vrrp(vrid or c.others_vrid, c.a.ll, priority=_HIGHEST)


def _claim4(c: Actors, *addresses: IPv4Address) -> bytes:
    return f.vrrp4(c, build.vrrp(f.OWN_VRID_4, *addresses))


def _claim6(c: Actors, *addresses: IPv6Address) -> bytes:
    return f.vrrp6(c, build.vrrp(f.OWN_VRID_6, *addresses))


def _odd4(octets: bytes, c: Actors) -> bytes:
    """An advertisement of the own address with its first octets replaced."""
    whole = build.vrrp(f.OWN_VRID_4, c.a.ip4)
    return f.vrrp4(c, Layer(octets + whole.octets[len(octets) :], whole.number))


def _cut4(size: int, c: Actors) -> bytes:
    whole = build.vrrp(f.OWN_VRID_4, c.a.ip4)
    return f.vrrp4(c, Layer(whole.octets[:size], whole.number))


def _longer(c: Actors) -> Layer:
    return build.vrrp(f.OWN_VRID_4, c.a.ip4, rest=bytes(4))


def _behind(around: f.Around, c: Actors) -> bytes:
    return f.vrrp6(c, _own6(c, f.OWN_VRID_6), chain=(around,))


ROWS: tuple[Attack, ...] = (
    attack(
        "x-vrrp-id-of-another",
        "The highest priority for another project's virtual router",
        "9568, 3768",
        Guard.VRRP,
        row("own-address", lambda c: f.vrrp4(c, _own4(c)), VRRP, _V4),
        row("own-address-v6", lambda c: f.vrrp6(c, _own6(c)), VRRP, _V6),
        row(
            "version-2",
            lambda c: f.vrrp4(c, build.vrrp2(c.others_vrid, c.a.ip4, priority=_HIGHEST)),
            VRRP,
            _V2,
        ),
        row("unicast", lambda c: f.vrrp4(c, _own4(c), dst=c.v.ip4), VRRP, _V4),
        row("unicast-v6", lambda c: f.vrrp6(c, _own6(c), dst=c.v.ll), VRRP, _V6),
        row(
            "resignation",
            lambda c: f.vrrp4(c, build.vrrp(c.others_vrid, c.a.ip4, priority=0)),
            VRRP,
            _V4,
        ),
        row("carp", lambda c: f.vrrp4(c, build.carp(c.others_vrid)), VRRP, _CARP4),
        row("carp-v6", lambda c: f.vrrp6(c, build.carp(c.others_vrid)), VRRP, _CARP6),
    ),
    attack(
        "x-vrrp-address-of-another",
        "Another's address, in the list of an advertisement",
        "9568, 3768",
        Guard.VRRP,
        row("alone", lambda c: _claim4(c, c.v.ip4), VRRP, _V4),
        row("alone-v6", lambda c: _claim6(c, c.v.ip6), VRRP, _V6),
        row("link-local", lambda c: _claim6(c, c.v.ll, c.vip6), VRRP, _V6),
        row("behind-the-own", lambda c: _claim4(c, c.a.ip4, c.vip4, c.v.ip4), VRRP, _V4),
        row("sixtieth", lambda c: _claim4(c, *[c.a.ip4] * 59, c.v.ip4), VRRP, _V4),
        row(
            "version-2",
            lambda c: f.vrrp4(c, build.vrrp2(f.OWN_VRID_4, c.v.ip4)),
            VRRP,
            _V2,
        ),
    ),
    attack(
        "x-vrrp-shapes",
        "Advertisements that are not whole, of no version, of no address",
        "9568, 3768",
        Guard.VRRP,
        *(
            row(f"first-octet-{kind:02x}", partial(_odd4, bytes((kind,))), VRRP, _V4)
            for kind in (0x00, 0x11, 0x22, 0x30, 0x41, 0xFF)
        ),
        row("id-0", partial(_odd4, b"\x31\x00"), VRRP, _V4),
        row("no-address", _claim4, VRRP, _V4),
        row("count-beyond-the-end", partial(_odd4, b"\x31\x33\x64\x02"), VRRP, _V4),
        row("octets-behind", lambda c: f.vrrp4(c, _longer(c)), VRRP, _V4),
        *(row(f"{n}-octets", partial(_cut4, n), VRRP, _V4) for n in (0, 1, 7, 8, 11)),
        _sent6("version-2-in-v6", Layer(b"\x21\x34\x64\x01" + bytes(28), f.VRRP)),
        row("too-many", lambda c: _claim4(c, *[c.a.ip4] * 65), VRRP, _V4),
    ),
    attack(
        "x-vrrp-out-of-sight",
        "Advertisements in fragments, behind extension headers, and from where none comes",
        "9568, 7112",
        Guard.VRRP,
        row("first-fragment", lambda c: f.vrrp4(c, _own4(c), more=True), VRRP, _V4),
        row("later-fragment", lambda c: f.vrrp4(c, _own4(c), offset=1), VRRP, _V4),
        *(
            row(name, partial(_behind, around), VRRP, _V6)
            for name, around in (
                ("atomic-fragment", f.atomic),
                ("destination-options", build.destination_options),
                ("hop-by-hop", f.router_alert),
                ("authentication", build.authentication),
            )
        ),
        row("ttl-254", lambda c: f.vrrp4(c, _own4(c, f.OWN_VRID_4), ttl=254), VRRP, _V4),
        row("hop-limit-1", lambda c: f.vrrp6(c, _own6(c, f.OWN_VRID_6), hop=1), VRRP, _V6),
        row(
            "to-all-systems",
            lambda c: f.vrrp4(c, _own4(c, f.OWN_VRID_4), dst=IPv4Address("224.0.0.1")),
            VRRP,
            _V4,
        ),
        row(
            "broadcast",
            lambda c: f.vrrp4(c, _own4(c, f.OWN_VRID_4), dst=f.BROADCAST_4),
            VRRP,
            _V4,
        ),
        row(
            "from-a-private-address",
            lambda c: f.vrrp4(c, _own4(c, f.OWN_VRID_4), src=IPv4Address("10.200.3.4")),
            on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.VRRP)),
            _V4,
        ),
    ),
)
