"""Ethernet types and lengths, ARP and RARP."""

from __future__ import annotations

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Attack, Frame
from vifguard.lab.attacks.standards.row import ARP, MAC, TYPE, UDP4, UDP6, attack, retyped, row
from vifguard.model.guard import Guard

_ETHERNET = (
    attack(
        "x-ethernet-types-beside-ours",
        "Types one beside those that are read, and those of old encapsulations of IP",
        "894, 893",
        Guard.ETHERTYPE,
        *(
            row(f"{kind:04x}", retyped(kind, f.udp4), TYPE, UDP4)
            for kind in (0x0600, 0x07FF, 0x0801, 0x0805, 0x0807, 0x1000, 0x86DC, 0x86DE, 0xFFFF)
        ),
    ),
    attack(
        "x-ethernet-length-at-its-ends",
        "802.3 lengths 0 and 1535 before an IP packet",
        "1042",
        Guard.ETHERTYPE,
        row("zero", retyped(0, f.udp4), TYPE, UDP4),
        row("1535", retyped(0x05FF, f.udp4), TYPE, UDP4),
    ),
    attack(
        "x-type-and-version-disagree",
        "A packet of one family under the other's type",
        "894, 2464",
        Guard.ETHERTYPE,
        row("ipv6-under-ipv4", retyped(0x0800, f.udp6), TYPE, UDP4),
        row("ipv4-under-ipv6", retyped(0x86DD, f.udp4), TYPE, UDP6),
        row("arp-under-ipv4", retyped(0x0800, lambda c: f.arp(c, 1)), TYPE, "L04/broadcast"),
        row("arp-under-ipv6", retyped(0x86DD, lambda c: f.arp(c, 1)), TYPE, "L04/broadcast"),
    ),
)

# ARP


def _cut(frame: Frame, octets: int) -> Frame:
    """The frame, ended after so many octets behind the Ethernet header."""
    return lambda c: frame(c)[: 14 + octets]


def _stolen_reply(c: Actors) -> bytes:
    return f.arp(c, 2, spa=c.v.ip4)


_ARP_ROWS = (
    attack(
        "x-arp-ends-in-each-field",
        "ARP that ends inside each of its fields",
        "826",
        Guard.MAC,
        *(
            row(f"{octets}-octets", _cut(_stolen_reply, octets), MAC, "L05/unicast")
            for octets in (1, 2, 4, 5, 6, 8, 13, 18, 23, 27)
        ),
    ),
    attack(
        "x-arp-address-lengths",
        "Address lengths zero, one beside, and the largest",
        "826",
        Guard.MAC,
        *(
            row(
                f"hardware-{octets}",
                lambda c, octets=octets: f.arp(c, 2, spa=c.v.ip4, hardware_length=octets),  # type: ignore[misc]
                MAC,
                "L05/unicast",
            )
            for octets in (0, 5, 7, 255)
        ),
        *(
            row(
                f"protocol-{octets}",
                lambda c, octets=octets: f.arp(c, 2, spa=c.v.ip4, protocol_length=octets),  # type: ignore[misc]
                MAC,
                "L05/unicast",
            )
            for octets in (0, 3, 5, 255)
        ),
    ),
    attack(
        "x-arp-operations-at-their-ends",
        "Operations that nobody assigned",
        "826, 5494",
        Guard.ARP,
        *(
            row(f"{op}", lambda c, op=op: f.arp(c, op), ARP, "L05/unicast")  # type: ignore[misc]
            for op in (0, 5, 255, 256, 257, 512, 65535)
        ),
    ),
    attack(
        "x-rarp-behind-its-end",
        "An announcement with more behind it than a frame must be filled with",
        "903",
        Guard.ETHERTYPE,
        row("19-octets", lambda c: f.rarp(c, trailer=bytes(19)), TYPE, "L19/padded"),
        row("1400-octets", lambda c: f.rarp(c, trailer=bytes(1400)), TYPE, "L19/padded"),
    ),
)

ROWS: tuple[Attack, ...] = (*_ETHERNET, *_ARP_ROWS)
