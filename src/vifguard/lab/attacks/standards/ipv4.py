"""IPv4, and UDP, TCP, ICMP and IGMP in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import Attack, Frame
from vifguard.lab.attacks.legal import offer
from vifguard.lab.attacks.standards.row import (
    ADDRESS,
    DHCP,
    PUBLIC,
    RA,
    TCP4,
    TYPE,
    UDP4,
    UNREADABLE_4,
    attack,
    pair4,
    row,
)
from vifguard.model.guard import Guard
from vifguard.packet import build
from vifguard.packet.build import Layer

# IPv4


def _with_options(octets: bytes) -> Callable[..., bytes]:
    return partial(f.udp4, options=octets)


def _with(**fields: int) -> Callable[..., bytes]:
    return partial(f.udp4, **fields)  # type: ignore[arg-type]


def _total(beside: int) -> Frame:
    """A total length so much beside the true one."""
    return lambda c: f.udp4(c, total=len(f.udp4(c)) - 14 + beside)


_LSRR_LAST = b"\x01" * 29 + b"\x83\x0b\x04" + bytes(8)

_IPV4_ROWS = (
    attack(
        "x-ip4-versions",
        "Each version that is not 4",
        "791",
        Guard.ETHERTYPE,
        *(row(f"{version}", _with(version=version), TYPE, UDP4) for version in (0, 1, 3, 5, 7, 15)),
    ),
    attack(
        "x-ip4-header-lengths",
        "Header lengths below five words, and above the packet",
        "791",
        Guard.ETHERTYPE,
        *(row(f"{words}-words", _with(ihl=words), TYPE, UDP4) for words in (0, 1, 4)),
        row("15-words-of-28-octets", lambda c: f.udp4(c, data=b"", ihl=15), TYPE, UDP4),
    ),
    attack(
        "x-ip4-total-length-at-its-ends",
        "Total lengths zero, below the header, one above what is there, the largest",
        "791",
        Guard.ETHERTYPE,
        *(row(f"{total}", _with(total=total), TYPE, UDP4) for total in (0, 1, 19, 65535)),
        row("one-more", _total(1), TYPE, UDP4),
    ),
    attack(
        "x-ip4-total-length-cuts-the-header-above",
        "Total lengths that end inside the header of the upper layer",
        "791, 768, 9293, 792",
        Guard.IP,
        *(row(f"udp-{n}", _with(total=20 + n), UNREADABLE_4, UDP4) for n in (0, 1, 4, 7)),
        *(
            row(f"tcp-{n}", partial(f.tcp4, total=20 + n), UNREADABLE_4, TCP4)
            for n in (0, 8, 13, 19)
        ),
        *(
            row(
                f"icmp-{n}",
                lambda c, n=n: f.icmp4(c, 8, total=20 + n),  # type: ignore[misc]
                UNREADABLE_4,
                "L29/echo4",
            )
            for n in (0, 1, 7)
        ),
    ),
    attack(
        "x-ip4-reserved-flag",
        "The bit of the fragment field that must be zero",
        "791, 3514",
        Guard.IP,
        *pair4("set", _with(offset=0x8000)),
    ),
    attack(
        "x-ip4-option-lengths",
        "Options of no length, of one octet, one past the header, and the largest",
        "791",
        Guard.IP,
        *(
            row(f"length-{n}", _with_options(bytes((7, n, 4, 0))), ADDRESS, UDP4)
            for n in (0, 1, 5, 255)
        ),
        row("no-length-octet", _with_options(b"\x01\x01\x01\x07"), ADDRESS, UDP4),
    ),
    attack(
        "x-ip4-source-route-last",
        "A source route behind as much padding as there is room for",
        "7126",
        Guard.IP,
        row("loose", _with_options(_LSRR_LAST), ADDRESS, UDP4),
        row("strict", _with_options(_LSRR_LAST.replace(b"\x83", b"\x89")), ADDRESS, UDP4),
    ),
    attack(
        "x-ip4-source-route-behind-the-end",
        "A source route behind the end of the option list: no router reads it",
        "791",
        Guard.IP,
        *pair4("loose", _with_options(b"\x00\x83\x0b\x04" + bytes(8))),
    ),
    attack(
        "x-ip4-fragment-past-the-largest",
        "A last fragment that ends behind 65,535 octets",
        "791",
        Guard.IP,
        *pair4("offset-8191", _with(offset=0x1FFF)),
    ),
    attack(
        "x-ip4-protocols-without-a-parser",
        "Protocols of which nothing is read: an own source passes, another's does not",
        "791",
        Guard.IP,
        *(
            variant
            for number in (0, 4, 41, 47, 50, 51, 89, 132, 255)
            for variant in pair4(f"{number}", partial(f.ip4, payload=f.DATA, protocol=number))
        ),
    ),
)

# UDP, TCP, ICMP, IGMP


def _udp_length(length: int) -> Callable[..., bytes]:
    return partial(f.ip4, payload=build.udp(4000, 9, f.DATA, length=length))


_UPPER_ROWS = (
    attack(
        "x-udp-lengths",
        "UDP lengths that lie: receivers judge them, the source is judged here",
        "768, 2675",
        Guard.IP,
        *(variant for n in (0, 7, 8, 65535) for variant in pair4(f"{n}", _udp_length(n))),
    ),
    attack(
        "x-udp-length-hides-a-server",
        "A DHCP server's answer of which the UDP length tells nothing",
        "768, 2131",
        Guard.DHCP,
        row(
            "length-8",
            lambda c: f.ip4(c, build.udp(67, 68, offer(c), length=8), dst=f.BROADCAST_4),
            DHCP,
            "L06/discover",
        ),
    ),
    attack(
        "x-tcp-data-offsets",
        "TCP headers below five words and beyond the segment",
        "9293",
        Guard.IP,
        *(
            variant
            for words in (0, 4, 15)
            for variant in pair4(
                f"{words}", partial(f.ip4, payload=build.tcp(4000, 9, data_offset=words)), TCP4
            )
        ),
    ),
    attack(
        "x-icmp-redirect-codes",
        "Redirects of every code, defined or not",
        "792, 1812",
        Guard.RA,
        *(
            row(
                f"{code}",
                lambda c, code=code: f.icmp4(c, 5, code, c.a.ip4.packed + bytes(28)),  # type: ignore[misc]
                RA,
                "L24/v4-time-exceeded",
            )
            for code in (0, 1, 2, 3, 4, 255)
        ),
    ),
    attack(
        "x-icmp-redirect-in-a-first-fragment",
        "A redirect whose rest follows in another fragment",
        "792",
        Guard.RA,
        row(
            "first",
            lambda c: f.icmp4(c, 5, 1, c.a.ip4.packed + bytes(28), more=True),
            RA,
            "L23/v4-first",
        ),
    ),
    attack(
        "x-igmp-of-another",
        "A membership report from another's address",
        "2236, 3376",
        Guard.IP,
        row(
            "v2",
            lambda c: f.ip4(c, build.igmp(0x16, "239.1.1.1"), src=c.v.ip4, ttl=1),
            PUBLIC,
            "L20/v2",
        ),
        row(
            "v3-with-too-many-records",
            lambda c: f.ip4(
                c,
                Layer(b"\x22\0\0\0\0\0\xff\xff" + bytes(8), f.IGMP),
                src=c.v.ip4,
                ttl=1,
            ),
            PUBLIC,
            "L20/v3",
        ),
    ),
)

ROWS: tuple[Attack, ...] = (*_IPV4_ROWS, *_UPPER_ROWS)
